import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.recipe.tokens import Tokenizer
from assets.tokenizer import bpe
from tests.conftest import FINNISH, TOKENIZER

WORDS_OR_DIGITS = r" ?\p{L}+|\p{N}{1,3}"

# Any text, and text in which the special tokens' own stands whole, cut short, or run together.
SPELLED = st.lists(
    st.one_of(
        st.sampled_from(bpe.SPECIAL_TOKENS),
        st.sampled_from(bpe.SPECIAL_TOKENS).flatmap(lambda t: st.integers(1, len(t)).map(lambda n: t[:n])),
        st.text(max_size=5),
        st.sampled_from(" <>|/_\n\t"),
    ),
    max_size=20,
).map("".join)


def changed(**changes):
    return Tokenizer.model_validate({**TOKENIZER.model_dump(), **changes})


def pieces_of(config, text):
    found = bpe.untrained(config).pre_tokenizer.pre_tokenize_str(text)
    return [bpe.token_bytes(piece).decode() for piece, _ in found]


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


def kinds():
    return [changed(), changed(split_digits=True), changed(pretokenizer="gpt2")] + [
        changed(pretokenizer="regex", regex=pattern) for pattern in (WORDS_OR_DIGITS, "x*", r"\b|(?=<)", ".+")
    ]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Tokenizers of all kinds, as they are read from a file; their training text spells the special tokens often."""
    folder = tmp_path_factory.mktemp("tokenizers")
    texts = [*FINNISH, *(f"the {token} of {token}{token}" for token in bpe.SPECIAL_TOKENS for _ in range(20))]
    for place, config in enumerate(kinds()):
        bpe.train(config, texts).save(str(folder / f"{place}.json"))
    return [bpe.load(str(folder / f"{place}.json")) for place in range(len(kinds()))]


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), SPELLED))
def test_any_text_comes_back_exactly_and_never_yields_a_special_token(loaded, text):
    for tokenizer in loaded:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert all(i >= 24 for i in ids)
        assert tokenizer.decode(ids, skip_special_tokens=False) == text
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


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
    assert pieces_of(TOKENIZER, text) == pieces


# Texts with the ids that Poro 34B gives them (llama.cpp, pull request 7713). Its vocabulary is not at hand, but no token goes
# over the end of a piece, and "," and "!" are the bytes' own ids.
POROS = [
    ("ied 4 ½ months", ["ied", " 4", " ½", " months"], [907, 802, 51074, 5481]),
    ("w048 7tuijk dsdfhu", ["w048", " 7tuijk", " dsdfhu"], [72235, 2928, 1158, 507, 72043, 32710, 3128, 3836]),
    (
        "Hello, y'all! How are you 😁 ?我想在apple工作1314151天～",
        ["Hello", ",", " y'all", "!", " How", " are", " you", " 😁", " ?", "我想在apple工作1314151天～"],
        [17720, 35, 356, 90701, 24, 2888, 564, 569, 11892, 234, 2076, 13217, 37414, 7359, 21264, 55110, 1688, 1581, 45843,
         29066, 65074, 263],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "pieces", "ids"), POROS)
def test_pieces_agree_with_the_ids_that_poro_gives(tokenizer, text, pieces, ids):
    assert pieces_of(TOKENIZER, text) == pieces
    assert len(pieces) <= len(ids)
    own = tokenizer.get_vocab()
    for mark in (",", "!"):
        assert ids.count(own[mark]) == pieces.count(mark)
    if len(pieces) == len(ids):  # each piece is one token, so equal pieces would have equal ids and others have others
        assert len(set(pieces)) == len(set(ids))


def test_the_bytes_have_the_ids_after_the_special_tokens_in_the_order_of_their_symbols(tokenizer):
    symbols = sorted(bpe.byte_symbols())
    assert [tokenizer.get_vocab()[symbol] for symbol in symbols] == list(range(24, 280))
    assert sorted(bpe.byte_symbols().values()) == list(range(256))
    text = "".join(map(chr, range(0x20, 0x800))) + "€😁\n"
    (piece,) = pieces_of(changed(pretokenizer="regex", regex=r"(?m:.+)"), text)
    assert piece == text


def test_the_file_holds_the_parts_that_poros_tokenizer_has(tokenizer):
    value = json.loads(tokenizer.to_str())
    assert value["normalizer"] is None
    split, byte_level = value["pre_tokenizer"]["pretokenizers"]
    assert split["pattern"] == {"Regex": " ?[^(\\s|.,!?…。，、।۔،)]+"}
    assert (split["behavior"], split["invert"]) == ("Isolated", False)
    assert (byte_level["type"], byte_level["add_prefix_space"], byte_level["use_regex"]) == ("ByteLevel", False, False)
    assert value["decoder"]["type"] == "ByteLevel"
    assert (value["post_processor"]["type"], value["post_processor"]["trim_offsets"]) == ("ByteLevel", False)
    assert [(t["id"], t["content"], t["special"]) for t in value["added_tokens"]] == [
        (place, token, True) for place, token in enumerate(bpe.SPECIAL_TOKENS)
    ]


@given(st.one_of(st.text(), SPELLED))
def test_texts_apart_are_the_text_and_hold_no_special_token(text):
    apart = bpe.apart(text)
    assert "".join(apart) == text
    assert not any(token in piece for token in bpe.SPECIAL_TOKENS for piece in apart)


def test_text_that_often_spells_special_tokens_does_not_teach_them():
    texts = [f"the {token} of {token}{token} and{token}" for token in bpe.SPECIAL_TOKENS] * 50
    trained = bpe.train(TOKENIZER.model_copy(update={"vocab_size": 1_000}), texts)
    trained.encode_special_tokens = True
    for text in texts[:24]:
        ids = trained.encode(text, add_special_tokens=False).ids
        assert all(i >= 24 for i in ids)
        assert trained.decode(ids, skip_special_tokens=False) == text


def test_digits_are_split_only_where_the_recipe_says_so():
    assert pieces_of(TOKENIZER, "vuonna 2024. 5½") == ["vuonna", " 2024", ".", " 5½"]
    assert pieces_of(changed(split_digits=True), "vuonna 2024. 5½") == [
        "vuonna", " ", "2", "0", "2", "4", ".", " ", "5", "½",
    ]  # fmt: skip


def test_other_pre_tokenizers_are_chosen_by_the_recipe():
    text = "you've 123 f(x)  end"
    assert pieces_of(changed(pretokenizer="gpt2"), text) == ["you", "'ve", " 123", " f", "(", "x", ")", " ", " end"]
    assert pieces_of(changed(pretokenizer="gpt2", split_digits=True), text)[2:6] == [" ", "1", "2", "3"]
    own = changed(pretokenizer="regex", regex=WORDS_OR_DIGITS)
    assert pieces_of(own, text) == ["you", "'", "ve", " ", "123", " f", "(", "x", ") ", " end"]
    assert pieces_of(own.model_copy(update={"split_digits": True}), text)[4:7] == ["1", "2", "3"]


@pytest.mark.parametrize("pattern", ["[", "*", "(?<n"])
def test_a_regex_that_does_not_compile_is_refused(pattern):
    with pytest.raises(bpe.RegexError, match=r"tokenizer t: regex is .*, which does not compile: .*Oniguruma"):
        bpe.untrained(changed(pretokenizer="regex", regex=pattern))


def test_the_order_of_the_texts_does_not_matter():
    assert bpe.train(TOKENIZER, FINNISH).to_str() == bpe.train(TOKENIZER, FINNISH[::-1]).to_str()
