"""Damaged recipes, suites, profiles, source files, manifests, receipts and shards: each is read, or refused in a sentence that
names the place; nothing else is raised, and no half version is seen.
"""

import gzip
import io
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
import zstandard
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from assets.corpora.stage import STAGE as RAW
from assets.lake import Lake, LakeError
from assets.lake.documents import read_parts
from assets.lake.manifest import InputRef
from assets.recipe.catalog import Catalog, CatalogError
from assets.recipe.load import RECIPES, RecipeError, load_recipe
from assets.recipe.model import Recipe
from assets.recipe.suites import SUITES, load_suite
from assets.shards.indexed import ShardError, ShardWriter, read_shard
from orchestration.cli.app import app
from orchestration.profile import PROFILES, ProfileError, read_profile
from tests.bad_input import JSON_VALUES, TEXTS, damaged, mutated
from tests.conftest import RECIPE, changed, make_version, put_documents

YAML = (
    b"&a [*a]", b"&a {b: *a}", b"&x {<<: *x}", b"*nothing", b"!!python/object/apply:os.system [x]", b"!!python/name:os.system",
    b"{[1]: 2}", b"{{a: b}: c}", b"<<: 5\n", b"2024-13-45", b"0x", b"!!float x", b"!!int x", b"!!bool x", b"!!null x",
    b"!!binary x", b"!!timestamp x", b"!!set {a}", b"!!omap [a]", b"!!pairs [a]", b"!own x", b"[" * 3_000, b"{a: " * 3_000,
    b"\t", b"---\n", b"...\n", b"%YAML 9.9\n", b"9" * 5_000, b"1:99:99", b'"\\uD800"', b'"\\0"', b".nan", b"1e999", b"[1",
    b'"' + b"x" * 100_000 + b'"',
)  # fmt: skip
# Shrinking would take longer than all the cases; what fails is printed as it is.
MANY = settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None,
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip
TRUTHS = [path.read_bytes() for path in sorted(RECIPES.glob("*.yaml"))]
SUITE_FILES = [path.read_bytes() for path in sorted(SUITES.glob("*.yaml"))]
PROFILE_FILES = [path.read_bytes() for path in sorted(PROFILES.glob("*.yaml"))]


@st.composite
def damaged_yaml(draw, files):
    """A file with bytes damaged anywhere, or with what YAML stumbles over in the place of a value."""
    raw = draw(st.sampled_from(files))
    if draw(st.booleans()):
        return draw(damaged(raw, YAML))
    spots = [match.span(1) for match in re.finditer(rb": +([^\n]*)", raw)]
    start, stop = draw(st.sampled_from(spots))
    return raw[:start] + draw(st.sampled_from(YAML)) + raw[stop:]


def mutated_yaml(files):
    def written(value):
        try:
            return yaml.safe_dump(value, allow_unicode=True, sort_keys=False).encode("utf-8", "surrogatepass")
        except (TypeError, ValueError):  # keys of several types cannot be told apart by PyYAML's writer
            return repr(value).encode("utf-8", "surrogatepass")

    return st.sampled_from([yaml.safe_load(raw) for raw in files]).flatmap(mutated).map(written)


def read_or_said(read, path, *errors):
    """Whether ``read`` gives a result; where it raises one of ``errors``, that it is one short line with the name of the file."""
    try:
        read()
    except errors as error:
        said = str(error)
        assert "\n" not in said and len(said) < 2_000, said
        assert path.stem in said
        said.encode()
        return False
    return True


@pytest.fixture
def folder(tmp_path_factory):
    """A folder for all cases of one test."""
    return tmp_path_factory.mktemp("recipes")


@given(damaged_yaml(TRUTHS) | mutated_yaml(TRUTHS))
@settings(MANY, max_examples=500)
def test_a_damaged_recipe_is_read_or_refused_in_a_sentence(folder, raw):
    path = folder / "mini.yaml"
    path.write_bytes(raw)
    read_or_said(lambda: Catalog.of([load_recipe(path, [RECIPES])]), path, RecipeError, CatalogError)


@given(damaged_yaml(SUITE_FILES) | mutated_yaml(SUITE_FILES))
@settings(MANY, max_examples=300)
def test_a_damaged_suite_is_read_or_refused_in_a_sentence(folder, raw):
    path = folder / "suites" / "own.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(raw)
    read_or_said(lambda: load_suite("own", [folder]), path, RecipeError)


@given(damaged_yaml(PROFILE_FILES) | mutated_yaml(PROFILE_FILES))
@settings(MANY, max_examples=300)
def test_a_damaged_profile_is_read_or_refused_in_a_sentence(folder, raw):
    path = folder / "own.yml"
    path.write_bytes(raw)
    read_or_said(lambda: read_profile(str(path)), path, ProfileError)


def test_a_profile_with_a_secret_in_the_wrong_place_does_not_show_it(folder):
    path = folder / "own.yml"
    path.write_text("launcher: local\nlake: 2024-13-45-hunter2\nscratch: !!timestamp hunter2\n")
    with pytest.raises(ProfileError, match=r"line 3: not readable as YAML: this is no timestamp") as raised:
        read_profile(str(path))
    assert "hunter2" not in str(raised.value)


# What a person sees: the commands


@given(damaged_yaml(TRUTHS[:1]) | mutated_yaml(TRUTHS[:1]))
@settings(MANY, max_examples=12)
def test_the_command_says_it_in_one_line_with_exit_code_2(folder, raw):
    path = folder / "own-recipe.yaml"
    path.write_bytes(raw)
    result = CliRunner().invoke(app, ["recipes", "show", str(path)], env={"TOKKA_RECIPES": ""})
    path.unlink()
    if result.exit_code == 0:
        return
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert path.stem in result.output.replace("\n", "") and "Traceback" not in result.output


@pytest.mark.parametrize("raw", [b"{[1]: 2}", b"[" * 3_000, b"\xff\xfe", b"steps: 2024-13-45\n"])
def test_so_does_the_process(tmp_path, raw):
    (tmp_path / "own.yaml").write_bytes(raw)
    command = [sys.executable, "-m", "orchestration.cli", "recipes", "show", str(tmp_path / "own.yaml")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("tokka: ") and result.stderr.count("\n") == 1 and "own.yaml" in result.stderr


# Source files

RECORDS = [
    {"id": f"sivu-{n}", "text": f"Sivu {n}: ääkkösiä.", "url": f"http://e.fi/{n}", "meta": {"n": n}} for n in range(12)
]
LINES = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in RECORDS).encode()
HARD_LINES = (
    b'{"text": "a", "id": "../../../etc/x"}\n', b'{"text": "a", "id": "\\ud800"}\n', b'{"text": "\\ud800 a"}\n',
    b'{"text": "a", "url": "\\udfff", "license": "\\ud800"}\n', b'{"text": "a", "meta": {"\\ud800": ["\\udc00"]}}\n',
    b'{"text": "a\\u0000b", "id": "\\u0000"}\n', b'{"text": "a", "meta": ' + b"[" * 2_000 + b"]" * 2_000 + b"}\n",
    b'{"text": "' + b"x" * 300_000 + b'"}\n', b'{"text": NaN}\n', b'{"text": "a", "id": {"a": [1]}}\n', b"[" * 100_000 + b"\n",
    b'{"text": "a", "id": 1e999}\n', b'{"text": "a", "id": ' + b"9" * 5_000 + b"}\n", b'{"text": "a", "text": "b"}\n',
)  # fmt: skip


@st.composite
def json_lines(draw):
    if draw(st.booleans()):
        return draw(damaged(LINES, HARD_LINES))
    records = draw(st.lists(st.sampled_from(RECORDS).flatmap(lambda r: mutated(r, JSON_VALUES)), max_size=4))
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def parquet(records):
    """A Parquet file of the records, where they have a common schema, else of what is given."""
    stream = io.BytesIO()
    try:
        pq.write_table(pa.Table.from_pylist(records), stream)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError):
        pq.write_table(pa.Table.from_pylist(RECORDS), stream)
    return stream.getvalue()


ZSTD = zstandard.ZstdCompressor().compress
FILES = st.one_of(
    json_lines().map(lambda raw: ("jsonl", "a.jsonl", raw)),
    json_lines().map(lambda raw: ("jsonl", "a.jsonl.gz", gzip.compress(raw, mtime=0))),
    damaged(gzip.compress(LINES, mtime=0)).map(lambda raw: ("jsonl", "a.jsonl.gz", raw)),
    damaged(ZSTD(LINES)).map(lambda raw: ("jsonl", "a.jsonl.zst", raw)),
    damaged(parquet(RECORDS)).map(lambda raw: ("parquet", "a.parquet", raw)),
    st.lists(st.dictionaries(st.sampled_from(["id", "text", "url", "license", "meta"]), JSON_VALUES), max_size=3).map(
        lambda rows: ("parquet", "a.parquet", parquet(rows))
    ),
    damaged(LINES).map(lambda raw: ("text", "a.txt", raw)),
    damaged(b"one\tyksi\ntwo\tkaksi\n", (b"\t", b"\r")).map(lambda raw: ("pairs_tsv", "a.tsv", raw)),
    damaged(LINES, HARD_LINES).map(lambda raw: ("pairs_jsonl", "a.jsonl", raw)),
)


@given(FILES)
@settings(MANY, max_examples=500)
def test_a_damaged_source_file_loses_nothing_in_silence_and_makes_whole_versions(folder, case):
    form, name, raw = case
    path = folder / name
    path.write_bytes(raw)
    pairs = {"pair_language": "en", "cleaning": "pairs"} if form.startswith("pairs") else {}
    source = RECIPE["sources"]["docs_fi"] | {"format": form, "files": str(path)} | pairs
    if form == "pairs_jsonl":
        source["fields"] = {"text": "url", "translation": "text"}
    catalog = Catalog.of([Recipe.model_validate(changed(RECIPE, sources__docs_fi=source))])
    lake = Lake.open(str(folder / "lake"))
    try:
        made = make_version(RAW, lake, catalog, "docs_fi")
        assert not lake.verify(made)
        read = [row for part in read_parts(lake, made) for row in part.to_pylist()]
        assert made.counts["documents"] == len(read)
        assert all(row["id"].startswith("docs_fi:") for row in read)
        faults = [json.loads(line) for line in lake.open_file(made, "faults.jsonl")]
        assert made.counts["bad_records"] == len(faults)
        assert all(fault["file"] == name and fault["line"] >= 1 and fault["what"] for fault in faults)
        assert {p.name for p in folder.iterdir() if p.is_dir()} == {"lake"}
        RAW.show(lake, made)
    finally:
        shutil.rmtree(folder / "lake", ignore_errors=True)


# Manifests and receipts


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    lake = Lake.open(str(tmp_path_factory.mktemp("sealed") / "lake"))
    return lake, put_documents(lake, "clean_corpus", "docs_fi", ["Yksi.", "Kaksi."])


def written(value):
    return json.dumps(value).encode()


@given(st.data(), st.sampled_from(["manifest.json", "receipt.json"]))
@settings(MANY, max_examples=500)
def test_a_damaged_manifest_or_receipt_is_named_and_never_trusted(version, data, name):
    lake, manifest = version
    path = lake.path(manifest, name)
    with open(path, "rb") as stream:
        good = stream.read()
    bad = data.draw(damaged(good) | mutated(json.loads(good), JSON_VALUES).map(written))
    with open(path, "wb") as stream:
        stream.write(bad)
    try:
        faults = lake.verify(manifest)
        assert faults or bad == good
        assert all(manifest.name in fault and "\n" not in fault for fault in faults)
        for read in (lambda: list(lake.manifests()), lambda: lake.receipt(manifest)):
            try:
                read()
            except LakeError as error:
                assert path in str(error)
    finally:
        with open(path, "wb") as stream:
            stream.write(good)


# Shards


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("shard") / "part-00000"
    writer = ShardWriter(prefix, 300)
    writer.append(np.arange(30) % 300, np.array([10, 5, 15]))
    writer.close()
    return prefix, {suffix: prefix.with_suffix(suffix).read_bytes() for suffix in (".bin", ".idx")}


@given(st.data(), st.sampled_from([".bin", ".idx"]))
@settings(MANY, max_examples=250)
def test_a_damaged_shard_is_named_with_its_offset_or_read_whole(shard, data, suffix):
    prefix, good = shard
    raw = data.draw(damaged(good[suffix], (b"\xff" * 8, b"\0" * 8)))
    try:
        prefix.with_suffix(suffix).write_bytes(raw)
        try:
            found = read_shard(prefix)
        except ShardError as error:
            assert re.search(r"part-00000\.(bin|idx), offset \d+", str(error)) and "\n" not in str(error)
        else:
            assert sum(len(found.document(n)) for n in range(len(found.lengths))) == found.tokens.size
    finally:
        prefix.with_suffix(suffix).write_bytes(good[suffix])


# Names


@given(TEXTS, TEXTS, TEXTS)
@example("raw_corpus", "..", "a")
@example("raw_corpus", "a", "../../x")
@settings(MANY)
def test_no_name_leads_out_of_the_lake(tmp_path_factory, asset, partition, file):
    lake = Lake.open(str(tmp_path_factory.getbasetemp() / "names"))
    try:
        path = lake.path(InputRef(asset=asset, partition=partition, version="v", digest="d"), file)
    except ValueError as error:
        assert "not allowed" in str(error)
    else:
        assert path.startswith(f"{lake.root}/{asset}/{partition}/v/") and ".." not in path.split("/")
