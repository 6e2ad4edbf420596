"""Megatron-LM's own way from text to .bin and .idx: ``python -m infra.bench.megatron_way JSONL TOKENIZER PREFIX CORES``.

As its tools/preprocess_data.py does (core_r0.16): lines of JSON go to worker processes by ``imap`` in chunks of 32, a worker
reads the line, tokenizes its text and appends the id of the end of a document, and the parent adds each document to
Megatron-Core's IndexedDatasetBuilder. Tokenizing is a direct call of Hugging Face's ``tokenizers``, without the Python of
``transformers`` that Megatron-LM puts around it. Prints as JSON the seconds, and those of
processor time, that its imports took.
"""

import json
import multiprocessing
import sys
import time
from typing import Any

CHUNK = 32
KEY = "text"

Encoded = tuple[dict[str, list[int]], dict[str, list[int]], int]
"""By key the ids of a document and the lengths of its parts, and the characters that were read."""


class Encoder:
    """What a worker does; the tokenizer is loaded once in each."""

    tokenizer: Any = None

    def __init__(self, path: str, end_of_document: int) -> None:
        self.path = path
        self.end_of_document = end_of_document

    def initializer(self) -> None:
        """Load the tokenizer; a special token's text is ordinary text."""
        from tokenizers import Tokenizer

        Encoder.tokenizer = Tokenizer.from_file(self.path)
        Encoder.tokenizer.encode_special_tokens = True

    def encode(self, json_line: str) -> Encoded:
        """A line as a document of one part, ended by the id of the end of a document."""
        data = json.loads(json_line)
        ids = Encoder.tokenizer.encode(data[KEY], add_special_tokens=False).ids
        lengths = [len(ids)]
        ids.append(self.end_of_document)
        lengths[-1] += 1
        return {KEY: ids}, {KEY: lengths}, len(json_line)


def main(lines: str, tokenizer: str, prefix: str, cores: int, end_of_document: int = 2) -> None:
    started, used = time.monotonic(), time.process_time()
    from megatron.core.datasets.indexed_dataset import DType, IndexedDatasetBuilder
    from tokenizers import Tokenizer

    vocab_size = Tokenizer.from_file(tokenizer).get_vocab_size()
    imports = {"imports": time.monotonic() - started, "imports_cpu": time.process_time() - used}
    encoder = Encoder(tokenizer, end_of_document)
    builder = IndexedDatasetBuilder(f"{prefix}.bin", dtype=DType.optimal_dtype(vocab_size))
    with open(lines, encoding="utf-8") as stream, multiprocessing.Pool(cores, encoder.initializer) as pool:  # noqa: PTH123
        for document, lengths, _ in pool.imap(encoder.encode, stream, CHUNK):
            builder.add_document(document[KEY], lengths[KEY])
        # Workers that are idle end by themselves; terminating one while it takes a lock can wait for ever.
        pool.close()
        pool.join()
    builder.finalize(f"{prefix}.idx")
    print(json.dumps(imports))


if __name__ == "__main__":
    from infra.bench.measure import keep_to_cores

    keep_to_cores(int(sys.argv[4]))
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
