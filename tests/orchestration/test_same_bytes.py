"""Engine, hash seed and order of the input files decide nothing."""

import json
import os

import pytest

from assets.lake import Lake
from tests.workplace import SMALL, small_workplace

PLANE = ("raw_corpus", "clean_corpus", "duplicates", "deduplicated_corpus", "decontaminated_corpus")


@pytest.mark.ray
def test_ray_another_hash_seed_and_another_order_of_files_make_the_same_digests(finished, tmp_path):
    place = small_workplace(tmp_path)
    files = SMALL["sources"]["small_fi"]["files"]
    sources = SMALL["sources"] | {"small_fi": SMALL["sources"]["small_fi"] | {"files": files[::-1]}}
    place.recipe("small", SMALL | {"sources": sources})
    seed = str(
        (int(os.environ.get("PYTHONHASHSEED") or 0) if os.environ.get("PYTHONHASHSEED", "").isdigit() else 0) + 7
    )
    result = place.tokka(
        "run", "small", "--to", "decontaminated_corpus", "--data-engine", "ray", "--json", PYTHONHASHSEED=seed
    )
    assert result.returncode == 0, result.stderr
    assert {made["asset"] for made in json.loads(result.stdout)["made"]} >= set(PLANE)
    here, there = (
        {(m.asset, m.partition): m.digest for m in Lake.open(str(lake)).manifests() if m.asset in PLANE}
        for lake in (place.lake, finished.place.lake)
    )
    assert len(here) == 9
    assert here == there
