"""What the process of a sandboxed program runs first: it takes its limits upon itself, becomes another user, runs the program.

Uses the standard library only, as little of it as can be, and is given to the interpreter as text. Standard input holds one
marshalled dictionary: ``source``, ``token``, ``limits`` (resource name to bytes, seconds or a count) and ``uid`` (null: the user
is another one already). Standard error is the channel to the supervisor: ``started``, then the token once the last statement of
the program has been executed, or ``memory``. The program's own standard error goes where its standard output goes.
"""

import marshal
import os
import resource
import sys


def become_limited(limits: dict[str, int], uid: int | None) -> None:
    """Set hard limits, which cannot be raised again, and leave root for good."""
    with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 — pathlib takes milliseconds to import
        file.write("1000")  # where memory runs out, the program goes, not its supervisor
    for name, value in limits.items():
        kind = getattr(resource, name)
        # One second more than the signal that says so, for those who ignore it.
        resource.setrlimit(kind, (value, value + 1 if name == "RLIMIT_CPU" else value))
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def say(error: BaseException, source: str) -> None:
    """Print a traceback with the program's lines, as a file would have it; without the lines where even that fails."""
    try:
        import linecache
        import traceback

        linecache.cache["program.py"] = (len(source), None, source.splitlines(True), "program.py")
        sys.stdout.flush()
        inner = error.__traceback__.tb_next if error.__traceback__ else None  # without the frame of this module
        traceback.print_exception(type(error), error, inner, limit=-20)
    except BaseException:  # the program may have damaged what this needs
        os.write(1, type(error).__name__.encode("utf-8", "replace") + b"\n")


def main() -> None:
    given = marshal.loads(sys.stdin.buffer.read())  # from the supervisor, and needs no module that has to be compiled
    control = os.dup(2)
    os.dup2(1, 2)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 — the program's
    become_limited(given["limits"], given["uid"])
    os.write(control, b"started\n")
    write, failed = os.write, sys.exit  # before the program can put others in their place
    module = sys.modules["__main__"] = type(sys)("__main__")
    module.__dict__["__builtins__"] = __builtins__
    try:
        exec(compile(given["source"].encode(), "program.py", "exec", dont_inherit=True), module.__dict__)
    except MemoryError:
        write(control, b"memory\n")
        failed(1)
    except Exception as error:
        say(error, given["source"])
        failed(1)
    write(control, given["token"].encode() + b"\n")


if __name__ == "__main__":
    main()
