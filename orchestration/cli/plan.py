"""``tokka plan``: how a recipe would lie on GPUs, whether it fits, how long it would take, and what it would cost."""

from typing import Any

from assets.recipe.cost import CostAssumptions
from assets.recipe.memory import HEADROOM, activation_bytes, fits
from assets.recipe.model import Recipe
from assets.recipe.parallel import (
    RECOMPUTATION,
    DivisionError,
    Way,
    cheapest,
    every_way,
    fitting_gpus,
    nodes_for,
    own_way,
    ways,
)
from orchestration.cli.context import open_profile, open_recipe
from orchestration.cli.output import duration, err, fail, out, print_json, print_table
from training_jobs.cost import DEVICES, TERA, Device, Gauge, Matrices, energy_kwh, find_device

GB = 1_000_000_000
MEMORY_GB = {
    ("b200",): 180, ("h200", "nvl"): 141, ("h200",): 141, ("h100", "nvl"): 94, ("h100", "pcie"): 80, ("h100",): 80,
    ("a100", "80gb pcie"): 80, ("a100", "pcie"): 40, ("a100",): 40, ("l40s",): 48, ("mi300x",): 192, ("mi250x",): 64,
}  # fmt: skip
"""Memory of the GPUs that DEVICES of training_jobs.cost knows, from the same data sheets. An A100 has 40 or 80 GB."""
UTILISATION = 0.4
"""Share of the peak that the computation with recomputation is taken to reach, unless --mfu says more: Llama 3 reached
38 to 43 % on 8,192 to 16,384 H100 (Dubey et al. 2024, table 4)."""
PER_NODE = 8
"""GPUs of a node, where nobody says how many nodes there are."""
UTILISATION_MI250X = 0.253
"""The same on MI250X: Poro's 49,618 TFLOP/s on 1,024 halves of 191.5 TFLOP/s (Luukkonen et al. 2024, section 3.2)."""


def plan_command(
    name: str,
    gpus: int,
    gpu: str | None,
    memory_gb: float | None,
    nodes: int | None,
    tensor_parallel: int | None,
    mfu: float | None,
    tokens_per_second: float | None,
    profile_name: str | None,
    as_json: bool,
) -> None:
    """Print the plan. Leaves with 2 where the batch cannot be divided, or nothing fits."""
    _, recipe = open_recipe(name)
    if mfu is not None and tokens_per_second is not None:
        fail("give --mfu or --tokens-per-second, not both: each says how fast the run is.")
    device = _device(gpu)
    capacity = int((memory_gb or _memory_of(gpu, device)) * GB)
    per_node = gpus // nodes if nodes and gpus % nodes == 0 and gpus > PER_NODE else PER_NODE
    nodes = nodes or nodes_for(gpus, per_node)
    way, warning = _choose(recipe, gpus, nodes, per_node, tensor_parallel, capacity)
    own = own_way(recipe, gpus, nodes)
    cost = _cost(recipe, gpus, gpu, device, mfu, tokens_per_second, way, open_profile(name=profile_name).assumptions)
    if cost["mfu"] is not None and cost["mfu"] > 1:
        warning = (
            f"{warning} {cost['tokens_per_second']:,} tokens/s are {cost['mfu']:,.3g} times the peak of {gpus:,} {gpu}."
        )
    value = {
        "recipe": recipe.name,
        "parameters": recipe.model.parameters(recipe.tokenizer.vocab_size),
        "gpus": gpus,
        "nodes": nodes,
        "training": _settings(way),
        "accumulation": way.layout.accumulation,
        "memory_per_gpu": way.parts | {"in all": way.bytes, "of": capacity},
        "activations": _activations(recipe, way),
        "own_settings_need": own.bytes if own else None,
        "own_settings_fit": fits(own.parts, capacity) if own else False,
        "warning": warning.strip(),
        "steps": recipe.training.steps,
        "tokens": recipe.training.tokens,
        **cost,
    }
    if as_json:
        print_json(value)
        return
    if value["warning"]:
        err.print(f"warning: {value['warning']}", style="yellow", markup=False)
    _print(recipe, value, way, device is not None and "mi250x" in device.parts)


def _device(gpu: str | None) -> Device | None:
    device = find_device(gpu) if gpu else None
    if gpu and device is None:
        known = ", ".join(" ".join(device.parts) for device in DEVICES)
        fail(f"the peak of {gpu!r} is not known; known are: {known}. Give --memory-gb and --tokens-per-second instead.")
    return device


def _memory_of(gpu: str | None, device: Device | None) -> float:
    """GB of a known GPU; a size in its name goes over the table."""
    if device is None:
        fail("give --gpu, such as H100, or --memory-gb.")
    return 80 if "80gb" in (gpu or "").lower() else MEMORY_GB[device.parts]


def _choose(recipe: Recipe, gpus: int, nodes: int, per_node: int, tensor: int | None, capacity: int) -> tuple[Way, str]:
    """The way to go and, where it is not within the recipe's own parallelism, why."""
    training = recipe.training
    size, shard_over = tensor or training.tensor_parallel, training.shard_over
    asked: list[Way] = []
    reason = ""
    try:
        asked = list(ways(recipe, gpus, nodes, size, shard_over))
    except DivisionError as error:
        reason = str(error)
    found = cheapest(asked, capacity)
    if found is not None:
        return found, ""
    if asked:
        least = min(asked, key=lambda way: way.bytes)
        largest = max(least.parts, key=lambda part: least.parts[part])
        reason = (
            f"{recipe.name} does not fit into {capacity / GB:g} GB: with tensor_parallel {size} and shard_over {shard_over} the "
            f"least it needs is {least.bytes / GB:.1f} GB and {HEADROOM:.0%} of the memory free. The largest part is "
            f"{largest}, {least.parts[largest] / GB:.1f} GB."
        )
    others = every_way(recipe, gpus, nodes, tensor)
    proposal = cheapest(others, capacity)
    if proposal is None:
        fail(f"{reason} {_instead(recipe, gpus, nodes, per_node, tensor, capacity)}")
    return proposal, f"{reason} {_why(proposal, others, capacity)}"


def _instead(recipe: Recipe, gpus: int, nodes: int, per_node: int, tensor: int | None, capacity: int) -> str:
    """What would help where nothing fits: another tensor parallelism than the one asked for, or another number of GPUs."""
    if gpus % nodes:
        return "Without --nodes there are as few as can be."
    every = every_way(recipe, gpus, nodes)
    found = cheapest(every, capacity)
    if tensor and found is not None:
        return f"Without --tensor-parallel it fits. {_why(found, every, capacity)}"
    said = ""
    if every:
        least = min(way.bytes for way in every) / GB
        said = f"No tensor parallelism, sharding, recomputation or micro batch makes it fit: the least of all is {least:.1f} GB. "
    numbers = fitting_gpus(recipe, gpus, per_node, capacity)
    if not numbers:
        return f"{said}No number of GPUs of {capacity / GB:g} GB is enough: take GPUs of more memory."
    return f"{said}It fits on {' or '.join(f'{n:,}' for n in numbers)} GPUs of {capacity / GB:g} GB."


def _why(proposal: Way, others: list[Way], capacity: int) -> str:
    """The proposal, and what the next cheaper way lacks."""
    layout = proposal.layout
    cheaper = others[: others.index(proposal)]
    nearest = min(cheaper, key=lambda way: way.bytes) if cheaper else None
    rest = (
        f"; the {len(cheaper)} ways that cost less need at least {nearest.bytes / GB:.1f} of "
        f"{capacity * (1 - HEADROOM) / GB:.1f} GB"
        if nearest
        else ""
    )
    return (
        f"The cheapest that fits: tensor_parallel {layout.tensor}, shard_over {proposal.shard_over}, activation_checkpointing "
        f"{layout.checkpointing} ({RECOMPUTATION[layout.checkpointing]:.2f} times the operations), micro_batch "
        f"{layout.micro_batch}{rest}."
    )


def _settings(way: Way) -> dict[str, Any]:
    return {
        "data_parallel": way.ranks,
        "tensor_parallel": way.layout.tensor,
        "micro_batch": way.layout.micro_batch,
        "activation_checkpointing": way.layout.checkpointing,
        "shard_over": way.shard_over,
    }


def _activations(recipe: Recipe, way: Way) -> dict[str, int]:
    """Bytes of activations without and with recomputation of every block."""
    model, length, layout = recipe.model, recipe.training.sequence_length, way.layout
    number = 2 if layout.bf16 else 4
    one = activation_bytes(model, length, layout.micro_batch, layout.tensor, number)
    stored = number * length * layout.micro_batch * model.hidden
    return {"without checkpointing": model.layers * one, "with full checkpointing": model.layers * stored + one}


def _cost(
    recipe: Recipe,
    gpus: int,
    gpu: str | None,
    device: Device | None,
    mfu: float | None,
    speed: float | None,
    way: Way,
    assumed: CostAssumptions,
) -> dict[str, Any]:
    """Speed, TFLOP/s, days, energy and CO2, as far as what is given says them; each None otherwise."""
    training = recipe.training
    matrices = Matrices.of(recipe.model, recipe.tokenizer.vocab_size)
    gauge = Gauge(matrices, training.sequence_length, gpus, gpu or "", training.precision, assumed)
    plain = matrices.flops_per_token(training.sequence_length, recomputation=False)
    again = matrices.flops_per_token(training.sequence_length, recomputation=True)
    share = {"none": 0.0, "half": 0.5, "full": 1.0}[way.layout.checkpointing]
    basis = "given" if speed is not None else None
    if speed is None and gauge.peak is not None:
        if mfu is not None:
            per_token, reached, basis = plain, mfu, f"an MFU of {mfu:g}, as given"
        else:
            reached = UTILISATION_MI250X if device and "mi250x" in device.parts else UTILISATION
            per_token = plain + share * (again - plain)
            basis = f"assumed: {reached:.1%} of the peak with what is computed again; --mfu says better"
        speed = gpus * gauge.peak * reached / per_token
    value: dict[str, Any] = {"flops_per_token": plain, "speed_from": basis}
    if speed is None:
        keys = ("tokens_per_second", "tflops", "tflops_recomputed", "mfu", "days", "gpu_hours", "energy_kwh", "co2_kg")
        return value | dict.fromkeys(keys)
    seconds = training.tokens / speed
    watts = assumed.power_watts or (device.watts if device else None)
    energy = None if watts is None else energy_kwh(gpus, watts, seconds / 3600, assumed.pue)
    grid = assumed.grid_kg_per_kwh
    return value | {
        "tokens_per_second": round(speed),
        "tflops": speed * plain / TERA,
        "tflops_recomputed": speed * again / TERA,
        "mfu": None if gauge.peak is None else speed * plain / (gauge.peak * gpus),
        "days": round(seconds / 86_400, 2),
        "gpu_hours": round(seconds / 3600 * gpus, 1 if seconds * gpus < 360_000 else None),
        "energy_kwh": None if energy is None else round(energy, 3),
        "co2_kg": None if energy is None or grid is None else round(energy * grid, 3),
        "watts": watts,
        "pue": assumed.pue,
    }


def _counted(number: float, what: str) -> str:
    return f"{number:,g} {what}{'' if number == 1 else 's'}"


def _print(recipe: Recipe, value: dict[str, Any], way: Way, halves: bool) -> None:
    """The plan for people; ``halves`` of a module are what counts as a GPU."""
    training, layout = recipe.training, way.layout
    out.print(
        f"{recipe.name}: {value['parameters']:,} parameters, {training.steps:,} steps of {training.global_batch:,} x "
        f"{training.sequence_length:,} tokens, {training.tokens:,} tokens in all"
    )
    out.print(
        f"{_counted(value['gpus'], 'GPU')} on {_counted(value['nodes'], 'node')}: data parallel {way.ranks} x tensor parallel "
        f"{layout.tensor}, each copy of the weights over {_counted(layout.shards * layout.tensor, 'GPU')}"
    )
    if halves:
        out.print(f"each half (GCD) of an MI250X is a GPU here: these are {_counted(value['gpus'] / 2, 'module')}")
    out.print(
        f"micro batch {layout.micro_batch}, accumulation {layout.accumulation}, activation checkpointing {layout.checkpointing}"
    )
    needed = value["memory_per_gpu"]
    rows = [{"memory per GPU": part, "GB": round(size / GB, 3)} for part, size in needed.items() if part != "of"]
    print_table(rows)
    out.print(f"of {needed['of'] / GB:g} GB; {HEADROOM:.0%} stay free for what is not counted")
    for what, size in value["activations"].items():
        out.print(f"activations {what}: {size / GB:,.1f} GB")
    _print_time(value)
    differing = [f"{k}: {v}" for k, v in value["training"].items() if getattr(training, k) != v]
    if differing:
        own = value["own_settings_need"]
        said = "cannot be laid out so" if own is None else f"need {own / GB:.1f} GB"
        fit = "" if own is None else (", which fits too" if value["own_settings_fit"] else ", which does not fit")
        out.print(f"the recipe has other values, which {said} here{fit}", markup=False)
        out.print(f"for this plan set training: {{{', '.join(differing)}}}", markup=False)


def _print_time(value: dict[str, Any]) -> None:
    if value["days"] is None:
        out.print("time: give --gpu, or --tokens-per-second")
        return
    mfu = "" if value["mfu"] is None else f", MFU {value['mfu']:.1%}"
    seconds = value["tokens"] / value["tokens_per_second"]
    time = (
        f"{value['days']:,} days"
        if seconds > 86_400
        else duration(seconds)
        if seconds > 60
        else f"{seconds:.1f} seconds"
    )
    out.print(
        f"time: {time} at {value['tokens_per_second']:,} tokens/s, {value['gpu_hours']:,} GPU-hours, without restarts and "
        f"evaluation (speed {value['speed_from']})",
        markup=False,
    )
    out.print(
        f"{value['tflops']:,.0f} TFLOP/s of the model, {value['tflops_recomputed']:,.0f} if all blocks are recomputed{mfu}"
    )
    if value["energy_kwh"] is None:
        out.print("energy: give --gpu, or TOKKA_POWER_WATTS")
        return
    co2 = value["co2_kg"]
    grid = f"{co2:,.1f} kg of CO2" if co2 is not None else "CO2: TOKKA_GRID_KG_PER_KWH is not set"
    out.print(
        f"energy: {value['energy_kwh']:,.1f} kWh at {value['watts']:g} W a GPU and a PUE of {value['pue']:g}; {grid}",
        markup=False,
    )
