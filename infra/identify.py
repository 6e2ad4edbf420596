"""How well the language identifiers know a language, by the length of the text: where bounds and shortest lines come from.

    python -m infra.identify LANGUAGE FILE... [--field NAME]

FILE is JSON Lines, ``.gz`` as well, whose field NAME (the language's code where left out) is text that is surely in the
language, such as one side of translation pairs. Printed is, by length in characters, how many texts there are, and the share
that py3langid says the language of, then whichever other language it says most often; the same of those it is sure of
(probability 0.7, which cleaning asks for); and the same of pycld2, which says nothing of some.
"""

import argparse
import gzip
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from assets.cleaning.languages import detect
from assets.corpora.language import identify, is_known

LENGTHS = (1, 15, 25, 40, 80, 200)
SURE = 0.7


def texts_of(file: Path, field: str) -> Iterator[str]:
    """The texts of a file, see the module."""
    raw = file.read_bytes()
    content = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode("utf-8")
    for number, line in enumerate(content.splitlines(), start=1):
        text = json.loads(line).get(field)
        if not isinstance(text, str):
            raise SystemExit(f"{file}, line {number}: there is no text under {field!r}; --field names another field.")
        if text.strip():
            yield text


def table(texts: Sequence[str], language: str) -> list[str]:
    """The lines that are printed."""
    first = [(found, probability >= SURE) for found, probability in identify(texts, language)]
    second = [(found, sure) for found, _, sure in map(detect, texts)]
    rows: list[tuple[str, ...]] = [("characters", "texts", "py3langid", "sure", "pycld2", "sure")]
    for low, high in zip(LENGTHS, (*LENGTHS[1:], None), strict=True):
        places = [i for i, text in enumerate(texts) if low <= len(text) and (high is None or len(text) < high)]
        if places:
            judged = [found for said in (first, second) for found in _judged([said[i] for i in places], language)]
            rows.append((f"{low}-{high - 1}" if high else f"{low}-", str(len(places)), *judged))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _judged(said: list[tuple[str, bool]], language: str) -> tuple[str, str]:
    return _share([found for found, _ in said], len(said), language), _share(
        [found for found, sure in said if sure], len(said), language
    )


def _share(found: list[str], texts: int, language: str) -> str:
    counts = Counter(each for each in found if each != "un")
    own = f"{counts.pop(language, 0) / texts:.1%}"
    if not counts:
        return own
    other, number = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return f"{own} ({other} {number / texts:.1%})"


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description="How well the language identifiers know a language.")
    parser.add_argument("language", help="its code (ISO 639-1), as in recipes")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--field", help="of a record: the text; the language's code where left out")
    options = parser.parse_args()
    if not is_known(options.language):
        print(f"py3langid does not know {options.language}; the gates take its word for nothing.")
    texts = [text for file in options.files for text in texts_of(file, options.field or options.language)]
    print("\n".join(table(texts, options.language)))


if __name__ == "__main__":
    main()
