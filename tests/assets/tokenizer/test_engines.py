"""Every encoding engine gives Hugging Face's ids, or is left out."""

import json
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from assets.recipe.tokens import Tokenizer
from assets.tokenizer import bpe, engines
from tests.conftest import FINNISH
from tests.infra.test_bench import DEMO

KINDS: dict[str, dict[str, object]] = {
    "bloom": {},
    "gpt2": {"pretokenizer": "gpt2"},
    "bloom_digits": {"split_digits": True},
    "gpt2_digits": {"pretokenizer": "gpt2", "split_digits": True},
    "words": {"pretokenizer": "regex", "regex": r" ?[^\s;:…]+"},
}
CAN = {
    "bloom": {"pieces", "tiktoken"},
    "gpt2": {"gigatoken", "tiktoken"},
    "bloom_digits": {"tiktoken"},
    "gpt2_digits": {"tiktoken"},
    "words": {"pieces", "tiktoken"},
}
PAIRS = [(kind, engine) for kind in CAN for engine in sorted(CAN[kind])]
LOG = logging.getLogger("test")


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The content of a small tokenizer.json of each kind, trained on real text."""
    from infra.bench.corpus import documents

    texts = [d["text"] for d in documents([DEMO / "gnome_help_fi.jsonl.gz"])][:60] + FINNISH
    made: dict[str, str] = {}
    for kind, more in KINDS.items():
        config = Tokenizer.model_validate(
            {"name": "t", "vocab_size": 3_000, "sources": {"fi": ("x",)}, "sample_bytes": 1_000, **more}
        )
        path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
        bpe.train(config, texts).save(str(path))
        made[kind] = path.read_text("utf-8")
    return made.__getitem__


def column(texts: list[str]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def ids_of(engine: str, tokenizer: str, texts: list[str]) -> list[list[int]]:
    ids, lengths = engines.load(engine, tokenizer)(column(texts))
    assert ids.dtype == np.uint32 and lengths.dtype == np.int64 and lengths.sum() == len(ids)
    return [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])] if texts else []


def expected(tokenizer: str, texts: list[str]) -> list[list[int]]:
    """The ids of Hugging Face's tokenizers, called as a user calls them."""
    from tokenizers import Tokenizer as HfTokenizer

    loaded = HfTokenizer.from_str(tokenizer)
    loaded.encode_special_tokens = True
    return [loaded.encode(text, add_special_tokens=False).ids for text in texts]


@pytest.mark.parametrize(("kind", "engine"), PAIRS)
def test_hard_texts_have_hugging_faces_ids(tokenizers: Callable[[str], str], kind: str, engine: str) -> None:
    texts = list(engines.HARD_TEXTS)
    assert ids_of(engine, tokenizers(kind), texts) == expected(tokenizers(kind), texts)


LIKE_EACH_OTHER = ((0x3400, 0x9FFF), (0xAC00, 0xD7A3), (0x17000, 0x18CFF), (0x20000, 0x323AF))
"""Ideographs, Hangul and Tangut: of these ranges every 16th character stands for its neighbours."""


def characters() -> list[str]:
    """The characters of the planes that hold any which is not for private use."""
    points = [point for point in (*range(0x32400), *range(0xE0000, 0xE0200)) if not 0xD800 <= point < 0xE000]
    alike = [point for begin, end in LIKE_EACH_OTHER for point in range(begin, end) if point % 16]
    return list(map(chr, sorted(set(points) - set(alike))))


@pytest.fixture(scope="module")
def all_pairs_of_bytes(tokenizers: Callable[[str], str]) -> Callable[[str], tuple[str, list[str], list[list[int]]]]:
    """Of each kind a tokenizer that merges any two bytes, so that ids tell nearly always where pieces end; texts in which every
    character stands in a word, after a space and before a digit; and Hugging Face's ids.
    """
    symbols = {byte: symbol for symbol, byte in bpe.byte_symbols().items()}
    merges = [[symbols[one], symbols[other]] for one in range(256) for other in range(256)]
    vocabulary = [*bpe.SPECIAL_TOKENS, *sorted(symbols.values()), *("".join(pair) for pair in merges)]
    every = characters()
    texts = ["".join(f"a{c}1 {c}" for c in every[n : n + 500]) for n in range(0, len(every), 500)]

    def change(tokenizer: dict) -> None:
        tokenizer["model"].update(vocab={token: number for number, token in enumerate(vocabulary)}, merges=merges)

    @cache
    def made(kind: str) -> tuple[str, list[str], list[list[int]]]:
        tokenizer = changed(tokenizers(kind), change)
        return tokenizer, texts, expected(tokenizer, texts)

    return made


@pytest.mark.parametrize(("kind", "engine"), PAIRS)
def test_every_character_is_cut_where_hugging_face_cuts_it(
    all_pairs_of_bytes: Callable[[str], tuple[str, list[str], list[list[int]]]], kind: str, engine: str
) -> None:
    """What one engine holds for a letter, a digit or white space and another does not would be cut elsewhere."""
    tokenizer, texts, due = all_pairs_of_bytes(kind)
    found = ids_of(engine, tokenizer, texts)
    assert [n for n, (one, other) in enumerate(zip(found, due, strict=True)) if one != other] == []


def test_texts_with_characters_newer_than_pythons_unicode_stand_where_they_stood(
    tokenizers: Callable[[str], str],
) -> None:
    """U+16FF5 is a digit in Unicode 17 and unknown before: gigatoken and tiktoken cut at it, Hugging Face does not."""
    texts = ["sana", "a\U00016ff5b 1", "", "a\ua7cfa a\ua7cf", "toinen sana", "\U00016ff5"]
    for kind, engine in PAIRS:
        assert ids_of(engine, tokenizers(kind), texts) == expected(tokenizers(kind), texts)


MIXED = st.text(st.sampled_from(" \n\t.,!?()|…。،a1ä'sT2½\u00a0\u200b😁<>/"), max_size=40)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.mark.parametrize(("kind", "engine"), PAIRS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(st.one_of(MIXED, ANY, st.sampled_from(bpe.SPECIAL_TOKENS)), max_size=6))
@example(texts=[" a", " ", " a", "", "a ", " b"])
@example(texts=["…", " …", "a…", "\u2026\u2026 a"])
def test_any_texts_have_hugging_faces_ids(
    tokenizers: Callable[[str], str], kind: str, engine: str, texts: list[str]
) -> None:
    assert ids_of(engine, tokenizers(kind), texts) == expected(tokenizers(kind), texts)


@pytest.mark.parametrize(("kind", "engine"), PAIRS)
def test_a_slice_of_a_column_is_encoded_for_itself(tokenizers: Callable[[str], str], kind: str, engine: str) -> None:
    texts = column(["Ensimmäinen.", " toinen", "kolmas, 3", ""])
    ids, lengths = engines.load(engine, tokenizers(kind))(texts.slice(1, 2))
    due = expected(tokenizers(kind), [" toinen", "kolmas, 3"])
    assert [ids[: lengths[0]].tolist(), ids[lengths[0] :].tolist()] == due


@pytest.mark.parametrize("kind", KINDS)
def test_engines_refuse_what_they_cannot_do_and_the_fastest_of_the_others_is_chosen(
    tokenizers: Callable[[str], str], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    for engine in set(engines.FASTEST_FIRST) - CAN[kind]:
        with pytest.raises(engines.EngineRefusedError):
            engines.load(engine, tokenizers(kind))
    with caplog.at_level(logging.INFO):
        chosen = engines.choose(tokenizers(kind), column(FINNISH[:5]), [f"x:{n}" for n in range(5)], LOG)
    assert chosen == next(engine for engine in engines.FASTEST_FIRST if engine in CAN[kind])
    assert f"encoding by {chosen}, which gives Hugging Face's ids on 5 documents" in caplog.text
    left_out = engines.FASTEST_FIRST[: engines.FASTEST_FIRST.index(chosen)]
    assert all(f"{engine} is left out: " in caplog.text for engine in left_out)


def changed(tokenizer: str, change: Callable[[dict], None]) -> str:
    value = json.loads(tokenizer)
    change(value)
    return json.dumps(value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.update(normalizer={"type": "NFC"}), "the settings normalizer"),
        (lambda t: t["model"].update(dropout=0.1), "the settings dropout"),
        (lambda t: t["model"].update(ignore_merges=True), "the settings ignore_merges"),
        (
            lambda t: t["pre_tokenizer"].update(pretokenizers=[{"type": "Whitespace"}]),
            "does not read the pre-tokenizer",
        ),
        (lambda t: t["pre_tokenizer"]["pretokenizers"][0].update(behavior="Removed"), "no translation"),
        (lambda t: t["pre_tokenizer"]["pretokenizers"][0]["pattern"].update(Regex=r"\w+"), "no translation"),
        (
            lambda t: t["pre_tokenizer"]["pretokenizers"][1].update(add_prefix_space=True),
            "does not read the pre-tokenizer",
        ),
        (lambda t: t["model"]["merges"].reverse(), "ids in the order of the merges"),
    ],
)
def test_what_a_tokenizer_says_beyond_that_leaves_hugging_face_to_encode(
    tokenizers: Callable[[str], str], change: Callable[[dict], None], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer = changed(tokenizers("bloom"), change)
    with caplog.at_level(logging.INFO):
        assert engines.choose(tokenizer, column(["x"]), ["x:0"], LOG) == engines.HUGGING_FACE
    assert reason in caplog.text


def test_an_engine_whose_ids_differ_is_left_out_with_the_document(
    tokenizers: Callable[[str], str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real difference: this regex drops what stands between words, as stack traces of the untranslated one show."""
    monkeypatch.setattr(engines, "pattern_of", lambda split: r" ?[^\s.,!?]+")
    monkeypatch.setattr(engines, "FASTEST_FIRST", ("tiktoken",))
    engines._load.cache_clear()
    with caplog.at_level(logging.INFO):
        chosen = engines.choose(tokenizers("bloom"), column(["sana", "kaksi  sanaa."]), ["x:0", "x:1"], LOG)
    engines._load.cache_clear()
    assert chosen == engines.HUGGING_FACE
    assert "tiktoken is left out: its ids differ from Hugging Face's on document x:1" in caplog.text


def test_without_gigatoken_the_next_engine_works(
    tokenizers: Callable[[str], str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gigatoken", None)
    engines._load.cache_clear()
    with caplog.at_level(logging.INFO):
        assert engines.choose(tokenizers("gpt2"), column(["x"]), ["x:0"], LOG) == "tiktoken"
    assert "gigatoken is left out: it is not installed (gigatoken)" in caplog.text


def test_a_run_that_is_too_long_for_tiktokens_regex_is_encoded_all_the_same(tokenizers: Callable[[str], str]) -> None:
    texts = ["alku", " " * 400_000 + ". " * 300_000, "loppu"]
    assert ids_of("tiktoken", tokenizers("bloom_digits"), texts) == expected(tokenizers("bloom_digits"), texts)


def test_vocab_size_is_one_more_than_the_highest_id(tokenizers: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(tokenizers("bloom"), "utf-8")
    loaded = bpe.load(str(tmp_path / "tokenizer.json"))
    assert engines.vocab_size(tokenizers("bloom")) == loaded.get_vocab_size()
