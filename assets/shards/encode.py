"""From documents to token ids. Only the pair template places special ids; raw text never yields one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from assets.recipe.data import Source
from assets.recipe.tokens import PairTemplate
from assets.tokenizer.bpe import ASSISTANT, END_OF_DOCUMENT, USER

if TYPE_CHECKING:
    import pyarrow as pa
    import tokenizers

Encoded = tuple[str, str, list[int]]
"""Document id, rendering ("document", or of a pair "en-fi" and "fi-en"), token ids with the end-of-document id."""

BATCH = 1_000


def encode_documents(tokenizer: "tokenizers.Tokenizer", table: "pa.Table") -> Iterator[Encoded]:
    """Each document's text as ids, ended by ``</s>``."""
    for start in range(0, table.num_rows, BATCH):
        batch = table.slice(start, BATCH)
        encoded = tokenizer.encode_batch_fast(batch["text"].to_pylist(), add_special_tokens=False)
        for document_id, encoding in zip(batch["id"].to_pylist(), encoded, strict=True):
            yield document_id, "document", [*encoding.ids, END_OF_DOCUMENT]


def encode_pairs(
    tokenizer: "tokenizers.Tokenizer", table: "pa.Table", source: Source, template: PairTemplate
) -> Iterator[Encoded]:
    """Each pair as two documents, one per direction: ``<|user|>{instruction}{source} <|assistant|>{target}</s>``.

    Half of the documents are of each direction, as in Poro 34B (section 2).
    """
    first, second = str(source.pair_language), source.language
    for start in range(0, table.num_rows, BATCH):
        batch = table.slice(start, BATCH)
        sides = {first: batch["text"].to_pylist(), second: batch["translation"].to_pylist()}
        rendered = []
        for origin, target in ((first, second), (second, first)):
            prompts = [template.instructions[target] + text + template.separator for text in sides[origin]]
            prompt_ids = tokenizer.encode_batch_fast(prompts, add_special_tokens=False)
            answer_ids = tokenizer.encode_batch_fast(sides[target], add_special_tokens=False)
            rendered.append(
                (
                    f"{origin}-{target}",
                    [
                        [USER, *p.ids, ASSISTANT, *a.ids, END_OF_DOCUMENT]
                        for p, a in zip(prompt_ids, answer_ids, strict=True)
                    ],
                )
            )
        for number, document_id in enumerate(batch["id"].to_pylist()):
            for direction, ids in rendered:
                yield document_id, direction, ids[number]


def encode(
    tokenizer: "tokenizers.Tokenizer", table: "pa.Table", source: Source, template: PairTemplate
) -> Iterator[Encoded]:
    """The documents of a part as ids, in their order."""
    if source.is_pairs:
        return encode_pairs(tokenizer, table, source, template)
    return encode_documents(tokenizer, table)
