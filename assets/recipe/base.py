"""What all configuration types share."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints


class Config(BaseModel):
    """A frozen configuration: unknown keys are refused, values are checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# A name becomes part of a partition and a path. "--" joins two names in a partition, so no name holds it.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([_.-][a-z0-9]+)*$", max_length=48)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


OneOrMany = Annotated[
    tuple[str, ...],
    BeforeValidator(_one_or_many, json_schema_input_type=str | tuple[str, ...]),
    Field(min_length=1),
]
"""Strings; a single one may stand without its list."""
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$|^code$")]
