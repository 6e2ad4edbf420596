"""Byte-level BPE as Poro 34B has it: no normalisation, BLOOM's regex, 24 special tokens at ids 0 to 23.

The facts are those of Luukkonen et al. 2024 (section 3.1) and of the tokenizer script that its authors published; the regex
is the flat form that llama.cpp uses for this family.
"""

import re
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from assets.recipe.tokens import Tokenizer

if TYPE_CHECKING:
    import tokenizers

SPECIAL_TOKENS = (
    "<unk>", "<s>", "</s>", "<pad>", "<|user|>", "<|assistant|>",
    "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<filename>", "<gh_stars>",
    "<issue_start>", "<issue_comment>", "<issue_closed>", "<jupyter_start>", "<jupyter_text>", "<jupyter_code>",
    "<jupyter_output>", "<empty_output>", "<commit_before>", "<commit_msg>", "<commit_after>", "<reponame>",
)  # fmt: skip
UNKNOWN, BEGIN, END_OF_DOCUMENT, PADDING, USER, ASSISTANT = range(6)

# Inside the class "(", "|" and ")" are ordinary characters that end a word.
BLOOM_REGEX = r" ?[^(\s|.,!?…。，、।۔،)]+"

# The first character of a special token's text. As it begins with a plain character, the search for it is fast.
_SPECIAL_BEGINS = re.compile("|".join(f"{re.escape(t[0])}(?={re.escape(t[1:])})" for t in SPECIAL_TOKENS))


class RegexError(ValueError):
    """A recipe's regex is not one that the tokenizer can use."""


def apart(text: str) -> list[str]:
    """``text`` in pieces that hold no special token's text whole.

    Text that often says ``<unk>``, as WikiText does, would otherwise teach the merges to make the token ``<unk>``, which is
    the special one: ``["a <", "unk> b"]``.
    """
    cuts = [0, *(found.end() for found in _SPECIAL_BEGINS.finditer(text)), len(text)]
    return [text[begin:end] for begin, end in pairwise(cuts)]


def untrained(config: Tokenizer) -> "tokenizers.Tokenizer":
    """A tokenizer with the pre-tokenizer, decoder and post-processor of ``config`` and no vocabulary yet.

    Raises RegexError where the recipe's own regex does not compile.
    """
    from tokenizers import Tokenizer as HfTokenizer
    from tokenizers import decoders, models, pre_tokenizers, processors

    digits = [pre_tokenizers.Digits(individual_digits=True)] if config.split_digits else []
    steps: list[pre_tokenizers.PreTokenizer]
    if config.pretokenizer == "gpt2":
        # GPT-2's regex is a part of ByteLevel, so digits are split before it, as StarCoder does.
        steps = [*digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    else:
        # "isolated" keeps what the regex does not match as pieces of their own, so no byte is lost. Viking splits digits
        # within the pieces of the regex (llama.cpp, pull request 8228): " 42" is " ", "4", "2" wherever it stands.
        split = pre_tokenizers.Split(_compiled(config), behavior="isolated")
        steps = [split, *digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    tokenizer = HfTokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def _compiled(config: Tokenizer) -> "tokenizers.Regex":
    from tokenizers import Regex

    pattern = BLOOM_REGEX if config.regex is None else config.regex
    try:
        return Regex(pattern)
    except Exception as error:  # the library raises nothing more precise
        raise RegexError(
            f"tokenizer {config.name}: regex is {pattern!r}, which does not compile: {error}. Allowed is Oniguruma's syntax, "
            r"such as ' ?\p{L}+| ?\p{N}+'. Mend it in the recipe."
        ) from error


def train(config: Tokenizer, texts: Iterable[str]) -> "tokenizers.Tokenizer":
    """Train on ``texts``; their order does not matter. All 256 bytes are in the vocabulary, whether the texts hold them or
    not.
    """
    from tokenizers import pre_tokenizers, trainers

    tokenizer = untrained(config)
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((piece for text in texts for piece in apart(text)), trainer)
    return tokenizer


def load(path: str) -> "tokenizers.Tokenizer":
    """The tokenizer in a ``tokenizer.json``, for raw text: the text of a special token encodes to ordinary bytes."""
    from tokenizers import Tokenizer as HfTokenizer

    tokenizer = HfTokenizer.from_file(path)
    tokenizer.encode_special_tokens = True
    return tokenizer


@cache
def byte_symbols() -> dict[str, int]:
    """The 256 characters that stand for bytes in the vocabulary: visible Latin-1 for itself, the others from U+0100 on
    (Radford et al. 2019, encoder.py).
    """
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = sorted(set(range(256)) - set(visible))
    return {chr(byte): byte for byte in visible} | {chr(0x100 + place): byte for place, byte in enumerate(hidden)}


def token_bytes(token: str) -> bytes:
    """The bytes that an ordinary token of the vocabulary stands for."""
    symbols = byte_symbols()
    return bytes(symbols[character] for character in token)


def hugging_face_config() -> dict[str, object]:
    """The content of ``tokenizer_config.json``, so that ``AutoTokenizer`` reads the folder."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": SPECIAL_TOKENS[UNKNOWN],
        "bos_token": SPECIAL_TOKENS[BEGIN],
        "eos_token": SPECIAL_TOKENS[END_OF_DOCUMENT],
        "pad_token": SPECIAL_TOKENS[PADDING],
        "padding_side": "left",
        "model_input_names": ["input_ids", "attention_mask"],
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
    }
