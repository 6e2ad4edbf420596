"""Encoding engines: ways to the ids that Hugging Face tokenizers gives, some of them many times faster.

An engine is a function from texts to ids. It is built from a ``tokenizer.json`` alone, refuses what it cannot do, and writes
nothing before it was proved: it has to give Hugging Face's ids on documents of the very source and on texts that are hard.
Which engine works decides the time and nothing else, so it is no part of a version's identity.
"""

import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

from assets.tokenizer import bpe
from assets.tokenizer.pieces import PieceEncoder, between_words

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

Encoder = Callable[["pa.LargeStringArray"], "tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]"]
"""From texts, none of them null, to the ids of all, one after the other, and how many each text has."""

FASTEST_FIRST = ("gigatoken", "pieces", "tiktoken")
"""The engines that are tried, each identical to ``huggingface`` or left out."""
HUGGING_FACE = "huggingface"

GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
"""GPT-2's regex as tiktoken has it for r50k_base: possessive, the same pieces."""
GPT2_DIGITS = (
    r"\p{N}|'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?![^\s\p{N}])|\s"  # digits end a text for it
)

APART = "\U0010ffff"
"""Unicode's last code point, which is no character and stands between pieces."""

HARD_TEXTS = (
    "",
    *bpe.SPECIAL_TOKENS,
    "".join(bpe.SPECIAL_TOKENS),
    "a" + " b".join(bpe.SPECIAL_TOKENS) + "c",
    "".join(map(chr, range(0x100))),
    "x".join(map(chr, range(0x100))),
    " x ".join(map(chr, range(0x100))),
    " \t\r\n\v\f\x1c\x1d\x1e\x1f\x85\u00a0\u1680\u2000\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff" * 2,
    *(f"a{' ' * before}{between}{' ' * after}b" for before in range(4) for between in ("", ",", "\n") for after in range(4)),
    "    ", " " * 500 + "x" + " " * 500, "\n" * 300 + "\t" * 300, ".,!?…。，、।۔،" * 40, "(|)" * 30, "a . b ,c ،d。e …f",
    "😁 👩‍👩‍👧‍👦 🇫🇮🇸🇪 ☎️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "e\u0301 a\u0308\u0304 \u0301x", "我想在apple工作1314151天～",
    "日本語。テキスト、カタカナ", "한국어 텍스트",
    "مرحبا، كيف حالك؟ ۔ नमस्ते।", "שלום \u200f\u202eabc\u202c", "\ufffd\ufffe\uffff\U0010ffff\U0001ffff\ue000",
    "a\U0010ffffb \U0010ffff",
    "'s 't 're 've 'm 'll 'd 'S 'LL ’s can't we'd I'M x''s", "3,14 1234567890 ½ ² Ⅷ ٣٤ १२ 12a3b4 a1 1a  1",
    "Ääkköset ÅÄÖ – “lainaus” …",
    "def f(x):\n\treturn x**2  # ½ ± ∑\n\n\n", "https://a.b/c?d=e&f=%20#g", "x" * 2_000, "ab" * 1_000, "<|" * 50 + "|>" * 50,
    "\u00c3\u00a4\u00e2\u20ac\u0153 m\u00c3\u00b6jibake \x80\x81\xff\xfe",
)  # fmt: skip
"""Special tokens' text, control characters, white space, emoji, scripts, numbers, what looks like broken encoding."""
VOCABULARY_TEXTS = 2_000
"""Of the vocabulary's tokens so many, evenly spaced, are texts of the proof too."""


class EngineRefusedError(Exception):
    """An engine cannot do what a tokenizer asks for; the message says what."""


@dataclass(frozen=True)
class Split:
    """What a ``tokenizer.json`` cuts text with: GPT-2's regex, or an optional space and a run of what is not ``between``.

    ``digits`` says that each digit is a piece of its own.
    """

    between: frozenset[int] | None
    digits: bool


@lru_cache(maxsize=4)
def _read(tokenizer: str) -> tuple[Split, dict[bytes, int]]:
    """The split of a ``tokenizer.json`` and the ids of its tokens' bytes. Raises EngineRefusedError for what is not read."""
    whole = json.loads(tokenizer)
    model = whole["model"]
    plain = {"type": "BPE", "dropout": None, "unk_token": None, "byte_fallback": False, "ignore_merges": False}
    odd = [key for key, value in plain.items() if model.get(key, value) != value]
    odd += [key for key in ("continuing_subword_prefix", "end_of_word_suffix", "fuse_unk") if model.get(key)]
    odd += [key for key in ("normalizer", "truncation", "padding") if whole.get(key)]
    if odd:
        raise EngineRefusedError(f"it does not read the settings {', '.join(odd)}")
    return _split(whole["pre_tokenizer"] or {}), _ranks(model, {added["content"] for added in whole["added_tokens"]})


def _split(pre_tokenizer: dict[str, Any]) -> Split:
    steps = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    kinds = [step.get("type") for step in steps]
    last = steps[-1]
    digits = [step for step in steps if step.get("type") == "Digits"]
    if kinds[-1] != "ByteLevel" or last["add_prefix_space"] or not all(step["individual_digits"] for step in digits):
        raise EngineRefusedError(f"it does not read the pre-tokenizer {pre_tokenizer}")
    if kinds[:-1] in ([], ["Digits"]) and last["use_regex"]:
        return Split(None, bool(digits))
    if kinds[:-1] in (["Split"], ["Split", "Digits"]) and not last["use_regex"]:
        (split, *_) = steps
        between = between_words(split["pattern"].get("Regex", ""))
        if between is not None and split["behavior"] == "Isolated" and not split["invert"]:
            return Split(between, bool(digits))
    raise EngineRefusedError(f"it knows no translation of the pre-tokenizer {pre_tokenizer}")


def _ranks(model: dict[str, Any], special: set[str]) -> dict[bytes, int]:
    """The ids of the ordinary tokens by their bytes, where the order of the ids is that of the merges, as training leaves it.

    Then "merge the pair whose token has the lowest id", as the other engines do, is "merge the pair that was learnt first".
    """
    try:
        ranks = {bpe.token_bytes(token): number for token, number in model["vocab"].items() if token not in special}
    except KeyError as error:
        raise EngineRefusedError(f"it needs a byte-level vocabulary, and one of its tokens holds {error}") from error
    pairs = [pair if isinstance(pair, list) else pair.split(" ") for pair in model["merges"]]
    numbers = [model["vocab"]["".join(pair)] for pair in pairs]
    bytes_ = [bytes([byte]) for byte in range(256)]
    if not all(map(ranks.__contains__, bytes_)) or len(ranks) != 256 + len(numbers) or sorted(numbers) != numbers:
        raise EngineRefusedError("it needs all 256 bytes, and ids in the order of the merges")
    return ranks


def _gigatoken(tokenizer: str) -> Encoder:
    try:
        import awkward
        import gigatoken
    except ImportError as error:
        raise EngineRefusedError(f"it is not installed ({error.name})") from error
    import numpy as np

    split, _ = _read(tokenizer)
    if split.between is not None or split.digits:
        # It takes ByteLevel for GPT-2's regex even where use_regex is false, so this is not left to it.
        raise EngineRefusedError("of the pre-tokenizers it knows GPT-2's only")
    whole = json.loads(tokenizer)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    # Without added tokens no text yields one.
    plain = json.dumps(whole | {"pre_tokenizer": byte_level, "added_tokens": [], "post_processor": None})
    # A tokenizer works for one thread at a time, so there are as many as threads at work.
    try:
        free = [gigatoken.Tokenizer.from_json(plain)]
    except RuntimeError as error:
        raise EngineRefusedError(str(error).split("\n", 1)[0]) from error

    def encode(texts: "pa.LargeStringArray") -> "tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]":
        try:
            loaded = free.pop()
        except IndexError:
            loaded = gigatoken.Tokenizer.from_json(plain)
        layout = loaded.encode_batch(awkward.from_arrow(texts), parallel=False).layout
        free.append(loaded)
        offsets = np.asarray(layout.offsets.data, np.int64)
        return np.asarray(layout.content.data)[offsets[0] : offsets[-1]], np.diff(offsets)

    return _on_known_characters(encode, tokenizer)


@lru_cache(maxsize=1)
def unassigned() -> str:
    """A regex for the characters that Python's Unicode tables do not know."""
    import unicodedata

    unknown = [point for point in range(0x80, 0x110000) if unicodedata.category(chr(point)) == "Cn"]
    ends = [*(p for p, after in pairwise(unknown) if after != p + 1), unknown[-1]]
    begins = [unknown[0], *(after for p, after in pairwise(unknown) if after != p + 1)]
    return "[" + "".join(rf"\x{{{a:x}}}-\x{{{b:x}}}" for a, b in zip(begins, ends, strict=True)) + "]"


def _on_known_characters(encoder: Encoder, tokenizer: str) -> Encoder:
    """``encoder``, but texts with a character that Python's Unicode does not know are left to Hugging Face.

    Engines carry tables of different Unicode versions. What is a letter or a digit in the newer one is none in the older, so
    they cut texts with such characters differently, and no sample of a source would show it. Python's tables are older than
    theirs (14.0 in Python 3.11, 15.0 in 3.12).
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    sure = load(HUGGING_FACE, tokenizer)

    def encode(texts: "pa.LargeStringArray") -> "tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]":
        new = pc.match_substring_regex(texts, unassigned()).to_numpy(zero_copy_only=False)
        if not new.any():
            return encoder(texts) if len(texts) else (np.zeros(0, np.uint32), np.zeros(0, np.int64))
        known = ~new
        lengths = np.zeros(len(texts), np.int64)
        made = [(places, engine(texts.filter(pa.array(places)))) for places, engine in ((known, encoder), (new, sure))]
        for places, (_, counts) in made:
            lengths[places] = counts
        ids = np.zeros(int(lengths.sum()), np.uint32)
        for places, (found, _) in made:
            ids[np.repeat(places, lengths)] = found
        return ids, lengths

    return encode


def _tiktoken(pattern: str, tokenizer: str) -> Any:
    import tiktoken

    _, ranks = _read(tokenizer)
    return tiktoken.Encoding("tokka", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def _pieces(tokenizer: str) -> Encoder:
    split, _ = _read(tokenizer)
    if split.between is None or split.digits:
        raise EngineRefusedError("it splits at words alone")
    return PieceEncoder(split.between, _encode_pieces(tokenizer))


def _encode_pieces(tokenizer: str) -> "Callable[[list[bytes]], tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]]":
    """The ids of pieces by one call of tiktoken, for which a character that is none stands between them.

    The tokens of a piece have its bytes, so their sizes tell where it ends.
    """
    import numpy as np

    _, ranks = _read(tokenizer)
    sizes = np.zeros(max(ranks.values()) + 1, np.int64)
    sizes[list(ranks.values())] = [len(token) for token in ranks]
    core = _tiktoken(f"[^{APART}]+", tokenizer)._core_bpe

    def encode(pieces: list[bytes]) -> "tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]":
        whole = APART.encode().join(pieces).decode()
        if whole.count(APART) != len(pieces) - 1:  # a text holds that character
            return _flat([core.encode_single_piece(piece) for piece in pieces], np.uint32)
        ids = np.frombuffer(core.encode_to_tiktoken_buffer(whole, set()), np.uint32)
        ends = np.cumsum([len(piece) for piece in pieces])
        return ids, np.diff(np.searchsorted(np.cumsum(sizes[ids]), ends) + 1, prepend=0)

    return encode


def pattern_of(split: Split) -> str:
    """A regex whose matches are all the pieces of ``split``: tiktoken drops what a regex does not match.

    With X between words, ``" ?[^X]+|[X]+(?= [^X])|[X]+"``: a run of X leaves its last space to the word after it.
    """
    if split.between is None:
        return GPT2_DIGITS if split.digits else GPT2
    between = "".join(rf"\x{{{point:x}}}" for point in sorted(split.between))
    numbers = r"\p{N}" if split.digits else ""
    words = f" ?[^{between}{numbers}]+"
    if split.digits:
        words = rf"\p{{N}}| (?=\p{{N}})|{words}"
    return f"{words}|[{between}]+(?= [^{between}])|[{between}]+"


def _with_tiktoken(tokenizer: str) -> Encoder:
    import numpy as np
    import pyarrow as pa

    split, _ = _read(tokenizer)
    core = _tiktoken(pattern_of(split), tokenizer)._core_bpe
    sure = load(HUGGING_FACE, tokenizer)

    def ids_of(text: str) -> "npt.NDArray[np.uint32]":
        try:
            return np.frombuffer(core.encode_to_tiktoken_buffer(text, set()), np.uint32)
        except ValueError:  # its regex engine runs out of stack in a run of about a million spaces or dots
            return sure(pa.array([text], pa.large_string()))[0]

    def encode(texts: "pa.LargeStringArray") -> "tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]":
        ids = [ids_of(text) for text in texts.to_pylist()]
        return np.concatenate([np.zeros(0, np.uint32), *ids]), np.fromiter(map(len, ids), np.int64, len(ids))

    return _on_known_characters(encode, tokenizer)


def _hugging_face(tokenizer: str) -> Encoder:
    import numpy as np
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_str(tokenizer)
    loaded.encode_special_tokens = True
    return lambda texts: _flat(
        [encoded.ids for encoded in loaded.encode_batch_fast(texts.to_pylist(), add_special_tokens=False)], np.uint32
    )


def _flat(ids: list[list[int]], dtype: Any) -> "tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]":
    import numpy as np

    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    return np.fromiter(chain.from_iterable(ids), dtype, int(lengths.sum())), lengths


_MAKERS = {"gigatoken": _gigatoken, "pieces": _pieces, "tiktoken": _with_tiktoken, HUGGING_FACE: _hugging_face}
_loading = threading.RLock()


def load(name: str, tokenizer: str) -> Encoder:
    """The engine ``name`` for the content of a ``tokenizer.json``; one for all threads. Raises EngineRefusedError."""
    with _loading:  # the threads of a process share what an engine remembers
        return _load(name, tokenizer)


@lru_cache(maxsize=4)
def _load(name: str, tokenizer: str) -> Encoder:
    return _MAKERS[name](tokenizer)


def vocab_size(tokenizer: str) -> int:
    """One more than the highest id of a ``tokenizer.json``."""
    whole = json.loads(tokenizer)
    return 1 + max(*whole["model"]["vocab"].values(), *(added["id"] for added in whole["added_tokens"]))


def choose(tokenizer: str, documents: "pa.LargeStringArray", names: Sequence[str], log: logging.Logger) -> str:
    """The first of ``FASTEST_FIRST`` that gives Hugging Face's ids on ``documents`` and on hard texts, or ``huggingface``.

    ``names`` says which documents they are. Of every engine that is left out the log says why.
    """
    import pyarrow as pa

    texts = pa.concat_arrays([documents, pa.array([*HARD_TEXTS, *_vocabulary_texts(tokenizer)], pa.large_string())])
    expected = None
    for name in FASTEST_FIRST:
        try:
            encoder = load(name, tokenizer)
        except EngineRefusedError as error:
            log.info("the encoding engine %s is left out: %s", name, error)
            continue
        if expected is None:
            expected = load(HUGGING_FACE, tokenizer)(texts)
        place = _first_difference(encoder(texts), expected)
        if place is None:
            log.info(
                "encoding by %s, which gives Hugging Face's ids on %d documents and %d hard texts",
                name, len(documents), len(texts) - len(documents),
            )  # fmt: skip
            return name
        which = f"document {names[place]}" if place < len(documents) else f"the text {texts[place].as_py()[:80]!r}"
        log.warning("the encoding engine %s is left out: its ids differ from Hugging Face's on %s", name, which)
    log.info("encoding by %s", HUGGING_FACE)
    return HUGGING_FACE


def _vocabulary_texts(tokenizer: str) -> list[str]:
    tokens = list(json.loads(tokenizer)["model"]["vocab"])
    texts = []
    for token in tokens[:: -(-len(tokens) // VOCABULARY_TEXTS)]:
        if token not in bpe.SPECIAL_TOKENS:
            texts.append(bpe.token_bytes(token).decode("utf-8", "replace"))
    return texts


def _first_difference(one: "tuple[Any, Any]", other: "tuple[Any, Any]") -> int | None:
    """The number of the first text whose ids differ, or None."""
    import numpy as np

    (ids, lengths), (expected, wanted) = one, other
    if len(lengths) != len(wanted):
        return 0
    if np.array_equal(lengths, wanted) and np.array_equal(ids, expected):
        return None
    ends, due = np.cumsum(lengths), np.cumsum(wanted)
    for place in range(len(wanted)):
        mine, theirs = slice(ends[place] - lengths[place], ends[place]), slice(due[place] - wanted[place], due[place])
        if not np.array_equal(ids[mine], expected[theirs]):
            return place
    return 0
