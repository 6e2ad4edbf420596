"""Make the file of letter trigrams that the cleaning step ``strange_words`` knows a language by.

    python -m infra.trigrams LANGUAGE FILE... [--out assets/cleaning/trigrams]

FILE is plain text, or JSON Lines with the text under ``text`` or under the language's code; ``.gz`` as well. A few
megabytes of text that is surely good and covers several subjects are enough. Lines in another language are left out. The
same files give the same bytes. The files in the repository are made from its demo corpora:

    python -m infra.trigrams fi infra/demo/corpora/{libreoffice_help,gnome_help,manpages,aptitude_doc}_fi.jsonl.gz \
        infra/demo/corpora/libreoffice_pairs.jsonl.gz
    python -m infra.trigrams en infra/demo/corpora/{libreoffice_help,gnome_help}_en.jsonl.gz
    python -m infra.trigrams et infra/demo/corpora/{libreoffice_help,gettext_pairs,libreoffice_pairs}_et.jsonl.gz
"""

import argparse
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pycld2

from assets.cleaning.strange_words import BORDER, FOLDER, LETTERS

WORDS = 2
"""Different words that a trigram is in, at least: one may be misspelt, or foreign."""
LETTER_WORDS = 20
"""Different words that a letter is in, at least."""
LINE = 25
"""Characters that a line has, at least, whose language is judged."""
_WORD = re.compile(r"[^\W\d_]+")


def texts_of(file: Path, language: str) -> list[str]:
    """The texts of a file, see the module."""
    raw = file.read_bytes()
    content = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode("utf-8")
    if ".jsonl" not in file.name:
        return [content]
    records = [json.loads(line) for line in content.splitlines() if line]
    return [str(record.get("text") or record.get(language) or "") for record in records]


def surely_other(line: str, language: str) -> bool:
    """Whether a line is long enough to say, and pycld2 sure, that it is in another language."""
    if len(line) < LINE:
        return False
    try:
        reliable, _, found = pycld2.detect(line.encode())
    except pycld2.error:  # characters that it does not take for text
        return False
    return reliable and found[0][1] != language


def words_of(texts: Iterable[str], language: str) -> set[str]:
    """The different words of texts in lower case, abbreviations in capitals left out."""
    lines = {line for text in texts for line in text.split("\n")}
    own = (line for line in lines if not surely_other(line, language))
    return {word.lower() for line in own for word in _WORD.findall(line) if not word.isupper()}


def letters_of(words: set[str]) -> set[str]:
    """The letters that a language is written with: those of most words, ``LETTERS`` at most."""
    counts = Counter(letter for word in words for letter in set(word) if letter.isalpha() and letter.islower())
    common = sorted(counts, key=lambda letter: (-counts[letter], letter))[:LETTERS]
    return {letter for letter in common if counts[letter] >= LETTER_WORDS}


def lines_of(words: set[str]) -> Iterator[str]:
    """The lines of a file of trigrams: two letters, and what follows them."""
    letters = letters_of(words)
    counts: Counter[str] = Counter()
    for word in words:
        if letters.issuperset(word):
            framed = f"{BORDER}{word}{BORDER}"
            counts.update({framed[place : place + 3] for place in range(len(word))})
    following: dict[str, list[str]] = {}
    for trigram in sorted(trigram for trigram, count in counts.items() if count >= WORDS):
        following.setdefault(trigram[:2], []).append(trigram[2])
    yield from (f"{pair} {''.join(thirds)}" for pair, thirds in following.items())


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the file of letter trigrams of a language.")
    parser.add_argument("language", help="ISO 639-1 code")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args()
    words = words_of((text for file in given.files for text in texts_of(file, given.language)), given.language)
    lines = list(lines_of(words))
    source = ", ".join(file.name for file in given.files)
    head = (
        f"# Letter trigrams of {given.language}: two letters, and those that follow them; _ is the border of a word.\n"
    )
    head += f"# infra/trigrams.py made them from {len(words)} words of {source}.\n"
    (given.out / f"{given.language}.txt").write_text(head + "\n".join(lines) + "\n", "utf-8")
    print(f"{given.out / given.language}.txt: {sum(len(line) - 3 for line in lines)} trigrams of {len(words)} words")


if __name__ == "__main__":
    main()
