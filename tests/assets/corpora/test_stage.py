"""raw_corpus, made from files and judged by its gate: one good source, and one for each thing that the gate must stop."""

import json

import pytest

from assets.corpora.stage import STAGE
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from tests.conftest import RECIPE, changed, failed_columns, judged, make_version

FINNISH = [
    f"Tämä on suomenkielinen ohjesivu numero {n}. Valitse valikosta tiedoston tallennus ja odota, kunnes se on valmis."
    for n in range(40)
]


@pytest.fixture
def corpus(tmp_path):
    def write(texts=FINNISH, lines=None, license="MIT", **bounds):
        path = tmp_path / "docs.jsonl"
        rows = [json.dumps({"id": f"d{n}", "text": text}, ensure_ascii=False) for n, text in enumerate(texts)]
        path.write_text("\n".join(lines if lines is not None else rows) + "\n", "utf-8")
        source = {**RECIPE["sources"]["docs_fi"], "files": str(path), "license": license, "bounds": bounds}
        return Catalog.of([Recipe.model_validate(changed(RECIPE, sources__docs_fi=source))])

    return write


def outcome(lake, catalog):
    manifest = make_version(STAGE, lake, catalog, "docs_fi")
    return manifest, judged(STAGE, lake, manifest, catalog)


def test_a_good_source_passes(lake, corpus):
    manifest, receipt = outcome(lake, corpus())
    assert receipt.passed, receipt.failed
    assert manifest.counts == {"documents": 40, "bad_records": 0, "files": 1, "damaged_files": 0}
    assert STAGE.show(lake, manifest)["sample"].rows[0]["id"] == "docs_fi:d0"


@pytest.mark.parametrize(
    ("leave_out", "left"),
    [
        ({"meta.set": "Book"}, 39),
        ({"meta.set": ["Book", "News"]}, 38),
        ({"id": ["d0", "d5"], "meta.set": "Book"}, 38),
        ({"meta.set.name": "Book", "nothing": "Book"}, 40),
    ],
)
def test_records_that_a_source_leaves_out_are_neither_documents_nor_faults(lake, corpus, leave_out, left):
    kinds = {0: {"set": "Book"}, 1: {"set": "News"}, 2: {"set": None}, 3: "Book"}
    lines = [json.dumps({"id": f"d{n}", "text": text, "meta": kinds.get(n, {})}) for n, text in enumerate(FINNISH)]
    recipe = corpus(lines=lines).recipe("tiny")
    source = recipe.sources["docs_fi"].model_dump() | {"leave_out": leave_out}
    catalog = Catalog.of([Recipe.model_validate(changed(recipe.model_dump(), sources__docs_fi=source))])
    manifest, receipt = outcome(lake, catalog)
    assert receipt.passed, receipt.failed
    assert manifest.counts["documents"] == left and manifest.counts["bad_records"] == 0


def rows(texts=FINNISH):
    return [json.dumps({"id": f"d{n}", "text": text}) for n, text in enumerate(texts)]


TWICE = json.dumps({"id": "d0", "text": "Sama tunniste kahdesti, mutta toinen teksti."})
ENGLISH = ["This page is in English, and nobody has translated it into Finnish yet."] * 30


@pytest.mark.parametrize(
    ("damage", "column"),
    [
        ({"lines": [*rows(), "not json"]}, "bad_record_share"),
        ({"lines": [*rows(), TWICE]}, "duplicate_ids"),
        ({"license": None}, "unknown_licences"),
        ({"texts": ENGLISH + FINNISH[:5]}, "declared_language_share"),
        ({"texts": [t.replace("ä", "Ã¤") for t in FINNISH]}, "encoding_damage_share"),
        ({"min_documents": 1000}, "documents"),
        ({"max_documents": 10}, "documents"),
    ],
)  # fmt: skip
def test_a_damaged_source_is_stopped(lake, corpus, damage, column):
    _, receipt = outcome(lake, corpus(**damage))
    assert not receipt.passed
    assert column in failed_columns(receipt)


def test_a_truncated_gzip_is_counted_named_and_stopped(lake, tmp_path):
    import gzip

    raw = gzip.compress("\n".join(rows([f"{t} {hash(t)}" for t in FINNISH])).encode())
    (tmp_path / "docs.jsonl.gz").write_bytes(raw[:-40])
    source = {**RECIPE["sources"]["docs_fi"], "files": str(tmp_path / "docs.jsonl.gz"), "bounds": {"bad_records": 0.5}}
    catalog = Catalog.of([Recipe.model_validate(changed(RECIPE, sources__docs_fi=source))])
    manifest, receipt = outcome(lake, catalog)
    assert "damaged_file_share" in failed_columns(receipt)
    (fault,) = STAGE.show(lake, manifest)["faults"].rows
    assert (fault["file"], fault["whole_file"]) == ("docs.jsonl.gz", True)


def test_bad_records_within_the_bound_are_counted_and_pass(lake, corpus):
    manifest, receipt = outcome(lake, corpus(lines=[*rows(), "not json"], bad_records=0.1))
    assert receipt.passed
    assert manifest.counts["bad_records"] == 1


def test_the_same_files_give_the_same_bytes(tmp_path, corpus):
    from assets.lake import Lake

    catalog = corpus()
    one, two = (make_version(STAGE, Lake.open(str(tmp_path / name)), catalog, "docs_fi") for name in "ab")
    assert one.digest == two.digest


def test_where_the_files_lie_does_not_decide_the_version_and_what_they_hold_does(corpus):
    first = STAGE.identity(corpus(), "docs_fi", []).version
    assert STAGE.identity(corpus(), "docs_fi", []).version == first
    assert STAGE.identity(corpus(texts=FINNISH[:-1]), "docs_fi", []).version != first
