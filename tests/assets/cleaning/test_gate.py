"""The gate passes a good version and stops damaged ones."""

import datetime
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.cleaning.gate import GATE, addresses, identity_codes
from assets.gates.gate import judge
from assets.lake import Manifest, Receipt
from assets.lake.manifest import FileEntry
from assets.recipe.load import PROJECT

CORPUS = PROJECT / "infra" / "demo" / "corpora" / "heldout_fi.jsonl.gz"
SHORT = [{"id": "short", "text": "Lyhyt."}]


def failed(receipt: Receipt) -> list[str]:
    return [e.column for e in receipt.failed if e.severity == "critical"]


@pytest.fixture
def corpus(cleaned: Any, tmp_path: Path) -> Any:
    """The held-out Finnish pages with one that is too short."""
    import gzip
    import json

    records = [json.loads(line) for line in gzip.decompress(CORPUS.read_bytes()).splitlines()]
    return cleaned(records + SHORT)


def damaged(corpus: Any, change: Callable[[Any], Any], folder: str = "documents", **counts: int) -> Receipt:
    """The receipt of the version with one part changed, as if the stage had written it so."""
    import hashlib

    import pyarrow.parquet as pq

    path = f"{folder}/part-00000.parquet"
    local = Path(corpus.lake.path(corpus.clean, path))
    stream = io.BytesIO()
    pq.write_table(change(pq.read_table(local)), stream)
    local.write_bytes(stream.getvalue())
    entry = FileEntry(path=path, size=local.stat().st_size, sha256=hashlib.sha256(stream.getvalue()).hexdigest())
    files = [entry if f.path == path else f for f in corpus.clean.files]
    manifest = corpus.clean.model_copy(update={"files": files, "counts": corpus.clean.counts | counts})
    return judge(GATE, corpus.lake, manifest, corpus.catalog)


def with_text(text: str) -> Callable[[Any], Any]:
    """Put ``text`` in place of the first document's."""
    import pyarrow as pa

    def change(table: Any) -> Any:
        texts = [text, *table["text"].to_pylist()[1:]]
        return table.set_column(1, table.schema.field("text"), pa.array(texts, pa.large_string()))

    return change


def test_a_good_version_passes(corpus: Any) -> None:
    receipt = judge(GATE, corpus.lake, corpus.clean, corpus.catalog)
    assert receipt.error is None and receipt.failed == []
    assert receipt.passed
    assert receipt.numbers["documents"] == corpus.clean.counts["documents"]
    assert 0 < receipt.numbers["removed_share"] < 0.05


def test_pairs_pass(cleaned: Any) -> None:
    path = CORPUS.parent / "heldout_pairs.jsonl.gz"
    corpus = cleaned(path, format="pairs_jsonl", pair_language="en", cleaning="pairs")
    assert judge(GATE, corpus.lake, corpus.clean, corpus.catalog).passed


def test_a_document_lost_without_a_reason_stops(corpus: Any) -> None:
    receipt = damaged(corpus, lambda table: table.slice(1))
    assert not receipt.passed
    assert failed(receipt) == ["miscounted", "lost"]


def test_a_document_lost_with_its_counts_stops(corpus: Any) -> None:
    n = int(corpus.clean.counts["documents"])
    receipt = damaged(
        corpus, lambda table: table.slice(1), documents=n - 1, documents_in=int(corpus.clean.counts["documents_in"]) - 1
    )
    assert failed(receipt) == ["not_all_read", "lost"]


def test_a_document_kept_and_removed_stops(corpus: Any) -> None:
    def twice(table: Any) -> Any:
        import pyarrow as pa

        kept = corpus.table()[0]
        return pa.concat_tables(
            [table, pa.table({"id": [kept["id"]], "reason": ["too_short"], "excerpt": [""]}, schema=table.schema)]
        )

    assert {"miscounted", "lost", "duplicate_ids"} <= set(failed(damaged(corpus, twice, "removed")))


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("Kirjoita osoitteeseen etunimi.sukunimi@yritys.fi.", "addresses_left"),
        ("Tunnus on 131052-308T.", "identity_codes_left"),
        ("Maski email@example.com, jota kukaan ei laskenut." * 20, "masks_uncounted"),
        (" \n\u2003", "empty_texts"),
    ],
)
def test_what_may_not_be_left_stops(corpus: Any, text: str, column: str) -> None:
    assert failed(damaged(corpus, with_text(text))) == [column]


def test_another_schema_stops(corpus: Any) -> None:
    assert "schema_differs" in failed(damaged(corpus, lambda table: table.drop_columns(["url"])))


def test_counts_that_do_not_add_up_stop(corpus: Any) -> None:
    assert failed(damaged(corpus, lambda table: table, removed_too_short=0)) == ["unaccounted", "miscounted"]


def test_bounds_stop(cleaned: Any) -> None:
    corpus = cleaned(
        CORPUS.parent / "gnome_help_fi.jsonl.gz", bounds={"removed": 0.3, "removed_by_reason": {"too_short": 0.01}}
    )
    receipt = judge(GATE, corpus.lake, corpus.clean, corpus.catalog)
    assert failed(receipt) == ["removed_share", "removed_share_too_short"]


def test_bounds_of_unknown_reasons_are_refused(cleaned: Any) -> None:
    corpus = cleaned(CORPUS, bounds={"removed_by_reason": {"moods": 0.1}})
    with pytest.raises(ValueError, match="names 'moods'; the reasons are licence"):
        GATE.suite_digest(corpus.catalog, "corpus")


def test_nothing_left_stops(cleaned: Any) -> None:
    corpus = cleaned(SHORT)
    assert "documents" in failed(judge(GATE, corpus.lake, corpus.clean, corpus.catalog))


def test_a_change_against_the_last_version_warns(cleaned: Any, tmp_path: Path) -> None:
    path = CORPUS.parent / "gnome_help_fi.jsonl.gz"
    bounds = {"removed": 1.0}
    before = cleaned(path, bounds=bounds)
    _started(before.lake.path(before.clean, "manifest.json"), before.clean)
    after = cleaned(path, bounds=bounds, without=("mixed_language", "too_short"))
    receipt = judge(GATE, after.lake, after.clean, after.catalog)
    assert receipt.passed
    assert [(e.column, e.severity) for e in receipt.failed] == [("removed_change", "warning")]


def _started(path: str, manifest: Manifest) -> None:
    """Let a version have been made an hour before."""
    hour_ago = datetime.datetime.fromisoformat(manifest.started) - datetime.timedelta(hours=1)
    Path(path).write_text(manifest.model_copy(update={"started": hour_ago.isoformat()}).model_dump_json())


def test_the_gates_own_idea_of_personal_data() -> None:
    assert addresses("a.b@c.fi, x@y.co.uk and email@example.com") == 2
    assert addresses("git@host, @decorator, 5 @ 3.50") == 0
    assert identity_codes("131052-308T 131052A308T 131052-308X 991399-308T") == 2
