import itertools
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.shards.indexed import MAGIC, ShardError, ShardWriter, read_shard


def write(folder, documents, vocab_size=1_000):
    prefix = folder / "part-00000"
    writer = ShardWriter(prefix, vocab_size)
    for document in documents:
        writer.append(np.asarray(document, np.int64), np.array([len(document)]))
    writer.close()
    return prefix


def test_the_layout_is_megatrons_to_the_byte(tmp_path):
    prefix = write(tmp_path, [[5, 6, 2], [7, 2]])
    assert prefix.with_suffix(".bin").read_bytes() == struct.pack("<5H", 5, 6, 2, 7, 2)
    expected = MAGIC + struct.pack("<QBQQ", 1, 8, 2, 3) + struct.pack("<2i", 3, 2) + struct.pack("<2q", 0, 6)
    assert prefix.with_suffix(".idx").read_bytes() == expected + struct.pack("<3q", 0, 1, 2)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 99_999), min_size=1, max_size=30), min_size=1, max_size=20),
    st.sampled_from([100_000, 65_499]),
)
def test_what_was_written_is_read_by_us_and_by_megatron(tmp_path_factory, documents, vocab_size):
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    documents = [[i % vocab_size for i in document] for document in documents]
    prefix = write(tmp_path_factory.mktemp("shard"), documents, vocab_size)
    shard, theirs = read_shard(prefix), IndexedDataset(str(prefix))
    assert len(theirs) == len(documents)
    for number, document in enumerate(documents):
        assert shard.document(number).tolist() == document
        assert theirs[number].tolist() == document
    assert shard.tokens.dtype == (np.uint16 if vocab_size < 65_500 else np.int32)


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ([5, 1_000], r"part-00000\.bin, offset 6: document 1 holds the id 1000; allowed are 0 to 999"),
        ([-1], r"part-00000\.bin, offset 4: document 1 holds the id -1; allowed are 0 to 999"),
        ([], r"part-00000\.bin, offset 4: document 1 has 0 tokens; 1 to 2\^31 - 1 are allowed"),
    ],
)
def test_what_cannot_be_a_document_is_refused(tmp_path, document, found):
    with pytest.raises(ShardError, match=found):
        write(tmp_path, [[1, 2], document])


def test_documents_longer_than_the_format_allows_are_refused(tmp_path):
    writer = ShardWriter(tmp_path / "part-00000", 1_000)
    writer.append(np.array([7, 2]), np.array([2]))
    # As long as that, and yet one number in memory.
    long = np.broadcast_to(np.uint16(5), 2**31)
    with pytest.raises(
        ShardError, match=r"part-00000\.bin, offset 4: document 2 has 2147483648 tokens; 1 to 2\^31 - 1"
    ):
        writer.append(long, np.array([1, 2**31]))


def test_ids_and_lengths_have_to_agree(tmp_path):
    with pytest.raises(ShardError, match="3 ids for documents of 4 tokens"):
        ShardWriter(tmp_path / "part-00000", 1_000).append(np.array([1, 2, 3]), np.array([2, 2]))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.sets(st.integers(0, 30)))
def test_the_bytes_do_not_depend_on_how_many_documents_come_at_a_time(tmp_path_factory, lengths, cuts):
    folder = tmp_path_factory.mktemp("shard")
    ids, ends = np.arange(sum(lengths)) % 500, np.cumsum([0, *lengths])
    for name, places in (
        ("one", [0, len(lengths)]),
        ("many", sorted({0, len(lengths), *(c for c in cuts if c < len(lengths))})),
    ):
        writer = ShardWriter(folder / name, 500)
        for begin, end in itertools.pairwise(places):
            writer.append(ids[ends[begin] : ends[end]], np.array(lengths[begin:end]))
        writer.close()
    for suffix in (".bin", ".idx"):
        assert (folder / f"one{suffix}").read_bytes() == (folder / f"many{suffix}").read_bytes()


def cut_bin(prefix):
    path = prefix.with_suffix(".bin")
    path.write_bytes(path.read_bytes()[:-2])


def cut_idx(prefix):
    path = prefix.with_suffix(".idx")
    path.write_bytes(path.read_bytes()[:-8])


def spoil(offset, raw):
    def change(prefix):
        path = prefix.with_suffix(".idx")
        content = bytearray(path.read_bytes())
        content[offset : offset + len(raw)] = raw
        path.write_bytes(content)

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_bin, r"part-00000\.bin, offset 8: has 8 bytes; part-00000\.idx asks for 10"),
        (cut_idx, r"part-00000\.idx, offset 74: has 74 bytes; its header, 2 sequences, asks for 82"),
        (spoil(0, b"X"), "offset 0: found b'XMIDIDX"),
        (spoil(17, b"\x09"), "dtype code 9"),
        (spoil(26, b"\x09"), "offset 26: 9 document boundaries for 2 sequences; 3 are allowed"),
        (spoil(38, b"\x00"), "offset 38: sequence 1 has 0 tokens; at least 1"),
        (spoil(38, b"\x03"), r"part-00000\.bin, offset 10: has 10 bytes; part-00000\.idx asks for 12"),
        (spoil(50, b"\x08"), "offset 50: sequence 1 starts at byte 8"),
        (spoil(66, b"\x02"), "offset 66: document 1 begins at sequence 2"),
        (
            lambda prefix: prefix.with_suffix(".idx").write_bytes(MAGIC + b"\x01"),
            "offset 10: breaks off within its header",
        ),
    ],
)
def test_a_damaged_shard_is_refused_with_file_offset_and_reason(tmp_path, damage, message):
    prefix = write(tmp_path, [[5, 6, 2], [7, 2]])
    damage(prefix)
    with pytest.raises(ShardError, match=message):
        read_shard(prefix)
