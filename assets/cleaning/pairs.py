"""Tests of translation pairs: ``text`` is one side, ``translation`` the other."""

import re
from typing import TYPE_CHECKING

from assets.cleaning.steps import Languages, Test

if TYPE_CHECKING:
    from daft import Expression


_DIGITS = re.compile(r"\d+")


class Identical(Test):
    """Both sides have the same letters and digits but for case: nothing was translated."""

    name: str = "identical"

    def fails(self, languages: Languages) -> "Expression":
        from daft import col
        from daft.functions import lower, regexp_replace

        other = r"[^\p{L}\p{N}]+"
        same: Expression = lower(regexp_replace(col("text"), other, "")) == lower(
            regexp_replace(col("translation"), other, "")
        )
        return same


class LengthRatio(Test):
    """The longer side is more than ``at_most`` times as long as the shorter, both taken ``slack`` characters longer.

    The slack lets short sides differ: a Finnish word of 12 letters may stand for an English one of 4.
    """

    name: str = "length_ratio"
    at_most: float
    slack: int = 15

    def fails(self, languages: Languages) -> "Expression":
        from daft import col
        from daft.functions import length

        one, other = length(col("text")) + self.slack, length(col("translation")) + self.slack
        return (one > other * self.at_most) | (other > one * self.at_most)


class Numbers(Test):
    """A number of at least ``digits`` digits on one side that the other lacks; single digits are often words."""

    name: str = "numbers"
    digits: int = 2

    def fails(self, languages: Languages) -> "Expression":
        import daft
        import pyarrow as pa
        from daft import col

        digits = self.digits

        @daft.func.batch(return_dtype=daft.DataType.bool())
        def differ(one: daft.Series, other: daft.Series) -> pa.Array:
            sides = zip(one.to_pylist(), other.to_pylist(), strict=True)
            return pa.array([numbers_differ(a, b, digits) for a, b in sides], pa.bool_())

        expression: daft.Expression = differ(col("text"), col("translation"))
        return expression


def numbers_differ(one: str, other: str, digits: int) -> bool:
    """Whether a run of at least ``digits`` digits of one side does not stand among the digits of the other.

    Separators differ between languages (10,000 and 10 000, 5/12/2020 and 12.5.2020), so runs are looked for among all
    digits of the other side, in their order or as a run.
    """
    runs, others = _DIGITS.findall(one), _DIGITS.findall(other)
    return runs != others and (_lacks(runs, others, digits) or _lacks(others, runs, digits))


def _lacks(runs: list[str], others: list[str], digits: int) -> bool:
    there = "".join(others)
    return any(len(run) >= digits and run not in there for run in runs)
