"""The assumptions of a deployment, as the environment gives them."""

import pytest
from pydantic import ValidationError

from assets.recipe.cost import VARIABLES, CostAssumptions


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


def test_nothing_is_assumed_by_default() -> None:
    assert CostAssumptions.from_environment() == CostAssumptions()
    assert CostAssumptions().model_dump() == {
        "peak_tflops": None,
        "power_watts": None,
        "pue": 1.0,
        "grid_kg_per_kwh": None,
    }


def test_the_environment_gives_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TOKKA_POWER_WATTS", "500"), ("TOKKA_PUE", "1.04"), ("TOKKA_GRID_KG_PER_KWH", "0")):
        monkeypatch.setenv(name, value)
    assert CostAssumptions.from_environment() == CostAssumptions(power_watts=500, pue=1.04, grid_kg_per_kwh=0)


@pytest.mark.parametrize(
    ("variable", "value", "rule"),
    [
        ("TOKKA_PUE", "0.9", "greater than or equal to 1"),
        ("TOKKA_POWER_WATTS", "much", "valid number"),
        ("TOKKA_GRID_KG_PER_KWH", "-1", "greater than or equal to 0"),
        ("TOKKA_PEAK_TFLOPS", "nan", "finite"),
        ("TOKKA_POWER_WATTS", "inf", "finite"),
    ],
)
def test_a_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, rule: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=rule) as caught:
        CostAssumptions.from_environment()
    assert str(caught.value).startswith(f"{variable} is {value!r}: ") and "\n" not in str(caught.value)


def test_unknown_ones_are_refused() -> None:
    with pytest.raises(ValidationError):
        CostAssumptions.model_validate({"watts": 3})


def test_the_environment_goes_over_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKKA_PUE", "1.2")
    profile = CostAssumptions(pue=1.04, grid_kg_per_kwh=0.03)
    assert CostAssumptions.from_environment(profile) == CostAssumptions(pue=1.2, grid_kg_per_kwh=0.03)
