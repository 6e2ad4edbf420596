import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.recipe.tokens import Tokenizer
from assets.tokenizer import bpe
from assets.tokenizer.measure import measure
from tests.conftest import FINNISH

CONFIG = Tokenizer(name="t", vocab_size=400, sources={"fi": ("docs_fi",)}, sample_bytes=1_000)


@pytest.fixture(scope="module")
def tokenizer():
    trained = bpe.train(CONFIG, FINNISH)
    trained.encode_special_tokens = True
    return trained


def test_special_tokens_come_first_then_the_bytes_then_the_merges(tokenizer):
    vocabulary = tokenizer.get_vocab()
    assert [vocabulary[token] for token in bpe.SPECIAL_TOKENS] == list(range(24))
    assert vocabulary["!"] == 24
    assert vocabulary[","] == 35
    assert len(vocabulary) == 400
    assert (
        vocabulary["</s>"],
        vocabulary["<|user|>"],
        vocabulary["<|assistant|>"],
    ) == (bpe.END_OF_DOCUMENT, bpe.USER, bpe.ASSISTANT)


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_any_text_comes_back_exactly_and_never_yields_a_special_token(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
    assert all(i >= 24 for i in ids)


@pytest.mark.parametrize("token", bpe.SPECIAL_TOKENS)
def test_the_text_of_a_special_token_is_ordinary_text(tokenizer, token):
    ids = tokenizer.encode(f"a {token} b", add_special_tokens=False).ids
    assert all(i >= 24 for i in ids)
    assert tokenizer.decode(ids, skip_special_tokens=True) == f"a {token} b"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("terve maailma", ["terve", " maailma"]),
        ("f(x)|y [z];", ["f", "(", "x", ")|", "y", " [z];"]),
        ("a.b, c  d", ["a", ".", "b", ",", " c", " ", " d"]),
        ("rivi\n\n\ttoinen", ["rivi", "\n\n\t", "toinen"]),
        ("w048 7tuijk", ["w048", " 7tuijk"]),
    ],
)
def test_words_are_cut_as_blooms_regex_cuts_them(text, pieces):
    pre = bpe.untrained(CONFIG).pre_tokenizer
    symbols = {bytes([b]): s for b, s in _byte_symbols().items()}
    back = {s: b for b, s in symbols.items()}
    found = [b"".join(back[c] for c in piece).decode() for piece, _ in pre.pre_tokenize_str(text)]
    assert found == pieces


def _byte_symbols():
    """GPT-2's map from bytes to visible characters."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = {b: chr(b) for b in visible}
    return symbols | {b: chr(256 + n) for n, b in enumerate(b for b in range(256) if b not in symbols)}


def test_text_that_often_spells_special_tokens_does_not_teach_them():
    texts = [f"the {token} of {token}{token} and{token}" for token in bpe.SPECIAL_TOKENS] * 50
    trained = bpe.train(CONFIG.model_copy(update={"vocab_size": 1_000}), texts)
    trained.encode_special_tokens = True
    for text in texts[:24]:
        ids = trained.encode(text, add_special_tokens=False).ids
        assert all(i >= 24 for i in ids)
        assert trained.decode(ids, skip_special_tokens=False) == text


def test_digits_are_split_only_where_the_recipe_says_so():
    plain, split = (bpe.untrained(CONFIG.model_copy(update={"split_digits": s})).pre_tokenizer for s in (False, True))
    assert len(plain.pre_tokenize_str("vuonna 2024")) == 2
    assert len(split.pre_tokenize_str("vuonna 2024")) == 6


def test_the_same_texts_give_the_same_file():
    assert bpe.train(CONFIG, FINNISH).to_str() == bpe.train(CONFIG, FINNISH).to_str()


def test_fertility_is_tokens_per_word_over_lines(tokenizer):
    text = "yksi kaksi, kolme\n\nneljä"
    measured = measure(tokenizer, [text])
    tokens = sum(len(tokenizer.encode(line, add_special_tokens=False).ids) for line in ("yksi kaksi, kolme", "neljä"))
    assert measured.fertility == tokens / 5
    assert (measured.texts, measured.round_trips) == (1, 1)
