"""The import of Great Expectations: what the gates do not need comes later, and then it is all there."""

import subprocess
import sys

from assets.gates.context import LATER

IMPORTS = """
import gc, sys
from assets.gates.context import great_expectations
from assets.gates.expectations import at_most
from assets.gates.gate import validate

gx = great_expectations()
assert great_expectations() is gx is sys.modules["great_expectations"]
assert gc.isenabled() and not [finder for finder in sys.meta_path if type(finder).__name__ == "_Later"]
assert [outcome.passed for outcome in validate([{"a": 1}], [at_most("a", 2, "few")])] == [True]
loaded = [name for name in ("scipy.stats._stats_py", "altair.vegalite") if name in sys.modules]
assert not loaded, loaded

import altair
from scipy import stats

assert stats.entropy([0.5, 0.5], [0.5, 0.5]) == 0
assert altair.Chart.__module__.startswith("altair.")
import great_expectations.expectations as gxe
import pandas as pd

from assets.gates.context import ephemeral_context

partition = {"values": ["a", "b"], "weights": [0.5, 0.5]}
suite = [gxe.ExpectColumnKLDivergenceToBeLessThan(column="a", partition_object=partition, threshold=0.1)]
frame = pd.DataFrame({"a": ["a", "b"]})
result = ephemeral_context().get_batch({"dataframe": frame}).validate(gx.ExpectationSuite(name="kl", expectations=suite))
assert result.success, result
"""


def ran(code: str) -> str:
    """What a process of its own prints."""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_what_no_gate_needs_is_loaded_when_it_is_used() -> None:
    assert ran(IMPORTS) == ""


def test_what_comes_later_is_what_great_expectations_imports() -> None:
    # Another version may import something else, or nothing of this: then LATER says too much.
    assert set(LATER) <= set(ran("import sys, great_expectations; print(*sys.modules)").split())


def test_a_collector_that_was_off_stays_off() -> None:
    code = (
        "import gc; gc.disable(); from assets.gates.context import great_expectations; great_expectations(); "
        "print(gc.isenabled())"
    )
    assert ran(code) == "False\n"
