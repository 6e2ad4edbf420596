"""docs/add-a-language.md followed to the letter; the corpora that it uses; and no other language assumed by the code."""

import ast
import gettext
import io
import os
import re
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from assets.cleaning.alphabets import ALPHABETS
from assets.cleaning.encoding import MissingLetters
from assets.cleaning.measures import MEASURES
from assets.cleaning.strange_words import FOLDER
from assets.lake import Lake
from assets.recipe.load import load_recipe
from infra import identify
from orchestration.cli.evaluate import _instructions
from tests.test_add_a_language_figures import GUIDE, PROJECT, N, documents, figures, texts
from tests.workplace import DEMO, demo_rows

BLOCK = re.compile(r"^```(?P<kind>[a-z]+)(?: (?P<name>\S+))?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
ALL = 1_000_000


@dataclass(frozen=True)
class Followed:
    """The folder in which the guide was followed, what each of its commands printed, and what the guide says they print."""

    folder: Path
    printed: list[str]
    expected: list[str | None]

    @property
    def lake(self) -> Lake:
        return Lake.open(str(self.folder / "home" / "lake"))


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    """Every block in order and in one shell: files are written, commands run, and what a command prints is kept."""
    folder, aside = tmp_path_factory.mktemp("guide"), tmp_path_factory.mktemp("aside")
    script = ["set -e -o pipefail"]
    expected: list[str | None] = []
    for number, block in enumerate(BLOCK.finditer(GUIDE.read_text("utf-8"))):
        kind, name, body = block["kind"], block["name"], block["body"]
        if name:
            (aside / str(number)).write_text(body, "utf-8")
            script.append(f"cp {aside / str(number)} {name}")
        elif kind == "sh":
            script.append(f"{{\n{body}}} > {aside}/out{len(expected)}")
            expected.append(None)
        else:
            expected[-1] = body
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TOKKA_", "DAGSTER_"))}
    environment = kept | {"REPO": str(PROJECT), "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    printed = [file.read_text("utf-8") for n in range(len(expected)) if (file := aside / f"out{n}").is_file()]
    assert done.returncode == 0, f"in the block of shell {len(printed)}: {done.stderr[-3000:]}{''.join(printed[-1:])}"
    return Followed(folder, printed, expected)


def test_the_commands_of_the_guide_print_what_it_says(followed: Followed) -> None:
    both = zip(followed.printed, followed.expected, strict=True)
    said = [(printed, expected) for printed, expected in both if expected is not None]
    assert len(said) == 4
    for printed, expected in said:
        assert printed == expected


def test_the_guides_model_beats_the_frequency_of_its_tokens(followed: Followed) -> None:
    (manifest,) = followed.lake.manifests("evaluation")
    tasks = followed.lake.read_json(manifest, "results.json")["tasks"]
    scores = tasks["first_heldout_et"]["clean"]["metrics"]
    assert 0 < scores["bits_per_character"] < scores["unigram_bits_per_character"] < 4
    assert tasks["first_translation_en_et"]["clean"]["items"] > 0


def test_every_gate_of_the_guides_run_passed(followed: Followed) -> None:
    receipts = {m.name: followed.lake.receipt(m) for m in followed.lake.manifests() if m.asset != "benchmark"}
    judged = {name: receipt for name, receipt in receipts.items() if receipt}
    assert len(judged) >= 15 and all(receipt.passed for receipt in judged.values())
    (tokenizer,) = (receipt for name, receipt in judged.items() if name.startswith("tokenizer/"))
    assert set(tokenizer.numbers) == {"vocab_size", "fertility_et", "fertility_en"}


def test_the_bounds_that_the_guide_widens_would_have_refused_the_corpus(followed: Followed) -> None:
    (raw,) = followed.lake.manifests("raw_corpus", "help_et")
    receipt = followed.lake.receipt(raw)
    assert receipt is not None
    bounds = load_recipe(followed.folder / "estonian.yaml").sources["help_et"].bounds
    assert bounds.language_share < receipt.profile[0]["declared_language_share"] < 0.8
    (clean,) = followed.lake.manifests("clean_corpus", "help_et")
    assert clean.counts["documents"] < 0.7 * clean.counts["documents_in"]


def test_the_guide_makes_the_trigrams_of_the_repository(followed: Followed) -> None:
    assert (followed.folder / "et.txt").read_bytes() == (FOLDER / "et.txt").read_bytes()


def test_the_guide_says_what_its_run_reached(followed: Followed) -> None:
    (manifest,) = followed.lake.manifests("evaluation")
    scores = followed.lake.read_json(manifest, "results.json")["tasks"]["first_heldout_et"]["metrics"]
    said = figures("The held-out score must be", f"here {N} against {N} bits after {N} steps")
    # The last digit of a score is the processor's.
    assert said[:2] == pytest.approx([scores["bits_per_character"], scores["unigram_bits_per_character"]], abs=0.03)
    recipe = load_recipe(followed.folder / "estonian.yaml")
    mini = load_recipe(PROJECT / "orchestration" / "recipes" / "mini-et.yaml")
    assert said[2] == recipe.training.steps
    assert figures("2,048 ids are few", f"^{N} ids.*?{N} of") == [
        recipe.tokenizer.vocab_size,
        mini.tokenizer.vocab_size,
    ]


def test_mini_et_reads_no_finnish_and_no_data_from_elsewhere() -> None:
    recipe = load_recipe(PROJECT / "orchestration" / "recipes" / "mini-et.yaml")
    languages = {each for source in recipe.sources.values() for each in (source.language, source.pair_language)}
    assert languages == {"et", "en", "code", None}
    assert {task.language for task in recipe.scored_tasks.values() if hasattr(task, "language")} == {"et", "en", "code"}
    assert set(recipe.pair_template.instructions) == {"et", "en"} and set(recipe.tokenizer.sources) == {
        "et",
        "en",
        "code",
    }
    files = [file for each in (*recipe.sources.values(), *recipe.tasks.values()) for file in each.files]
    assert files and all((PROJECT / file).is_file() for file in files)
    assert {source.pool for source in recipe.sources.values()} == {"estonian"}
    assert not recipe.automation.follow


# The corpora


def page_of(identifier: str) -> str:
    return identifier.partition("/")[2].partition("#")[0]


def test_no_page_that_is_held_out_is_in_a_file_of_training() -> None:
    held = {page_of(row["id"]) for name in ("heldout_et", "heldout_pairs_et") for row in demo_rows(name, ALL)}
    assert len(held) > 30
    for name in ("libreoffice_help_et", "libreoffice_pairs_et", "libreoffice_help_en"):
        assert not held & {page_of(row["id"]) for row in demo_rows(name, ALL)}, name


def test_no_side_of_a_held_out_pair_is_trained_on() -> None:
    held = {row[side] for row in demo_rows("heldout_pairs_et", ALL) for side in ("et", "en")}
    pairs = {row[side] for row in demo_rows("libreoffice_pairs_et", ALL) for side in ("et", "en")}
    lines = {
        line
        for name in ("libreoffice_help_et", "libreoffice_help_en")
        for row in demo_rows(name, ALL)
        for line in row["text"].split("\n")
    }
    assert len(held) > 390 and not held & pairs and not held & lines


@pytest.mark.parametrize(
    ("name", "licence"),
    [
        ("libreoffice_help_et", "MPL-2.0"),
        ("libreoffice_pairs_et", "MPL-2.0"),
        ("gettext_pairs_et", "GPL-3.0-or-later"),
        ("heldout_et", "MPL-2.0"),
        ("heldout_pairs_et", "MPL-2.0"),
    ],
)
def test_rows_have_ids_of_their_own_and_the_licence_that_is_told(name: str, licence: str) -> None:
    rows = demo_rows(name, ALL)
    ids = [row["id"] for row in rows]
    assert ids == sorted(set(ids)) and {row["license"] for row in rows} == {licence}
    told = (DEMO.parent / "LICENSES.md").read_text("utf-8"), (DEMO.parent / "README.md").read_text("utf-8")
    assert all(f"`{name}`" in text for text in told) and f"{len(rows):,}" in told[1]


def catalogue(messages: dict[str, str], charset: str) -> bytes:
    """A .mo file of messages (GNU gettext's manual, section 10.3)."""
    strings = {"": f"Content-Type: text/plain; charset={charset}\n"} | messages
    rows = [(key.encode("utf-8"), strings[key].encode(charset)) for key in sorted(strings)]
    start, body, tables = 28 + 16 * len(rows), b"", ([], [])
    for row in rows:
        for table, text in zip(tables, row, strict=True):
            table.append(struct.pack("<2I", len(text), start + len(body)))
            body += text + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(rows), 28, 28 + 8 * len(rows), 0, 0)
    return head + b"".join(tables[0]) + b"".join(tables[1]) + body


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-15"])
def test_catalogues_are_read_as_gettext_reads_them(charset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DEMO.parent))
    import build_language

    plain = {"Close the window": "Sulge aken", "Save the file": "Salvesta fail žestiga õlal"}
    made = catalogue({**plain, "menu\x04Open": "Ava", "%d file\0%d files": "%d fail\0%d faili"}, charset)
    read = dict(build_language.messages(made))
    oracle = gettext.GNUTranslations(io.BytesIO(made))
    assert {key: read[key] for key in plain} == {key: oracle.gettext(key) for key in plain} == plain
    assert read["Open"] == oracle.pgettext("menu", "Open")
    assert read["%d file"] == oracle.ngettext("%d file", "%d files", 1) and len(read) == 4
    with pytest.raises(ValueError, match=r"\.mo file"):
        list(build_language.messages(b"no catalogue"))


# What the code knows of a language


def test_letters_are_foreign_by_the_declared_language() -> None:
    word = "õüšž"
    found = {language: MEASURES["foreign-ratio"](texts(language, word))[0] for language in ("et", "fi", "en", "xx")}
    assert found == {"et": 0, "fi": 1, "en": 1, "xx": 0}
    for language, letters in ALPHABETS.items():
        assert MEASURES["foreign-ratio"](texts(language, letters + letters.upper().replace("SS", "") + "abc"))[0] == 0


def test_words_are_counted_in_the_letters_of_the_declared_language() -> None:
    text = "Õnn on žürii õ, naš дом"
    found = {language: MEASURES["min-words"](texts(language, text))[0] for language in ("et", "fi", "xx")}
    assert found == {"et": 4, "fi": 1, "xx": 5}
    assert MEASURES["short-ratio"](texts("et", text))[0] == pytest.approx(1 / 5)
    assert MEASURES["short-ratio"](texts("fi", text))[0] == 0


def test_estonian_without_its_letters_is_found_and_none_with_them() -> None:
    pages = [row["text"] for row in demo_rows("heldout_et", ALL)]
    bare = [page.translate(str.maketrans("äõüöÄÕÜÖ", "aouoAOUO")) for page in pages]
    for strings, share in ((pages, 0), (bare, 1)):
        assert MissingLetters().fails(documents("et", *strings)).mean() == share


def test_identification_is_counted_by_length() -> None:
    pages = [row["text"] for row in demo_rows("heldout_et", ALL)]
    head, row = identify.table([*pages, *(page[:20] for page in pages[:1])], "et")[0::2]
    assert head.split() == ["characters", "texts", "py3langid", "sure", "pycld2", "sure"]
    assert row.split() == ["200-", "35", "100.0%", "100.0%", "100.0%", "100.0%"]


def test_a_text_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"et": "tere"}\n{"en": "hello"}\n', "utf-8")
    with pytest.raises(SystemExit, match=r"a\.jsonl, line 2: .* under 'et'"):
        list(identify.texts_of(file, "et"))


ASSUMES = re.compile(r"(?<![a-z])(?:fi|fin)(?![a-z]|-bench)|finnish|finland|suom[ei]|[åäöÅÄÖ]", re.IGNORECASE)
ALLOWED = {
    "assets/cleaning/alphabets.py": "data by language",
    "assets/cleaning/function_words.py": "data by language",
    "assets/cleaning/furniture/__init__.py": "data by language: its modules",
    "assets/cleaning/furniture/english.py": "data by language: names of languages in menus",
    "assets/cleaning/furniture/finnish.py": "data by language",
    "assets/cleaning/furniture/swedish.py": "data by language",
    "assets/cleaning/stage.py": "names the modules of data",
    "assets/cleaning/numbers.py": "data by language",
    "assets/cleaning/encoding.py": "data by language, and what misread bytes look like in any",
    "assets/cleaning/measures.py": "what misread bytes look like in any language",
    "assets/cleaning/personal.py": "personal data by country; steps that a source can leave out",
    "assets/cleaning/phones.py": "personal data by country; steps that a source can leave out",
    "assets/cleaning/left.py": "personal data by country, looked for again by the gate",
    "orchestration/fetch.py": "where FIN-bench is published",
    "assets/corpora/language.py": "the languages that the declared one is told from",
    "eval_jobs/tasks/continuation.py": "the languages that the declared one is told from",
    "assets/recipe/automation.py": "the name of a task as an example, in messages",
    "assets/recipe/evaluation.py": "FIN-bench is Finnish",
    "assets/tokenizer/engines.py": "a text that is hard to encode",
    "assets/tokenizer/gate.py": "a text that is hard to encode",
    "assets/tokenizer/report_show.py": "the paper's fertility of published tokenizers",
    "orchestration/cli/bench.py": "the demo's corpora by language",
    "orchestration/cli/benches.py": "which of the demo's corpora a benchmark takes by default",
    "orchestration/cli/trial.py": "the name of a file as an example, in a message",
    "training_jobs/launchers/records.py": "the end of an if in a shell",
    "training_jobs/launchers/slurm.py": "the end of an if in a shell",
}
"""The modules that may speak of Finnish beyond comments and docstrings, and why; every one of them does."""


def assumptions(source: str) -> list[str]:
    """The strings and names of a module that speak of Finnish; comments and strings that stand by themselves do not count."""
    tree = ast.parse(source)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [said for node in ast.walk(tree) if id(node) not in alone for said in _said(node) if ASSUMES.search(said)]


def _said(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for field in ("id", "name", "attr", "arg"):
        if isinstance(value := getattr(node, field, None), str):
            yield value


def test_assumptions_are_found_where_they_are() -> None:
    code = '''\
"""About Finnish."""
def heldout_fi(text: str, letters: str = "åäö") -> bool:
    """Finnish."""
    return numbers["fertility_fi"] == "fi" or first(text).finnish or "file" in text or "FIN-bench" in text
'''
    assert sorted(assumptions(code)) == ["fertility_fi", "fi", "finnish", "heldout_fi", "åäö"]


def test_no_code_assumes_finnish_but_where_there_is_a_reason() -> None:
    rooms = (PROJECT / room for room in ("assets", "orchestration", "training_jobs", "eval_jobs"))
    found = {
        str(file.relative_to(PROJECT)): said
        for room in rooms
        for file in sorted(room.rglob("*.py"))
        if (said := assumptions(file.read_text("utf-8")))
    }
    assert not {file: said for file, said in found.items() if file not in ALLOWED}
    assert not set(ALLOWED) - set(found), "these need no reason any more"


NO_FINNISH = {"asia", "gpl", "lockfile"}
"""Words of code and English that are frequent in the Finnish corpora alone."""


def word_counts(*names: str) -> Counter[str]:
    return Counter(word for name in names for row in demo_rows(name, ALL) for word in _words(row["text"]))


def test_no_string_of_the_code_holds_a_finnish_word_but_where_there_is_a_reason() -> None:
    finnish = word_counts("libreoffice_help_fi", "gnome_help_fi", "manpages_fi")
    others = word_counts("libreoffice_help_en", "gnome_help_en", "python_stdlib")
    words = {word for word, count in finnish.items() if count >= 5 and count > 20 * others[word]} - NO_FINNISH
    assert {"kuva", "esimerkki", "taulukko"} < words
    found: dict[str, set[str]] = {}
    for room in ("assets", "orchestration", "training_jobs", "eval_jobs"):
        for file in sorted((PROJECT / room).rglob("*.py")):
            tree = ast.parse(file.read_text("utf-8"))
            alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            said = {w for n in ast.walk(tree) if id(n) not in alone for text in _said(n) for w in _words(text)} & words
            if said and str(file.relative_to(PROJECT)) not in ALLOWED:
                found[str(file.relative_to(PROJECT))] = said
    assert not found


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]{3,}", text.lower())


def test_a_checkpoint_is_asked_to_translate_into_the_language_of_its_task() -> None:
    recipe = load_recipe(PROJECT / "orchestration" / "recipes" / "mini-et.yaml")
    assert _instructions(recipe.scored_tasks.values()) == recipe.pair_template.instructions
