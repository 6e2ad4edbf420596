"""What each image holds: enough for what its rooms import, in the lock's versions, and no more."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from assets.lake.fingerprint import UnstableIdentityError, code_digest
from infra.docker import requirements

ROOT = Path(__file__).parents[2]
ROOMS = {
    "orchestrator": ("orchestration", "assets"),
    "trainer": ("training_jobs", "assets/lake", "assets/recipe"),
    "evaluator": ("eval_jobs", "assets/lake", "assets/recipe"),
}
# Imported where a job runs, or an extra of the project that an image is given on demand.
ELSEWHERE = {
    # `tokka suites fetch`, which wants the Internet, runs in the image tokka.
    "orchestrator": {"torch", "transformers", "ray", "kenlm", "ufal", "fasttext", "datasets"},
    "trainer": {"docker"},
    "evaluator": {"docker"},
}


def imported(room: str) -> Iterator[tuple[str, Path]]:
    """The packages that a room's modules import anywhere, without imports for type checkers alone."""
    path = ROOT / room
    for file in sorted(path.rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                node.body = []
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            yield from ((name.split(".")[0], file) for name in names)


def held(image: str) -> dict[str, str]:
    lines = (ROOT / "infra" / "docker" / f"{image}.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


@pytest.mark.parametrize("image", ROOMS)
def test_an_image_holds_what_its_rooms_import(image):
    packages, of = held(image), packages_distributions()
    ours = {"orchestration", "assets", "training_jobs", "eval_jobs", "infra"}
    missing = {
        (name, str(file.relative_to(ROOT)))
        for room in ROOMS[image]
        for name, file in imported(room)
        if name not in sys.stdlib_module_names | ours | ELSEWHERE[image]
        and not any(canonicalize_name(d) in packages for d in of.get(name, [name]))
    }
    assert not missing


def test_images_are_small_by_what_they_leave_out():
    orchestrator, trainer, evaluator = (held(image) for image in ROOMS)
    assert not orchestrator.keys() & {"torch", "nemo-toolkit", "megatron-core", "lm-eval", "transformers"}
    assert not trainer.keys() & {"dagster", "dagster-webserver", "daft", "great-expectations", "lm-eval"}
    assert not evaluator.keys() & {"dagster", "daft", "great-expectations", "nemo-toolkit", "megatron-core"}
    for packages in (orchestrator, trainer, evaluator):
        assert not packages.keys() & {"pytest", "mypy", "ruff", "spacy", "ray", "playwright"}


@pytest.mark.parametrize("image", requirements.IMAGES)
def test_the_lists_are_those_of_this_environment_and_of_the_lock(image):
    assert (ROOT / "infra" / "docker" / f"{image}.txt").read_text() == requirements.lines(image), (
        "`make lock` writes them anew"
    )
    lock = {
        canonicalize_name(line.split("==")[0]): line.split("==")[1]
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if "==" in line
    }
    assert {name: version for name, version in held(image).items() if lock.get(name) != version} == {}


def test_a_version_that_only_the_lock_knows_gives_the_same_identity(monkeypatch, tmp_path):
    """As in the orchestrator's image, which has no torch."""
    from importlib import metadata

    here = code_digest(["assets.words"], ["torch"])
    real = metadata.version("torch")

    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(UnstableIdentityError, match="torch"):
        code_digest(["assets.words"], ["torch"])
    (tmp_path / "lock").write_text(f"# pins\nTorch=={real.split('+')[0]}\n")
    monkeypatch.setenv("TOKKA_LOCK", str(tmp_path / "lock"))
    assert code_digest(["assets.words"], ["torch"]) == here
    with pytest.raises(UnstableIdentityError, match="TOKKA_LOCK"):
        code_digest(["assets.words"], ["nemo-toolkit"])


def test_nothing_that_a_list_names_is_taken_out_again():
    """torch imports setuptools, which the build needs as well: without it no job starts in the trainer's image."""
    dockerfile = (ROOT / "infra" / "docker" / "Dockerfile").read_text()
    removed = re.findall(r"(.*)pip uninstall --quiet --yes (\w+)", dockerfile)
    assert {name for _, name in removed} == {"setuptools", "pip"}
    for before, name in removed:
        listed = any(name in held(image) for image in requirements.IMAGES)
        assert not listed or f"grep -q '^{name}==' /opt/requirements.txt ||" in before, name


def test_one_command_builds_and_names_what_there_is():
    done = subprocess.run([str(ROOT / "infra/docker/build.sh"), "nothing"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "orchestrator, trainer, evaluator and tokka" in done.stderr
