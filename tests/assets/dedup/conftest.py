"""What the tests of this room share: a world to run its stages in, and real texts."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.lake import Lake
from assets.recipe.catalog import Catalog
from tests.world import World, recipe

CORPORA = Path(__file__).parents[3] / "infra/demo/corpora"


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., World]:
    def make(sources: dict[str, dict[str, Any]], **more: Any) -> World:
        return World(Lake.open(str(tmp_path / "lake")), Catalog.of([recipe(sources, **more)]))

    return make


@pytest.fixture(scope="session")
def help_pages() -> list[str]:
    """Real texts with many near-duplicates: English pages of which the Finnish ones stand in part untranslated."""
    texts: list[str] = []
    for name in ("gnome_help_en", "gnome_help_fi", "libreoffice_help_en", "libreoffice_help_fi"):
        with gzip.open(CORPORA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as stream:
            texts += [json.loads(line)["text"] for line in stream][:400]
    return texts
