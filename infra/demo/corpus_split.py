"""Choose what is held out for evaluation, by hash of id, and read and write the corpora's files."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from corpus_extract import words

Row = dict[str, Any]

WORD = re.compile(r"[^\W\d_]+")
FINNISH_WORDS = words(
    "ei eivät että esimerkiksi ettei ennen hän ja joka jolla jonka jos jossa jota jotka jälkeen kaikki kanssa kuin "
    "kuten kun käytetään mikä mukaan muita myös mutta ne niin niiden niitä näin nämä näitä olla ole oli olisi on "
    "ovat saa se sekä sen siihen siinä sillä sitä sitten tai tämä tämän tässä tätä tulee vai vain valitse varten "
    "voi voidaan voit vuoksi yksi yli"
)
ENGLISH_WORDS = words(
    "a all an and any are as at be been but by can do does for from has have if in into is it its more no not of on "
    "only or other same select should so such than that the then there these this to use used using was when where "
    "which will with you your"
)
# "on" is a verb in Finnish and a preposition in English; it tells nothing.
AMBIGUOUS_WORDS = FINNISH_WORDS & ENGLISH_WORDS
# Shorter lines (button names, keys, file names) repeat everywhere and do not make a page a copy.
OWN_LINE_CHARS = 25


def stable_hash(identifier: str) -> str:
    """SHA-256 of an id: an order that looks random and stays the same on every machine."""
    return hashlib.sha256(identifier.encode()).hexdigest()


def language_of(text: str) -> str:
    """'fi', 'en', or '' where function words and vowels give no majority."""
    counts = Counter(word.lower() for word in WORD.findall(text))
    finnish = sum(counts[word] for word in FINNISH_WORDS - AMBIGUOUS_WORDS)
    english = sum(counts[word] for word in ENGLISH_WORDS - AMBIGUOUS_WORDS)
    # Finnish drops most function words, and English help text has no ä or ö: words with them count as well.
    finnish += sum(number for word, number in counts.items() if "ä" in word or "ö" in word)
    if finnish == english:
        return ""
    return "fi" if finnish > english else "en"


def english_line_share(text: str) -> float:
    """Share of a text's characters in lines that read as English."""
    lines = text.split("\n")
    return sum(len(line) for line in lines if language_of(line) == "en") / max(1, sum(map(len, lines)))


def own_text_share(rows: Iterable[Row]) -> dict[str, float]:
    """Per id, the share of the text in lines that no other row has: low for pages assembled from shared parts."""
    rows = list(rows)
    seen = Counter(line for row in rows for line in set(row["text"].split("\n")))
    shares = {}
    for row in rows:
        lines = [line for line in row["text"].split("\n") if len(line) >= OWN_LINE_CHARS]
        shares[row["id"]] = sum(len(line) for line in lines if seen[line] == 1) / max(1, sum(map(len, lines)))
    return shares


def choose(
    rows: Iterable[Row],
    chars: int,
    *,
    shortest: int = 400,
    longest: int = 12_000,
    own_share: float = 0.7,
    finnish: bool = False,
) -> list[str]:
    """Ids of suitable rows, in hash order, until they hold `chars` characters; whole rows only.

    With `finnish`, a row also has to read as Finnish, with a tenth of English lines at most.
    """
    rows = list(rows)
    shares = own_text_share(rows)
    chosen: list[str] = []
    held = 0
    for row in sorted(rows, key=lambda row: stable_hash(row["id"])):
        text = row["text"]
        if held >= chars:
            break
        if not shortest <= len(text) <= longest or shares[row["id"]] < own_share:
            continue
        if finnish and (language_of(text) != "fi" or english_line_share(text) > 0.1):
            continue
        chosen.append(row["id"])
        held += len(text)
    return chosen


def within(rows: Iterable[Row], chars: int) -> list[Row]:
    """As many rows as fit into `chars` characters, taken in hash order."""
    kept: list[Row] = []
    for row in sorted(rows, key=lambda row: stable_hash(row["id"])):
        if len(row["text"]) <= chars:
            chars -= len(row["text"])
            kept.append(row)
    return kept


def first_of_each(pairs: Iterable[Row]) -> list[Row]:
    """Pairs without repeats of the same two texts; the one with the smallest id stays."""
    kept: dict[tuple[str, str], Row] = {}
    for row in sorted(pairs, key=lambda row: str(row["id"])):
        kept.setdefault((row["en"], row["fi"]), row)
    return list(kept.values())


def choose_pairs(candidates: Iterable[Row], trained: set[str], number: int) -> list[Row]:
    """Pairs for evaluation: 5 to 30 words a side, a real translation, neither side among the `trained` texts."""
    suitable = [
        row
        for row in first_of_each(candidates)
        if all(5 <= len(row[side].split()) <= 30 for side in ("en", "fi"))
        and language_of(row["fi"]) == "fi"
        and language_of(row["en"]) == "en"
        and not {row["en"], row["fi"]} & trained
    ]
    return sorted(suitable, key=lambda row: stable_hash(row["id"]))[:number]


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows, sorted by id, as gzip JSON Lines whose bytes depend on the rows alone; gives the file's size."""
    ordered = sorted(rows, key=lambda row: str(row["id"]))
    buffer = io.BytesIO()
    # No file name and no time in the header, so that a rebuild gives the same bytes.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as out:
        for row in ordered:
            out.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
    path.write_bytes(buffer.getvalue())
    return len(buffer.getvalue())


def read_rows(path: Path) -> list[Row]:
    """The rows of one gzip JSON Lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
