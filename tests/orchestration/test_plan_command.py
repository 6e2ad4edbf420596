"""``tokka plan`` and ``tokka recipes``: what is planned for many GPUs, what does not fit, and which files are missing."""

import json
import re

import pytest
from typer.testing import CliRunner

from assets.recipe.load import recipe_folders
from assets.recipe.parallel import cheapest, every_way, own_way
from assets.recipe.studies import load_studies
from orchestration.cli import app


@pytest.fixture(autouse=True)
def _project_alone(monkeypatch, tmp_path):
    """The project's recipes, and one whose batch can be divided by 3 and by 5."""
    monkeypatch.delenv("TOKKA_PORO", raising=False)
    (tmp_path / "even.yaml").write_text("extends: mini\ntraining: {global_batch: 120}\n")
    monkeypatch.setenv("TOKKA_RECIPES", str(tmp_path))


def tokka(*arguments):
    return CliRunner().invoke(app, list(arguments))


def plan(*arguments):
    result = tokka("plan", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_poro_on_512_gpus_of_64_gb_is_the_recipe_itself():
    found = plan("poro-34b", "--gpus", "512", "--memory-gb", "64")
    assert found["training"] == {
        "data_parallel": 512,
        "tensor_parallel": 1,
        "micro_batch": 4,
        "activation_checkpointing": "full",
        "shard_over": "all",
    }
    needed = found["memory_per_gpu"]
    assert sum(size for part, size in needed.items() if part not in ("in all", "of")) == needed["in all"]
    assert needed["in all"] <= 0.9 * needed["of"] == 0.9 * 64e9
    assert found["parameters"] == 34_216_949_760 and found["steps"] == 238_418 and found["nodes"] == 64
    text = tokka("plan", "poro-34b", "--gpus", "512", "--memory-gb", "64").stdout
    assert "the recipe has other values" not in text and "optimizer states" in text


def test_the_papers_speed_gives_the_papers_time():
    """174,378 tokens/s are 66.4 days, on 1,024 halves of MI250X; 19 % of their peak is that speed."""
    by_speed = plan("poro-34b", "--gpus", "1024", "--memory-gb", "64", "--tokens-per-second", "174378")
    assert by_speed["days"] == pytest.approx(66.4, abs=0.05)
    assert by_speed["gpu_hours"] == pytest.approx(1.63e6, rel=0.01)
    by_share = plan("poro-34b", "--gpus", "1024", "--memory-gb", "64", "--gpu", "MI250X", "--mfu", "0.19")
    assert by_share["tokens_per_second"] == pytest.approx(174_378, rel=0.02)


def test_poros_own_setting_gives_back_the_papers_figures(monkeypatch):
    """Poro 34B, section 3.2: 49,618 TFLOP/s with recomputation, and energy by GPUs x power x hours x PUE 1.04."""
    monkeypatch.setenv("TOKKA_PUE", "1.04")
    monkeypatch.setenv("TOKKA_GRID_KG_PER_KWH", "0.024")
    found = plan("poro-34b", "--gpus", "1024", "--gpu", "MI250X", "--tokens-per-second", "174378")
    assert round(found["tflops_recomputed"]) == 49_618
    assert (found["steps"], int(found["days"]), found["parameters"]) == (238_418, 66, 34_216_949_760)
    assert found["energy_kwh"] == pytest.approx(424_000, rel=0.001)
    assert found["co2_kg"] == pytest.approx(found["energy_kwh"] * 0.024)
    assert found["memory_per_gpu"]["of"] == 64e9


def test_what_does_not_fit_gets_the_cheapest_way_that_does():
    """On 16 H100 the gradients of the whole model do not fit on each: only 8 tensor parallel ranks divide them enough."""
    found = plan("poro-34b", "--gpus", "16", "--gpu", "H100")
    assert found["training"]["tensor_parallel"] == 8 and found["training"]["activation_checkpointing"] == "full"
    assert not found["own_settings_fit"] and found["memory_per_gpu"]["in all"] <= 0.9 * 80e9
    assert (
        "does not fit into 80 GB" in found["warning"]
        and "The cheapest that fits: tensor_parallel 8" in found["warning"]
    )
    assert plan("poro-34b", "--gpus", "512", "--gpu", "H100")["warning"] == ""


def test_what_is_named_instead_fits():
    for gpus in (1, 7, 100, 1000, 3000):
        result = tokka("plan", "poro-34b", "--gpus", str(gpus), "--gpu", "H100")
        named = re.search(r"It fits on ([0-9,]+)(?: or ([0-9,]+))? GPUs", result.stderr)
        assert result.exit_code == 2 and named is not None, result.stderr
        for number in filter(None, named.groups()):
            found = plan("poro-34b", "--gpus", number.replace(",", ""), "--gpu", "H100")
            assert found["memory_per_gpu"]["in all"] <= 0.9 * 80e9


def test_nodes_are_as_few_as_can_be_of_8_gpus_and_even():
    numbers = {gpus: plan("even", "--gpus", str(gpus), "--gpu", "H100")["nodes"] for gpus in (4, 8, 12, 20)}
    assert numbers == {4: 1, 8: 1, 12: 2, 20: 4}


def test_a_speed_above_the_peak_is_warned_of():
    found = plan("mini", "--gpus", "1", "--gpu", "H100", "--tokens-per-second", "1e9")
    assert found["mfu"] > 1 and "times the peak of 1 H100" in found["warning"]


def test_halves_of_a_module_are_said_to_be_the_gpus():
    text = tokka("plan", "poro-34b", "--gpus", "1024", "--gpu", "MI250X").stdout
    assert "each half (GCD) of an MI250X is a GPU here: these are 512 modules" in text


def test_recomputation_costs_time():
    often, never = (plan("poro-34b", "--gpus", "512", "--gpu", "H100", "--memory-gb", m) for m in ("64", "192"))
    assert often["days"] > 1.2 * never["days"]


def test_tensor_parallel_ranks_share_a_sample():
    found = plan("poro-34b", "--gpus", "512", "--memory-gb", "64", "--tensor-parallel", "8")
    training = found["training"]
    assert (training["data_parallel"], training["tensor_parallel"]) == (64, 8)
    assert training["micro_batch"] * found["accumulation"] * 64 == 2048
    assert found["memory_per_gpu"]["in all"] <= 0.9 * 64e9


def test_more_memory_recomputes_less():
    kinds = [
        plan("poro-34b", "--gpus", "512", "--memory-gb", size)["training"]["activation_checkpointing"]
        for size in ("64", "100", "192")
    ]
    assert kinds == ["full", "half", "none"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("poro-34b", "--gpus", "500", "--memory-gb", "64"), "cannot be divided by 500 data parallel ranks"),
        (
            ("poro-34b", "--gpus", "512", "--memory-gb", "64", "--nodes", "100"),
            "512 GPUs cannot be divided by 100 nodes; 64 or 128 would do",
        ),
        (
            ("poro-34b", "--gpus", "512", "--memory-gb", "20"),
            "poro-34b does not fit into 20 GB: with tensor_parallel 1 and",
        ),
        (("poro-34b", "--gpus", "8", "--memory-gb", "64"), "optimizer states|gathered gradients"),
        (
            ("mini", "--gpus", "2", "--memory-gb", "8", "--gpu", "abacus", "--mfu", "0.5"),
            "the peak of 'abacus' is not known",
        ),
        (("mini", "--gpus", "2"), "give --gpu, such as H100, or --memory-gb"),
        (("poro-34b", "--gpus", "8", "--gpu", "H100"), "It fits on 16 GPUs of 80 GB"),
        # What is named divides and fits: 2 and 4 GPUs would divide the batch as well.
        (("poro-34b", "--gpus", "1", "--gpu", "H100"), "the least of all is 696.1 GB. It fits on 16 GPUs of 80 GB"),
        (("poro-34b", "--gpus", "3", "--gpu", "H100"), "divided by 3 data parallel ranks. It fits on 16 GPUs of 80 GB"),
        (("poro-34b", "--gpus", "10000", "--gpu", "H100"), "It fits on 8,192 or 16,384 GPUs of 80 GB"),
        (("poro-34b", "--gpus", "512", "--memory-gb", "8"), "No number of GPUs of 8 GB is enough"),
        (
            ("poro-34b", "--gpus", "512", "--gpu", "H100", "--tensor-parallel", "16"),
            "it may be 1, 2, 4, 8 here. Without",
        ),
        (
            ("poro-34b", "--gpus", "16", "--gpu", "H100", "--tensor-parallel", "1"),
            "Without --tensor-parallel it fits. The cheapest that fits: tensor_parallel 8",
        ),
        (("mini", "--gpus", "2", "--memory-gb", "inf"), "less than or equal to"),
        (("mini", "--gpus", "2", "--memory-gb", "8", "--tokens-per-second", "inf"), "less than or equal to"),
        (
            ("mini", "--gpus", "2", "--gpu", "H100", "--tokens-per-second", "9", "--mfu", "0.4"),
            "give --mfu or --tokens-per-second, not both",
        ),
        (("poro-34b", "--gpus", "480", "--memory-gb", "64", "--tensor-parallel", "5"), "56 heads cannot be divided by"),
        (("nobody", "--gpus", "2", "--memory-gb", "8"), "There is no recipe 'nobody'"),
    ],
)
def test_what_cannot_be_is_said(arguments, sentence):
    result = tokka("plan", *arguments)
    assert result.exit_code == 2
    # Wrong usage is shown in a frame.
    assert re.search(sentence, " ".join(re.sub("[│╭╰─╮╯]", " ", result.stderr).split())), result.stderr


def test_check_names_every_source_of_poro_without_files(tmp_path, monkeypatch):
    result = tokka("recipes", "check", "poro-34b")
    assert result.exit_code == 2
    assert result.stderr.count("needs the environment variable TOKKA_PORO, which is not set") == 13
    monkeypatch.setenv("TOKKA_PORO", str(tmp_path))
    (tmp_path / "slimpajama").mkdir()
    (tmp_path / "slimpajama" / "a.jsonl.zst").write_bytes(b"")
    result = tokka("recipes", "check", "poro-34b")
    assert result.stderr.count("no file matches") == 12 and "sources.slimpajama" not in result.stderr


def test_the_digest_of_a_folder(tmp_path):
    import torch
    from safetensors.torch import save_file

    from assets.lake.hugging_face import HuggingFaceFolder

    (tmp_path / "config.json").write_text("{}")
    save_file({"a": torch.ones(2)}, tmp_path / "model.safetensors")
    assert tokka("recipes", "digest", str(tmp_path)).stdout.strip() == HuggingFaceFolder(str(tmp_path)).digest()
    result = tokka("recipes", "digest", str(tmp_path / "nothing"))
    assert result.exit_code == 2 and "is not a Hugging Face folder" in result.stderr


def test_every_34b_arm_of_the_ablations_has_a_launch_plan():
    derived = load_studies(recipe_folders())["ablations"][1]
    names = dict.fromkeys(each.recipe.name for each in derived if each.base == "poro-34b")
    assert len(names) > 12
    for name in names:
        found = plan(name, "--gpus", "512", "--gpu", "H100")
        assert found["memory_per_gpu"]["in all"] <= 0.9 * found["memory_per_gpu"]["of"] and found["days"] > 0
        assert found["parameters"] > 33e9


def test_every_186m_arm_of_the_ablations_fits_on_one_gpu():
    derived = load_studies(recipe_folders())["ablations"][1]
    recipes = {each.recipe.name: each.recipe for each in derived if each.base == "poro-186m"}
    assert len(recipes) > 12
    for recipe in recipes.values():
        assert own_way(recipe, 1, 1) is not None
        assert cheapest(every_way(recipe, 1, 1), 80_000_000_000) is not None, recipe.name
