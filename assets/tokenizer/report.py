"""The report of a tokenizer: what it makes of its languages, and what its vocabulary is made of."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from assets.tokenizer.bpe import SPECIAL_TOKENS, byte_symbols, token_bytes
from assets.tokenizer.measure import measure

if TYPE_CHECKING:
    import tokenizers

LONGEST = 20
UNUSED_EXAMPLES = 50

# The scripts of Unicode that most vocabularies know; the letters of any other are counted together.
SCRIPTS = (
    "Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Armenian", "Georgian", "Devanagari", "Bengali", "Gurmukhi", "Gujarati",
    "Tamil", "Telugu", "Kannada", "Malayalam", "Sinhala", "Thai", "Lao", "Tibetan", "Myanmar", "Khmer", "Ethiopic", "Han",
    "Hiragana", "Katakana", "Hangul",
)  # fmt: skip
SPECIAL, PARTS, MIXED, OTHER = "special tokens", "parts of characters", "several scripts", "other scripts"
DIGITS, SPACE, SYMBOLS = "digits", "white space", "punctuation and symbols"


def build(
    tokenizer: "tokenizers.Tokenizer",
    held_out: Mapping[str, Sequence[str]],
    benchmarks: Mapping[str, tuple[str, Sequence[str]]],
    sample: Iterable[str],
) -> dict[str, Any]:
    """The report as plain values.

    ``languages``: measures on held-out texts by language. ``benchmarks``: the same on the texts of a task, whose name is
    ``task``. ``vocabulary``: ids by script, the longest tokens with letters and without, and the tokens that ``sample``,
    texts of the training sample, does not use.
    """
    vocabulary = tokenizer.get_vocab()
    return {
        "languages": {lang: asdict(measure(tokenizer, texts, lang)) for lang, texts in held_out.items()},
        "benchmarks": {
            lang: {"task": task, **asdict(measure(tokenizer, texts, lang))}
            for lang, (task, texts) in benchmarks.items()
        },
        "vocabulary": {
            "size": tokenizer.get_vocab_size(),
            "scripts": by_script(vocabulary),
            "longest": longest(vocabulary, with_letters=True),
            "longest_without_letters": longest(vocabulary, with_letters=False),
            "unused": unused(tokenizer, sample),
        },
    }


def script(token: str) -> str:
    """The Unicode script of an ordinary token's letters; of a token without letters, what it is instead.

    A token whose bytes are no whole characters is ``parts of characters``.
    """
    try:
        text = token_bytes(token).decode()
    except UnicodeDecodeError:
        return PARTS
    scripts = {found for character in text if (found := _script_of(character)) is not None}
    if scripts:
        return scripts.pop() if len(scripts) == 1 else MIXED
    if text.isspace():
        return SPACE
    return DIGITS if any(character.isnumeric() for character in text) else SYMBOLS


@cache
def _script_of(character: str) -> str | None:
    """The script of a letter or mark; None for any other character, and for marks that go with every script."""
    found = _letters().match(character)
    return None if found is None else (found.lastgroup or OTHER)


@cache
def _letters() -> Any:
    import regex

    known = "|".join(rf"(?P<{name}>(?=[\p{{L}}\p{{M}}])\p{{Script={name}}})" for name in SCRIPTS)
    return regex.compile(rf"{known}|(?=[\p{{L}}\p{{M}}])[^\p{{Script=Common}}\p{{Script=Inherited}}]")


def by_script(vocabulary: Mapping[str, int]) -> dict[str, int]:
    """How many ids each script has, the most first."""
    special = set(SPECIAL_TOKENS)
    counts = Counter(SPECIAL if token in special else script(token) for token in vocabulary)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def longest(vocabulary: Mapping[str, int], *, with_letters: bool) -> list[dict[str, Any]]:
    """The ordinary tokens of the most bytes, among those that have letters or those that have none."""
    special = set(SPECIAL_TOKENS)
    without = {DIGITS, SPACE, SYMBOLS, PARTS}
    ordered = sorted(set(vocabulary) - special, key=lambda token: (-len(token), vocabulary[token]))
    chosen = (token for token in ordered if (script(token) not in without) == with_letters)
    return [
        {"token": readable(token), "id": vocabulary[token], "bytes": len(token)} for token in islice(chosen, LONGEST)
    ]


def unused(tokenizer: "tokenizers.Tokenizer", sample: Iterable[str]) -> dict[str, Any]:
    """The ordinary tokens that texts do not use: their number, their share, and the ones that were merged first."""
    import numpy as np

    size = tokenizer.get_vocab_size()
    counts = np.zeros(size, np.int64)
    sample_bytes = tokens = 0
    for batch in _batches(sample):
        for encoded in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            counts += np.bincount(encoded.ids, minlength=size)
            tokens += len(encoded.ids)
        sample_bytes += sum(len(text.encode()) for text in batch)
    ids = np.flatnonzero(counts[len(SPECIAL_TOKENS) :] == 0) + len(SPECIAL_TOKENS)
    merged = [i for i in ids.tolist() if i >= len(SPECIAL_TOKENS) + len(byte_symbols())]
    tokens_of = {place: token for token, place in tokenizer.get_vocab().items()}
    examples = [{"token": readable(tokens_of[i]), "id": i} for i in merged[:UNUSED_EXAMPLES]]
    return {
        "tokens": len(ids),
        "share": len(ids) / max(size - len(SPECIAL_TOKENS), 1),
        "sample_bytes": sample_bytes,
        "sample_tokens": tokens,
        "examples": examples,
    }


def _batches(texts: Iterable[str], size: int = 256) -> Iterable[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def readable(token: str) -> str:
    """What a token stands for, as a person can read it: white space as symbols, bytes that are no characters as ``\\xNN``,
    a run of eight equal characters and more as one of them with its length.
    """
    text = token_bytes(token).decode(errors="backslashreplace")
    for character, symbol in ((" ", "␣"), ("\n", "⏎"), ("\t", "⇥"), ("\r", "␍")):
        text = text.replace(character, symbol)
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return re.sub(r"(.)\1{7,}", lambda run: f"{run[1]}×{len(run[0])}", shown)
