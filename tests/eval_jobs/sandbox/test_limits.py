"""Programs that take more than they may: processes, memory, disk, output and time.

Each reports what it met, so that a test cannot pass because the attack never ran.
"""

import dataclasses
import secrets
import signal
import time

import pytest

from eval_jobs.sandbox import Program, run_programs
from tests.eval_jobs.sandbox.attacks import SMALL, Named, Plainly, Run, lines, text


def test_fork_bomb(run: Run, named: Named) -> None:
    name = "bomb" + secrets.token_hex(4)
    limits = dataclasses.replace(SMALL, wall_seconds=3)
    began = time.monotonic()
    outcome = run(
        text(
            """
            import ctypes, os, time
            ctypes.CDLL(None).prctl(15, name.encode())
            children = 0
            while True:
                try:
                    if os.fork() == 0:
                        while True:
                            try:
                                os.fork()
                            except OSError:
                                time.sleep(0.01)
                    children += 1
                except OSError as error:
                    os.write(1, f"stopped: {children} {error.errno}\\n".encode())
                    break
            time.sleep(100)
            """,
            name=name,
        ),
        limits=limits,
    )
    assert outcome.status == "timeout"
    children, errno = lines(outcome)["stopped"].split()
    assert 1 <= int(children) <= limits.processes and errno == "11"
    assert time.monotonic() - began < 20
    assert named(name) == []
    assert run("print('alive')", limits=SMALL).status == "passed"


def test_threads_count_as_processes(run: Run) -> None:
    outcome = run(
        text("""
            import threading, time
            threading.stack_size(1 << 16)
            started = 0
            try:
                for _ in range(200):
                    threading.Thread(target=time.sleep, args=(1,), daemon=True).start()
                    started += 1
            except RuntimeError as error:
                print(f"threads: {started}")
        """)
    )
    assert 1 <= int(lines(outcome)["threads"]) <= SMALL.processes


def test_memory_of_one_process(run: Run) -> None:
    outcome = run("print('begun', flush=True)\nheld = []\nwhile True:\n    held.append(bytearray(1 << 20))\n")
    assert (outcome.status, outcome.output.split()[0]) == ("memory", "begun")
    caught = run(
        text("""
            size = 0
            try:
                held = []
                while True:
                    held.append(bytearray(1 << 20))
                    size += 1
            except MemoryError:
                held = None
                print(f"MiB: {size}")
        """)
    )
    assert caught.status == "passed" and 100 < int(lines(caught)["MiB"]) <= 256


def test_memory_of_all_processes_together(run: Run) -> None:
    outcome = run(
        text("""
            import os, time
            for i in range(8):
                if os.fork() == 0:
                    held = b"x" * (60 << 20)
                    os.write(1, b"holds: 60\\n")
                    time.sleep(100)
                time.sleep(0.1)
            time.sleep(100)
        """)
    )
    assert outcome.status == "memory"
    assert 1 <= outcome.output.count("holds: 60") < 6


def test_memory_that_no_process_maps(run: Run, plainly: Plainly) -> None:
    attack = text("""
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        for name, args in (("memfd_create", (b"x", 0)), ("shmget", (0, 1 << 20, 0o1600))):
            result = getattr(libc, name)(*args)
            print(f"{name}: {'made' if result >= 0 else ctypes.get_errno()}")
            if name == "shmget" and result >= 0:
                libc.shmctl(result, 0, None)
    """)
    assert plainly(attack).count("made") == 2
    assert lines(run(attack)) == {"memfd_create": "1", "shmget": "1"}


def test_scratch_is_limited(run: Run) -> None:
    outcome = run(
        text("""
            import os
            def fill(path):
                written = 0
                try:
                    with open(path, "wb", buffering=0) as file:
                        while True:
                            written += file.write(b"x" * 65536)
                except OSError as error:
                    print(f"{path}: {written} {error.errno}")
                return written
            fill("/tmp/one")
            print("rest:", sum(fill(f"/tmp/{i}") for i in range(10)))
            try:
                os.truncate("/tmp/one", 1 << 40)
            except OSError as error:
                print(f"sparse: {error.errno}")
        """)
    )
    assert outcome.status == "passed", outcome.output
    said = lines(outcome)
    assert said["/tmp/one"] == f"{SMALL.file_bytes} 27"
    assert said["/tmp/9"].endswith(" 28")
    assert 0 < int(said["rest"]) <= SMALL.scratch_bytes - SMALL.file_bytes
    assert said["sparse"] == "27"


def test_files_without_content_are_limited(run: Run, backend: str) -> None:
    outcome = run(
        text("""
            import os
            os.write(1, b"begun: yes\\n")
            try:
                for i in range(10**8):
                    os.close(os.open(f"/tmp/{i}", os.O_CREAT))
            except OSError as error:
                print(f"stopped: {i} {error.errno}")
        """)
    )
    said = lines(outcome)
    assert said["begun"] == "yes"
    if backend == "docker":
        files, errno = said["stopped"].split()
        assert int(files) <= SMALL.scratch_files and errno == "28"
    else:
        assert outcome.status == "killed" and outcome.seconds < 2


@pytest.mark.parametrize("stream", [1, 2])
def test_output_floods(run: Run, stream: int) -> None:
    outcome = run(f"import os\nblock = b'x' * 65536\nwhile True:\n    os.write({stream}, block)\n")
    assert outcome.status == "output"
    assert outcome.seconds < 5 and outcome.output == "x" * 8192


def test_a_flood_from_a_process_that_stays(run: Run) -> None:
    outcome = run("import os\nif os.fork() == 0:\n    while True: os.write(1, b'x' * 65536)\nprint('parent')\n")
    assert outcome.status in {"output", "passed"} and len(outcome.output) <= 8192
    assert outcome.seconds < 5


@pytest.mark.parametrize(
    "source",
    [
        "import time\nprint('on', flush=True)\ntime.sleep(1000)\n",
        "import signal, time\nfor n in range(1, 32):\n    if n not in (9, 19): signal.signal(n, signal.SIG_IGN)\n"
        "print('on', flush=True)\nwhile True: time.sleep(1)\n",
        "import os\nprint('on', flush=True)\nos.kill(os.getpid(), 19)\n",
        "import threading\nprint('on', flush=True)\nthreading.Thread(target=threading.Event().wait).start()\n",
    ],
    ids=["sleeps", "ignores signals", "stops itself", "leaves a thread"],
)
def test_wall_clock(run: Run, source: str) -> None:
    outcome = run(source, limits=dataclasses.replace(SMALL, wall_seconds=1))
    assert (outcome.status, outcome.output) == ("timeout", "on\n")
    assert 1 <= outcome.seconds < 4


def test_processor_time(run: Run) -> None:
    limits = dataclasses.replace(SMALL, cpu_seconds=1)
    assert run("while True: pass\n", limits=limits).status == "timeout"
    stubborn = run("import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass\n", limits=limits)
    assert (stubborn.status, stubborn.exit_code) == ("killed", 137)


def test_what_breaks_interpreters(backend: str) -> None:
    programs = {
        "deep": "import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return f(x + 1)\nprint('on', flush=True)\nf(0)\n",
        "nested": "x = []\nfor _ in range(2 * 10**5): x = [x]\nimport sys\nsys.setrecursionlimit(10**9)\n"
        "print('on', flush=True)\nrepr(x)\n",
        "huge": "import sys\nsys.set_int_max_str_digits(0)\nprint('on', flush=True)\nprint(7**(10**8))\n",
        "brackets": "print('on', flush=True)\ntry: eval('(' * 10**6)\nexcept (SyntaxError, MemoryError): print('refused')\n",
        "after": "print('on')\n",
    }
    limits = dataclasses.replace(SMALL, cpu_seconds=2)
    outcomes = run_programs([Program(name, source) for name, source in programs.items()], limits, backend, workers=1)
    by_name = {outcome.id: outcome for outcome in outcomes}
    assert {name: outcome.output[:2] for name, outcome in by_name.items()} == dict.fromkeys(programs, "on")
    assert by_name["deep"].status in {"killed", "memory", "timeout"}
    nested = (by_name["nested"].status, by_name["nested"].exit_code)
    # Whichever comes first: the end of the stack, or on a slow machine the two seconds of processor time.
    assert nested in {("killed", 128 + signal.SIGSEGV), ("timeout", 128 + signal.SIGXCPU)}
    assert by_name["huge"].status in {"timeout", "memory"}
    assert by_name["brackets"].status in {"passed", "killed"}
    assert by_name["after"].status == "passed"


def test_sources_that_are_no_programs(backend: str) -> None:
    sources = {
        "syntax": "def f(:\n",
        "null": "x = 1\0\n",
        "surrogate": "x = '\ud800'\n",
        "empty": "",
        "mark": "\ufeffx = 1\n",
    }
    outcomes = run_programs([Program(name, source) for name, source in sources.items()], SMALL, backend)
    statuses = {outcome.id: outcome.status for outcome in outcomes}
    assert statuses == {
        "syntax": "failed",
        "null": "failed",
        "surrogate": "failed",
        "empty": "passed",
        "mark": "passed",
    }
