"""KenLM and fastText filters with real models, made here from the demo's corpora."""

import gzip
import json
import math
import random
import struct
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from typer.testing import CliRunner

from assets.cleaning.models import basic_tokens, language_model, log_perplexity, model_steps
from assets.cleaning.profiles import profile_of
from assets.cleaning.stage import config
from assets.recipe.data import Filter, Source
from assets.recipe.load import PROJECT, RecipeError
from orchestration.cli import app
from orchestration.cli.output import Exit
from orchestration.cli.run import check_files
from tests.assets.cleaning.conftest import SOURCE, catalog_of
from tests.assets.cleaning.slices import ANY, documents, edited, fails, quick, texts

CORPORA = PROJECT / "infra" / "demo" / "corpora"
DISCOUNT = 0.5


@cache
def lines(name: str) -> list[str]:
    """The lines of 60 characters and more of a corpus, once each."""
    with gzip.open(CORPORA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as stream:
        found = (line for record in stream for line in json.loads(record)["text"].split("\n") if len(line) >= 60)
        return list(dict.fromkeys(found))


def sides(language: str) -> list[str]:
    """One side of the demo's pairs."""
    with gzip.open(CORPORA / "libreoffice_pairs.jsonl.gz", "rt", encoding="utf-8") as stream:
        return [json.loads(record)[language] for record in stream]


def bigram_arpa(sentences: list[list[str]]) -> str:
    """A bigram model with absolute discounting, in the ARPA format."""
    unigrams: Counter[str] = Counter()
    bigrams: Counter[tuple[str, str]] = Counter()
    for words in sentences:
        unigrams.update([*words, "</s>"])
        bigrams.update(zip(["<s>", *words], [*words, "</s>"], strict=True))
    total, before = sum(unigrams.values()), unigrams | Counter({"<s>": len(sentences)})
    probability = {word: (count - DISCOUNT) / total for word, count in unigrams.items()}
    # What discounting leaves is for as many words again.
    probability["<unk>"] = DISCOUNT / total
    # What discounting leaves for the words not seen after a word, shared out as unigrams.
    left, unseen = Counter[str](), Counter[str]()
    for one, other in bigrams:
        left[one] += 1
        unseen[one] += probability[other]  # type: ignore[assignment]
    backoff = {word: DISCOUNT * n / before[word] / (1 - unseen[word]) for word, n in left.items()}
    rows = ["\\data\\", f"ngram 1={len(probability) + 1}", f"ngram 2={len(bigrams)}", "", "\\1-grams:"]
    rows += [f"{math.log10(p):.6f}\t{w}\t{math.log10(backoff.get(w, 1)):.6f}" for w, p in probability.items()]
    rows += [f"-99\t<s>\t{math.log10(backoff['<s>']):.6f}", "", "\\2-grams:"]
    rows += [f"{math.log10((n - DISCOUNT) / before[one]):.6f}\t{one} {other}" for (one, other), n in bigrams.items()]
    return "\n".join([*rows, "", "\\end\\", ""])


@pytest.fixture(scope="module")
def finnish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of nine in ten lines of the demo's Finnish help."""
    pytest.importorskip("kenlm", reason="the extra kenlm is not installed")
    path = tmp_path_factory.mktemp("models") / "fi.arpa"
    known = [line for number, line in enumerate(lines("libreoffice_help_fi")) if number % 10]
    path.write_text(bigram_arpa([basic_tokens(line) for line in known]), "utf-8")
    return path


def fasttext_bytes(words: dict[str, list[float]], labels: list[str]) -> bytes:
    """A supervised model in fastText's binary format, version 12: of each word a number for each label.

    A text's probabilities are the softmax of its words' mean. The library's own training starts from memory that is not
    set, and so ends with NaN now and then.
    """
    n = len(labels)
    settings = (n, 5, 5, 1, 5, 1, 3, 3, 0, 0, 0, 100)  # softmax, supervised, no n-grams
    entries = [(word, 0) for word in words] + [(label, 1) for label in labels]
    parts = [struct.pack("<2i12id", 793712314, 12, *settings, 1e-4)]
    parts.append(struct.pack("<3i2q", len(entries), len(words), n, len(words), -1))
    parts += [entry.encode() + b"\0" + struct.pack("<qb", 1, kind) for entry, kind in entries]
    rows = [value for values in words.values() for value in values]
    parts.append(struct.pack(f"<?2q{len(rows)}f", False, len(words), n, *rows))
    identity = [float(row == column) for row in range(n) for column in range(n)]
    parts.append(struct.pack(f"<?2q{n * n}f", False, n, n, *identity))
    return b"".join(parts)


@pytest.fixture(scope="module")
def languages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of Finnish and English: naive Bayes over the words of 600 lines of each."""
    pytest.importorskip("fasttext", reason="the extra fasttext is not installed")
    counts = {name: Counter(" ".join(sides(name)[:600]).split()) for name in ("en", "fi")}
    words = {
        word: [8 * math.log((counts[name][word] + 0.1) / sum(counts[name].values())) for name in counts]
        for word in sorted(counts["en"] | counts["fi"])
    }
    path = tmp_path_factory.mktemp("models") / "languages.bin"
    path.write_bytes(fasttext_bytes(words, [f"__label__{name}" for name in counts]))
    return path


def steps(*filters: dict[str, Any]) -> list[Any]:
    declared = TypeAdapter(tuple[Filter, ...]).validate_python(filters)
    return model_steps(declared, "sources.corpus.filters")


def perplexity(model: Path, **changes: Any) -> list[Any]:
    return steps({"kind": "kenlm", "model": str(model)} | changes)


def test_basic_tokens() -> None:
    assert basic_tokens("Avaa (tiedosto), näin: C:\\x_1 5 €!") == [
        *("Avaa", "(", "tiedosto", ")", ",", "näin", ":", "C", ":", "\\", "x", "_", "1", "5", "€", "!")
    ]
    assert basic_tokens("a\u00adb\u200bc\0\ufffd \u4e2d\u6587\u00a0x") == ["abc", "\u4e2d", "\u6587", "x"]
    assert basic_tokens(" \t") == []


def test_the_arithmetic_of_perplexity(tmp_path: Path) -> None:
    pytest.importorskip("kenlm", reason="the extra kenlm is not installed")
    unigrams = "-3\t<unk>\n-99\t<s>\t0\n-1\t</s>\n-2\tsana\t0\n-4\t,\t0\n"
    bigrams = "-0.5\tsana sana\n"
    text = f"\\data\\\nngram 1=5\nngram 2=1\n\n\\1-grams:\n{unigrams}\n\\2-grams:\n{bigrams}\n\\end\\\n"
    (tmp_path / "tiny.arpa").write_text(text)
    (step,) = perplexity(tmp_path / "tiny.arpa")
    model = language_model(step.model.uri, step.model.identity)
    # Two words and the end, the comma scored and not counted: (2 + 4 + 2 + 1) / 3.
    assert log_perplexity(model, "sana, sana") == pytest.approx(3)
    assert log_perplexity(model, "...") == pytest.approx(10)
    assert log_perplexity(model, "outo") == pytest.approx(2)


def test_lines_of_high_perplexity_are_cut(finnish: Path) -> None:
    edit, remaining = perplexity(finnish, max_perplexity=50_000, min_remaining=0.4)
    good = "Valitse valikosta kohta Muokkaa ja napsauta sitten painiketta."
    bad = "qwertz asdf jklö zxcv uiop bnm rtyu fghj"
    made = edit.apply(texts([f"\n{bad}\n\n{good}\n \n{bad}\n\n{good}\n{bad}", good, "", " \n", bad]))
    assert made.column.to_pylist() == [f"{good}\n\n{good}", good, "", " \n", ""]
    assert made.counts["lines_perplexity"].tolist() == [3, 0, 0, 0, 1]
    assert remaining.fails(_left(made)).tolist() == [False, False, False, False, True]
    (without_bound,) = perplexity(finnish)
    assert without_bound.below == 100_000


def _left(made: Any) -> Any:
    left = documents(made.column.to_pylist())
    left.facts.update(made.facts)
    return left


def test_shuffled_words_go(finnish: Path) -> None:
    """A text with its words in any order has the words of its language, and only a language model sees that it is none."""
    held_out = lines("libreoffice_help_fi")[::10]
    pages = ["\n".join(held_out[start : start + 10]) for start in range(0, len(held_out) - 9, 10)]
    edit, remaining = perplexity(finnish, max_perplexity=2_000, min_remaining=0.3)
    rng = random.Random(1)

    def shuffled(line: str) -> str:
        return " ".join(rng.sample(line.split(), len(line.split())))

    gone = remaining.fails(_left(edit.apply(texts(pages))))
    shuffled_gone = remaining.fails(
        _left(edit.apply(texts(["\n".join(map(shuffled, page.split("\n"))) for page in pages])))
    )
    assert gone.mean() < 0.1
    assert shuffled_gone.mean() > 0.95


def test_documents_with_a_label_go(languages: Path) -> None:
    both = {"kind": "fasttext", "model": str(languages), "labels": ["__label__en", "__label__fi"]}
    (english,) = steps(both | {"labels": "__label__en", "threshold": 0.8, "name": "english"})
    assert sum(fails(english, *sides("fi")[600:800])) < 10
    assert sum(fails(english, *(line.replace(" ", "\n") for line in sides("en")[600:800]))) > 170
    assert english.name == "english"
    (either,) = steps(both)
    assert all(fails(either, *sides("fi")[:20]))


@quick
@given(strings=st.lists(ANY | st.text("ab,.\n \u4e2d\0\x1f\u2028", max_size=20), max_size=10))
def test_any_text_and_each_by_itself(finnish: Path, languages: Path, strings: list[str]) -> None:
    edit, remaining = perplexity(finnish, max_perplexity=3_000, min_remaining=0.5)
    (test,) = steps({"kind": "fasttext", "model": str(languages), "labels": "__label__en"})
    made = edit.apply(texts(strings))
    once = made.column.to_pylist()
    assert once == [edited(edit, text, language="fi") for text in strings]
    assert [edited(edit, text, language="fi") for text in once] == once
    assert remaining.fails(_left(made)).tolist() == [
        bool(remaining.fails(_left(edit.apply(texts([text])))).tolist()[0]) for text in strings
    ]
    assert fails(test, *strings) == [fails(test, text)[0] for text in strings]


def test_a_source_is_cleaned_with_its_filters(finnish: Path, languages: Path, cleaned: Any, tmp_path: Path) -> None:
    filters = [
        {"kind": "kenlm", "model": str(finnish), "max_perplexity": 5_000, "min_remaining": 0.5},
        {"kind": "fasttext", "model": str(languages), "labels": ["__label__en"], "threshold": 0.5},
    ]
    finnish_lines = [line for line in sides("fi") if len(line) >= 80][:20]
    rng = random.Random(2)
    words = " ".join(finnish_lines).split()
    noise = "\n".join(" ".join(rng.sample(words, 12)) for _ in range(10))
    records = [{"id": "good", "text": "\n".join(finnish_lines)}, {"id": "noise", "text": noise}]
    corpus = cleaned(records, filters=filters)
    assert [row["id"] for row in corpus.table()] == ["corpus:good"]
    assert [(row["id"], row["reason"]) for row in corpus.table("removed")] == [("corpus:noise", "perplexity")]
    assert corpus.clean.counts["lines_perplexity"] >= 5
    assert corpus.clean.counts["removed_classifier"] == 0


def test_a_model_is_known_by_its_bytes(finnish: Path, tmp_path: Path) -> None:
    def identity(model: Path) -> Any:
        catalog = catalog_of(tmp_path / "x.jsonl", filters=[{"kind": "kenlm", "model": str(model)}])
        return config(catalog, SOURCE)

    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "other-name.arpa"
    copy.write_bytes(finnish.read_bytes())
    assert identity(copy) == identity(finnish)
    assert str(tmp_path) not in json.dumps(identity(copy))
    copy.write_bytes(finnish.read_bytes() + b"\n")
    assert identity(copy) != identity(finnish)


def test_a_model_that_lies_elsewhere_is_fetched(finnish: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/models/fi.arpa", finnish.read_bytes())
    (edit,) = steps({"kind": "kenlm", "model": "memory://models/fi.arpa", "max_perplexity": 50_000})
    assert edited(edit, "qwertz asdf jklö zxcv\nValitse valikosta kohta Muokkaa.") == "Valitse valikosta kohta Muokkaa."
    assert [file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()] == [finnish.stat().st_size]


def test_what_is_missing_is_said(finnish: Path, languages: Path, tmp_path: Path, monkeypatch: Any) -> None:
    kenlm, fasttext = {"kind": "kenlm"}, {"kind": "fasttext", "labels": "__label__x"}
    with pytest.raises(RecipeError, match=r"sources.corpus.filters\[0\].model: no file matches"):
        steps(kenlm | {"model": str(tmp_path / "none.arpa")})
    with pytest.raises(RecipeError, match="names 2 files; a model is one file"):
        (tmp_path / "a.arpa").write_text("a")
        (tmp_path / "b.arpa").write_text("b")
        steps(kenlm | {"model": str(tmp_path / "*.arpa")})
    with pytest.raises(RecipeError, match="KenLM cannot read this model"):
        edited(steps(kenlm | {"model": str(tmp_path / "a.arpa")})[0], "sana")
    with pytest.raises(RecipeError, match="fastText cannot read this model"):
        fails(steps(fasttext | {"model": str(tmp_path / "a.arpa")})[0], "sana")
    with pytest.raises(RecipeError, match="has no label '__label__x'; its labels are __label__en, __label__fi"):
        fails(steps(fasttext | {"model": str(languages)})[0], "sana")


@pytest.mark.parametrize("module", ["kenlm", "fasttext"])
def test_a_missing_library_is_said(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from assets.cleaning import models

    (tmp_path / "model").write_text("x")
    monkeypatch.setattr(models, "_distribution", lambda name: None)
    declared = {"kind": module, "model": str(tmp_path / "model")} | ({"labels": "x"} if module == "fasttext" else {})
    with pytest.raises(RecipeError, match=rf"module '{module}' is not installed; .*'tokka\[{module}\]'"):
        steps(declared)


def test_recipes_check_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "corpus.jsonl").write_text("{}")
    filters = [{"kind": "fasttext", "model": str(tmp_path / "none.bin"), "labels": "x"}]
    catalog = catalog_of(tmp_path / "corpus.jsonl", filters=filters)
    with pytest.raises(typer.Exit) as stopped:
        check_files(catalog, catalog.recipe("tiny"))
    assert stopped.value.exit_code == Exit.WRONG_USAGE
    assert "sources.corpus.filters[0].model: no file matches" in capsys.readouterr().err


GOOD = "Valitse valikosta kohta Muokkaa ja napsauta sitten painiketta."
NOISE = "qwertz asdf jklö zxcv uiop bnm rtyu fghj"


def trial(folder: Path, *arguments: str, profile: str = "books") -> Result:
    """``tokka try`` on a page of noise between good lines, and one of noise alone."""
    page = "\n".join([*[line for line in sides("fi") if len(line) >= 80][:20], GOOD, NOISE])
    rows = [{"id": "page", "text": page}, {"id": "noise", "text": "\n".join([NOISE] * 8 + [GOOD])}]
    file = folder / "pages.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return CliRunner().invoke(app, ["try", profile, str(file), "--language", "fi", *arguments])


def test_a_filter_is_tried_outside_the_graph(
    finnish: Path, languages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outcomes(*arguments: str) -> dict[str, dict[str, Any]]:
        result = trial(tmp_path, *arguments)
        assert result.exit_code == 0, result.output
        return {outcome["id"]: outcome for outcome in map(json.loads, result.stdout.splitlines())}

    assert NOISE in outcomes()["page"]["text"]
    found = outcomes("--filter", f"{{kind: kenlm, model: {finnish}, max_perplexity: 50000, min_remaining: 0.5}}")
    assert found["page"]["decision"] == "keep"
    assert NOISE not in found["page"]["text"] and found["page"]["text"].endswith(GOOD)
    assert found["noise"]["decision"] == "drop" and "perplexity" in found["noise"]["reasons"]
    # A relative path starts where the command is given, like that of the tried file.
    monkeypatch.chdir(languages.parent)
    both = (
        "--filter",
        f"{{kind: kenlm, model: {finnish}}}",
        "--filter",
        "{kind: fasttext, model: languages.bin, labels: __label__fi}",
    )
    assert "classifier" in outcomes(*both)["page"]["reasons"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("kenlm", "--filter kenlm: it must be a mapping as in a recipe, such as {kind: kenlm,"),
        ("{kind: [", "--filter {kind: [: it must be a mapping as in a recipe"),
        ("{kind: bert, model: m}", "does not match any of the expected tags: 'kenlm', 'fasttext'"),
        ("{kind: kenlm}", "--filter {kind: kenlm}: model: Field required"),
        ("{kind: kenlm, model: MODEL, max: 5}", "max: Extra inputs are not permitted"),
        ("{kind: kenlm, model: none.arpa}", "--filter[0].model: no file matches"),
        (
            "{kind: fasttext, model: MODEL, labels: __label__x}",
            "the model has no label '__label__x'; its labels are __label__en",
        ),
        ("{kind: kenlm, model: MODEL}", "KenLM cannot read this model"),
        (
            "{kind: fasttext, model: MODEL, labels: __label__en, name: language}",
            "two steps have the same name: language.",
        ),
    ],
)
def test_a_wrong_filter_is_said_in_one_line(languages: Path, tmp_path: Path, given: str, said: str) -> None:
    pytest.importorskip("kenlm", reason="the extra kenlm is not installed")
    result = trial(tmp_path, "--filter", given.replace("MODEL", str(languages)))
    assert result.exit_code == Exit.WRONG_USAGE and result.stdout == ""
    assert said in result.stderr and len(result.stderr.splitlines()) == 1


def test_pairs_take_no_filter_of_lines(finnish: Path, tmp_path: Path) -> None:
    result = trial(tmp_path, "--pair-language", "en", "--filter", f"{{kind: kenlm, model: {finnish}}}", profile="pairs")
    assert result.exit_code == Exit.WRONG_USAGE
    assert "a filter of the kind kenlm reads one language" in result.stderr


def test_filters_are_checked() -> None:
    declared = {"format": "jsonl", "files": "x", "language": "fi", "cleaning": "web", "pool": "prose"}
    pairs = declared | {"format": "pairs_jsonl", "pair_language": "en", "cleaning": "pairs"}
    kenlm = {"kind": "kenlm", "model": "m"}
    assert Source.model_validate(declared | {"filters": [kenlm]}).filters[0].name == "perplexity"
    with pytest.raises(ValidationError, match="reads one language"):
        Source.model_validate(pairs | {"filters": [kenlm]})
    with pytest.raises(ValidationError, match="labels"):
        Source.model_validate(declared | {"filters": [{"kind": "fasttext", "model": "m"}]})
    with pytest.raises(ValidationError, match="'kenlm', 'fasttext'"):
        Source.model_validate(declared | {"filters": [{"kind": "bert", "model": "m"}]})


def test_two_filters_of_a_kind_need_names(finnish: Path) -> None:
    declared = {"format": "jsonl", "files": "x", "language": "fi", "cleaning": "web", "pool": "prose"}
    one = {"kind": "kenlm", "model": str(finnish), "min_remaining": 0.1}
    named = Source.model_validate(declared | {"filters": [one, one | {"name": "style"}]})
    names = [step.name for step in profile_of(named, "sources.x").steps]
    assert {"perplexity", "perplexity_lines", "style", "style_lines"} <= set(names)
    with pytest.raises(RecipeError, match=r"^sources\.x\.filters: two steps have the same name: .*\.$"):
        profile_of(Source.model_validate(declared | {"filters": [one, one]}), "sources.x")
