"""No byte of a version changes unseen: neither of its data, nor of its manifest, nor of its receipt."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.lake import Lake, Manifest
from assets.lake.store import LakeError
from assets.recipe.model import Recipe
from assets.shards.stage import STAGE
from assets.tokenizer.stage import STAGE as TOKENIZER
from tests.conftest import PAIRS, RECIPE, Catalog, changed, judged, make_version, passing_receipt, put_documents


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Manifest]:
    """Judged shards in several files, with their document indexes."""
    lake = Lake.open(str(tmp_path_factory.mktemp("lake")))
    recipe = changed(RECIPE, tokenizer__shard_bytes=3_000, tokenizer__vocab_size=300)
    catalog = Catalog.of([Recipe.model_validate(recipe)])
    english, finnish = zip(*PAIRS, strict=True)
    corpora = {
        "docs_fi": put_documents(lake, "decontaminated_corpus", "docs_fi", list(finnish)),
        "docs_pairs": put_documents(lake, "decontaminated_corpus", "docs_pairs", list(english), list(finnish)),
    }
    tokenizer = make_version(TOKENIZER, lake, catalog, "tiny-bpe", {"decontaminated_corpus": corpora})
    passing_receipt(lake, tokenizer)
    given = {"decontaminated_corpus": {"docs_pairs": corpora["docs_pairs"]}, "tokenizer": {"tiny-bpe": tokenizer}}
    made = make_version(STAGE, lake, catalog, "docs_pairs--tiny-bpe", given)
    assert judged(STAGE, lake, made, catalog).passed
    return lake, made


def files(lake: Lake, manifest: Manifest) -> list[Path]:
    return sorted(path for path in Path(lake.folder(manifest)).rglob("*") if path.is_file())


def faults(lake: Lake, manifest: Manifest) -> list[str]:
    """What `tokka lake verify` finds in this version."""
    try:
        return [fault for found in lake.manifests(manifest.asset, manifest.partition) for fault in lake.verify(found)]
    except LakeError as error:
        return [str(error)]


def test_an_untouched_version_has_no_fault(version: tuple[Lake, Manifest]) -> None:
    lake, manifest = version
    assert faults(lake, manifest) == []
    kinds = {path.suffix for path in files(lake, manifest)}
    assert kinds == {".bin", ".idx", ".parquet", ".json"} and len(files(lake, manifest)) > 8


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_flipped_byte_is_found(version: tuple[Lake, Manifest], data: st.DataObject) -> None:
    lake, manifest = version
    path = data.draw(st.sampled_from(files(lake, manifest)), "file")
    place = data.draw(st.integers(0, path.stat().st_size - 1), "offset")
    flip = data.draw(st.integers(1, 255), "flip")
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
        found = faults(lake, manifest)
        assert found and any(path.name in fault for fault in found)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("name", ["manifest.json", "receipt.json"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda raw: raw.replace(b"{\n", b"{\t", 1), "at offset 1: its layout"),
        (lambda raw: raw + b"\n", "its layout is not the one"),
        (lambda raw: raw.replace(b'"checksum": "', b'"checksum": "0', 1), "its checksum is 0"),
        (lambda raw: raw[: raw.rindex(b'"checksum": "')] + b'"checksum": ""\n}', "has no checksum"),
        (lambda raw: raw[:-20], "Invalid JSON"),
    ],
)
def test_changes_of_manifest_and_receipt_are_named(
    version: tuple[Lake, Manifest], name: str, change: Callable[[bytes], bytes], reason: str
) -> None:
    lake, manifest = version
    path = Path(lake.folder(manifest)) / name
    whole = path.read_bytes()
    try:
        path.write_bytes(change(whole))
        (found,) = faults(lake, manifest)
    finally:
        path.write_bytes(whole)
    assert name in found and reason in found


def test_what_the_digest_leaves_out_is_sealed_too(version: tuple[Lake, Manifest]) -> None:
    """Counts, seconds and the host are no part of a manifest's digest, and the gate's receipt has none."""
    lake, manifest = version
    for name, one, other in (
        ("manifest.json", f'"tokens": {manifest.counts["tokens"]}', '"tokens": 7'),
        ("manifest.json", '"host": "', '"host": "x'),
        ("receipt.json", '"passed": true', '"passed": false'),
    ):
        path = Path(lake.folder(manifest)) / name
        whole = path.read_text("utf-8")
        assert one in whole
        try:
            path.write_text(whole.replace(one, other, 1), "utf-8")
            assert "was changed after it was written: its checksum is" in faults(lake, manifest)[0]
            read = {
                "manifest.json": lambda: lake.manifest(manifest.ref),
                "receipt.json": lambda: lake.receipt(manifest),
            }
            with pytest.raises(LakeError, match=f"{name} was changed after it was written: its checksum is"):
                read[name]()
        finally:
            path.write_text(whole, "utf-8")
