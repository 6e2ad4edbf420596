"""Expectations on the columns of a profile, as gates use them. An unmarked one is critical and blocks."""

import functools
from typing import TYPE_CHECKING, Any, Literal

from assets.gates.context import great_expectations

if TYPE_CHECKING:
    from great_expectations.expectations import Expectation
    from great_expectations.expectations.metadata_types import FailureSeverity

Severity = Literal["critical", "warning", "info"]


@functools.cache
def _core(name: str) -> Any:
    """An expectation of Great Expectations, by the name of its class, that makes its configuration once.

    Great Expectations asks for the configuration some fifty times to judge a column, and makes it anew each time: 40 % of the
    time of a gate of one row.
    """
    core = getattr(great_expectations().expectations, name)
    from great_expectations.compatibility.pydantic import PrivateAttr

    def configuration(self: Any) -> Any:
        if self._configuration is None:
            self._configuration = core.configuration.fget(self)
        return self._configuration

    return type(f"{name}Once", (core,), {"_configuration": PrivateAttr(None), "configuration": property(configuration)})


def core_name(expectation_type: str) -> str:
    """The name of an expectation in Great Expectations' gallery, from the type of one of ours."""
    return expectation_type.removesuffix("_once")


def _severity(name: Severity) -> "FailureSeverity":
    return great_expectations().expectations.metadata_types.FailureSeverity(name)


def at_most(column: str, bound: float, meaning: str, severity: Severity = "critical") -> "Expectation":
    """Every value of ``column`` is at most ``bound``."""
    meta: dict[str, Any] = {"meaning": meaning, "allowed": f"<= {bound:g}"}
    return _core("ExpectColumnMaxToBeBetween")(column=column, max_value=bound, severity=_severity(severity), meta=meta)


def at_least(column: str, bound: float, meaning: str, severity: Severity = "critical") -> "Expectation":
    """Every value of ``column`` is at least ``bound``."""
    meta: dict[str, Any] = {"meaning": meaning, "allowed": f">= {bound:g}"}
    return _core("ExpectColumnMinToBeBetween")(column=column, min_value=bound, severity=_severity(severity), meta=meta)


def none(column: str, meaning: str, severity: Severity = "critical") -> "Expectation":
    """Every value of the count ``column`` is exactly zero."""
    meta: dict[str, Any] = {"meaning": meaning, "allowed": "0"}
    return _core("ExpectColumnDistinctValuesToBeInSet")(
        column=column, value_set=[0], severity=_severity(severity), meta=meta
    )


def empty(column: str, meaning: str, severity: Severity = "critical") -> "Expectation":
    """Every value of ``column``, a list of names as one text, is empty; what is observed are the names."""
    meta: dict[str, Any] = {"meaning": meaning, "allowed": "none"}
    return _core("ExpectColumnDistinctValuesToBeInSet")(
        column=column, value_set=[""], severity=_severity(severity), meta=meta
    )


def true(column: str, meaning: str, severity: Severity = "critical") -> "Expectation":
    """Every value of ``column`` is true; profiles write truth as 1 and 0."""
    meta: dict[str, Any] = {"meaning": meaning, "allowed": "true"}
    return _core("ExpectColumnMinToBeBetween")(
        column=column, min_value=1, max_value=1, severity=_severity(severity), meta=meta
    )
