import pytest

from assets.recipe.tokens import Tokenizer
from assets.tokenizer import bpe, report
from assets.tokenizer.report_show import shown
from tests.conftest import FINNISH

CONFIG = Tokenizer(name="t", vocab_size=500, sources={"fi": ("docs_fi",)}, sample_bytes=1_000)


@pytest.fixture(scope="module")
def tokenizer():
    trained = bpe.train(CONFIG, FINNISH)
    trained.encode_special_tokens = True
    return trained


def token(text):
    """The token whose bytes are a text's."""
    symbols = {byte: symbol for symbol, byte in bpe.byte_symbols().items()}
    return "".join(symbols[byte] for byte in (text.encode() if isinstance(text, str) else text))


@pytest.mark.parametrize(
    ("text", "script"),
    [
        (" tiedosto", "Latin"),
        ("Ääkkönen", "Latin"),
        ("a\u0308", "Latin"),
        ("x2=", "Latin"),
        ("привет", "Cyrillic"),
        ("λ", "Greek"),
        ("工作", "Han"),
        ("ひら", "Hiragana"),
        ("ᚠ", "other scripts"),
        ("aж", "several scripts"),
        (" 2024", "digits"),
        ("½", "digits"),
        ("...", "punctuation and symbols"),
        (" 😁", "punctuation and symbols"),
        (" \n\t", "white space"),
        (b"\xc3", "parts of characters"),
        (b"a\xc3", "parts of characters"),
    ],
)
def test_a_token_has_the_script_of_its_letters(text, script):
    assert report.script(token(text)) == script


def test_every_id_is_counted_once(tokenizer):
    counts = report.by_script(tokenizer.get_vocab())
    assert sum(counts.values()) == 500
    assert counts["special tokens"] == 24
    assert counts["parts of characters"] >= 128  # the bytes from 0x80 on
    assert list(counts.values()) == sorted(counts.values(), reverse=True)


def test_the_longest_tokens_are_readable(tokenizer):
    found = report.longest(tokenizer.get_vocab(), with_letters=True)
    assert found[0]["bytes"] == max(
        len(bpe.token_bytes(t)) for t in tokenizer.get_vocab() if t not in bpe.SPECIAL_TOKENS
    )
    sizes = [row["bytes"] for row in found]
    assert sizes == sorted(sizes, reverse=True)
    for row in found:
        assert tokenizer.id_to_token(row["id"]) == token(row["token"].replace("␣", " ").replace("⏎", "\n"))
    digits = report.longest(tokenizer.get_vocab(), with_letters=False)
    assert {report.script(tokenizer.id_to_token(row["id"])) for row in digits[:3]} == {"digits"}


@pytest.mark.parametrize(
    ("text", "shown_as"),
    [
        (" a\n\t", "␣a⏎⇥"),
        (b"\xc3", "\\xc3"),
        ("a\u0000\u200b", "a\\x00\\u200b"),
        (",\n" + " " * 24 + "x" * 7, ",⏎␣×24xxxxxxx"),
    ],
)
def test_a_token_is_shown_as_a_person_can_read_it(text, shown_as):
    assert report.readable(token(text)) == shown_as


def test_unused_tokens_are_those_that_the_texts_do_not_need(tokenizer):
    sample = FINNISH[:3]
    found = report.unused(tokenizer, iter(sample))
    used = {i for text in sample for i in tokenizer.encode(text).ids}
    assert found["tokens"] == 500 - 24 - len(used)
    assert found["share"] == found["tokens"] / 476
    assert found["sample_bytes"] == sum(len(text.encode()) for text in sample)
    ids = [row["id"] for row in found["examples"]]
    assert ids == sorted(set(range(280, 500)) - used)[:50]
    everything = report.unused(tokenizer, bpe.byte_symbols())
    assert everything["tokens"] < found["tokens"] + len(used)


def test_the_report_is_shown_beside_published_tokenizers_in_any_language(tokenizer):
    held_out = {"fi": FINNISH[:5], "code": ["def tallenna(tiedosto):\n    pass\n"], "sv": ["Spara filen."]}
    found = report.build(tokenizer, held_out, {"fi": ("flores_fi", FINNISH[5:9])}, FINNISH)
    rows = shown("t", found)["fertility beside published tokenizers"].rows
    assert [list(row) for row in rows] == [["tokenizer", "fi", "code", "sv", "mean of fi, en, code", "measured on"]] * 7
    assert rows[0]["fi"] == round(found["benchmarks"]["fi"]["fertility"], 4)
    assert rows[0]["fi"] != round(found["languages"]["fi"]["fertility"], 4)
    assert rows[0]["measured on"] == "fi: flores_fi; code: held-out documents; sv: held-out documents"
    assert rows[1] == {
        "tokenizer": "Poro 34B", "fi": 1.38, "code": 1.0, "sv": "", "mean of fi, en, code": 1.1467,
        "measured on": "fi: Flores-101 devtest; en: Flores-101 devtest; code: lines of Starcoder",
    }  # fmt: skip
    everything = {**held_out, "en": ["Open the file."]}
    own = shown("t", report.build(tokenizer, everything, {}, FINNISH))["fertility beside published tokenizers"].rows[0]
    assert own["mean of fi, en, code"] == pytest.approx((own["fi"] + own["en"] + own["code"]) / 3, abs=1e-4)
