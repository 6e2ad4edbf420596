"""Byte-level BPE as Poro 34B has it: no normalisation, BLOOM's regex, 24 special tokens at ids 0 to 23.

The facts are those of Luukkonen et al. 2024 (section 3.1) and of the tokenizer script that its authors published; the regex
is the flat form that llama.cpp uses for this family.
"""

import re
from collections.abc import Iterable
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


# Just after the first character of a special token's text.
_INSIDE_SPECIAL = re.compile("|".join(f"(?<={re.escape(t[0])})(?={re.escape(t[1:])})" for t in SPECIAL_TOKENS))


def apart(text: str) -> list[str]:
    """``text`` in pieces that hold no special token's text whole.

    Text that often says ``<unk>``, as WikiText does, would otherwise teach the merges to make the token ``<unk>``, which is
    the special one: ``["a <", "unk> b"]``.
    """
    return _INSIDE_SPECIAL.split(text)


def untrained(config: Tokenizer) -> "tokenizers.Tokenizer":
    """A tokenizer with the pre-tokenizer, decoder and post-processor of ``config`` and no vocabulary yet."""
    from tokenizers import Regex, decoders, models, pre_tokenizers, processors
    from tokenizers import Tokenizer as HfTokenizer

    tokenizer = HfTokenizer(models.BPE())
    steps: list[pre_tokenizers.PreTokenizer] = []
    if config.split_digits:
        steps.append(pre_tokenizers.Digits(individual_digits=True))
    if config.pretokenizer == "bloom":
        # "isolated" keeps what the regex does not match as pieces of their own, so no byte is lost.
        steps.append(pre_tokenizers.Split(Regex(BLOOM_REGEX), behavior="isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=config.pretokenizer == "gpt2"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def train(config: Tokenizer, texts: Iterable[str]) -> "tokenizers.Tokenizer":
    """Train on ``texts``. All 256 bytes are in the vocabulary, whether the texts hold them or not."""
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


def hugging_face_config() -> dict[str, object]:
    """The content of ``tokenizer_config.json``, so that ``AutoTokenizer`` reads the folder."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": SPECIAL_TOKENS[UNKNOWN],
        "bos_token": SPECIAL_TOKENS[BEGIN],
        "eos_token": SPECIAL_TOKENS[END_OF_DOCUMENT],
        "pad_token": SPECIAL_TOKENS[PADDING],
        "padding_side": "left",
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
    }
