"""The whole way from documents to a mixture in a lake, without Dagster; the index is built by the real job."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.lake import Lake, Manifest
from assets.mixture.stage import STAGE
from assets.recipe.catalog import Catalog
from assets.recipe.jobs import JobRequest
from assets.recipe.model import Recipe
from assets.shards.stage import STAGE as SHARDS
from assets.tokenizer.stage import STAGE as TOKENIZER
from tests.conftest import FINNISH, PAIRS, RECIPE, changed, make_version, passing_receipt, put_documents


def catalog_with(**changes: Any) -> Catalog:
    """A catalog of the one small recipe, changed; its last checkpoint is its last step."""
    if "training__steps" in changes:
        changes["training__checkpoints"] = [0, changes["training__steps"]]
    return Catalog.of([Recipe.model_validate(changed(RECIPE, **changes))])


def run_job(request: JobRequest) -> None:
    """The job as a launcher starts it, without one."""
    command = [sys.executable, "-m", request.module, str(request.spec)]
    environment = {**os.environ, **request.environment}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class Built:
    """A mixture with the versions that it was made from, by source."""

    lake: Lake
    catalog: Catalog
    corpora: dict[str, Manifest]
    shards: dict[str, Manifest]
    tokenizer: Manifest
    mixture: Manifest


def build(root: Path, catalog: Catalog, lake: Lake | None = None) -> Built:
    """The versions of ``catalog``'s recipe from the documents of ``tests.conftest``, in a lake at ``root``."""
    lake = lake or Lake.open(str(root / "lake"))
    english, finnish = zip(*PAIRS, strict=True)
    corpora = {
        "docs_fi": put_documents(lake, "decontaminated_corpus", "docs_fi", FINNISH),
        "docs_pairs": put_documents(lake, "decontaminated_corpus", "docs_pairs", list(english), list(finnish)),
    }
    tokenizer = make_version(TOKENIZER, lake, catalog, "tiny-bpe", {"decontaminated_corpus": corpora})
    shards = {source: make_shards(lake, catalog, source, corpus, tokenizer) for source, corpus in corpora.items()}
    return Built(
        lake, catalog, corpora, shards, tokenizer, mix(lake, catalog, shards, tokenizer, root / "scratch", run_job)
    )


def make_shards(lake: Lake, catalog: Catalog, source: str, corpus: Manifest, tokenizer: Manifest) -> Manifest:
    """The shards of one source."""
    inputs = {"decontaminated_corpus": {source: corpus}, "tokenizer": {"tiny-bpe": tokenizer}}
    made = make_version(SHARDS, lake, catalog, f"{source}--tiny-bpe", inputs)
    passing_receipt(lake, made)
    return made


def mix(
    lake: Lake, catalog: Catalog, shards: dict[str, Manifest], tokenizer: Manifest, scratch: Path, run_job: Any
) -> Manifest:
    """The mixture of these shards."""
    scratch.mkdir(parents=True)
    by_key = {f"{source}--tiny-bpe": manifest for source, manifest in shards.items()}
    given = {"tokenized_shards": by_key, "tokenizer": {"tiny-bpe": tokenizer}}
    return make_version(STAGE, lake, catalog, "tiny", given, scratch, run_job)
