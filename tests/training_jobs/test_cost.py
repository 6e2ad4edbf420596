"""FLOPs against Poro's published figures, against Narayanan's formula, and against what torch counts in real models."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode
from transformers import BloomConfig, BloomForCausalLM, LlamaConfig, LlamaForCausalLM

from assets.recipe.cost import CostAssumptions
from assets.recipe.training import Model
from training_jobs.cost import DEVICES, EnergyMeter, Gauge, Matrices, energy_kwh, find_device

PORO = Matrices.of(Model(layers=54, hidden=7168, heads=56), 128_000)


def test_poros_throughput_gives_poros_flops() -> None:
    assert 174_378 * PORO.flops_per_token(2048, recomputation=True) / 1e12 == pytest.approx(49_618.16, abs=0.005)


def test_poros_energy() -> None:
    """512 MI250X of 500 W for 66.4 days, PUE 1.04: 424 MWh; at 0.024 kg/kWh about 10.2 t."""
    assert energy_kwh(512, 500, 66.4 * 24, 1.04) == pytest.approx(424_280, rel=1e-4)
    gauge = Gauge(PORO, 2048, 1024, "AMD Instinct MI250X", "bf16", CostAssumptions(pue=1.04, grid_kg_per_kwh=0.024))
    cost = gauge.cost(10**12, 66.4 * 86_400, None)
    assert cost["energy_kwh"] == pytest.approx(424_280, rel=1e-4)
    assert cost["co2_kg"] == pytest.approx(424_280 * 0.024, rel=1e-4)
    assert cost["rank_hours"] == pytest.approx(1024 * 66.4 * 24, rel=1e-4)


def test_poros_utilisation() -> None:
    """48.5 TFLOP/s per GCD are 25.3 % of the peak of 191.5."""
    rates = Gauge(PORO, 2048, 1024, "AMD Instinct MI250X", "bf16", CostAssumptions()).rates(174_378)
    assert rates["tflops_recomputed"] == pytest.approx(49_618, abs=0.5)
    assert rates["mfu_recomputed"] == pytest.approx(0.253, abs=5e-4)
    assert rates["mfu"] == pytest.approx(0.191, abs=5e-4)


@given(
    st.integers(1, 100),
    st.integers(1, 100),
    st.integers(1, 64),
    st.integers(1, 8192),
    st.integers(1, 300_000),
)
def test_blooms_flops_are_narayanans(layers: int, head: int, heads: int, length: int, vocabulary: int) -> None:
    h, matrices = head * heads, Matrices.of(Model(layers=layers, hidden=head * heads, heads=heads), vocabulary)
    whole = 96 * layers * h**2 * (1 + length / (6 * h) + vocabulary / (16 * layers * h))
    plain = 72 * layers * h**2 * (1 + length / (6 * h) + vocabulary / (12 * layers * h))
    assert math.isclose(matrices.flops_per_token(length, recomputation=True), whole, rel_tol=1e-12)
    assert math.isclose(matrices.flops_per_token(length, recomputation=False), plain, rel_tol=1e-12)
    assert matrices.formula(length, recomputation=True).startswith(
        f"96 l h^2 (1 + s/(6h) + V/(16 l h)) per token with s = {length}"
    )


def counted(model: torch.nn.Module, vocabulary: int, length: int) -> int:
    """FLOPs that torch counts in a forward and a backward pass over one sequence."""
    tokens = torch.randint(0, vocabulary, (1, length))
    with FlopCounterMode(display=False) as counter:
        model(tokens, labels=tokens).loss.backward()
    return counter.get_total_flops()


def test_torch_counts_the_same_in_bloom() -> None:
    vocabulary, length = 300, 24
    config = BloomConfig(vocab_size=vocabulary, hidden_size=48, n_layer=3, n_head=4)
    matrices = Matrices.of(Model(layers=3, hidden=48, heads=4), vocabulary)
    found = counted(BloomForCausalLM(config), vocabulary, length)
    assert found == length * matrices.flops_per_token(length, recomputation=False)


def test_torch_counts_the_same_in_llama() -> None:
    vocabulary, length = 300, 24
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        intermediate_size=112,
        attn_implementation="eager",
    )
    model = Model(architecture="llama", layers=3, hidden=48, heads=6, kv_heads=2, feed_forward=112)
    matrices = Matrices.of(model, vocabulary)
    found = counted(LlamaForCausalLM(config), vocabulary, length)
    assert found == length * matrices.flops_per_token(length, recomputation=False)
    assert "keys k = 16, MLP f = 112" in matrices.formula(length, recomputation=False)


@pytest.mark.parametrize(
    ("name", "bf16", "watts"),
    [
        ("NVIDIA H100 80GB HBM3", 989.4e12, 700),
        ("NVIDIA H100 PCIe", 756e12, 350),
        ("NVIDIA H100 NVL", 835.5e12, 400),
        ("NVIDIA H200", 989.4e12, 700),
        ("NVIDIA A100-SXM4-80GB", 312e12, 400),
        ("NVIDIA A100-PCIE-40GB", 312e12, 250),
        ("NVIDIA A100 80GB PCIe", 312e12, 300),
        ("AMD Instinct MI250X", 191.5e12, 250),
        ("AMD Instinct MI300X", 1307.4e12, 750),
    ],
)
def test_devices_are_found_by_the_names_torch_says(name: str, bf16: float, watts: float) -> None:
    device = find_device(name)
    assert device is not None
    assert (device.peak("bf16"), device.watts) == (bf16, watts)
    assert device.peak("fp32") < device.peak("bf16")


def test_every_device_says_its_source_and_can_be_found() -> None:
    for device in DEVICES:
        assert device.source and find_device(" ".join(device.parts)) is device


def test_what_is_not_known_is_none_and_says_so() -> None:
    """A CPU has no peak and no power here unless the deployment states them."""
    gauge = Gauge(PORO, 2048, 2, "AMD EPYC", "fp32", CostAssumptions())
    cost = gauge.cost(1000, 10.0, None)
    assert cost["mfu"] is cost["mfu_recomputed"] is cost["energy_kwh"] is cost["co2_kg"] is None
    assert cost["tflops"] > 0 and cost["rank_hours"] == pytest.approx(2 * 10 / 3600, rel=1e-4)
    assert "TOKKA_PEAK_TFLOPS" in cost["peak"] and "TOKKA_POWER_WATTS" in cost["energy_from"]

    stated = CostAssumptions(peak_tflops=0.1, power_watts=100, pue=1.5, grid_kg_per_kwh=0.05)
    cost = Gauge(PORO, 2048, 2, "AMD EPYC", "fp32", stated).cost(1, 3600.0, None)
    assert cost["energy_kwh"] == pytest.approx(0.3) and cost["co2_kg"] == pytest.approx(0.015)
    assert cost["mfu"] == pytest.approx(cost["tflops"] / 0.2, rel=1e-4)
    assert "0.1 TFLOP/s per device in fp32 (TOKKA_PEAK_TFLOPS)" in cost["peak"]


def test_measured_energy_goes_before_stated_power() -> None:
    gauge = Gauge(PORO, 2048, 8, "NVIDIA H100 80GB HBM3", "bf16", CostAssumptions(power_watts=1, pue=1.1))
    cost = gauge.cost(1, 3600.0, joules=7.2e6)
    assert cost["energy_kwh"] == pytest.approx(2.2) and cost["energy_from"] == "measured by NVML"


def test_without_a_gpu_nothing_is_measured() -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU is there")
    assert EnergyMeter.open() is None


@pytest.mark.gpu
def test_a_gpus_counter_rises() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    meter = EnergyMeter.open()
    assert meter is not None and meter.take() == 0.0
    matrix = torch.rand(4096, 4096, device="cuda")
    for _ in range(200):
        matrix = matrix @ matrix / 4096
    torch.cuda.synchronize()
    assert meter.take(now=True) > 0
