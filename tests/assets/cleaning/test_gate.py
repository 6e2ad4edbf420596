"""The gate passes a good version and stops damaged ones."""

import datetime
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.cleaning.gate import GATE, _masks
from assets.cleaning.left import KINDS
from assets.cleaning.profiles import PROFILES
from assets.gates.gate import judge
from assets.lake import Manifest, Receipt
from assets.lake.manifest import FileEntry
from assets.lake.seal import as_bytes, sealed
from assets.recipe.load import PROJECT

CORPUS = PROJECT / "infra" / "demo" / "corpora" / "heldout_fi.jsonl.gz"
SHORT = [{"id": "short", "text": "Lyhyt."}]


def failed(receipt: Receipt) -> list[str]:
    return [e.column for e in receipt.failed if e.severity == "critical"]


def pages() -> list[dict[str, Any]]:
    """The held-out Finnish pages."""
    return [json.loads(line) for line in gzip.decompress(CORPUS.read_bytes()).splitlines()]


@pytest.fixture
def corpus(cleaned: Any, tmp_path: Path) -> Any:
    """The held-out Finnish pages with one that is too short."""
    return cleaned(pages() + SHORT)


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


PRIVATE_KEY = (
    "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEAx7Vt9Q3bR2Yw8ZpLhFkD" * 2 + "\n-----END RSA PRIVATE KEY-----"
)
LEFT = {
    "emails": ["Kirjoita osoitteeseen etunimi.sukunimi@yritys.fi."],
    "identity_codes": ["Tunnus on 131052-308T.", "Tunnus on 010199Y9001."],
    "ibans": ["Tili on FI21 1234 5600 0007 85.", "Tili on DE89370400440532013000."],
    "ip_addresses": ["Palvelin 93.184.216.34 vastasi.", "Palvelin 2a00:1450:4009:80b::200e vastasi."],
    "phones": ["Soita 040 123 4567.", "Soita +358 50 1234567.", "Soita +46701234567"],
    "secrets": [
        PRIVATE_KEY,
        'password = "q7Xv2Lm9Rk4Tz8Wp3Ns6"',
        "AKIA" + "Q3EGLLQXZ7WPN5TD",
        "ghp_" + "q7Xv2Lm9Rk4Tz8Wp3Ns6Yb5Jc4Hd7Gf8Kw9Q",
    ],
}


def one_document(cleaned: Any, kind: str) -> Any:
    """A corpus of one document, cleaned with a profile that masks ``kind``."""
    if kind != "secrets":
        return cleaned(pages()[:1])
    code = "def add(first, second):\n    return first + second\n\n\n" * 5
    return cleaned([{"id": "a", "text": code}], cleaning="code", language="code")


@pytest.mark.parametrize("kind", LEFT)
def test_what_a_mask_missed_stops(cleaned: Any, kind: str) -> None:
    receipt = damaged(one_document(cleaned, kind), with_text("\n".join(["Alku.", *LEFT[kind]])))
    assert failed(receipt) == [f"{kind}_left"]
    assert receipt.profile[0][f"{kind}_left"] == len(LEFT[kind])


@pytest.mark.parametrize("kind", [kind for kind, looked in KINDS.items() if looked.masks])
def test_a_mask_that_nobody_counted_stops(cleaned: Any, kind: str) -> None:
    receipt = damaged(one_document(cleaned, kind), with_text(" ".join(["Maskit", *KINDS[kind].masks])))
    assert failed(receipt) == ["masks_uncounted"]
    assert receipt.profile[0]["masks_uncounted"] == len(KINDS[kind].masks)


def test_masks_that_stood_in_the_raw_text_need_no_counting(cleaned: Any) -> None:
    """Also those that are whole only when what is invisible has gone."""
    text = (
        "Asenna ohjelma ja avaa valikko. Sitten voit valita tiedoston, jonka haluat avata, ja tallentaa sen uudelleen."
    )
    masks = "email@exam\u200bple.com ja email@example.com, 192.0.2.1, +358\u00a000 000 0000."
    corpus = cleaned([{"id": "a", "text": f"{text} {masks}"}])
    receipt = judge(GATE, corpus.lake, corpus.clean, corpus.catalog)
    assert receipt.passed and receipt.numbers["masked"] == 0
    assert corpus.table()[0]["text"].count("email@example.com") == 2


def test_a_raw_text_with_a_reference_of_any_length_is_looked_at() -> None:
    assert _masks(f"192.0.2.1 &#{'9' * 5_000}; 192.0.&#50;.1", "ip_addresses") == 2


def test_an_empty_document_stops(corpus: Any) -> None:
    assert failed(damaged(corpus, with_text(" \n\u2003"))) == ["empty_texts"]


def test_masks_are_numbers_by_kind(cleaned: Any) -> None:
    left = [texts[0] for kind, texts in LEFT.items() if kind != "secrets"]
    corpus = cleaned([{"id": "a", "text": "\n".join([pages()[0]["text"], *left])}])
    receipt = judge(GATE, corpus.lake, corpus.clean, corpus.catalog)
    assert failed(receipt) == []
    masked = {name.removeprefix("masked_"): n for name, n in receipt.numbers.items() if name.startswith("masked_")}
    assert masked == dict.fromkeys(["emails", "identity_codes", "ibans", "ip_addresses", "phones"], 1)
    assert receipt.numbers["masked"] == 5


def test_a_kind_whose_mask_is_left_out_is_not_judged(cleaned: Any) -> None:
    text = (
        "Asenna ohjelma ja avaa valikko. Sitten voit valita tiedoston, jonka haluat avata, ja tallentaa sen uudelleen."
    )
    corpus = cleaned([{"id": "a", "text": f"{text} Soita 040 123 4567."}], without=("phones",))
    receipt = judge(GATE, corpus.lake, corpus.clean, corpus.catalog)
    assert receipt.passed and "phones_left" not in [e.column for e in receipt.expectations]
    assert "040 123 4567" in corpus.table()[0]["text"]


def test_every_profile_masks_what_it_must() -> None:
    prose = {"emails", "identity_codes", "ibans", "ip_addresses", "phones"}
    for name, profile in PROFILES.items():
        masks = {step.name for step in profile.steps} & set(KINDS)
        assert masks >= ((prose - {"phones"}) | {"secrets"} if name == "code" else prose)


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
    Path(path).write_bytes(as_bytes(sealed(manifest.model_copy(update={"started": hour_ago.isoformat()}))))


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("emails", "a.b@c.fi, x@y.co.uk and email@example.com", 2),
        ("emails", "git@github.com, @decorator, 5 @ 3.50, icon@2x.png", 0),
        ("identity_codes", "131052-308T 131052A308T 131052-308X 991399-308T 010101-001Z", 2),
        ("ibans", "FI21 1234 5600 0007 85 FI2112345600000785 FI22 1234 5600 0007 85 FI00 0000 0000 0000 00", 2),
        ("ip_addresses", "93.184.216.34 192.168.1.1 1.2.3.4 v91.64.72.33 192.0.2.1 2001:db8::1 2a00:1450::1 a::b", 2),
        ("phones", "040 123 4567\n+358401234567\n+358 00 000 0000\n+46701234567\n12.12.2004", 3),
        ("long_numbers", "numero 1234567 on, 1200000 on, 12345678901234 on", 1),
        ("secrets", "password = 'q7Xv2Lm9Rk4Tz8Wp3Ns6' token = \"changeme-12345678901234567\" <KEY>", 1),
    ],
)
def test_the_gates_own_idea_of_personal_data(kind: str, text: str, found: int) -> None:
    assert KINDS[kind].count(text) == found
