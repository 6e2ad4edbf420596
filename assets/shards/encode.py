"""From documents to token ids. Only the pair template places special ids; raw text never yields one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from assets.recipe.data import Source
from assets.recipe.tokens import PairTemplate
from assets.tokenizer import engines
from assets.tokenizer.bpe import ASSISTANT, END_OF_DOCUMENT, USER

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from assets.tokenizer.engines import Encoder

COLUMNS = ["id", "text", "translation"]
SLICE_BYTES = 8_000_000
"""Bytes of text that a thread encodes at a time. The more, the fewer pieces are looked up, since each is looked up once in a
slice."""
DOCUMENT = "document"
"""The rendering of a document that is no pair."""


@dataclass(frozen=True)
class Rendering:
    """How rows become documents of ids.

    ``names`` are the documents that a row becomes, in order: "document", or of a pair "en-fi" and "fi-en".
    """

    names: tuple[str, ...]
    prompts: tuple[tuple[str, str, str], ...] = ()
    """Of a pair's documents each: the instruction, the column of the text after it, and the column of the answer."""
    separator: str = ""

    @property
    def texts(self) -> int:
        """Texts per row."""
        return 2 * len(self.prompts) or 1


def rendering_of(source: Source, template: PairTemplate | None) -> Rendering:
    """A document is its text and ``</s>``. A pair is two documents, one per direction:
    ``<|user|>{instruction}{source} <|assistant|>{target}</s>``.

    Half of a pair's documents are of each direction, as in Poro 34B (section 2).
    """
    if not source.is_pairs:
        return Rendering((DOCUMENT,))
    assert template is not None
    first, second = str(source.pair_language), source.language
    return Rendering(
        (f"{first}-{second}", f"{second}-{first}"),
        (
            (template.instructions[second], "text", "translation"),
            (template.instructions[first], "translation", "text"),
        ),
        template.separator,
    )


def texts_of(rows: "pa.Table", rendering: Rendering) -> "pa.LargeStringArray":
    """The texts to encode, ``rendering.texts`` for each row, in the order of the documents that they become."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = {name: rows[name].combine_chunks().cast(pa.large_string()) for name in rows.column_names if name != "id"}
    if not rendering.prompts:
        return columns["text"]
    sides = []
    for instruction, origin, target in rendering.prompts:
        before, after = (pa.scalar(text, pa.large_string()) for text in (instruction, rendering.separator))
        none = pa.scalar("", pa.large_string())
        sides += [pc.binary_join_element_wise(before, columns[origin], after, none), columns[target]]
    # All first texts lie before all second ones: row r's text s is at s * rows + r.
    places = pa.array(_interleaved(rows.num_rows, len(sides)))
    return pa.concat_arrays(sides).take(places)


def _interleaved(rows: int, sides: int) -> "np.ndarray":
    import numpy as np

    return np.arange(rows * sides).reshape(sides, rows).T.ravel()


def encode(rows: "pa.Table", encoder: "Encoder", rendering: Rendering) -> "tuple[np.ndarray, np.ndarray]":
    """The ids of the documents that ``rows`` become, uint32 [tokens], one after the other, and their lengths, int64 [documents].

    Every document ends with ``</s>``.
    """
    import numpy as np

    ids, lengths = encoder(texts_of(rows, rendering))
    ends = np.cumsum(lengths)
    if not rendering.prompts:
        return inserted(ids, ends, np.full(len(ends), END_OF_DOCUMENT, np.uint32)), lengths + 1
    # <|user|> stands before the first text of a document, <|assistant|> between its two, </s> after both.
    begins = ends - lengths
    places = np.stack([begins[0::2], begins[1::2], ends[1::2]], axis=1).ravel()
    special = np.tile(np.array([USER, ASSISTANT, END_OF_DOCUMENT], np.uint32), len(lengths) // 2)
    return inserted(ids, places, special), lengths[0::2] + lengths[1::2] + 3


def inserted(ids: "np.ndarray", places: "np.ndarray", values: "np.ndarray") -> "np.ndarray":
    """``np.insert`` of uint32 at ascending places, by Arrow, which copies without Python's lock: what lies between places, and
    the values, are pieces of bytes that it puts in order.
    """
    import numpy as np
    import pyarrow as pa

    count = len(values)
    if not count:
        return ids

    def pieces(of: "np.ndarray", bounds: "np.ndarray") -> "pa.LargeBinaryArray":
        buffers = [None, pa.py_buffer(bounds * of.itemsize), pa.py_buffer(np.ascontiguousarray(of))]
        return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(bounds) - 1, buffers)

    between = pieces(ids, np.concatenate([np.zeros(1, np.int64), places, np.array([len(ids)])]))
    order = np.empty(2 * count + 1, np.int64)
    order[0::2], order[1::2] = np.arange(count + 1), np.arange(count + 1, 2 * count + 1)
    whole = pa.concat_arrays([between, pieces(values, np.arange(count + 1))]).take(pa.array(order))
    return np.frombuffer(whole.buffers()[2], np.uint32, len(ids) + count)


def encoded_schema() -> "pa.Schema":
    """What a row becomes: the ids of its documents, one after the other, and how many each has."""
    import pyarrow as pa

    return pa.schema([("ids", pa.large_list(pa.uint32())), ("lengths", pa.large_list(pa.int64()))])


def encode_slice(rows: "pa.Table", engine: str, tokenizer: str, rendering: Rendering) -> "pa.Table":
    """Encode a slice of documents with a named engine: a table of ``encoded_schema``, one row for each."""
    import numpy as np
    import pyarrow as pa

    ids, lengths = encode(rows, engines.load(engine, tokenizer), rendering)
    documents = len(rendering.names)
    ends = np.cumsum(lengths)[documents - 1 :: documents]
    columns = [
        pa.LargeListArray.from_arrays(np.append(0, ends), pa.array(ids)),
        pa.LargeListArray.from_arrays(np.arange(rows.num_rows + 1) * documents, pa.array(lengths)),
    ]
    return pa.Table.from_arrays(columns, schema=encoded_schema())


def encode_parts(
    parts: "Iterable[pa.Table]", engine: str, tokenizer: str, rendering: Rendering
) -> "Iterator[tuple[pa.ChunkedArray, np.ndarray, np.ndarray]]":
    """Of each slice of documents in turn their names, and ``encode``'s ids and lengths, on the data engine."""
    from assets.engine import map_parts

    function = partial(encode_slice, engine=engine, tokenizer=tokenizer, rendering=rendering)
    for rows, made in map_parts(parts, function, encoded_schema(), SLICE_BYTES):
        ids, lengths = (made[name].combine_chunks() for name in ("ids", "lengths"))
        yield rows["id"], ids.flatten().to_numpy(), lengths.flatten().to_numpy()
