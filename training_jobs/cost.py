"""What a run costs: floating-point operations, utilisation, energy and CO2.

Operations are those of the matrix products, a multiplication and an addition counting two. Attention is counted over the
whole sequence although half of it is masked, as Megatron's formula does: Narayanan et al. 2021 (Efficient Large-Scale Language
Model Training on GPU Clusters Using Megatron-LM), section 5.1. Utilisation: Chowdhery et al. 2022 (PaLM), appendix B.
"""

import contextlib
import time
from dataclasses import dataclass
from typing import Any

from assets.recipe.cost import CostAssumptions
from assets.recipe.training import Model

TERA = 1e12
JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Matrices:
    """Sizes of a decoder-only model's matrix products: ``heads`` of ``head`` numbers for queries and ``groups`` for keys and
    values each, an MLP of ``mlp_matrices`` hidden x ``mlp`` matrices, and the output head hidden x ``vocabulary``."""

    layers: int
    hidden: int
    heads: int
    groups: int
    head: int
    mlp: int
    mlp_matrices: int
    vocabulary: int

    @classmethod
    def of(cls, model: Model, vocab_size: int) -> "Matrices":
        """Those of a recipe's model."""
        return cls(
            layers=model.layers,
            hidden=model.hidden,
            heads=model.heads,
            groups=model.key_value_heads,
            head=model.head_size,
            mlp=model.mlp_width,
            mlp_matrices=model.mlp_matrices,
            vocabulary=vocab_size,
        )

    def flops_per_token(self, sequence_length: int, *, recomputation: bool) -> float:
        """FLOPs of training on one token: the forward pass, and twice as much for the backward pass.

        With ``recomputation`` the forward pass of the blocks, not of the output head, counts once more. For BLOOM this is
        96 l h^2 (1 + s/(6h) + V/(16 l h)) with, and 72 l h^2 (1 + s/(6h) + V/(12 l h)) without recomputation.
        """
        query = self.heads * self.head
        weights = 2 * self.hidden * (query + self.groups * self.head) + self.mlp_matrices * self.hidden * self.mlp
        block = 2 * weights + 4 * sequence_length * query
        return (4 if recomputation else 3) * self.layers * block + 3 * 2 * self.hidden * self.vocabulary

    def formula(self, sequence_length: int, *, recomputation: bool) -> str:
        """How ``flops_per_token`` comes about, with this model's numbers."""
        passes = 4 if recomputation else 3
        numbers = f"s = {sequence_length}, l = {self.layers}, h = {self.hidden}, V = {self.vocabulary}"
        if self.groups == self.heads and self.mlp == 4 * self.hidden and self.mlp_matrices == 2:
            return (
                f"{24 * passes} l h^2 (1 + s/(6h) + V/({4 * passes} l h)) per token with {numbers} "
                "(Narayanan et al. 2021, section 5.1)"
            )
        return (
            f"{passes} l (2 (2 h (a + k) + {self.mlp_matrices} h f) + 4 s a) + 6 h V per token with {numbers}, queries "
            f"a = {self.heads * self.head}, keys k = {self.groups * self.head}, MLP f = {self.mlp}"
        )


@dataclass(frozen=True)
class Device:
    """A GPU model: parts of its name as torch says it, peak FLOP/s without sparsity by precision, and its power in watts.

    ``fp32`` is without TF32, which torch does not use unless it is told to.
    """

    parts: tuple[str, ...]
    bf16: float
    fp32: float
    watts: float
    source: str

    def peak(self, precision: str) -> float:
        return self.bf16 if precision == "bf16" else self.fp32


# The first whose parts all stand in the name counts. Of an MI250X torch sees the two halves (GCDs) as two devices.
DEVICES = (
    Device(("b200",), 2250e12, 75e12, 1000, "NVIDIA HGX B200 data sheet, an eighth of 8 GPUs, without sparsity"),
    Device(("h200", "nvl"), 835.5e12, 60e12, 600, "NVIDIA H200 data sheet, NVL, half of the figure with sparsity"),
    Device(("h200",), 989.4e12, 66.9e12, 700, "NVIDIA H200 data sheet, SXM, half of the figure with sparsity"),
    Device(("h100", "nvl"), 835.5e12, 60e12, 400, "NVIDIA H100 data sheet, NVL, half of the figure with sparsity"),
    Device(("h100", "pcie"), 756e12, 51.2e12, 350, "NVIDIA H100 architecture white paper, table 2, PCIe, dense"),
    Device(("h100",), 989.4e12, 66.9e12, 700, "NVIDIA H100 architecture white paper, table 2, SXM5, dense"),
    Device(("a100", "80gb pcie"), 312e12, 19.5e12, 300, "NVIDIA A100 data sheet, 80GB PCIe, dense"),
    Device(("a100", "pcie"), 312e12, 19.5e12, 250, "NVIDIA A100 data sheet, 40GB PCIe, dense"),
    Device(("a100",), 312e12, 19.5e12, 400, "NVIDIA A100 data sheet, SXM, dense"),
    Device(("l40s",), 362.05e12, 91.6e12, 350, "NVIDIA L40S data sheet, half of the figure with sparsity"),
    Device(("mi300x",), 1307.4e12, 163.4e12, 750, "AMD Instinct MI300X data sheet, dense"),
    Device(("mi250x",), 191.5e12, 23.95e12, 250, "AMD Instinct MI250X data sheet, half of a module for one GCD"),
)


def find_device(name: str) -> Device | None:
    """The entry of DEVICES for a device's name, or None."""
    name = name.lower()
    return next((device for device in DEVICES if all(part in name for part in device.parts)), None)


def energy_kwh(devices: int, watts: float, hours: float, pue: float = 1.0) -> float:
    """Energy in kWh of ``devices`` of ``watts`` each over ``hours``, with the data centre's share: Poro's own formula."""
    return devices * watts * hours * pue / 1000


@dataclass(frozen=True)
class Gauge:
    """What turns the tokens, seconds and joules of a run into its cost. All figures are over all ranks, one device each."""

    matrices: Matrices
    sequence_length: int
    devices: int
    device: str
    precision: str
    assumptions: CostAssumptions

    @property
    def peak(self) -> float | None:
        """Peak FLOP/s of one device; None where it is not known."""
        if self.assumptions.peak_tflops is not None:
            return self.assumptions.peak_tflops * TERA
        known = find_device(self.device)
        return known.peak(self.precision) if known else None

    @property
    def peak_text(self) -> str:
        """The peak with where it is from, or why there is none."""
        if self.peak is None:
            return f"not known for {self.device}; set TOKKA_PEAK_TFLOPS (per device) for a utilisation"
        known = find_device(self.device)
        source = known.source if known and self.assumptions.peak_tflops is None else "TOKKA_PEAK_TFLOPS"
        return f"{self.peak / TERA:,.1f} TFLOP/s per device in {self.precision} ({source})"

    def rates(self, tokens_per_second: float) -> dict[str, float | None]:
        """``tflops`` of the model and ``mfu``, its share of the peak; ``_recomputed``: with every block's forward pass twice."""
        rates: dict[str, float | None] = {}
        for suffix, recomputation in (("", False), ("_recomputed", True)):
            per_token = self.matrices.flops_per_token(self.sequence_length, recomputation=recomputation)
            flops = tokens_per_second * per_token
            rates[f"tflops{suffix}"] = _rounded(flops / TERA)
            rates[f"mfu{suffix}"] = _rounded(flops / (self.peak * self.devices)) if self.peak else None
        return rates

    def cost(self, tokens: int, seconds: float, joules: float | None) -> dict[str, Any]:
        """The cost of a run: rates, hours over all ranks, energy in kWh and CO2 in kg, each with what it rests on.

        ``joules``: measured over all devices, or None where nothing measures them. What is not known is None.
        """
        hours, assumed = seconds / 3600, self.assumptions
        known = find_device(self.device)
        watts = assumed.power_watts or (known.watts if known else None)
        if joules is not None:
            energy: float | None = joules / JOULES_PER_KWH * assumed.pue
            basis = "measured by NVML"
        elif watts is not None:
            energy = energy_kwh(self.devices, watts, hours, assumed.pue)
            source = "TOKKA_POWER_WATTS" if assumed.power_watts else "the device's rated power"
            basis = f"{watts:g} W per device ({source}) x {self.devices} x time"
        else:
            energy = None
            basis = "not known: nothing measures it, and TOKKA_POWER_WATTS (per device) is not set"
        grid = assumed.grid_kg_per_kwh
        formulas = (self.matrices.formula(self.sequence_length, recomputation=again) for again in (False, True))
        return {
            **self.rates(tokens / max(seconds, 1e-9)),
            **dict(zip(("formula", "formula_recomputed"), formulas, strict=True)),
            "peak": self.peak_text,
            "device": self.device,
            "devices": self.devices,
            "rank_hours": _rounded(hours * self.devices),
            "energy_kwh": _rounded(energy) if energy is not None else None,
            "energy_from": basis,
            "pue": assumed.pue,
            "co2_kg": _rounded(energy * grid) if energy is not None and grid is not None else None,
            "grid_kg_per_kwh": grid,
        }

    def sentence(self) -> str:
        """The formula and the peak, for the log."""
        formula = self.matrices.formula(self.sequence_length, recomputation=False)
        return f"model FLOPs: {formula}; peak: {self.peak_text}"


def _rounded(value: float) -> float:
    """Five significant digits."""
    return float(f"{value:.5g}")


class EnergyMeter:
    """The energy of this process's NVIDIA GPU, from its own counter (NVML; Volta and later).

    The counter is the GPU's, whoever uses it. It moves every 20 to 100 ms, and reading it costs a call into the driver, so
    it is read at most once in ``interval`` seconds.
    """

    def __init__(self, nvml: Any, handle: Any, interval: float = 1.0) -> None:
        self.nvml, self.handle, self.interval = nvml, handle, interval
        self.last = self._joules()
        self.time = time.monotonic()

    @classmethod
    def open(cls) -> "EnergyMeter | None":
        """The meter of torch's current device; None where there is no NVIDIA GPU, no NVML, or no counter."""
        import torch

        if not torch.cuda.is_available() or torch.version.hip:
            return None
        try:
            import pynvml
        except ImportError:
            return None
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlInit()
            # By UUID: NVML counts all GPUs in PCI order, torch those of CUDA_VISIBLE_DEVICES.
            uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
            return cls(pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"))
        return None

    def _joules(self) -> float:
        joules: float = self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle) / 1000
        return joules

    def take(self, *, now: bool = False) -> float:
        """Joules since the last reading; 0 until ``interval`` has passed, unless ``now``."""
        if not now and time.monotonic() - self.time < self.interval:
            return 0.0
        self.time = time.monotonic()
        try:
            joules = self._joules()
        except self.nvml.NVMLError:  # a driver that is updated or busy does not end a training run
            return 0.0
        used, self.last = joules - self.last, joules
        return used


def over_ranks(joules: float | None) -> float | None:
    """The joules of all ranks together; None where one of them has none. All ranks call this, in a process group."""
    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        return joules
    device = "cuda" if torch.cuda.is_available() else "cpu"
    total = torch.tensor(float("nan") if joules is None else joules, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return None if total.isnan() else float(total)
