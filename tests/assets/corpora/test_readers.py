import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.corpora.documents import documents
from assets.corpora.files import find_files
from assets.corpora.readers import Fault, read_records
from assets.recipe.data import Source
from assets.recipe.load import RecipeError

LINES = [json.dumps({"id": str(n), "text": f"Rivi {n} ääkkösineen."}, ensure_ascii=False) for n in range(500)]


def source(**changes):
    fields = {
        "format": "jsonl", "files": "a", "language": "fi", "license": "MIT", "cleaning": "documentation", "pool": "p",
    }  # fmt: skip
    return Source(**(fields | changes))


def file(path):
    (found,) = find_files((str(path),), "sources.x.files")
    return found


def read(path, source_format="jsonl"):
    items = list(read_records(file(path), source_format))
    return [i for i in items if not isinstance(i, Fault)], [i for i in items if isinstance(i, Fault)]


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_json_lines_are_read_plain_and_compressed(tmp_path, suffix):
    import fsspec

    path = tmp_path / f"a.{suffix}"
    compression = {"gz": "gzip", "zst": "zstd"}.get(suffix.split(".")[-1])
    with fsspec.open(str(path), "wb", compression=compression) as stream:
        stream.write("\n".join(LINES).encode())
    records, faults = read(path)
    assert [line for line, _ in records] == list(range(1, 501))
    assert records[7][1]["text"] == "Rivi 7 ääkkösineen."
    assert not faults


def test_all_frames_of_a_zstd_file_are_read(tmp_path):
    import zstandard

    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(b"".join(zstandard.compress((line + "\n").encode()) for line in LINES))
    records, faults = read(path)
    assert len(records) == 500
    assert not faults


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_file_that_breaks_off_gives_what_it_holds_and_says_where(tmp_path, compression):
    import fsspec

    whole = tmp_path / "whole"
    with fsspec.open(str(whole), "wb", compression=compression) as stream:
        stream.write("\n".join(line + " " * (n % 7) + str(hash(str(n) * 50)) for n, line in enumerate(LINES)).encode())
    path = tmp_path / f"a.jsonl.{'gz' if compression == 'gzip' else 'zst'}"
    raw = whole.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    _, faults = read(path)
    assert faults[-1].whole_file
    assert faults[-1].file == path.name
    assert faults[-1].line >= 1
    assert "breaks off or is damaged" in faults[-1].what


def test_each_line_that_is_no_record_is_named_and_the_others_are_read(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'{"text": "hyvaa"}\nnot json\n[1]\n{"text": "\xff"}\n\n{"text": "paivaa"}\n{"id": ' + b"9" * 5_000 + b"}\n"
    )
    records, faults = read(path)
    assert [line for line, _ in records] == [1, 6]
    assert not any(fault.whole_file for fault in faults)
    assert [(f.line, f.what.split(":")[0]) for f in faults] == [
        (2, "not JSON"), (3, "a JSON list where an object belongs"), (4, "not JSON"), (7, "not JSON"),
    ]  # fmt: skip


def test_documents_without_text_are_faults(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "a"}\n{"id": "b", "text": "  "}\n{"id": "c", "text": 5}\n{"id": "d", "text": "on"}\n')
    items = list(documents("src", source(), file(path)))
    assert [(i.line, i.what) for i in items[:3]] == [
        (1, "no text in the field 'text': found 'nothing'"),
        (2, "no text in the field 'text': found 'only white space'"),
        (3, "no text in the field 'text': found 5"),
    ]
    assert items[3]["id"] == "src:d"


def test_a_record_without_an_id_gets_one_from_file_and_line(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "on"}\n')
    assert next(documents("src", source(), file(path)))["id"] == "src:a.jsonl:1"


def test_parquet_text_and_tsv_are_read(tmp_path):
    pq.write_table(pa.table({"id": ["a"], "text": ["sisältö"]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", "parquet")[0] == [(1, {"id": "a", "text": "sisältö"})]
    (tmp_path / "a.txt").write_text("koko\ntiedosto", "utf-8")
    assert read(tmp_path / "a.txt", "text")[0] == [(1, {"id": "a.txt", "text": "koko\ntiedosto"})]
    (tmp_path / "a.tsv").write_text("Hello\tHei\nonly one column\n", "utf-8")
    pairs = source(format="pairs_tsv", cleaning="pairs", pair_language="en")
    first, second = documents("src", pairs, file(tmp_path / "a.tsv"))
    assert (first["text"], first["translation"]) == ("Hello", "Hei")
    assert isinstance(second, Fault)


def test_parallel_json_lines_take_their_sides_by_language(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"fi": "Hei", "en": "Hello", "id": 3}\n{"fi": "Hei"}\n', "utf-8")
    pairs = source(format="pairs_jsonl", cleaning="pairs", pair_language="en")
    first, second = documents("src", pairs, file(tmp_path / "a.jsonl"))
    assert (first["id"], first["text"], first["translation"]) == ("src:3", "Hello", "Hei")
    assert "no text in the field 'en'" in second.what


def test_a_broken_parquet_file_is_a_fault(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing")
    assert read(tmp_path / "a.parquet", "parquet")[1][0].whole_file


def test_lone_surrogates_become_replacement_characters(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a\\ud800b\\u00e4"}\n')
    assert next(documents("src", source(), file(tmp_path / "a.jsonl")))["text"] == "a\ufffdbä"


@settings(max_examples=80, deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from(["jsonl", "pairs_tsv", "text", "parquet"]),
    st.sampled_from(["", ".gz", ".zst"]),
)
def test_any_bytes_give_records_or_faults_and_never_a_traceback(tmp_path_factory, raw, source_format, suffix):
    path = tmp_path_factory.mktemp("any") / f"a.x{suffix}"
    path.write_bytes(raw)
    for item in read_records(file(path), source_format):
        assert isinstance(item, Fault) or isinstance(item[1], dict)


def test_files_are_found_by_glob_in_the_order_of_their_names(tmp_path):
    for name in ("b.jsonl", "a.jsonl"):
        (tmp_path / name).write_text(name)
    found = find_files((f"{tmp_path}/*.jsonl",), "sources.x.files")
    assert [f.name for f in found] == ["a.jsonl", "b.jsonl"]


def test_the_identity_of_a_file_follows_its_bytes_and_not_its_place(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "a.txt").write_text("same")
    (tmp_path / "x" / "a.txt").write_text("same")
    assert file(tmp_path / "a.txt").identity == file(tmp_path / "x" / "a.txt").identity
    (tmp_path / "x" / "a.txt").write_text("else")
    assert file(tmp_path / "a.txt").identity != file(tmp_path / "x" / "a.txt").identity


def test_a_missing_file_is_named_with_its_place_in_the_recipe(tmp_path):
    with pytest.raises(RecipeError, match=r"sources\.x\.files: no file matches .*nowhere"):
        find_files((f"{tmp_path}/nowhere/*.gz",), "sources.x.files")


def test_ids_that_repeat_are_told_apart_by_their_lines_where_the_recipe_says_so(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": "a", "text": "on"}\n{"id": "a", "text": "ei"}\n')
    ids = [d["id"] for d in documents("src", source(ids="line"), file(tmp_path / "a.jsonl"))]
    assert ids == ["src:a#1", "src:a#2"]
