"""What a gate is, and how it judges a version.

A gate profiles a version (a few rows of numbers), validates the rows with a Great Expectations suite and writes a receipt.
Whatever goes wrong on the way - a missing library, an empty profile, a value that is not there, an exception - is a failure,
never a pass.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from assets.gates.context import ephemeral_context, great_expectations
from assets.gates.expectations import core_name
from assets.lake import Lake, Manifest, Receipt, code_digest, digest_of
from assets.lake.receipt import Expectation

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.expectations import Expectation as GxExpectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    from assets.recipe.catalog import Catalog

log = logging.getLogger(__name__)

Row = dict[str, Any]


@dataclass(frozen=True)
class Profiled:
    """What the profile function of a gate is given: the version to judge, and the versions it was made from."""

    lake: Lake
    manifest: Manifest
    catalog: "Catalog"

    def input(self, asset: str) -> Manifest:
        """The one version of ``asset`` that the judged version was made from."""
        (ref,) = [i for i in self.manifest.inputs if i.asset == asset]
        return self.lake.manifest(ref)


@dataclass(frozen=True)
class Gate:
    """A gate: ``profile`` measures, ``expectations`` (given the bounds) says what is allowed.

    ``bounds`` are plain values from the recipe; ``code`` the modules whose code is the suite; ``numbers`` the columns of the
    profile's first row that are plotted over time; ``*`` in one stands for any characters.
    """

    code: tuple[str, ...]
    profile: Callable[[Profiled], list[Row]]
    expectations: Callable[[dict[str, Any]], "list[GxExpectation]"]
    bounds: Callable[["Catalog", str], dict[str, Any]] = lambda catalog, key: {}
    numbers: tuple[str, ...] = ()

    def suite_digest(self, catalog: "Catalog", key: str) -> str:
        """Digest of the suite and its bounds: a receipt of another suite does not count as this gate's."""
        return digest_of({"code": code_digest(self.code), "bounds": self.bounds(catalog, key)})


def judge(gate: Gate, lake: Lake, manifest: Manifest, catalog: "Catalog") -> Receipt:
    """Run a gate on a version and write its receipt beside the manifest."""
    rows: list[Row] = []
    outcomes: list[Expectation] = []
    error = None
    try:
        rows = gate.profile(Profiled(lake, manifest, catalog))
        if not rows:
            raise ValueError("the profile of the version is empty, so nothing could be judged")
        outcomes = validate(rows, gate.expectations(gate.bounds(catalog, manifest.partition)))
        if not outcomes:
            raise ValueError("the suite has no expectations, so nothing was judged")
    except Exception as caught:  # whatever goes wrong is a failure of the gate, with its reason
        log.exception("The gate of %s could not judge", manifest.name)
        error = f"the gate could not judge: {type(caught).__name__}: {caught}"
    receipt = Receipt(
        asset=manifest.asset,
        partition=manifest.partition,
        version=manifest.version,
        manifest_digest=manifest.digest,
        suite_digest=gate.suite_digest(catalog, manifest.partition),
        passed=error is None and all(e.passed or e.severity != "critical" for e in outcomes),
        expectations=outcomes,
        profile=rows[:50],
        numbers=_numbers(gate.numbers, rows),
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        error=error,
    )
    return lake.write_receipt(receipt)


def _numbers(patterns: tuple[str, ...], rows: list[Row]) -> dict[str, float]:
    first = rows[0] if rows else {}
    names = dict.fromkeys(name for pattern in patterns for name in first if fnmatchcase(name, pattern))
    return {name: float(first[name]) for name in names if _is_number(first[name])}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124 - not NaN


def validate(rows: list[Row], expectations: "list[GxExpectation]") -> list[Expectation]:
    """Validate rows with Great Expectations; one outcome per expectation, in their order.

    Great Expectations judges. What was observed is read from the rows: asking for it as well takes twice as long.
    """
    import pandas as pd

    frame = pd.DataFrame(rows)
    batch = ephemeral_context()
    outcomes = []
    suite = great_expectations().ExpectationSuite(name="gate", expectations=expectations)
    result = batch.get_batch({"dataframe": frame}).validate(suite, result_format="BOOLEAN_ONLY")
    for found in result.results:
        configured = found.expectation_config
        column = configured.kwargs.get("column", configured.kwargs.get("column_A", ""))
        missing = column not in frame or bool(frame[column].isna().any())
        raised = (found.exception_info or {}).get("raised_exception", False)
        meta = configured.meta or {}
        observed = "missing" if missing else _observed(configured, frame[column], str(meta.get("allowed", "")))
        outcomes.append(
            Expectation(
                expectation=core_name(configured.type),
                column=column,
                allowed=str(meta.get("allowed", "")),
                observed="error" if raised else observed,
                passed=bool(found.success) and not missing and not raised,
                severity=getattr(configured.severity, "value", configured.severity) or "critical",
                meaning=str(meta.get("meaning", "")),
            )
        )
    order = {(core_name(e.expectation_type), getattr(e, "column", "")): place for place, e in enumerate(expectations)}
    return sorted(outcomes, key=lambda outcome: order[outcome.expectation, outcome.column])


def _observed(configured: "ExpectationConfiguration", values: "pd.Series[Any]", allowed: str) -> str:
    """What was found: the extreme value of the column; where single values are allowed, those that are others."""
    match core_name(configured.type):
        case "expect_column_max_to_be_between":
            return _shown(values.max())
        case "expect_column_min_to_be_between":
            return _shown(values.min())
        case _:
            others = [value for value in values.unique() if value not in configured.kwargs["value_set"]]
            return ", ".join(_shown(value) for value in others[:5]) or allowed


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
