from dataclasses import replace
from itertools import permutations

import great_expectations as gx
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.gates.context import ephemeral_context
from assets.gates.expectations import at_least, at_most, empty, none, true
from assets.gates.gate import Gate, judge, validate
from assets.lake import Identity


@pytest.fixture
def manifest(lake):
    who = Identity("raw_corpus", "docs_fi", {}, "c")
    with lake.write(who) as out:
        out.stage("a").write_text("a")
    return lake.find(who.asset, who.partition, who.version)


GOOD = Gate(
    code=("assets.gates.expectations",),
    profile=lambda version: [{"documents": 3, "duplicates": 0}],
    expectations=lambda bounds: [at_least("documents", 1, "some"), none("duplicates", "all differ")],
    numbers=("documents",),
)


def test_a_version_that_is_as_it_should_be_passes_and_gets_its_receipt(lake, manifest, catalog):
    receipt = judge(GOOD, lake, manifest, catalog)
    assert receipt.passed
    assert receipt.numbers == {"documents": 3.0}
    assert lake.require_receipt(manifest.ref) == receipt
    assert receipt.suite_digest == GOOD.suite_digest(catalog, "docs_fi")


def breaks(version):
    raise OSError("the disk is gone")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({"profile": lambda version: [{"documents": 0, "duplicates": 0}]}, "documents"),
        ({"profile": lambda version: [{"documents": 3, "duplicates": 2}]}, "duplicates"),
        ({"profile": lambda version: [{"documents": None, "duplicates": 0}]}, "documents"),
        ({"profile": lambda version: [{"documents": float("nan"), "duplicates": 0}]}, "documents"),
        ({"profile": lambda version: [{"duplicates": 0}]}, "documents"),
        ({"profile": lambda version: []}, "the profile of the version is empty"),
        ({"expectations": lambda bounds: []}, "nothing was judged"),
        ({"profile": breaks}, "OSError: the disk is gone"),
    ],
)
def test_whatever_is_wrong_is_a_failure_and_never_a_pass(lake, manifest, catalog, damage, reason):
    receipt = judge(replace(GOOD, **damage), lake, manifest, catalog)
    assert not receipt.passed
    assert reason in (receipt.error or "") or reason in {e.column for e in receipt.failed}


def test_a_missing_great_expectations_is_a_failure(lake, manifest, catalog, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "great_expectations", None)
    receipt = judge(GOOD, lake, manifest, catalog)
    assert not receipt.passed
    assert "great_expectations" in receipt.error


def test_a_warning_is_shown_and_does_not_block(lake, manifest, catalog):
    gate = replace(GOOD, expectations=lambda bounds: [at_most("documents", 1, "few", "warning")])
    receipt = judge(gate, lake, manifest, catalog)
    assert receipt.passed
    assert [(e.column, e.observed, e.allowed) for e in receipt.failed] == [("documents", "3", "<= 1")]


def test_outcomes_stand_in_the_order_of_the_suite_with_what_was_observed():
    rows = [{"a": 1, "b": 0.25, "c": -2}, {"a": 5, "b": 0.75, "c": 0}]
    outcomes = validate(rows, [none("c", "m"), at_most("a", 4, "m"), at_least("b", 0.3, "m"), true("a", "m")])
    assert [(e.column, e.observed, e.passed) for e in outcomes] == [
        ("c", "-2", False), ("a", "5", False), ("b", "0.25", False), ("a", "1", True),
    ]  # fmt: skip


ROWS = st.lists(
    st.fixed_dictionaries(
        {"max": st.integers(-5, 5) | st.floats(-5, 5), "min": st.floats(-5, 5), "none": st.integers(0, 2),
         "empty": st.sampled_from(["", "a", "b, c"]), "true": st.integers(0, 1)}
    ),
    min_size=1, max_size=8,
)  # fmt: skip


@given(ROWS)
@settings(max_examples=40, deadline=None)
def test_observed_is_what_great_expectations_itself_finds(rows):
    suite = [at_most("max", 1, "m"), at_least("min", 0, "m"), none("none", "m"), empty("empty", "m"), true("true", "m")]
    frame = pd.DataFrame(rows)
    batch = ephemeral_context().get_batch({"dataframe": frame})
    found = batch.validate(gx.ExpectationSuite(name="whole", expectations=suite)).results
    theirs = {r.expectation_config.kwargs["column"]: r for r in found}
    for outcome in validate(rows, suite):
        result = theirs[outcome.column].result
        assert outcome.passed == theirs[outcome.column].success
        extreme = result["observed_value"]  # of a set of values those that are not in it
        values = result["partial_unexpected_list"] if extreme is None else [extreme]
        shown = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values]
        assert outcome.observed in {", ".join(order) or outcome.allowed for order in permutations(shown)}


@given(ROWS)
@settings(max_examples=40, deadline=None)
def test_an_expectation_judges_as_the_one_of_great_expectations_that_it_is_named_after(rows):
    own = [at_most("max", 1, "m"), at_least("min", 0, "m"), none("none", "m"), empty("empty", "m"), true("true", "m")]
    gxe = gx.expectations
    core = [
        gxe.ExpectColumnMaxToBeBetween(column="max", max_value=1),
        gxe.ExpectColumnMinToBeBetween(column="min", min_value=0),
        gxe.ExpectColumnDistinctValuesToBeInSet(column="none", value_set=[0]),
        gxe.ExpectColumnDistinctValuesToBeInSet(column="empty", value_set=[""]),
        gxe.ExpectColumnMinToBeBetween(column="true", min_value=1, max_value=1),
    ]
    batch = ephemeral_context().get_batch({"dataframe": pd.DataFrame(rows)})
    found = batch.validate(gx.ExpectationSuite(name="core", expectations=core)).results
    theirs = {r.expectation_config.kwargs["column"]: (r.expectation_config.type, r.success) for r in found}
    assert {o.column: (o.expectation, o.passed) for o in validate(rows, own)} == theirs


def test_other_bounds_are_another_suite(catalog):
    gate = replace(GOOD, bounds=lambda catalog, key: {"n": len(key)})
    assert gate.suite_digest(catalog, "a") != gate.suite_digest(catalog, "ab")
