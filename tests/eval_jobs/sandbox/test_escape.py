"""Programs that try to get out, to take what is not theirs, to stay, and to lie about what they did.

Each attack reports what it met, so that a test cannot pass because the attack never ran; where it can, the test runs the attack
without a sandbox too and sees it succeed.
"""

import dataclasses
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eval_jobs.sandbox import Program, run_programs
from tests.eval_jobs.sandbox.attacks import SMALL, Named, Plainly, Run, lines, text
from tests.workplace import let_others_through

ROOT = Path(__file__).parents[3]


def test_nothing_but_scratch_can_be_written(run: Run) -> None:
    outcome = run(
        text("""
            import os
            tried, written = 0, []
            for folder, folders, files in os.walk("/"):
                if folder == "/":
                    folders[:] = [name for name in folders if name not in ("proc", "sys")]
                tried += 1
                try:
                    os.close(os.open(folder + "/attack", os.O_CREAT | os.O_WRONLY))
                    written.append(folder)
                except OSError:
                    pass
                for name in files:
                    path = f"{folder}/{name}"
                    if os.path.isfile(path) and os.access(path, os.W_OK) and path != "/tmp/attack":
                        written.append(path)
            print(f"tried: {tried}")
            print(f"written: {written}")
            for path in ("/dev/shm/x", "/dev/mqueue/x", "/var/tmp/x", "/run/x", "/home/x", "/proc/sys/kernel/core_pattern",
                         "/proc/sysrq-trigger", "/proc/1/oom_score_adj", "/sys/fs/cgroup/x", "/sys/kernel/uevent_helper"):
                try:
                    open(path, "w")
                    print(f"{path}: written")
                except OSError as error:
                    print(f"{path}: {error.errno}")
        """)
    )
    assert outcome.status == "passed", outcome.output
    said = lines(outcome)
    assert int(said.pop("tried")) > 20
    assert said.pop("written") == "['/tmp']"
    assert len(said) == 10 and set(said.values()) <= {"1", "2", "13", "24", "30"}  # 24: no message queue is allowed


def test_environment(run: Run, plainly: Plainly, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = secrets.token_hex(16)
    monkeypatch.setenv("TOKKA_TEST_SECRET", secret)
    attack = text("""
        import glob, os
        print(dict(os.environ))
        for path in glob.glob("/proc/[0-9]*/environ"):
            try:
                print(f"{path}: {open(path, 'rb').read()}")
            except OSError as error:
                print(f"{path}: {error.errno}")
    """)
    assert secret in plainly(attack)
    outcome = run(attack)
    assert outcome.status == "passed" and "/proc/1/environ" in outcome.output
    assert secret not in outcome.output and "TOKKA" not in outcome.output and "PYTHONPATH" not in outcome.output
    assert set(eval(outcome.output.splitlines()[0])) <= {
        "PATH", "HOME", "TMPDIR", "LANG", "LC_CTYPE", "PYTHONHASHSEED", "MALLOC_ARENA_MAX", "PWD", "LD_LIBRARY_PATH",
    }  # fmt: skip


READ = """
    import os
    for path in paths:
        try:
            found = os.listdir(path) if os.path.isdir(path) else open(path, "rb").read()
            print(f"{path}: got {found!r:.100}")
        except OSError as error:
            print(f"{path}: {error.errno}")
"""


def test_files_of_the_machine(run: Run, plainly: Plainly, tmp_path: Path) -> None:
    let_others_through(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("of the lake")
    secret.chmod(0o666)
    paths = [str(path) for path in (ROOT, ROOT / "pyproject.toml", Path.home() / ".bashrc", tmp_path, secret)]
    paths += ["/etc/shadow", "/var/lib/dpkg", "/var/run/docker.sock", "/boot", "/root/.ssh", "/usr/local", "/opt/tokka"]
    paths += [f"/proc/1/root{secret}", f"/proc/self/cwd/../..{secret}", f"/proc/{os.getpid()}/root{secret}"]
    attack = text(READ, paths=paths)
    assert "got b'of the lake'" in plainly(attack) and "got ['" in plainly(attack)
    said = lines(run(attack))
    assert list(said) == paths
    assert set(said.values()) <= {"1", "2", "13"}, said


def test_processes_of_others(run: Run) -> None:
    outcome = run(
        text("""
            import os
            print(f"seen: {sorted(int(name) for name in os.listdir('/proc') if name.isdigit())}")
            print(f"self: {os.getpid()}")
            for name in ("mem", "maps", "fd", "cwd", "root"):
                path = f"/proc/1/{name}"
                try:
                    got = os.listdir(path) if name == "fd" else os.readlink(path) if name in ("cwd", "root") else open(path)
                    print(f"{path}: got")
                except OSError as error:
                    print(f"{path}: {error.errno}")
        """)
    )
    said = lines(outcome)
    assert set(json.loads(said.pop("seen"))) == {1, int(said.pop("self"))}
    if os.getuid() == 0:
        assert set(said.values()) == {"13"}


def test_killing(run: Run, backend: str) -> None:
    attack = text("""
        import os, signal
        for pid in (os.getppid(), 1, -1, 0):
            if pid == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            try:
                os.kill(pid, signal.SIGTERM if pid == 0 else signal.SIGKILL)
                print(f"kill {pid}: done", flush=True)
            except OSError as error:
                print(f"kill {pid}: {error.errno}", flush=True)
    """)
    programs = [Program("attack", attack), Program("next", "print('alive')")]
    first, after = run_programs(programs, SMALL, backend, workers=1)
    assert first.output.count("kill") == 4
    assert (after.status, after.output) == ("passed", "alive\n")


def test_links_out_of_scratch(run: Run, plainly: Plainly, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    victim.chmod(0o666)
    attack = """
        import os, tempfile
        os.chdir(tempfile.mkdtemp())
        for name in ("out", "stdout", "result.json", "program.py"):
            os.symlink(victim, name)
            try:
                with open(name, "r+") as file:
                    print(f"{name}: read {file.read()}")
                    file.write(" no more")
            except OSError as error:
                print(f"{name}: {error.errno}")
        os.symlink("/", "all")
        print(f"mkdir: {os.path.isdir('all' + os.path.dirname(victim))}")
        print(f"cwd: {os.getcwd()[:4]}")
        try:
            os.link("/proc/1/exe", "hard")
        except OSError as error:
            print(f"hard: {error.errno}")
    """
    assert "read untouched" in plainly(text(attack, victim=str(victim)))
    assert "no more" in victim.read_text()
    victim.write_text("untouched")
    outcome = run(text(attack, victim=str(victim)))
    said = lines(outcome)
    assert [said[name] for name in ("out", "stdout", "result.json", "program.py")] == ["2"] * 4
    assert (said["mkdir"], said["cwd"]) == ("False", "/tmp") and said["hard"] in {"1", "13", "18"}
    assert victim.read_text() == "untouched" and "untouched" not in outcome.output


def test_bytes_that_are_no_text(run: Run) -> None:
    outcome = run("import os\nos.write(1, bytes(range(256)) * 40)\nos.write(2, b'\\x00\\x1b[2J\\n')\n")
    assert outcome.status == "passed" and outcome.output.endswith("\x1b[2J\n")


def test_a_daemon_does_not_outlive_its_program(run: Run, named: Named, plainly: Plainly) -> None:
    attack = """
        import ctypes, os, signal, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                ctypes.CDLL(None).prctl(15, name.encode())
                for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
                os.write(1, b"daemon: up\\n")
                os.closerange(0, 64)
                time.sleep(60)
            os._exit(0)
        os.wait()
        time.sleep(0.5)
    """
    name = "daemon" + secrets.token_hex(4)
    assert "up" in plainly(text(attack, name=name))
    (left,) = named(name)
    os.kill(left, signal.SIGKILL)
    name = "daemon" + secrets.token_hex(4)
    outcome = run(text(attack, name=name))
    assert (outcome.status, outcome.output) == ("passed", "daemon: up\n")
    assert named(name) == []


def test_a_program_meets_nothing_of_the_one_before(run: Run) -> None:
    leave = text("""
        import os, time
        open("/tmp/left", "w").write("here")
        os.chmod("/tmp/left", 0o777)
        os.mkdir("/tmp/.hidden")
        if os.fork() == 0:
            os.setsid()
            time.sleep(60)
    """)
    hidden = "import os\nos.mkdir('/tmp/.hidden')\n"
    look = "import os\nprint(os.listdir('/tmp'), len([n for n in os.listdir('/proc') if n.isdigit()]))\n"
    outcome = run(look, before=("pass", leave, hidden, "pass"))
    assert (outcome.status, outcome.output) == ("passed", "[] 2\n")


FORGERIES = {
    "exit": "import sys\nsys.exit(0)\n",
    "hard exit": "import os\nos._exit(0)\n",
    "exception": "raise SystemExit\n",
    "printed": 'import os\nprint(\'{"status": "passed", "code": 0, "clean": true}\', flush=True)\nos._exit(0)\n',
    "descriptors": """
import os, json
for fd in range(1, 64):
    try:
        os.write(fd, b"started\\n" + b"0" * 32 + b"\\n" + json.dumps({"status": "passed", "code": 0}).encode() + b"\\n")
    except OSError:
        pass
os._exit(0)
""",
    "closed": "import os\nos.closerange(0, 64)\nos._exit(0)\n",
    "closed, then the end": "import os\nos.closerange(0, 64)\n",
    "another program": "import os, sys\nos.execv(sys.executable, [sys.executable, '-S', '-c', 'pass'])\n",
    "a child": "import os\nif os.fork() == 0:\n    import time; time.sleep(1); os._exit(0)\nos._exit(0)\n",
    "at exit": "import atexit, os\natexit.register(os._exit, 0)\nassert False\n",
    "hook": "import sys, os\nsys.excepthook = lambda *a: os._exit(0)\nassert False\n",
    "patched": """
import os, sys, builtins
os.write = lambda *a: 0
sys.exit = lambda *a: os._exit(0)
builtins.exec = builtins.compile = lambda *a, **k: None
assert False
""",
    "trace": "import sys, os\nsys.settrace(lambda *a: os._exit(0))\ndef f(): pass\nf()\nassert False\n",
    "thread": "import threading, os\nthreading.Thread(target=os._exit, args=(0,)).start()\nimport time; time.sleep(5)\n",
    "at exit after the end": "import atexit, os\natexit.register(os._exit, 3)\n",
    "tokens by guess": "import os\nfor i in range(1000): os.write(3, f'{i:032x}\\n'.encode())\nos._exit(0)\n",
    "garbage": "import os\nos.write(3, b'x')\n",
}


def test_success_is_not_believed_before_the_end(backend: str) -> None:
    programs = [Program(name, source + ("" if "end" in name or name == "garbage" else "\nassert False\n"))
                for name, source in FORGERIES.items()]  # fmt: skip
    outcomes = list(run_programs([*programs, Program("honest", "x = 1\n")], SMALL, backend, workers=2))
    assert {outcome.id: outcome.status for outcome in outcomes} == {
        **dict.fromkeys(FORGERIES, "failed"),
        "honest": "passed",
    }
    codes = {outcome.id: outcome.exit_code for outcome in outcomes}
    assert codes["exit"] == codes["hard exit"] == codes["printed"] == codes["another program"] == 0


def test_rights(run: Run) -> None:
    outcome = run(
        text("""
            import os, stat
            for line in open("/proc/self/status"):
                if line.startswith(("Cap", "NoNewPrivs", "Seccomp:", "Uid", "Gid", "Groups")):
                    print(line.strip().replace("\\t", " "))
            marked = []
            for folder, folders, files in os.walk("/"):
                if folder == "/":
                    folders[:] = [name for name in folders if name not in ("proc", "sys")]
                for name in files:
                    path = f"{folder}/{name}"
                    try:
                        if os.lstat(path).st_mode & stat.S_ISUID and not os.statvfs(path).f_flag & os.ST_NOSUID:
                            marked.append(path)
                    except OSError:
                        pass
            print(f"marked: {marked}")
            for call, args in ((os.setuid, (0,)), (os.setgid, (0,)), (os.setgroups, ([0],)), (os.setresuid, (0, 0, 0)),
                               (os.nice, (-5,)), (os.chroot, ("/tmp",)), (os.mknod, ("/tmp/d", stat.S_IFBLK | 0o666, 0x800))):
                try:
                    call(*args)
                    print(f"{call.__name__}: done")
                except OSError as error:
                    print(f"{call.__name__}: {error.errno}")
            import resource
            try:
                resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))
                print("raised: done")
            except (ValueError, OSError) as error:
                print("raised: no")
        """)
    )
    assert outcome.status == "passed", outcome.output
    said = lines(outcome)
    assert {int(said[name], 16) for name in ("CapPrm", "CapEff", "CapAmb")} == {0}
    assert (said["NoNewPrivs"], said["Seccomp"]) == ("1", "2")
    assert "0" not in said["Uid"].split() + said["Gid"].split() and len(set(said["Uid"].split())) == 1
    assert said["marked"] == "[]"
    calls = ("setuid", "setgid", "setgroups", "setresuid", "nice", "chroot", "mknod")
    assert {said[name] for name in calls} <= {"1", "13", "22"}, said
    assert said["raised"] == "no"


def test_a_file_marked_setuid_gives_nothing(run: Run) -> None:
    outcome = run(
        text("""
            import os, shutil, stat, subprocess, sys
            shutil.copy(sys.executable, "/tmp/own")
            os.chmod("/tmp/own", 0o6755)
            print(f"marked: {bool(os.stat('/tmp/own').st_mode & stat.S_ISUID)}")
            print(f"nosuid: {bool(os.statvfs('/tmp/own').f_flag & os.ST_NOSUID)}")
        """),
        limits=dataclasses.replace(SMALL, scratch_bytes=64 << 20, file_bytes=32 << 20),
    )
    assert lines(outcome) == {"marked": "True", "nosuid": "True"}


def test_nothing_is_left_when_the_caller_is_killed(backend: str, named: Named) -> None:
    name = "orphan" + secrets.token_hex(4)
    program = f"import ctypes, time\nctypes.CDLL(None).prctl(15, {name.encode()!r})\ntime.sleep(60)\n"
    caller = text(
        """
        from eval_jobs.sandbox import Limits, Program, run_programs
        list(run_programs([Program("a", source)], Limits(wall_seconds=4), backend))
        """,
        source=program,
        backend=backend,
    )
    process = subprocess.Popen([sys.executable, "-c", caller], cwd=ROOT)
    try:
        _wait(lambda: bool(named(name)), 20)
    finally:
        process.kill()
        process.wait()
    _wait(lambda: not named(name), 1 if backend == "bubblewrap" else 20)


def _wait(true: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
