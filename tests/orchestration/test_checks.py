"""What ``tokka recipes check`` and ``tokka run`` say of a recipe before anything runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from orchestration.cli import app
from tests.conftest import RECIPE, changed

Recipe = Callable[..., Path]


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """Write the small recipe with changes; its files are there."""
    monkeypatch.setenv("TOKKA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TOKKA_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("TOKKA_RECIPES", str(tmp_path / "recipes"))
    for name in ("docs_fi", "docs_pairs", "heldout_fi", "quiz"):
        (tmp_path / f"{name}.jsonl").write_text('{"id": "a", "text": "Teksti."}\n', "utf-8")

    def write(**changes: Any) -> Path:
        files = {
            "sources__docs_fi__files": str(tmp_path / "docs_fi.jsonl"),
            "sources__docs_pairs__files": str(tmp_path / "docs_pairs.jsonl"),
            "tasks": {"tiny_heldout": RECIPE["tasks"]["heldout_fi"] | {"files": str(tmp_path / "heldout_fi.jsonl")}},
        }
        path = tmp_path / "recipes" / "tiny.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(changed(RECIPE, **files | changes)), "utf-8")
        return path

    return write


def tokka(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


WRONG = [
    ({"without": ["digit"]}, "sources.docs_fi.without: there is no cleaning step 'digit' to leave out; the steps are encoding, "),
    ({"thresholds": {"digit": {"at_most": 0.2}}}, "sources.docs_fi.thresholds: there is no cleaning step 'digit' with"),
    (
        {"thresholds": {"digits": {"at_least": 0.2}}},
        "sources.docs_fi.thresholds: the step 'digits' has no threshold 'at_least'; it has at_most.",
    ),
    (
        {"thresholds": {"mixed_language": {"at_least": 30}}},
        "sources.docs_fi.thresholds: the step 'mixed_language' takes no at_least of 30.0: Input should be less than or",
    ),
    # A step that is left out has no threshold.
    (
        {"without": ["digits"], "thresholds": {"digits": {"at_most": 0.2}}},
        "sources.docs_fi.thresholds: there is no cleaning step 'digits' with thresholds; these have some: licence_text, ",
    ),
    (
        {"bounds": {"removed_by_reason": {"digit": 0.1}}},
        "sources.docs_fi.bounds.removed_by_reason names 'digit'; the reasons are licence, ",
    ),
]  # fmt: skip


@pytest.mark.parametrize("command", [("recipes", "check"), ("run",)], ids=["check", "run"])
@pytest.mark.parametrize(("wrong", "said"), WRONG)
def test_a_source_that_cannot_be_cleaned_as_it_says_is_refused(
    recipe: Recipe, tmp_path: Path, command: tuple[str, ...], wrong: dict[str, Any], said: str
) -> None:
    path = recipe(**{f"sources__docs_fi__{key}": value for key, value in wrong.items()})
    result = tokka(*command, str(path))
    assert result.exit_code == 2
    assert f"tokka: {said}" in " ".join(result.stderr.split())
    assert result.stderr.rstrip().endswith(".") and result.stdout == ""
    assert not (tmp_path / "lake").exists() and not (tmp_path / "home").exists()


def test_what_is_right_is_said_to_be(recipe: Recipe) -> None:
    path = recipe(
        sources__docs_fi__without=["digits"],
        sources__docs_fi__thresholds={"mixed_language": {"at_least": 0.2}},
        sources__docs_fi__bounds={"removed_by_reason": {"mixed_language": 0.9}},
    )
    result = tokka("recipes", "check", str(path))
    assert result.exit_code == 0, result.output
    assert result.stdout == "tiny can run: 2 sources, 1 tasks.\n"


def test_protected_data_that_is_there_in_part_is_named(recipe: Recipe, tmp_path: Path) -> None:
    here, gone = str(tmp_path / "quiz.jsonl"), str(tmp_path / "gone.jsonl")
    protected = {"kind": "protected", "fields": ["text"]}
    path = recipe(
        tasks__whole=protected | {"files": [here]},
        tasks__part=protected | {"files": [here, gone]},
        tasks__none=protected | {"files": [gone]},
        tasks__scored={"kind": "finbench", "files": [here, gone]},
    )
    result = tokka("recipes", "check", str(path))
    assert result.exit_code == 0, result.output
    said = dict(line.split(": ", 1) for line in result.stdout.splitlines()[1:])
    assert said.keys() == {
        "part is protected, and only what is there is kept out of training",
        "none is protected, and not kept out of training",
        "scored will be reported as missing",
    }
    assert all(f"no file matches {gone!r}" in reason for reason in said.values())
    value = json.loads(tokka("recipes", "check", str(path), "--json").stdout)
    assert value["ok"] and value["partial_protected_data"].keys() == {"part"}
    assert value["missing_evaluation_data"].keys() == {"none", "scored"}
