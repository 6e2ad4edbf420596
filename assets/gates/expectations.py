"""Expectations on the columns of a profile, as gates use them. An unmarked one is critical and blocks."""

from typing import TYPE_CHECKING, Any, Literal

from assets.gates.context import great_expectations

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation
    from great_expectations.expectations.metadata_types import FailureSeverity

Severity = Literal["critical", "warning", "info"]


def _severity(name: Severity) -> "FailureSeverity":
    return great_expectations().expectations.metadata_types.FailureSeverity(name)


def at_most(column: str, bound: float, meaning: str, severity: Severity = "critical") -> "Expectation":
    """Every value of ``column`` is at most ``bound``."""
    gxe = great_expectations().expectations
    meta: dict[str, Any] = {"meaning": meaning, "allowed": f"<= {bound:g}"}
    return gxe.ExpectColumnMaxToBeBetween(column=column, max_value=bound, severity=_severity(severity), meta=meta)


def at_least(column: str, bound: float, meaning: str, severity: Severity = "critical") -> "Expectation":
    """Every value of ``column`` is at least ``bound``."""
    gxe = great_expectations().expectations
    meta: dict[str, Any] = {"meaning": meaning, "allowed": f">= {bound:g}"}
    return gxe.ExpectColumnMinToBeBetween(column=column, min_value=bound, severity=_severity(severity), meta=meta)


def none(column: str, meaning: str, severity: Severity = "critical") -> "Expectation":
    """Every value of the count ``column`` is exactly zero."""
    gxe = great_expectations().expectations
    meta: dict[str, Any] = {"meaning": meaning, "allowed": "0"}
    return gxe.ExpectColumnDistinctValuesToBeInSet(
        column=column, value_set=[0], severity=_severity(severity), meta=meta
    )


def empty(column: str, meaning: str, severity: Severity = "critical") -> "Expectation":
    """Every value of ``column``, a list of names as one text, is empty; what is observed are the names."""
    gxe = great_expectations().expectations
    meta: dict[str, Any] = {"meaning": meaning, "allowed": "none"}
    return gxe.ExpectColumnDistinctValuesToBeInSet(
        column=column, value_set=[""], severity=_severity(severity), meta=meta
    )


def true(column: str, meaning: str, severity: Severity = "critical") -> "Expectation":
    """Every value of ``column`` is true; profiles write truth as 1 and 0."""
    gxe = great_expectations().expectations
    meta: dict[str, Any] = {"meaning": meaning, "allowed": "true"}
    return gxe.ExpectColumnMinToBeBetween(
        column=column, min_value=1, max_value=1, severity=_severity(severity), meta=meta
    )
