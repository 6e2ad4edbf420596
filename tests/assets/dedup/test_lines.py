from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pyarrow as pa
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from assets import engine
from assets.dedup.cut import COUNTS, cut_lines, cut_table
from assets.dedup.repeated import count_repeated
from assets.recipe.data import Lines
from tests.world import at_once

A, B, C, D = (" ".join(f"{letter}{n}" for n in range(12)) for letter in "abcd")
SHORT = ["Home", "News and views", "About us", "Log in", "Search", "Read more"]


def marked(texts: list[str], config: Lines) -> list[list[bool]]:
    """The definition, word by word: which lines of each text have n-grams enough of earlier lines."""
    seen: set[tuple[str, ...]] = set()
    marks: dict[int, list[bool]] = {}
    numbers = range(len(texts))
    for number in reversed(numbers) if config.newest_first else numbers:
        before: list[str] = []
        marks[number] = []
        for line in texts[number].split("\n"):
            own = line.split()
            words = own if len(own) >= config.ngram else before[-(config.ngram - 1) :] * (config.ngram > 1) + own
            ngrams = [tuple(words[i : i + config.ngram]) for i in range(len(words) - config.ngram + 1)]
            known = sum(ngram in seen for ngram in ngrams)
            marks[number].append(bool(ngrams) and known >= config.line_share * len(ngrams))
            seen.update(ngrams)
            before += own
    return [marks[number] for number in numbers]


def remainder(text: str, duplicate: list[bool], config: Lines) -> str | None:
    """What stays of a text, None for nothing, given which of its lines have been seen."""
    lines = text.split("\n")
    if not any(duplicate):
        return text
    words = [len(line.split()) for line in lines]
    for start in range(len(lines)):
        for stop in range(start + 1, len(lines) + 1):
            fenced = (start == 0 or duplicate[start - 1]) and (stop == len(lines) or duplicate[stop])
            if fenced and not any(duplicate[start:stop]) and sum(words[start:stop]) <= config.stub:
                duplicate = [d or start <= i < stop for i, d in enumerate(duplicate)]
    new = [i for i in range(len(lines)) if words[i] and not duplicate[i]]
    if not new:
        return None
    first = new[0] if any(duplicate[: new[0]]) else 0
    last = new[-1] + 1 if any(duplicate[new[-1] :]) else len(lines)
    repeated = sum(words[i] for i in range(first, last) if duplicate[i])
    return None if repeated >= config.document_share * sum(words[first:last]) else "\n".join(lines[first:last])


def expected(texts: list[str], config: Lines) -> list[str | None]:
    return [remainder(t, d, config) for t, d in zip(texts, marked(texts, config), strict=True)]


def table(texts: list[str]) -> pa.Table:
    return pa.table({"id": [f"{n}" for n in range(len(texts))], "text": pa.array(texts, pa.large_string())})


def cut(texts: list[str], config: Lines, rows: int = 1000) -> list[str | None]:
    whole = table(texts)
    parts = [whole.slice(start, rows) for start in range(0, len(texts), rows)]
    with TemporaryDirectory() as folder:
        repeated = count_repeated(parts, config, Path(folder) / "lines")
        assert not list(Path(folder).iterdir())
    left: dict[str, str] = {}
    counts = dict.fromkeys(COUNTS, 0)
    for start, part in zip(range(0, len(texts), rows), parts, strict=True):
        found = cut_lines(part, repeated.of(start, start + part.num_rows), config)
        left |= dict(zip(found.kept["id"].to_pylist(), found.kept["text"].to_pylist(), strict=True))
        for row in found.trimmed.to_pylist():
            lines = texts[int(row["id"])].split("\n")
            assert row["lines"] == len(lines)
            assert left[row["id"]] == "\n".join(lines[row["first"] : row["last"]])
        for name, count in found.counts.items():
            counts[name] += count
    if rows >= len(texts):
        assert cut_table(whole, config).kept["id"].to_pylist() == list(left)
    result = [left.get(f"{n}") for n in range(len(texts))]
    trimmed = [(old, new) for old, new in zip(texts, result, strict=True) if new not in (None, old)]
    lost = sum(old.count("\n") - new.count("\n") for old, new in trimmed if new is not None)
    assert list(counts.values()) == [result.count(None), len(trimmed), lost]
    return result


words = st.text(st.sampled_from("ab \t\u00a0\u2003ä\U0001f600"), min_size=1, max_size=6)
texts = st.lists(
    st.lists(words | st.sampled_from(["\n", "\n", "\na a b b a\n", " "]), max_size=14).map("".join), max_size=6
)
configs = st.builds(
    Lines,
    ngram=st.integers(1, 5),
    line_share=st.sampled_from([0.01, 0.5, 0.7, 1.0]),
    stub=st.sampled_from([0, 1, 3, 20]),
    document_share=st.sampled_from([0.1, 0.5, 1.0]),
    newest_first=st.booleans(),
)


@settings(deadline=None, max_examples=300)
@given(texts=texts | st.lists(st.text(), max_size=4), config=configs, rows=st.integers(1, 4))
def test_what_stays_is_what_the_definition_says(texts: list[str], config: Lines, rows: int) -> None:
    stays = expected(texts, config)
    event(f"documents go: {None in stays}")
    event(f"documents are trimmed: {any(a not in (None, b) for a, b in zip(stays, texts, strict=True))}")
    # Hundreds of small cases, so without the engine; the real pages below go through it.
    with mock.patch.object(engine, "map_rows", at_once):
        assert cut(texts, config, rows) == stays


def test_repeated_lines_are_trimmed_at_both_ends() -> None:
    assert cut([A, f"{A}\n\n{B}\n  {C}\n{A}", f"{D}\n"], Lines()) == [
        A,
        f"{B}\n  {C}",
        f"{D}\n",
    ]


def test_white_space_and_lines_within_a_document_stay() -> None:
    text = f"\n  {B.replace(' ', '   ')}\n\n{A}\n\t{C}\n\n"
    assert cut([A, text], Lines()) == [A, text]


def test_a_document_that_is_half_repeated_goes() -> None:
    new = D.replace("d", "e")
    assert cut([A, B, f"{C}\n{A}\n{B}\n{D}"], Lines()) == [A, B, None]
    assert cut([A, B, f"{C}\n{A}\n{D}"], Lines()) == [A, B, f"{C}\n{A}\n{D}"]
    assert cut([f"{A}\n{B}", f"{B}\n{A}", new], Lines()) == [f"{A}\n{B}", None, new]


def test_the_newest_copy_stays_where_asked() -> None:
    texts = [f"{A}\n{B}", f"{A}\n{C}", f"{A}\n{D}"]
    assert cut(texts, Lines()) == [f"{A}\n{B}", C, D]
    assert cut(texts, Lines(newest_first=True)) == [B, C, f"{A}\n{D}"]


def test_a_list_of_short_lines_is_told_from_its_parts() -> None:
    menu = "\n".join(SHORT)
    texts = [f"{menu}\n{A}", f"{B}\n{menu}\n", f"{menu}\n{C}"]
    # Which of the first four words of a document were seen before, no 5-gram tells.
    assert cut(texts, Lines()) == [texts[0], f"{B}\nHome\nNews and views", texts[2]]
    assert cut(texts, Lines(stub=4)) == [texts[0], f"{B}\nHome\nNews and views", C]
    verse = "\n".join(reversed(SHORT))
    assert cut([menu, verse], Lines()) == [menu, verse]


def test_stubs_go_with_the_duplicates_around_them() -> None:
    text = f"{B} {C}\n{A}\nShare this\n\n{A}\n\nContact"
    assert cut([A, text], Lines()) == [A, text]
    assert cut([A, text], Lines(stub=1)) == [A, text.removesuffix(f"\n{A}\n\nContact").removesuffix("\n")]
    assert cut([A, text], Lines(stub=2)) == [A, f"{B} {C}"]
    assert cut([A, text], Lines(stub=24)) == [A, None]


def test_a_line_that_repeats_itself_is_no_duplicate() -> None:
    line = "la " * 30
    assert cut([line, f"{A}\n{line}"], Lines()) == [line, A]


@pytest.mark.parametrize("newest_first", [False, True])
def test_parts_and_workers_do_not_change_what_stays(
    help_pages: list[str], newest_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # English pages, and Finnish ones that are in part the English ones.
    pages, config = help_pages[:700], Lines(newest_first=newest_first)
    whole = cut(pages, config)
    assert whole == expected(pages, config)
    assert None in whole
    assert any(new not in (None, old) for old, new in zip(pages, whole, strict=True))
    monkeypatch.setattr(engine, "SLICE_BYTES", 50_000)
    assert cut(pages, config, rows=211) == whole


def test_pairs_have_no_lines(make_world) -> None:
    with pytest.raises(ValueError, match="lines belongs to documents"):
        make_world({"pairs": {"lines": {}}})
