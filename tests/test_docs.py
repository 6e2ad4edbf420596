"""The documents: every command in them works or at least exists, every link leads somewhere, every gate has its advice."""

import ast
import fnmatch
import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import typer
import yaml

from assets.graph import STAGES
from assets.lake import Lake
from assets.lake.documents import read_parts
from assets.recipe.catalog import Catalog
from assets.recipe.load import RECIPES, load_recipe
from orchestration.cli import app
from tests.documents import (
    DOCS,
    FOLLOWED,
    OTHERS,
    PARSED,
    PROJECT,
    RUN,
    TARGETS,
    WORDS,
    Block,
    Command,
    Run,
    blocks,
    commands,
)  # fmt: skip
from tests.workplace import Finished, Workplace, small_workplace

SHELL = [
    block
    for path in DOCS
    if str(path.relative_to(PROJECT)) not in FOLLOWED
    for block in blocks(path)
    if block.kind in ("sh", "bash", "shell", "console")
]
BY_COMMAND = {command.text: command for block in SHELL for command in commands(block)}


def test_every_command_is_in_exactly_one_table():
    tables = (RUN, PARSED, {f"make {target}": why for target, why in TARGETS.items()}, OTHERS)
    known = [text for table in tables for text in table]
    assert len(known) == len(set(known))
    assert sorted(BY_COMMAND) == sorted(known)


def test_what_another_test_runs_is_run_there():
    for document, test in FOLLOWED.items():
        assert Path(document).name in (PROJECT / test).read_text("utf-8")
    for text, test in OTHERS.items():
        names = [word for word in text.split() if "/" in word and (PROJECT / word).is_file()]
        said = (PROJECT / test).read_text("utf-8")
        assert all(Path(name).name in said for name in names), f"{test} does not use {names}"
    for reason in PARSED.values():
        assert all((PROJECT / path).is_file() for path in re.findall(r"tests/[\w/]+\.py", reason))


def test_the_example_of_the_stacks_settings_is_complete():
    example = (PROJECT / "infra" / ".env.example").read_text("utf-8")
    compose = (PROJECT / "infra" / "compose.yaml").read_text("utf-8")
    said = set(re.findall(r"^#?([A-Z0-9_]+)=", example, re.MULTILINE))
    read = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", compose))
    assert said - {"COMPOSE_PROFILES"} <= read
    assert set(re.findall(r"\$\{([A-Z0-9_]+):\?", compose)) <= said


# Commands that are run


@pytest.fixture(scope="module")
def place(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A copy of the finished run, with a desk that has what the documents' commands read, and a model promoted before."""
    assert finished.result.returncode == 0, finished.result.stderr
    folder = tmp_path_factory.mktemp("docs")
    copy = small_workplace(folder)
    shutil.copytree(finished.place.folder / "home", folder / "home", ignore=shutil.ignore_patterns(".staging"))
    desk = folder / "desk"
    (desk / "recipes").mkdir(parents=True)
    for path in DOCS:
        for block in blocks(path):
            if name := re.match(r"# (recipes/[\w-]+\.yaml)\n", block.body):
                value = yaml.safe_load(block.body)
                value["extends"] = WORDS.get(value["extends"], value["extends"])
                (desk / name[1]).write_text(yaml.safe_dump(value), "utf-8")
    lake = Lake.open(str(copy.lake))
    (clean,) = lake.manifests("clean_corpus", "small_fi")
    pages = [
        {"id": f"page-{n}", "text": text}
        for part in read_parts(lake, clean)
        for n, text in enumerate(part["text"].to_pylist())
    ]
    (desk / "pages.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(page) + "\n" for page in pages).encode()))
    first = copy.tokka("promote", "small", "--step", "0", "--as", "finnish")
    assert first.returncode == 0, first.stderr
    return copy


def arguments(place: Workplace, words: list[str], as_is: bool) -> list[str]:
    """A command's words with those of the small run in the place of the documents'."""
    (tokenizer,) = (place.lake / "tokenizer" / "small-bpe").iterdir()
    filled = {"{tokenizer}": f"tokenizer/small-bpe/{tokenizer.name}"}
    replaced = words if as_is else [WORDS.get(word, word) for word in words]
    return [filled.get(word, word) for word in replaced]


def runs(block: Block) -> list[tuple[Command, Run]]:
    return [(command, RUN[command.text]) for command in commands(block) if command.text in RUN]


@pytest.mark.parametrize("block", [block for block in SHELL if runs(block)], ids=lambda block: block.place)
def test_commands_of_a_block_run_one_after_the_other(place: Workplace, block: Block):
    desk = place.folder / "desk"
    for command, expected in runs(block):
        for words in command.tokka:
            done = subprocess.run(
                place.command(*arguments(place, words, expected.as_is)),
                env=place.environment | {"TOKKA_MY_DATA": str(desk), "TOKKA_RECIPES": f"{place.folder}/recipes"},
                cwd=desk, capture_output=True, text=True, check=False,
            )  # fmt: skip
            said = done.stdout + done.stderr
            assert done.returncode == 0, f"{command.text}\n{said[-3000:]}"
            assert re.search(expected.says, said), f"{command.text}\n{said[-3000:]}"
            assert expected.makes is None or (desk / expected.makes).stat().st_size


def test_a_lake_that_is_restored_without_dagsters_database_is_found_again(finished: Finished, tmp_path: Path):
    assert finished.result.returncode == 0, finished.result.stderr
    place = small_workplace(tmp_path)
    shutil.copytree(finished.place.lake, place.lake, ignore=shutil.ignore_patterns(".staging"))
    before = {path: path.read_bytes() for path in place.lake.glob("*/*/*/manifest.json")}
    restored = place.tokka("run", "small")
    assert restored.returncode == 0, restored.stderr
    assert {path: path.read_bytes() for path in place.lake.glob("*/*/*/manifest.json")} == before
    assert "nothing to do" in (place.tokka("run", "small").stdout)


# Commands that are parsed


def parse(words: list[str], complete: bool = True) -> None:
    """Parse arguments of ``tokka`` as the command itself does. Raises typer's errors for what it does not know.

    Where they need not be ``complete``, what stands in a sentence may lack arguments: then the command alone is looked up.
    """
    command, name, rest = typer.main.get_command(app), "tokka", list(words)
    while hasattr(command, "resolve_command"):
        if not rest and not complete:
            return
        context = command.make_context(name, list(rest))
        found, command, rest = command.resolve_command(context, rest)
        name = f"{name} {found}"
    if rest or complete:
        command.make_context(name, rest)


@pytest.mark.parametrize("text", [*RUN, *PARSED])
def test_every_command_and_option_exists(text):
    assert BY_COMMAND[text].tokka
    for words in BY_COMMAND[text].tokka:
        parse(words)


@pytest.mark.parametrize(
    "words", ["nonsense", "run mini --nonsense", "run", "lake nonsense", "sample mini first", "run a b"]
)
def test_what_does_not_exist_is_noticed(words):
    with pytest.raises(Exception, match=r"No such|Missing|valid integer|unexpected"):
        parse(words.split())


def test_targets_of_make_exist_and_what_they_run_is_parsed():
    sentences = {target for path in DOCS for target in re.findall(r"`make ([a-z]+)`", path.read_text("utf-8"))}
    fenced = {target for command in BY_COMMAND.values() for target in command.targets}
    for target in sorted(sentences | fenced):
        done = subprocess.run(
            ["make", "-n", target, f"READY={PROJECT / 'Makefile'}"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        for line in re.findall(r"\S*bin/(tokka .*)", done.stdout):
            if "--help" not in line:
                parse(shlex.split(line)[1:])


@cache
def in_sentences() -> dict[str, str]:
    """The ``tokka`` commands that stand in sentences and tables, with the place of the first."""
    found: dict[str, str] = {}
    for path in DOCS:
        text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for command in re.findall(r"`(tokka [^`]+)`", text):
            found.setdefault(command.replace("\\|", "|"), str(path.relative_to(PROJECT)))
    return found


@pytest.mark.parametrize("text", in_sentences())
def test_a_command_in_a_sentence_exists(text):
    """Words in capitals stand for values: a number or a study where one is asked for; brackets for what may be left out."""
    words = [word.split("|")[0] for word in shlex.split(text.replace("[", "").replace("]", ""))[1:]]
    values = {"N": "1", "STEP": "1", "STUDY": "ablations"}
    parse([values.get(word, word) for word in words if word != "..."], complete=False)


# Links, names of files and tests


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path):
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", path.read_text("utf-8")))
    for link in links:
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.is_relative_to(PROJECT) and target.exists(), f"{path.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{path.name}: {link}"


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_file_that_is_named_is_there(path):
    rooms = "assets|orchestration|training_jobs|eval_jobs|infra|tests|docs"
    named = re.findall(rf"`((?:{rooms})/[\w./-]*\w/?)[`:#]", path.read_text("utf-8"))
    # A stem in capitals stands for a name: infra/profiles/NAME.yaml.
    assert [name for name in named if not (PROJECT / name).exists() and not Path(name).stem.isupper()] == []


@cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((PROJECT / file).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_test_that_is_named_is_there(path):
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", path.read_text("utf-8"))
    assert [f"{file}::{name}" for file, name in named if name not in functions_of(file)] == []
    assert named or path.name != "security.md"


def test_every_document_is_reached_from_the_readme():
    seen, left = set(), [PROJECT / "README.md"]
    while left:
        path = left.pop()
        if path not in seen and path.suffix == ".md":
            seen.add(path)
            links = re.findall(r"\]\(([^)#\s:]+\.md)", path.read_text("utf-8"))
            left += [Path(os.path.normpath(path.parent / link)) for link in links]
    assert set(DOCS) <= seen


# Gates


def advice() -> dict[str, list[str]]:
    """The expectations that docs/operations.md has a row for, by gate."""
    text = (PROJECT / "docs" / "operations.md").read_text("utf-8")
    section = text.partition("\n## When a gate fails\n")[2].partition("\n## ")[0]
    found: dict[str, list[str]] = {}
    for gate, what in re.findall(r"^\| (\w+) \| ([^|]+) \|", section, re.MULTILINE):
        found.setdefault(gate, []).extend(re.findall(r"`([^`]+)`", what))
    return found


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage.gate], ids=lambda stage: stage.asset)
def test_every_expectation_of_every_gate_has_its_row(stage):
    catalog = Catalog.of([load_recipe(RECIPES / f"{name}.yaml") for name in ("mini", "mini-continued")])
    columns: set[str] = set()
    for key in stage.keys(catalog):
        bounds = stage.gate.bounds(catalog, key)
        given = set(bounds.get("references", ()))
        columns |= {"TASK_METRIC" if e.column in given else e.column for e in stage.gate.expectations(bounds)}
    assert columns
    rows = advice()[stage.asset]
    assert [column for column in sorted(columns) if not any(fnmatch.fnmatch(column, row) for row in rows)] == []
    assert [row for row in rows if not fnmatch.filter(columns, row)] == [], "rows of what no gate expects"


def test_no_row_is_of_another_asset():
    assert set(advice()) - {"gate"} == {stage.asset for stage in STAGES if stage.gate}
