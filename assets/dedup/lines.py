"""Duplicate lines in Onion's sense: lines whose n-grams of words stood in earlier lines of the source.

Onion (Pomikálek 2011, Removing Boilerplate and Duplicate Content from Web Corpora; onion.c) marks lines, and FinGPT (Luukkonen
et al. 2023, section 3) trims and drops documents by the marks (spyysalo/onion-tools, filter_onion.py). Here it is done on
vectors, and white space is kept. What counts:

- The n-grams of a line are the runs of ``ngram`` words in it. A shorter line has those that end in it, which begin in
  the lines before it in its document: a list of short lines is told from its parts.
- A line is a duplicate when at least ``line_share`` of its n-grams are n-grams of an earlier line of the source.
- Lines with at most ``stub`` words in all, between two duplicates or between one and an end of the document, are
  duplicates too (Onion's smoothing); blank lines always.
- Duplicates at the start and at the end of a document are trimmed. The document goes when nothing is left, or when
  duplicates have at least ``document_share`` of the words of the rest.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from assets.recipe.data import Lines
from assets.words import TextBytes, Words, ngram_hashes

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


@dataclass(frozen=True)
class Split:
    """The lines of ``texts``: text t has the lines ``bounds[t]`` to ``bounds[t + 1]``; line i begins at the byte
    ``starts[i]``, and has the words ``words[i]`` to ``words[i + 1]``. All int64.
    """

    texts: TextBytes
    bounds: "np.ndarray"
    starts: "np.ndarray"
    words: "np.ndarray"

    @classmethod
    def of(cls, words: Words) -> "Split":
        """Split at line feeds: a text has one line more than it has of those."""
        import numpy as np

        texts = words.texts
        feeds = np.flatnonzero(texts.data == ord("\n"))
        bounds = np.searchsorted(feeds, texts.bounds) + np.arange(len(texts.bounds))
        starts = np.sort(np.concatenate([texts.bounds[:-1], feeds + 1]))
        return cls(texts, bounds, starts, np.searchsorted(words.starts, np.append(starts, len(texts.data))))

    def ends(self) -> "np.ndarray":
        """The byte after each line, its line feed left out: int64 [lines]."""
        import numpy as np

        ends = np.append(self.starts[1:], 0) - 1
        # The last line of a text, and it may be empty, has no line feed.
        ends[self.bounds[1:] - 1] = self.texts.bounds[1:]
        return ends


def first_ngrams(words: Words, split: Split, size: int) -> "np.ndarray":
    """The first n-gram of each line, which has those up to its last word; an n-gram is named by its last word. int64 [lines],
    the word after the line where it has none.
    """
    import numpy as np

    begins, ends = split.words[:-1], split.words[1:]
    text_begins = np.repeat(words.bounds[:-1], np.diff(split.bounds))
    first = np.where(ends - begins >= size, begins, text_begins) + size - 1
    return np.clip(first, begins, ends)


def hashed_schema() -> "pa.Schema":
    """``ngrams``: the hashes of the n-grams of a document's lines, in order; ``counts``: how many each line has."""
    import pyarrow as pa

    return pa.schema([("ngrams", pa.large_list(pa.uint64())), ("counts", pa.large_list(pa.uint32()))])


def hashed(rows: "pa.Table", config: Lines) -> "pa.Table":
    """The n-grams of documents, given with ``text``; a row for each, by ``hashed_schema``."""
    import numpy as np
    import pyarrow as pa

    words = Words.of(TextBytes.of_column(rows["text"]))
    split = Split.of(words)
    first = first_ngrams(words, split, config.ngram)
    counts = split.words[1:] - first
    last_words = np.flatnonzero(np.arange(len(words.starts)) >= np.repeat(first, np.diff(split.words)))
    ngrams = ngram_hashes(words.hashes, config.ngram)[last_words - (config.ngram - 1)]
    columns = [
        pa.LargeListArray.from_arrays(_sums(counts)[split.bounds], pa.array(ngrams)),
        pa.LargeListArray.from_arrays(split.bounds, pa.array(counts.astype(np.uint32))),
    ]
    return pa.Table.from_arrays(columns, schema=hashed_schema())


def judged_schema() -> "pa.Schema":
    """``lines``, of which ``first`` to ``last`` (not with it) stay, the bytes ``begin`` to ``end`` of the text; ``removed``:
    whether the document goes; ``share`` of its words that stand in duplicate lines.
    """
    import pyarrow as pa

    places = [(name, pa.int64()) for name in ("lines", "first", "last", "begin", "end")]
    return pa.schema([*places, ("removed", pa.bool_()), ("share", pa.float64())])


def judged(rows: "pa.Table", config: Lines) -> "pa.Table":
    """What stays of documents, given with ``text`` and ``seen``: for each of their lines the n-grams that an earlier line
    of the source has. A row for each, by ``judged_schema``.
    """
    import numpy as np
    import pyarrow as pa

    words = Words.of(TextBytes.of_column(rows["text"]))
    split = Split.of(words)
    counts = split.words[1:] - first_ngrams(words, split, config.ngram)
    seen = np.asarray(rows["seen"].combine_chunks().flatten()).astype(np.int64)
    duplicate = (counts > 0) & (seen >= config.line_share * counts)
    touched = np.logical_or.reduceat(duplicate, split.bounds[:-1])
    lengths = np.diff(split.words)
    duplicate |= _stubs(duplicate, lengths, split, config.stub) & np.repeat(touched, np.diff(split.bounds))

    stays = np.flatnonzero(~duplicate & (lengths > 0))
    places = np.searchsorted(stays, split.bounds)
    left = np.diff(places) > 0
    first, last = split.bounds[:-1].copy(), split.bounds[1:].copy()
    duplicates = _sums(duplicate)
    # White space at an end stays where nothing is trimmed there.
    first_new, last_new = stays[places[:-1][left]], stays[places[1:][left] - 1] + 1
    first[left] = np.where(duplicates[first_new] > duplicates[first[left]], first_new, first[left])
    last[left] = np.where(duplicates[last[left]] > duplicates[last_new], last_new, last[left])
    words_of, repeated = _sums(lengths), _sums(lengths * duplicate)
    of_rest = repeated[last] - repeated[first] >= config.document_share * (words_of[last] - words_of[first])
    removed = touched & (~left | of_rest)
    share = np.diff(repeated[split.bounds]) / np.maximum(np.diff(words_of[split.bounds]), 1)

    zero = split.texts.bounds[:-1]
    begin, end = split.starts[first] - zero, split.ends()[last - 1] - zero
    columns = [np.diff(split.bounds), first - split.bounds[:-1], last - split.bounds[:-1], begin, end, removed, share]
    return pa.Table.from_arrays([pa.array(column) for column in columns], schema=judged_schema())


def _stubs(duplicate: "np.ndarray", lengths: "np.ndarray", split: Split, most: int) -> "np.ndarray":
    """Which lines are in a run of lines that are no duplicates, with ``most`` words or fewer: bool [lines]."""
    import numpy as np

    begins = np.append(True, duplicate[1:] != duplicate[:-1])
    begins[split.bounds[:-1]] = True
    runs = np.flatnonzero(begins)
    short = ~duplicate[runs] & (np.add.reduceat(lengths, runs) <= most)
    return np.repeat(short, np.diff(runs, append=len(duplicate)))


def _sums(values: "np.ndarray") -> "np.ndarray":
    """The sums of the first 0, 1, 2, ... values: int64 [values + 1]."""
    import numpy as np

    return np.append(0, np.cumsum(values))
