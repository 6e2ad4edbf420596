"""Health of free text: its measures by hand, and a task over the tiny checkpoint."""

from collections.abc import Callable
from typing import Any

import pytest

from assets.recipe.evaluation import Continuation
from eval_jobs.tasks.continuation import is_healthy, is_in_language, is_looping, measure, repeated, words

FINNISH = "Poro on hirvieläinten heimoon kuuluva eläin, jota kasvatetaan lihan ja taljojen vuoksi Pohjois-Suomessa."
ENGLISH = "The reindeer is a species of deer with a circumpolar distribution, native to Arctic and boreal regions."
DOCUMENTS = [
    {"prompt": "Sataa vettä, ja tokka kulkee tunturin yli.", "rest": " Poro on tunturin eläin. Sataa usein."},
    {"prompt": "Poro on tunturin eläin, ja tokka on suuri.", "rest": " Tokka kulkee, kun sataa vettä."},
]


def test_words_and_repeated_n_grams() -> None:
    assert words("Poro_2 on, ON!") == ["poro", "_", "2", "on", ",", "on", "!"]
    assert repeated(["a", "b", "a", "b", "a", "b"], 2) == pytest.approx(1 - 2 / 5)  # ab ba ab ba ab
    assert repeated(["a", "b", "c", "d", "e"], 4) == 0
    assert repeated(["a"], 2) == 0


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("Se on se. poro on poro on poro on", True),
        ("poro on poro on se", False),
        ("poro on. poro on. poro on. por", True),  # the last word is cut off
        ("ha ha", False),
        ("x" * 40, True),
        ("- - - - - -", True),
        (FINNISH, False),
        (ENGLISH, False),
        ("", False),
    ],
)
def test_a_loop_is_three_copies_at_the_end(text: str, loops: bool) -> None:
    assert is_looping(text) == loops


@pytest.mark.parametrize(
    ("text", "language", "verdict"),
    [
        (FINNISH, "fi", True),
        (ENGLISH, "fi", False),
        (ENGLISH, "en", True),
        (FINNISH, "en", False),
        (FINNISH + " \ufffd", "fi", False),
        ("1 2 3 4 5 6 7 8 9 poro", "fi", False),
    ],
)
def test_the_language_of_a_text(text: str, language: str, verdict: bool) -> None:
    assert is_in_language(text, language) == verdict


def test_what_is_measured() -> None:
    known = {"poro", "on", "eläin"}.__contains__
    found = measure("Poro on eläin, jota.", "fi", known)
    assert found["known_words"] == 3 / 4
    assert found["characters"] == 20
    nothing = measure(" \n", "fi", known)
    assert (nothing["empty"], nothing["known_words"], nothing["own_language"]) == (1, 0, 0)
    loop = measure(FINNISH + " ja niin ja niin ja niin", "fi", known)
    assert (loop["looping"], loop["own_language"]) == (1, 1)
    assert "own_language" not in measure("x = 1", "code", known)


def test_healthy_is_what_nothing_is_wrong_with() -> None:
    good = {"own_language": 1.0, "known_words": 0.3, "looping": 0.0, "empty": 0.0}
    assert is_healthy(good, floor=0.3)
    assert not is_healthy(good, floor=0.31)
    for change in ({"own_language": 0.0}, {"looping": 1.0}, {"empty": 1.0}):
        assert not is_healthy(good | change, floor=0.0)
    assert is_healthy({key: value for key, value in good.items() if key != "own_language"}, floor=0.0)  # code


@pytest.mark.parametrize("temperature", [0, 0.8])
def test_a_task(score: Callable[..., Any], temperature: float) -> None:
    config = Continuation(files="none", language="fi", max_new_tokens=12, temperature=temperature)
    result, items = score(config, DOCUMENTS)
    assert result["status"] == "scored", result["reason"]
    again, _ = score(config, DOCUMENTS)
    assert again == result
    for metric in config.metrics:
        mean = sum(item["scores"][metric] for item in items) / len(items)
        assert result["metrics"][metric] == pytest.approx(mean)
    # The authors' words: the rest of each document, by what the other one and its own beginning hold.
    assert items[0]["reference"] in DOCUMENTS[0]["rest"]
    authors = [item["reference"] for item in items]
    vocabularies = [set(words(d["prompt"] + d["rest"])) for d in DOCUMENTS]
    known = [vocabularies[1] | set(words(DOCUMENTS[0]["prompt"])), vocabularies[0] | set(words(DOCUMENTS[1]["prompt"]))]
    expected = [measure(text, "fi", k.__contains__)["known_words"] for text, k in zip(authors, known, strict=True)]
    assert result["metrics"]["known_words_of_documents"] == pytest.approx(sum(expected) / 2)
    # Random weights write no Finnish.
    assert result["metrics"]["healthy"] == 0
    assert result["metrics"]["healthy_of_documents"] == 1
    assert result["metrics"]["known_words"] < result["metrics"]["known_words_of_documents"]


def test_samples_differ_from_greedy_ones(score: Callable[..., Any]) -> None:
    greedy = score(Continuation(files="none", language="fi", max_new_tokens=12), DOCUMENTS)[1]
    sampled = score(Continuation(files="none", language="fi", max_new_tokens=12, temperature=1.5), DOCUMENTS)[1]
    assert [item["generation"] for item in greedy] != [item["generation"] for item in sampled]


def test_code_has_no_language_to_be_told(score: Callable[..., Any]) -> None:
    config = Continuation(files="none", language="code", max_new_tokens=8)
    result, items = score(config, [{"prompt": "def tokka(poro):", "rest": "\n    return poro"}])
    assert result["status"] == "scored", result["reason"]
    assert "own_language" not in result["metrics"] | items[0]["scores"]
    assert set(config.metrics) <= set(result["metrics"])


def test_a_language_that_nobody_can_tell(score: Callable[..., Any]) -> None:
    result, _ = score(Continuation(files="none", language="xx"), DOCUMENTS)
    assert result["status"] == "failed"
    assert "The language 'xx' is not among those that py3langid tells apart." in result["reason"]
