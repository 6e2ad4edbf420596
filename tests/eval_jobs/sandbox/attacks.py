"""What the tests of the sandbox share: programs that report what they met, and the limits of small ones."""

import textwrap
from collections.abc import Callable

from eval_jobs.sandbox import Limits, Outcome

SMALL = Limits(cpu_seconds=3, wall_seconds=15, memory_bytes=256 << 20, scratch_bytes=8 << 20, file_bytes=4 << 20)
Run = Callable[..., Outcome]
Plainly = Callable[[str], str]
Named = Callable[[str], list[int]]


def text(attack: str, /, **values: object) -> str:
    """A program from an indented text; values stand before it."""
    return "".join(f"{name} = {value!r}\n" for name, value in values.items()) + textwrap.dedent(attack)


def lines(outcome: Outcome) -> dict[str, str]:
    """What the attack reported: ``key: value`` lines."""
    return dict(line.split(": ", 1) for line in outcome.output.splitlines() if ": " in line)
