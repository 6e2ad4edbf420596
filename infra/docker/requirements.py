"""Which packages of the lock each image holds: ``infra/docker/IMAGE.txt``, written by ``infra/lock.sh``.

An image gets what its own rooms import and all that those packages need, in the versions that are installed here.
"""

import argparse
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
HEADER = "# Written by infra/lock.sh (infra/docker/requirements.py) from the names in requirements.py and the lock."
JOBS = ("torch", "nemo-toolkit", "megatron-core", "lm-eval", "transformers", "nvidia-ml-py")
"""What only jobs import; the orchestrator starts them in images that have it."""
COMMON = (
    "dagster-pipes",
    "s3fs",
    "fsspec",
    "pydantic",
    "pyyaml",
    "numpy",
    "pyarrow",
    "zstandard",
    "nvidia-ml-py",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
)
"""What every job imports, with the rooms ``assets.lake`` and ``assets.recipe``."""
TRAINER = (*COMMON, "nemo-toolkit", "megatron-core")
EVALUATOR = (*COMMON, "lm-eval", "sacrebleu", "regex", "py3langid", "pycld2")
FROM_THE_MACHINE = ("nvidia-cu", "nvidia-nccl", "nvidia-nv", "triton", "cuda-")
"""Packages that belong to one build of torch and come with it."""


def project_requirements() -> dict[str, Requirement]:
    """The project's dependencies by name, as ``pyproject.toml`` has them."""
    with (PROJECT / "pyproject.toml").open("rb") as stream:
        given = tomllib.load(stream)["project"]["dependencies"]
    return {canonicalize_name(r.name): r for r in map(Requirement, given)}


def roots(image: str) -> list[Requirement]:
    """What an image is made for. Raises KeyError for a name that is no dependency of the project."""
    every = project_requirements()
    names: dict[str, Iterable[str]] = {
        "tokka": every,
        "orchestrator": [name for name in every if name not in JOBS],
        "trainer": TRAINER,
        "evaluator": EVALUATOR,
    }
    return [every[canonicalize_name(name)] for name in names[image]]


IMAGES = ("tokka", "orchestrator", "trainer", "evaluator")


def closure(wanted: Iterable[Requirement]) -> dict[str, str]:
    """Versions by name of ``wanted`` and of all that they need, as installed. Raises PackageNotFoundError."""
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = list(wanted)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen or name.startswith(FROM_THE_MACHINE):
            continue
        seen.add(key)
        package = metadata.distribution(name)
        found[name] = package.version.split("+")[0]
        waiting.extend(_needed(package, requirement.extras))
    return found


def _needed(package: metadata.Distribution, extras: set[str]) -> Iterator[Requirement]:
    for line in package.requires or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def lines(image: str) -> str:
    """The text of an image's file."""
    return (
        "\n".join([HEADER, *(f"{name}=={version}" for name, version in sorted(closure(roots(image)).items()))]) + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE)
    folder = parser.parse_args().folder
    for image in IMAGES:
        (folder / f"{image}.txt").write_text(lines(image), "utf-8")
        sys.stderr.write(f"{folder / image}.txt\n")


if __name__ == "__main__":
    main()
