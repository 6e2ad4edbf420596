"""Tests of translation pairs: ``text`` is one side, ``translation`` the other."""

import re
from typing import TYPE_CHECKING

from assets.cleaning.steps import Test
from assets.cleaning.texts import Documents

if TYPE_CHECKING:
    import numpy as np


_DIGITS = re.compile(r"\d+")


class Identical(Test):
    """Both sides have the same letters and digits but for case: nothing was translated."""

    name: str = "identical"

    def fails(self, documents: Documents) -> "np.ndarray":
        import pyarrow.compute as pc

        one, other = (
            pc.utf8_lower(pc.replace_substring_regex(side.column, r"[^\p{L}\p{N}]+", ""))
            for side in (documents.text, documents.translation)
        )
        same: np.ndarray = pc.equal(one, other).to_numpy(zero_copy_only=False)
        return same.astype(bool)


class LengthRatio(Test):
    """The longer side is more than ``at_most`` times as long as the shorter, both taken ``slack`` characters longer.

    The slack lets short sides differ: a Finnish word of 12 letters may stand for an English one of 4.
    """

    name: str = "length_ratio"
    at_most: float
    slack: int = 15

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        one, other = documents.text.characters + self.slack, documents.translation.characters + self.slack
        return np.maximum(one, other) > np.minimum(one, other) * self.at_most


class Numbers(Test):
    """A number of at least ``digits`` digits on one side that the other lacks; single digits are often words."""

    name: str = "numbers"
    digits: int = 2

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        sides = zip(documents.text.strings, documents.translation.strings, strict=True)
        return np.array([numbers_differ(one, other, self.digits) for one, other in sides], bool)


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
