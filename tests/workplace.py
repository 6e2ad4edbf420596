"""One small recipe over real corpora of the repository, run whole by the ``tokka`` command: killed once, then finished."""

import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

DEMO = Path(__file__).parents[1] / "infra" / "demo" / "corpora"

SMALL: dict[str, Any] = {
    "description": "The whole road at its smallest.",
    "sources": {
        "small_fi": {
            "format": "jsonl", "language": "fi", "license": "MPL-2.0",
            "files": ["${TOKKA_TEST_DATA}/small_gnome_fi.jsonl.gz", "${TOKKA_TEST_DATA}/small_aptitude_fi.jsonl.gz"],
            "cleaning": "documentation", "pool": "small",
            "bounds": {"language_share": 0.3, "removed": 0.8, "removed_by_reason": {"mixed_language": 0.8}},
        },
        "small_pairs": {
            "format": "pairs_jsonl", "files": "${TOKKA_TEST_DATA}/small_pairs.jsonl.gz", "language": "fi",
            "pair_language": "en", "license": "MPL-2.0", "cleaning": "pairs", "pool": "small", "priority": 1,
            "bounds": {"language_share": 0.3},
        },
    },
    "tokenizer": {
        "name": "small-bpe", "vocab_size": 1024, "sample_bytes": 400_000,
        "sources": {"fi": ["small_fi", "small_pairs"], "en": ["small_pairs"]},
    },
    "pair_template": {"instructions": {"fi": "Translate into Finnish: ", "en": "Translate into English: "}},
    "mixture": {"sources": {"small_fi": {"epochs": 2}, "small_pairs": {"epochs": 1}}},
    "model": {"layers": 2, "hidden": 64, "heads": 4},
    "training": {
        "steps": 60, "sequence_length": 64, "global_batch": 8, "micro_batch": 4, "data_parallel": 2,
        "lr": 0.003, "min_lr": 0.0003, "warmup_steps": 5, "checkpoints": [0, 60], "log_every": 5,
    },
    "tasks": {
        "small_heldout_fi": {
            "kind": "bits_per_character", "files": "infra/demo/corpora/heldout_fi.jsonl.gz", "language": "fi", "limit": 4,
        },
        "small_translation": {
            "kind": "translation", "files": "infra/demo/corpora/heldout_pairs.jsonl.gz",
            "source_language": "en", "language": "fi", "limit": 4, "max_new_tokens": 8,
        },
        "small_missing": {"kind": "finbench", "files": "${TOKKA_NOWHERE}/finbench/analogies.json"},
    },
    "evaluation": {"missing_data": "warn"},
}  # fmt: skip


PLANTED = {
    name: f"{prefix}planted-{name.lower().replace('_', '-')}-5e0c"
    for name, prefix in {
        "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "HF_TOKEN": "", "WANDB_API_KEY": "",
        "TOKKA_SMTP_PASSWORD": "", "TOKKA_ALERT_WEBHOOK": "http://127.0.0.1:9/",
    }.items()
}  # fmt: skip
"""Secrets in the environment of every command here; test_secrets looks for them in all that the commands leave behind."""


@dataclass(frozen=True)
class Workplace:
    """A home, a folder of recipes and a folder of data for ``tokka`` commands, which work in ``processes`` of them."""

    folder: Path
    processes: int = 1

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TOKKA_", "DAGSTER_"))}
        return (
            PLANTED
            | kept
            | {
                "TOKKA_HOME": str(self.folder / "home"),
                "TOKKA_RECIPES": str(self.folder / "recipes"),
                "TOKKA_TEST_DATA": str(self.folder / "data"),
                "TOKKA_PROCESSES": str(self.processes),
                "TOKKA_POWER_WATTS": "65",
                "TOKKA_GRID_KG_PER_KWH": "0.05",
            }
        )

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "orchestration.cli", *arguments]

    def tokka(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a ``tokka`` command to its end."""
        return subprocess.run(
            self.command(*arguments), env=self.environment | environment, capture_output=True, text=True, check=False
        )

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a ``tokka`` command in a process group of its own; its stderr is read line by line."""
        return subprocess.Popen(
            self.command(*arguments), env=self.environment | environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip

    def recipe(self, name: str, value: dict[str, Any]) -> None:
        path = self.folder / "recipes" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(value, sort_keys=False), "utf-8")

    def data(self, name: str, rows: list[dict[str, Any]]) -> None:
        path = self.folder / "data" / f"{name}.jsonl.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        path.write_bytes(gzip.compress(raw.encode(), mtime=0))

    @property
    def lake(self) -> Path:
        return self.folder / "home" / "lake"


def let_others_through(folder: Path) -> None:
    """Let other users of the machine pass through to a folder of a test, whose parents pytest keeps for its own."""
    for path in (folder, *folder.parents):
        if path == Path(tempfile.gettempdir()):
            break
        path.chmod(0o755)


def demo_rows(name: str, count: int) -> list[dict[str, Any]]:
    """The first rows of a demo corpus."""
    with gzip.open(DEMO / f"{name}.jsonl.gz", "rt", encoding="utf-8") as stream:
        return [json.loads(line) for _, line in zip(range(count), stream, strict=False)]


def small_workplace(folder: Path, processes: int = 1) -> Workplace:
    """A workplace with the recipe ``small`` and its data."""
    place = Workplace(folder, processes)
    place.recipe("small", SMALL)
    pages = demo_rows("gnome_help_fi", 120)
    longest = sorted(pages, key=lambda row: len(row["text"]))[-3:]
    place.data("small_gnome_fi", pages)
    place.data(
        "small_aptitude_fi", demo_rows("aptitude_doc_fi", 37) + [row | {"id": f"{row['id']}/copy"} for row in longest]
    )
    place.data("small_pairs", demo_rows("libreoffice_pairs", 1_200))
    return place


def wait_for_line(process: subprocess.Popen[str], text: str, seconds: float = 300) -> list[str]:
    """Read stderr until a line holds ``text``; return the lines read."""
    assert process.stderr is not None
    deadline, lines = time.monotonic() + seconds, []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return lines
        if time.monotonic() > deadline:
            break
    process.kill()
    raise AssertionError(f"{text!r} did not come within {seconds} s:\n{''.join(lines)}")


@dataclass(frozen=True)
class Finished:
    """The workplace after ``tokka run small`` was killed in its pretraining and run again; what the second run said."""

    place: Workplace
    before_kill: list[str]
    result: subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    place = small_workplace(tmp_path_factory.mktemp("whole"), processes=2)
    process = place.start("run", "small")
    lines = wait_for_line(process, "step ")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(place.lake.glob("pretraining_run/*/*/manifest.json"))
    return Finished(place, lines, place.tokka("run", "small"))
