"""The cost of a pretraining run, as its job wrote it into ``summary.json``: for the manifest and for people."""

from typing import Any

from assets.stage import Table

FIGURES = ("tflops", "mfu", "tflops_recomputed", "mfu_recomputed", "energy_kwh", "co2_kg")
"""What goes into the manifest where it is known; ``training_jobs.cost`` says what it means."""


def known_figures(summary: dict[str, Any]) -> dict[str, float]:
    """The FIGURES that are known."""
    return {name: summary["cost"][name] for name in FIGURES if summary["cost"][name] is not None}


def cost_table(summary: dict[str, Any]) -> Table:
    """What a run cost, how much of it, and what the figure rests on."""
    cost = summary["cost"]
    grid = cost["grid_kg_per_kwh"]
    rows = (
        ("tokens per second", summary["tokens_per_second"], "training time, without starts and checkpoints"),
        ("model TFLOP/s", cost["tflops"], cost["formula"]),
        ("MFU", cost["mfu"], cost["peak"]),
        ("TFLOP/s if every block is recomputed", cost["tflops_recomputed"], cost["formula_recomputed"]),
        ("utilisation if every block is recomputed", cost["mfu_recomputed"], cost["peak"]),
        ("hours over all ranks", cost["rank_hours"], f"training time on {cost['devices']} x {cost['device']}"),
        ("energy in kWh", cost["energy_kwh"], f"{cost['energy_from']}; PUE {cost['pue']:g}"),
        ("CO2 in kg", cost["co2_kg"], "TOKKA_GRID_KG_PER_KWH is not set" if grid is None else f"{grid:g} kg per kWh"),
    )
    return Table(
        [{"what": what, "value": "not known" if v is None else f"{v:,.5g}", "rests on": by} for what, v, by in rows]
    )
