import re
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assets.tokenizer import pieces
from assets.tokenizer.bpe import BLOOM_REGEX
from assets.tokenizer.pieces import PieceEncoder, Splitter, between_words

POINTS = between_words(BLOOM_REGEX)
TEXT = st.text(st.sampled_from(" \n.,…。،\u00a0\u2009ab1äö😁"), max_size=20)


@pytest.mark.parametrize(
    ("pattern", "extra"),
    [(BLOOM_REGEX, "(|.,!?…。，、।۔،)"), (r" ?[^\s]+", ""), (r" ?[^\s;]+", ";")],
)
def test_what_stands_between_words_is_read_from_the_regex(pattern, extra):
    assert between_words(pattern) == frozenset(map(ord, extra)) | frozenset(pieces.WHITE_SPACE)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        r"\w+",
        r" ?[^\s]",
        r"[^\s]+",
        r" ?[^.,]+",
        r" ?[^\d\s]+",
        r" ?[^\sa-z]+",
        r" ?[^\s[.]]+",
        r" ?[^\s&&a]+",
        r" ?[^\s]+|x",
    ],
)
def test_other_regexes_are_not_read(pattern):
    assert between_words(pattern) is None


def test_white_space_is_what_hugging_faces_regex_holds_for_it():
    from tokenizers import Regex, pre_tokenizers

    split = pre_tokenizers.Split(Regex(r"\s"), "isolated")
    found = {
        ord(piece)
        for start in range(0, 0x110000, 0x800)
        if start != 0xD800
        for piece, _ in split.pre_tokenize_str("x".join(map(chr, range(start, start + 0x800))))
        if len(piece) == 1 and re.fullmatch(r"\s", piece)
    }
    assert found == set(pieces.WHITE_SPACE)


def split_by_hugging_face(text):
    from tokenizers import Regex, pre_tokenizers

    return [piece for piece, _ in pre_tokenizers.Split(Regex(BLOOM_REGEX), "isolated").pre_tokenize_str(text)]


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXT, max_size=5))
@example([" a", "b ", " ", " c"])
@example(["\u2026", "\u2026a", "a\u2026"])
def test_pieces_begin_where_hugging_face_begins_them(texts):
    encoded = [text.encode() for text in texts]
    data = np.frombuffer(b"".join(encoded), np.uint8)
    begins = np.cumsum([0, *map(len, encoded)])
    starts = Splitter(POINTS).starts(data, begins).tolist()
    found = [b"".join(encoded)[a:b].decode() for a, b in pairwise([*starts, len(data)])]
    assert found == [piece for text in texts for piece in split_by_hugging_face(text)]


def by_bytes(piece):
    """The ids of a piece are its bytes, and 300 in the end."""
    return [*piece, 300]


def all_by_bytes(new):
    ids = [by_bytes(piece) for piece in new]
    return np.array([i for one in ids for i in one], np.uint32), np.array([len(one) for one in ids])


def encoded(encoder, texts):
    ids, lengths = encoder(pa.array(texts, pa.large_string()))
    return [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])] if texts else []


def due(texts):
    return [[i for piece in split_by_hugging_face(text) for i in by_bytes(piece.encode())] for text in texts]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(TEXT, max_size=4), max_size=4))
def test_what_is_remembered_and_forgotten_decides_nothing(batches):
    encoder = PieceEncoder(POINTS, all_by_bytes)
    for texts in batches:
        assert encoded(encoder, texts) == due(texts)
    encoder.known.bytes = pieces.REMEMBERED_BYTES + 1
    for texts in batches:
        assert encoded(encoder, texts) == due(texts)


def test_a_piece_is_encoded_once_and_forgotten_when_there_are_too_many(monkeypatch):
    seen = []

    def counted(new):
        seen.extend(new)
        return all_by_bytes(new)

    monkeypatch.setattr(pieces, "REMEMBERED_BYTES", 1_000)
    encoder = PieceEncoder(POINTS, counted)
    encoded(encoder, ["yksi kaksi yksi", "yksi"])
    encoded(encoder, [" kaksi kolme"])
    assert seen == [b"yksi", b" kaksi", b" yksi", b" kolme"]
    encoded(encoder, [" ".join(f"sana{n}" for n in range(100))])
    encoded(encoder, ["yksi"])
    assert seen.count(b"yksi") == 2
    assert len(encoder.known.numbers) == 1


def test_threads_share_an_encoder():
    encoder = PieceEncoder(POINTS, all_by_bytes)
    batches = [[f"sana {n % 7} ja {n}, {n * 31}." for n in range(start, start + 40)] for start in range(0, 2_000, 40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda texts: encoded(encoder, texts), batches))
    assert found == [due(texts) for texts in batches]


def test_threads_that_meet_the_same_new_pieces_both_encode_them_and_neither_waits():
    met = threading.Barrier(2, timeout=60)

    def together(new):
        met.wait()
        return all_by_bytes(new)

    encoder = PieceEncoder(POINTS, together)
    batches = [["yksi kaksi", " kolme"], [" kolme kaksi yksi"]]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda texts: encoded(encoder, texts), batches))
    assert found == [due(texts) for texts in batches]
    assert [encoded(encoder, texts) for texts in batches] == found
