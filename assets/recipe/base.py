"""What all configuration types share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Config(BaseModel):
    """A frozen configuration: unknown keys are refused, values are checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# A name becomes part of a partition and a path. "--" joins two names in a partition, so no name holds it.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([_.-][a-z0-9]+)*$", max_length=48)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$|^code$")]
