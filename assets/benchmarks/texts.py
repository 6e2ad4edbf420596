"""Reads held-out texts: their lines, and their beginnings with what follows them."""

import re
from collections.abc import Iterator
from pathlib import Path

from assets.benchmarks.records import Item, identity, json_lines, string
from assets.recipe.evaluation import CharacterPerplexity, Continuation

CODE_LETTERS = 10
"""Of code, lines with fewer letters are not measured on (Luukkonen et al. 2024, section 3.1)."""
_SPACE = re.compile(r"\s")


def lines(config: CharacterPerplexity, path: Path) -> Iterator[tuple[str, Item]]:
    """JSONL with the field ``config.field``. An item is a line of its text that is not blank: ``{"text"}``.

    Lines are those of ``str.splitlines``. The id is that of the record, or where it has none its line in the file; and, where
    the text has several lines, the line's number in it.
    """
    for place, where, record in json_lines(path):
        text = string(record, config.field, where)
        of_record = text.splitlines()
        for number, line in enumerate(of_record, start=1):
            letters = sum(map(str.isalpha, line)) if config.language == "code" else CODE_LETTERS
            if line.strip() and letters >= CODE_LETTERS:
                id_ = identity(record, where) if "id" in record else str(place)
                yield where, (f"{id_}/{number}" if len(of_record) > 1 else id_, line, {"text": line})


def beginnings(config: Continuation, path: Path) -> Iterator[tuple[str, Item]]:
    """JSONL with ``id`` and ``text``. The item is ``{"prompt", "rest"}``: the beginning of the text, and what follows it.

    The beginning ends with the word that reaches ``config.prompt_characters``. Of texts whose rest is shorter than their
    beginning no item is made.
    """
    for _, where, record in json_lines(path):
        text = string(record, "text", where).lstrip()
        space = _SPACE.search(text, config.prompt_characters)
        if space is not None and len(text) - space.start() >= config.prompt_characters:
            item = {"prompt": text[: space.start()].rstrip(), "rest": text[space.start() :]}
            yield where, (identity(record, where), text, item)
