"""A lake that was written with manifests of format 1 is read by the code of today.

``data/lake-format-1.tar.gz`` holds the manifests and receipts of a whole run of tests/workplace.py, and the files of four of its
versions. It is never written anew: a new format gets a lake of its own beside it.
"""

import shutil
from pathlib import Path

import pytest

from assets.graph import BY_ASSET
from assets.lake import Lake
from assets.lake.documents import read_parquet, read_parts
from assets.lake.manifest import MANIFEST_FORMAT
from assets.shards.indexed import read_shard

OLD = Path(__file__).parent / "data" / "lake-format-1.tar.gz"


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    shutil.unpack_archive(OLD, folder)
    return Lake.open(str(folder))


def only(lake, asset, partition):
    (found,) = lake.manifests(asset, partition)
    return found


def test_every_manifest_and_receipt_is_read_and_as_it_was_written(old):
    manifests = list(old.manifests())
    assert {m.asset for m in manifests} == set(BY_ASSET)
    assert {m.format for m in manifests} == {1}
    assert MANIFEST_FORMAT == 1, "a new format needs a lake of its own in data"
    for manifest in manifests:
        if BY_ASSET[manifest.asset].gate is not None:
            assert old.require_receipt(manifest.ref).expectations
        assert not [fault for fault in old.verify(manifest) if not fault.endswith("is missing.")]


def test_files_are_whole_and_inputs_are_found_by_their_digests(old):
    evaluation = only(old, "evaluation", "small--step-0000060")
    own = [ref for ref in evaluation.inputs if ref.partition.startswith("small")]
    assert {"checkpoint", "benchmark"} <= {old.manifest(ref).asset for ref in own}
    for asset, partition in (
        ("benchmark", "small_heldout_fi"), ("duplicates", "small"), ("evaluation", "small--step-0000060"),
        ("tokenized_shards", "small_fi--small-bpe"),
    ):  # fmt: skip
        old.require_whole(only(old, asset, partition))


def test_shards_documents_and_results_are_read(old):
    shards = only(old, "tokenized_shards", "small_fi--small-bpe")
    shard = read_shard(old.local(shards) / "shards" / "part-00000")
    assert shard.tokens.size == shards.counts["tokens"] == 53_590
    assert sum(part.num_rows for part in read_parts(old, shards)) == len(shard.lengths)
    assert read_parquet(old, only(old, "benchmark", "small_heldout_fi"), "items.parquet").num_rows == 4
    results = old.read_json(only(old, "evaluation", "small--step-0000060"), "results.json")["tasks"]
    assert {"small_heldout_fi", "small_missing", "small_translation"} <= set(results)
