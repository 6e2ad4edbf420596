"""The gate of a tokenizer: round trip, bytes, special ids, size, fertility."""

from typing import TYPE_CHECKING, Any

from assets.gates.expectations import at_least, at_most, none
from assets.gates.gate import Gate, Profiled, Row
from assets.gates.parts import read_table
from assets.recipe.catalog import Catalog

if TYPE_CHECKING:
    import tokenizers
    from great_expectations.expectations import Expectation

HELD_OUT = "held_out.parquet"
"""The documents that are measured on: ``language``, ``document`` (its id), ``text``, all strings."""
MAX_FERTILITY = 4.0
HARD_TEXTS = (
    "Hello, y'all! How are you 😁 ?我想在apple工作1314151天～",
    "</s><|user|>\u0000\u00a0\u200b \t\r\n  ääkköset ÄÖÅ – “lainaus” … 3,14 %",
    "def f(x):\n\treturn x**2  # ½ ± ∑\n\n\n",
)


def bounds(catalog: Catalog, name: str) -> dict[str, Any]:
    config = catalog.tokenizers[name]
    return {
        "vocab_size": config.vocab_size,
        "fertility": {lang: config.max_fertility.get(lang, MAX_FERTILITY) for lang in sorted(config.sources)},
    }


def profile(version: Profiled) -> list[Row]:
    """One row: the tokenizer as it lies in the lake, measured on the held-out documents beside it and on hard texts."""
    from assets.tokenizer import bpe
    from assets.tokenizer.measure import measure

    config = version.catalog.tokenizers[version.manifest.partition]
    tokenizer = bpe.load(str(version.lake.local(version.manifest) / "tokenizer.json"))
    vocabulary = tokenizer.get_vocab()
    row: Row = {
        "missing_bytes": sum(symbol not in vocabulary for symbol in bpe.byte_symbols()),
        "wrong_special_ids": sum(vocabulary.get(token) != place for place, token in enumerate(bpe.SPECIAL_TOKENS)),
        "special_ids_from_text": _special_ids_from_text(tokenizer),
        "ids_beyond_vocabulary": sum(id_ >= config.vocab_size for id_ in vocabulary.values()),
        "vocab_size": len(vocabulary),
    }
    held_out = read_table(version.lake, version.manifest, HELD_OUT, ["language", "text"]).to_pylist()
    texts = {lang: [each["text"] for each in held_out if each["language"] == lang] for lang in sorted(config.sources)}
    failures = 0
    for language, samples in {**texts, "hard_texts": list(HARD_TEXTS)}.items():
        measured = measure(tokenizer, samples, language)
        failures += measured.texts - measured.round_trips
        if language in config.sources:
            row[f"fertility_{language}"] = measured.fertility if measured.words else None
            row[f"bytes_per_token_{language}"] = measured.bytes_per_token
    row["round_trip_failures"] = failures
    return [row]


def _special_ids_from_text(tokenizer: "tokenizers.Tokenizer") -> int:
    """How many of the special tokens' texts yield a special id when they stand in raw text, alone or among letters."""
    from assets.tokenizer import bpe

    special = set(range(len(bpe.SPECIAL_TOKENS)))
    return sum(
        any(special & set(tokenizer.encode(text, add_special_tokens=False).ids) for text in (t, f"a{t}b", f"a {t} b"))
        for t in bpe.SPECIAL_TOKENS
    )


def expectations(bounds: dict[str, Any]) -> "list[Expectation]":
    return [
        none("round_trip_failures", "decoding gives back exactly the text, on every language and on hard texts"),
        none("missing_bytes", "all 256 bytes are in the vocabulary"),
        none("wrong_special_ids", "the special tokens have the ids 0 to 23, in order"),
        none("special_ids_from_text", "raw text never yields a special token"),
        none("ids_beyond_vocabulary", "no id beyond the recipe's vocabulary"),
        at_most("vocab_size", bounds["vocab_size"], "at most the recipe's vocabulary"),
        at_least("vocab_size", bounds["vocab_size"], "no id fewer; a sample too small for so many gives fewer"),
        *(
            at_most(f"fertility_{language}", bound, f"tokens per word in {language}")
            for language, bound in bounds["fertility"].items()
        ),
    ]


GATE = Gate(
    code=("assets.tokenizer.gate", "assets.tokenizer.measure", "assets.tokenizer.bpe", "assets.gates.parts"),
    profile=profile,
    expectations=expectations,
    bounds=bounds,
    numbers=("vocab_size", "fertility_*"),
)
