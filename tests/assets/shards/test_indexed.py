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
        writer.append(document)
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


@pytest.mark.parametrize(("document", "found"), [([1_000], "1000 to 1000"), ([-1], "-1 to -1"), ([], "0 tokens")])
def test_what_cannot_be_a_document_is_refused(tmp_path, document, found):
    with pytest.raises(ShardError, match=found):
        write(tmp_path, [[1, 2], document])


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
        (cut_bin, r"part-00000\.bin: has 8 bytes; part-00000\.idx asks for 10"),
        (cut_idx, r"part-00000\.idx: has 74 bytes; its header, 2 sequences, asks for 82"),
        (spoil(0, b"X"), "offset 0: found b'XMIDIDX"),
        (spoil(17, b"\x09"), "dtype code 9"),
        (spoil(50, b"\x08"), "sequence 1 starts at byte 8"),
    ],
)
def test_a_damaged_shard_is_refused_with_file_offset_and_reason(tmp_path, damage, message):
    prefix = write(tmp_path, [[5, 6, 2], [7, 2]])
    damage(prefix)
    with pytest.raises(ShardError, match=message):
        read_shard(prefix)
