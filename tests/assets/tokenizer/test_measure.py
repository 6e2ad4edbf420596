import json

import pytest
import regex

from assets.tokenizer.measure import WORD, measure


def tokens(tokenizer, lines):
    return sum(len(tokenizer.encode(line, add_special_tokens=False).ids) for line in lines)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Avaa tiedosto, kiitos!", 5),
        ("3,14 % – ½", 6),
        ("o'clock x_1", 6),
        ("äöå ÅÄÖ 我想apple工作1314", 3),
        (" \t\u00a0", 0),
    ],
)
def test_words_are_runs_of_letters_and_digits_and_single_other_visible_characters(line, words):
    assert len(regex.findall(WORD, line)) == words


def test_fertility_is_tokens_per_word_over_all_lines(tokenizer):
    """A line of white space has tokens and no words, as in the script that defines fertility."""
    text = "yksi kaksi, kolme\n\n  \nneljä\u2028viisi\r\n"
    measured = measure(tokenizer, [text], "fi")
    lines = ["yksi kaksi, kolme", "", "  ", "neljä", "viisi"]
    assert tokens(tokenizer, ["  "]) > 0
    assert measured.fertility == tokens(tokenizer, lines) / 6
    assert (measured.words, measured.texts, measured.round_trips) == (6, 1, 1)
    assert measured.bytes_per_token == len(text.encode()) / tokens(tokenizer, [text])


def test_of_code_only_lines_of_ten_letters_and_more_are_measured(tokenizer):
    text = "def f(x):\n    return value_of(x)\n}\n"
    assert measure(tokenizer, [text], "code").fertility == tokens(tokenizer, ["    return value_of(x)"]) / 7
    assert measure(tokenizer, [text], "en").words == 14


def test_no_text_has_no_words(tokenizer):
    assert measure(tokenizer, [], "fi").words == 0


def test_a_text_that_does_not_come_back_is_counted(tokenizer):
    from tokenizers import Tokenizer as HfTokenizer

    value = json.loads(tokenizer.to_str())
    value["normalizer"] = {"type": "Lowercase"}
    measured = measure(HfTokenizer.from_str(json.dumps(value)), ["Kyllä", "ei"], "fi")
    assert (measured.texts, measured.round_trips) == (2, 1)
