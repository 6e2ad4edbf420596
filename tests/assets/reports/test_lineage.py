"""Walking from a version back to everything that it was made from."""

import pytest

from assets.lake import Identity, LakeError
from assets.reports.lineage import walk


def put(lake, asset, partition, *inputs, text="same"):
    """A version of one file that was made from ``inputs``."""
    who = Identity(asset, partition, {"text": text}, "test", tuple(made.ref for made in inputs))
    with lake.write(who) as out:
        out.write_json("data.json", text)
    return lake.find(asset, partition, who.version)


def test_everything_upstream_is_found_once(lake):
    raw = [put(lake, "raw_corpus", source) for source in ("a", "b")]
    clean = [put(lake, "clean_corpus", made.partition, made) for made in raw]
    tokenizer = put(lake, "tokenizer", "bpe", *clean)
    mixture = put(lake, "mixture", "mini", tokenizer, *clean)
    put(lake, "checkpoint", "other", mixture)
    found = walk(lake, mixture)
    assert {asset: sorted(by_key) for asset, by_key in found.items()} == {
        "mixture": ["mini"],
        "tokenizer": ["bpe"],
        "clean_corpus": ["a", "b"],
        "raw_corpus": ["a", "b"],
    }
    assert found["clean_corpus"]["b"] == clean[1]


def test_a_version_without_inputs_is_its_own_lineage(lake):
    raw = put(lake, "raw_corpus", "a")
    assert walk(lake, raw) == {"raw_corpus": {"a": raw}}


def test_two_versions_of_one_partition_are_refused_by_name(lake):
    old, new = (put(lake, "raw_corpus", "a", text=text) for text in ("old", "new"))
    tokenizer = put(lake, "tokenizer", "bpe", old)
    shards = put(lake, "tokenized_shards", "a--bpe", tokenizer, new)
    with pytest.raises(ValueError, match="two versions of raw_corpus/a"):
        walk(lake, shards)


def test_a_version_that_was_removed_is_named(lake):
    raw = put(lake, "raw_corpus", "a")
    clean = put(lake, "clean_corpus", "a", raw)
    lake.fs.rm(lake.folder(raw), recursive=True)
    with pytest.raises(LakeError, match=raw.name):
        walk(lake, clean)
