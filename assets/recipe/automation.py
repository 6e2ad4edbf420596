"""Configuration of what happens by itself: when a recipe is trained again, at what cost at most, and what is promoted.

None of it decides a result, so none of it is part of a version's identity.
"""

import re
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from assets.recipe.base import Config, Name

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)


def cron_fault(cron: str) -> str | None:
    """What is wrong with a cron expression of five fields; None where it is right."""
    parts = cron.lower().split()
    if len(parts) != len(_FIELDS):
        return f"has {len(parts)} fields; allowed are five: minute, hour, day of the month, month, day of the week"
    for part, (name, low, high, names) in zip(parts, _FIELDS, strict=True):
        for item in part.split(","):
            found = re.fullmatch(r"(\*|(\w+)(?:-(\w+))?)(?:/([1-9]\d?))?", item)
            ends = [_number(end, low, names) for end in (found[2], found[3]) if end] if found else [None]
            if any(end is None or not low <= end <= high for end in ends) or ends != sorted(ends, key=lambda e: e or 0):
                return f"has the {name} {item!r}; allowed are *, numbers from {low} to {high}, ranges, lists and steps (*/5)"
    return None


def _number(text: str, low: int, names: tuple[str, ...]) -> int | None:
    if text in names:
        return names.index(text) + low
    return int(text) if text.isdigit() else None


class Budget(Config):
    """What the training of a recipe may cost in a period of the calendar. An hour of a rank is an hour of its GPU."""

    gpu_hours: float = Field(gt=0, allow_inf_nan=False, description="hours over all ranks and runs of the period")
    co2_kg: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="kg of CO2; needs the profile's cost.grid_kg_per_kwh"
    )
    period: Literal["week", "month", "year"] = Field(
        "month", description="the period of the calendar that the budget is for"
    )


class Estimate(Config):
    """What a run will cost, as ``tokka plan`` says it, where there is no run yet to go by."""

    gpu_hours: float = Field(gt=0, allow_inf_nan=False, description="hours over all ranks of one run")
    co2_kg: float | None = Field(None, ge=0, allow_inf_nan=False, description="kg of CO2 of one run")


class Retraining(Config):
    """Pretraining by schedule, where the data have changed since the last run and the budget allows it."""

    cron: str = Field(description="five fields: minute, hour, day of the month, month, day of the week")
    timezone: str = Field("UTC", description="where the schedule's clock stands, such as Europe/Helsinki")
    budget: Budget = Field(description="what the recipe's training may cost")
    estimate: Estimate | None = Field(
        None, description="what a run will cost, as `tokka plan` says, where there is none yet to go by"
    )
    priority: int = Field(0, ge=-100, le=100, description="runs of a higher number leave the queue first")
    running: bool = Field(False, description="the schedule runs from the start; otherwise it is turned on in the UI")

    @field_validator("cron")
    @classmethod
    def _cron_is_right(cls, value: str) -> str:
        fault = cron_fault(value)
        if fault:
            raise ValueError(fault)
        return value

    @field_validator("timezone")
    @classmethod
    def _timezone_is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("is not a known time zone; allowed are names such as UTC or Europe/Helsinki") from None
        return value


class Promotion(Config):
    """Which checkpoint ``tokka promote`` takes where no step is named, under which name, and whether it is done by itself.

    Only checkpoints that passed every gate count. ``latest``: the one of the highest step; ``best``: that of the best
    ``metric``, which is a task and its metric such as ``heldout_fi.bits_per_character``.
    """

    name: Name | None = Field(None, description="name of the promoted model; the recipe's where left out")
    choose: Literal["latest", "best"] = Field(
        "latest", description="the checkpoint of the highest step, or that of the best metric"
    )
    metric: str | None = Field(
        None, description="of `best`: a task and its metric, such as heldout_fi.bits_per_character"
    )
    lower_is_better: bool = Field(True, description="whether the best metric is the lowest")
    automatic: bool = Field(False, description="promote once the model card is there, by the sensor promote_by_policy")

    @model_validator(mode="after")
    def _best_needs_a_metric(self) -> "Promotion":
        if self.choose == "best" and not re.fullmatch(r"[^.]+(\.[^.]+)+", self.metric or ""):
            raise ValueError("choose: best needs metric, a task and its metric such as heldout_fi.bits_per_character")
        return self


class Automation(Config):
    """What happens by itself with a recipe."""

    retrain: Retraining | None = Field(None, description="pretraining by schedule; without it only by hand")
    promote: Promotion = Field(Promotion(), description="which checkpoint is promoted, and whether by itself")
    follow: bool = Field(True, description="whether what belongs to this recipe alone is made when its inputs change")
