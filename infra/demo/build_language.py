#!/usr/bin/env python3
"""Build the demo corpora of a further language from Debian packages: LibreOffice's help and gettext catalogues.

    python infra/demo/build_language.py et --out infra/demo/corpora [--packages DIR]

The language needs function words (``assets.cleaning.function_words``) and a package libreoffice-help-LANGUAGE. Needs a
Debian 12 system with apt-get and dpkg-deb, and the Finnish and English corpora of ``build.py`` in ``--out``: a page that is
held out there is held out here, so that the English side of no held-out page is trained on. The same packages give the same
bytes.
"""

from __future__ import annotations

import argparse
import re
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import build
from corpus_extract import aligned_pairs, collapse
from corpus_split import Row, read_rows, stable_hash, within, write_rows

from assets.cleaning.function_words import FUNCTION_WORDS

CATALOGUES = {"coreutils": "GPL-3.0-or-later", "wget": "GPL-3.0-or-later"}
"""Packages whose messages are sentences, by the licence of the translations."""
# Keeps a language below 1 MB compressed.
CHARS = 1_200_000
PAIRS = 4_000
HELD_OUT_PAIRS = 200
HELD_OUT_FILES = ("heldout_fi", "heldout_en")
# Of a held-out page's characters at most so many are in lines that read as English.
ENGLISH_SHARE = 0.1
MESSAGE_WORDS = 4

_WORD = re.compile(r"[^\W\d_]+")
_MAGIC = {b"\xde\x12\x04\x95": "<", b"\x95\x04\x12\xde": ">"}


def reader(language: str) -> Callable[[str], str]:
    """What tells the language of a text: ``language``, "en", or "" where function words and letters give no majority."""
    own, english = (frozenset(FUNCTION_WORDS[each].split()) for each in (language, "en"))

    def read(text: str) -> str:
        counts = Counter(word.lower() for word in _WORD.findall(text))
        mine = sum(number for word, number in counts.items() if word in own - english or not word.isascii())
        theirs = sum(counts[word] for word in english - own)
        return "" if mine == theirs else language if mine > theirs else "en"

    return read


def is_own(text: str, language: str) -> bool:
    """Whether a text reads as its language, with a tenth of English lines at most."""
    read, lines = reader(language), text.split("\n")
    english = sum(len(line) for line in lines if read(line) == "en")
    return read(text) == language and english <= ENGLISH_SHARE * max(1, sum(map(len, lines)))


def messages(catalogue: bytes) -> Iterator[tuple[str, str]]:
    """(message, translation) of a .mo file; of plurals the singular, without contexts and the header.

    Format: GNU gettext's manual, section 10.3. Raises ValueError for what is no such file.
    """
    order = _MAGIC.get(catalogue[:4])
    if order is None:
        raise ValueError("A catalogue does not begin as a .mo file does.")
    _, count, sources, targets = struct.unpack_from(f"{order}4I", catalogue, 4)

    def string(table: int, number: int) -> bytes:
        length, start = struct.unpack_from(f"{order}2I", catalogue, table + 8 * number)
        return catalogue[start : start + length].split(b"\0")[0]

    header = string(targets, 0).decode("ascii", "replace")  # the translation of the empty message, which is the first
    charset = found[1] if (found := re.search(r"charset=([\w-]+)", header)) else "utf-8"
    for number in range(count):
        message = string(sources, number).rpartition(b"\x04")[2]
        if message:
            yield message.decode("utf-8"), string(targets, number).decode(charset)


def catalogue_pairs(package: build.Package, language: str) -> list[Row]:
    """The translated messages of a package that have some words, as pairs."""
    rows = []
    for path in sorted(package.root.glob(f"usr/share/locale/{language}/LC_MESSAGES/*.mo")):
        for message, translation in messages(path.read_bytes()):
            english, other = collapse(message), collapse(translation)
            if english != other and min(len(_WORD.findall(side)) for side in (english, other)) >= MESSAGE_WORDS:
                identifier = f"{package.name}/{path.stem}#{stable_hash(english)[:12]}"
                rows.append({"id": identifier, "en": english, language: other, "license": CATALOGUES[package.name]})
    return rows


def unrepeated(pairs: Iterable[Row], language: str) -> list[Row]:
    """Pairs without repeats of the same two texts, and of ids; the one with the smallest id stays."""
    kept: dict[tuple[str, str], Row] = {}
    for row in sorted(pairs, key=lambda row: str(row["id"])):
        kept.setdefault((row["en"], row[language]), row)
    return list({row["id"]: row for row in reversed(kept.values())}.values())


def chosen_pairs(candidates: list[Row], trained: set[str], language: str) -> list[Row]:
    """Pairs for evaluation: 5 to 30 words a side, each side in its language, neither among the ``trained`` texts."""
    read = reader(language)
    suitable = [
        row
        for row in candidates
        if all(5 <= len(row[side].split()) <= 30 and read(row[side]) == side for side in ("en", language))
        and not {row["en"], row[language]} & trained
    ]
    return sorted(suitable, key=lambda row: stable_hash(row["id"]))[:HELD_OUT_PAIRS]


def corpora(packages: dict[str, build.Package], language: str, demo: Path) -> dict[str, list[Row]]:
    """Every file's rows by the file's name; ``demo`` holds the corpora of ``build.py``."""
    held_out = {
        build.page_of(row)
        for name in HELD_OUT_FILES
        for row in read_rows(demo / f"{name}.jsonl.gz")
        if row["id"].startswith("libreoffice-help-")
    }
    package = packages[f"libreoffice-help-{language}"]
    pages = build.libreoffice_pages(package, language)
    english = build.libreoffice_pages(packages["libreoffice-help-en-us"], "en-US")
    meta = {"package": package.name, "version": package.version}
    documents, held = build.split(
        [
            {
                "id": f"libreoffice-help-{language}/{path}",
                "text": page.text,
                "url": f"debian:{package.name}/text/{path}",
                "license": "MPL-2.0",
                "meta": {"title": page.title, **meta},
            }
            for path, page in pages.items()
            if page.text
        ],
        held_out,
    )
    aligned = [
        {"id": f"libreoffice-pairs-{language}/{path}#{element}", "en": source, language: target, "license": "MPL-2.0"}
        for path in sorted(english.keys() & pages.keys())
        for element, source, target in aligned_pairs(english[path], pages[path])
    ]
    pairs, held_pairs = (unrepeated(rows, language) for rows in build.split(aligned, held_out))
    pairs = sorted(pairs, key=lambda row: stable_hash(row["id"]))[:PAIRS]
    documents = within(documents, CHARS)
    in_english = read_rows(demo / "libreoffice_help_en.jsonl.gz")
    trained = {line for row in documents + in_english for line in row["text"].split("\n")}
    trained |= {row[side] for row in pairs for side in ("en", language)}
    catalogues = [row for name in CATALOGUES for row in catalogue_pairs(packages[name], language)]
    return {
        f"libreoffice_help_{language}": documents,
        f"libreoffice_pairs_{language}": pairs,
        f"gettext_pairs_{language}": unrepeated(catalogues, language),
        f"heldout_{language}": [row for row in held if is_own(row["text"], language)],
        f"heldout_pairs_{language}": chosen_pairs(held_pairs, trained, language),
    }


def main(arguments: list[str] | None = None) -> int:
    """Build the files of a language and print a table of them."""
    parser = argparse.ArgumentParser(description="Build the demo corpora of a further language from Debian packages.")
    parser.add_argument("language", choices=sorted(set(FUNCTION_WORDS) - {"en", "fi"}), help="code of the language")
    parser.add_argument("--out", type=Path, required=True, help="folder of the demo corpora")
    parser.add_argument("--packages", type=Path, help="folder with the .deb files; without it apt-get downloads them")
    options = parser.parse_args(arguments)
    names = (f"libreoffice-help-{options.language}", "libreoffice-help-en-us", *CATALOGUES)
    try:
        with tempfile.TemporaryDirectory(prefix="tokka-demo-") as work:
            packages = build.unpack(options.packages, Path(work), names)
            made = corpora(packages, options.language, options.out)
    except (RuntimeError, ValueError, OSError) as error:
        print(f"The corpora of {options.language} were not built. {error}", file=sys.stderr)
        return 1
    print("| file | rows | MB of text | kB compressed |\n|---|---|---|---|")
    for name, rows in sorted(made.items()):
        size = write_rows(options.out / f"{name}.jsonl.gz", rows)
        text = sum(len((row.get("text") or row["en"] + row[options.language]).encode()) for row in rows)
        print(f"| {name} | {len(rows):,} | {text / 1e6:.2f} | {size / 1e3:,.0f} |")
    for package in packages.values():
        print(f"{package.name} {package.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
