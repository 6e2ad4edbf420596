"""Measures of a tokenizer: fertility, bytes per token, round trip."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tokenizers

WORD = r"[[:alnum:]]+|[^[:space:]]"
"""What counts as a word: a run of letters and digits, or any other visible character (Poro 34B's fertility script)."""
CODE_LETTERS = 10
"""Lines of code with fewer letters are not measured on (Luukkonen et al. 2024, section 3.1)."""


@dataclass(frozen=True)
class Measures:
    """Measures over some texts. ``fertility``: tokens per word, summed over lines; ``bytes_per_token``: UTF-8 bytes.

    ``words`` are those of the lines; ``round_trips`` how many of the ``texts`` come back exactly.
    """

    fertility: float
    bytes_per_token: float
    words: int
    round_trips: int
    texts: int


def measure(tokenizer: "tokenizers.Tokenizer", texts: Sequence[str], language: str) -> Measures:
    """Measure a tokenizer on texts of a language; a text round-trips when decoding its ids gives exactly the text.

    Fertility is that of ``scripts/fertility/fertility.py`` in LumiOpen/lumiopen-tools: each line of ``str.splitlines`` is
    encoded by itself, without its end. Special tokens, which that script has some tokenizers add, are not counted.
    """
    import regex

    word = regex.compile(WORD)
    lines = [line for text in texts for line in text.splitlines()]
    if language == "code":
        lines = [line for line in lines if sum(map(str.isalpha, line)) >= CODE_LETTERS]
    tokens = sum(len(e.ids) for e in tokenizer.encode_batch_fast(lines, add_special_tokens=False))
    words = sum(len(word.findall(line)) for line in lines)
    encoded = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    decoded = tokenizer.decode_batch([e.ids for e in encoded], skip_special_tokens=False)
    whole = sum(len(e.ids) for e in encoded)
    return Measures(
        fertility=tokens / max(words, 1),
        bytes_per_token=sum(len(text.encode()) for text in texts) / max(whole, 1),
        words=words,
        round_trips=sum(a == b for a, b in zip(decoded, texts, strict=True)),
        texts=len(texts),
    )
