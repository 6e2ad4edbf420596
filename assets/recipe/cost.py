"""What turns the time of a job into energy and CO2. It belongs to the profile: it never decides a result."""

import os
from typing import Self

from pydantic import Field, ValidationError

from assets.recipe.base import Config

VARIABLES = {
    "peak_tflops": "TOKKA_PEAK_TFLOPS",
    "power_watts": "TOKKA_POWER_WATTS",
    "pue": "TOKKA_PUE",
    "grid_kg_per_kwh": "TOKKA_GRID_KG_PER_KWH",
}
"""The environment variable of each assumption."""


class CostAssumptions(Config):
    """What a deployment knows of its machines and its electricity. A device is a GPU (of an MI250X one GCD), or a rank on CPU."""

    peak_tflops: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="TFLOP/s of a device at best; by default from the table of known GPUs",
    )
    power_watts: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="watts of a device, where its energy is not measured; by default those of a known GPU",
    )
    pue: float = Field(
        1.0,
        ge=1,
        allow_inf_nan=False,
        description="power usage effectiveness: energy of the data centre over energy of the devices",
    )
    grid_kg_per_kwh: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="kg of CO2 per kWh of the grid; without it no CO2"
    )

    @classmethod
    def from_environment(cls, otherwise: "CostAssumptions | None" = None) -> Self:
        """The assumptions that the environment gives (VARIABLES), over those of ``otherwise``.

        Raises ValueError with one sentence where one is wrong.
        """
        given = {name: os.environ[variable] for name, variable in VARIABLES.items() if os.environ.get(variable)}
        try:
            return cls.model_validate((otherwise.model_dump() if otherwise else {}) | given)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            rule = first["msg"][:1].lower() + first["msg"][1:]
            raise ValueError(f"{VARIABLES[name]} is {given[name]!r}: {rule} ({name}).") from error
