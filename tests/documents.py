"""What the documents tell people to type: their commands, and how each of them is tested.

A command that stands in a fenced block and in none of the tables here fails tests/test_docs.py.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]
DOCS = (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")))
FOLLOWED = {"docs/add-a-language.md": "tests/test_add_a_language.py"}
"""Documents that a test of their own follows command by command."""

_FENCE = re.compile(r"^```(?P<kind>[a-z]*)[^\n]*\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_INNER = re.compile(r"\$\([^)]*\)")
_BETWEEN = (";", "|", "&&", "||", "&")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, its language, its text."""

    place: str
    kind: str
    body: str


@dataclass(frozen=True)
class Command:
    """A line of a block, as it is written but for its comment, and the words of the programs that it starts."""

    text: str
    programs: tuple[tuple[str, ...], ...]

    @property
    def tokka(self) -> list[list[str]]:
        """The arguments of each ``tokka`` in it."""
        return [list(words[1:]) for words in self.programs if Path(words[0]).name == "tokka"]

    @property
    def targets(self) -> list[str]:
        """The targets of each ``make`` in it."""
        return [target for words in self.programs if words[0] == "make" for target in words[1:]]


@dataclass(frozen=True)
class Run:
    """The command is run over a finished small run, and says this (a pattern), or ``makes`` a file; ``as_is`` without replacing
    words of it."""

    says: str = ""
    as_is: bool = False
    makes: str | None = None


def blocks(path: Path) -> Iterator[Block]:
    """The fenced blocks of a document."""
    text = path.read_text("utf-8")
    for match in _FENCE.finditer(text):
        line = text[: match.start()].count("\n") + 1
        yield Block(f"{path.relative_to(PROJECT)}:{line}", match["kind"], match["body"])


def commands(block: Block) -> Iterator[Command]:
    """The commands of a block of shell."""
    for line in block.body.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(_INNER.sub("VALUE", line), posix=True, punctuation_chars=";|&")
        lexer.whitespace_split = True
        programs: list[list[str]] = [[]]
        for word in lexer:
            if word in _BETWEEN:
                programs.append([])
            elif programs[-1] or not _ASSIGNMENT.match(word):
                programs[-1].append(word)
        text = " ".join(re.split(r"\s+#\s", line)[0].split())
        if text and not text.startswith("#"):
            yield Command(text, tuple(tuple(words) for words in programs if words))


# Words that stand for something of the small run of tests/workplace.py. {document} and {tokenizer} are filled in by the test.
WORDS = {
    "mini": "small",
    "mini@160": "small@0",
    "mini@320": "small@60",
    "320": "60",
    "heldout_fi": "small_heldout_fi",
    "gnome_help_fi:gnome-help-fi/gnome-help/a11y-bouncekeys.page": "small_fi:gnome-help-fi/gnome-help/a11y-bouncekeys.page",
    "fi_docs:page-7": "small_fi:gnome-help-fi/gnome-help/a11y-bouncekeys.page",
    "tokenizer/bloom-8k/VERSION": "{tokenizer}",
    "path/to/huggingface-folder": "{checkpoint}",
}

_KEPT = r'"decision": "(keep|drop)"'
RUN = {
    "tokka doctor": Run("lake"),
    "tokka scores mini": Run("small_heldout_fi +bits_per_character"),
    "tokka lake ls": Run("pretraining_run +small"),
    "tokka lake ls clean_corpus": Run("clean_corpus +small_fi .* passed"),
    "tokka lake show tokenizer/bloom-8k/VERSION": Run("round_trip_failures"),
    "tokka lake verify": Run(" 0 faults"),
    "tokka run mini": Run("nothing to do"),
    "tokka passport mini --step 320 --task heldout_fi": Run("Passport of small at step 60"),
    "tokka sample mini 42": Run("small_fi:|small_pairs:"),
    "tokka sample mini 42 --samples 1 --json": Run('"samples"'),
    "tokka sample mini 42 --samples 2": Run("small_fi:|small_pairs:"),
    "tokka why gnome_help_fi:gnome-help-fi/gnome-help/a11y-bouncekeys.page": Run("tokenized"),
    "tokka tainted-by gnome_help_fi:gnome-help-fi/gnome-help/a11y-bouncekeys.page": Run(
        "checkpoint/small--step-0000060"
    ),
    "tokka tainted-by fi_docs:page-7": Run("checkpoint/small--step-0000060"),
    "tokka compare mini@160 mini@320": Run("small_heldout_fi"),
    "tokka scoreboard --html board.html": Run(makes="board.html"),
    "tokka recipes list": Run("mini-continued"),
    "tokka recipes show mini": Run("sources:"),
    "tokka recipes check mini": Run("mini", as_is=True),
    "tokka recipes check recipes/slower.yaml": Run("slower"),
    "tokka recipes check recipes/with-pages.yaml": Run("with-pages"),
    "tokka run recipes/slower.yaml --to tokenized_shards": Run("nothing to do"),
    "tokka run recipes/with-pages.yaml --to decontaminated_corpus": Run("my_pages"),
    "tokka study list": Run("ablations"),
    "tokka suites list": Run("finbench"),
    "tokka plan mini --gpus 8 --gpu H100": Run("memory", as_is=True),
    "tokka plan poro-34b --gpus 512 --memory-gb 64": Run("memory", as_is=True),
    "tokka plan poro-34b --gpus 1024 --gpu MI250X --tokens-per-second 174378": Run("49,618 if all blocks", as_is=True),
    "tokka study plan ablations --base mini": Run("mini-no-code", as_is=True),
    "tokka try web pages.jsonl.gz --language fi": Run(_KEPT),
    "tokka try web pages.jsonl.gz --language fi --limit 200": Run(_KEPT),
    "tokka try web pages.jsonl.gz --language fi --set digits.at_most=0.2": Run(_KEPT),
    "tokka try web pages.jsonl.gz --language fi --without short_lines": Run(_KEPT),
    "tokka try web pages.jsonl.gz --language fi --with-dedup --against all": Run(_KEPT),
    'tokka promote mini --step 320 --as finnish --why "best so far"': Run("small, step 60, is current as finnish"),
    "tokka promoted finnish": Run("best so far"),
    'tokka rollback finnish --why "it repeats itself"': Run("finnish is small, step 0, again"),
}
"""Commands that need no more than a finished small run. ``finnish`` is promoted once before."""

_TRAINS = "trains and evaluates; tests/workplace.py runs the same command over a smaller recipe"
PARSED = {
    "tokka ui": "serves until it is ended; tests/orchestration/test_ui.py opens it",
    "tokka run recipes/slower.yaml": _TRAINS,
    "tokka run recipes/with-pages.yaml": _TRAINS,
    "tokka compare mini slower": "needs the training of the recipe slower; the command itself is run with other checkpoints",
    "tokka try web pages.jsonl.gz --language fi --filter '{kind: kenlm, model: fi.binary}'":
        "needs a model; tests/orchestration/test_trial.py has one",
    "tokka eval path/to/huggingface-folder --suite english --suite finbench --limit 50 --output scores":
        "needs data that is not in the repository; tests/orchestration/test_eval.py scores suites of its own",
    "tokka study blessing-of-multilinguality-mini": "takes an hour; tests/orchestration/test_study.py runs a tiny one",
    "tokka bench overhead mini --rounds 1 --output docs/benchmarks/overhead.json":
        "takes minutes; tests/infra/test_bench_overhead.py runs it on little",
    "S=$TOKKA_SHARED; tokka bench overhead --megabytes 1000 --file $S/fi/msdocs_fi.jsonl.gz "
    "--file $S/fi/turku_ner_fi.jsonl.gz --output docs/benchmarks/overhead-1gb.json":
        "takes minutes; tests/infra/test_bench_overhead.py runs it on little",
    "tokka bench tokens --output docs/benchmarks/tokens.json": "takes minutes; tests/infra/test_bench.py runs it on little",
    "TOKKA_HOME=$(mktemp -d) .venv/bin/tokka run mini --json | .venv/bin/python infra/bench/stage_times.py":
        "takes minutes; tests/infra/test_bench.py makes the table",
    "S=$TOKKA_SHARED; tokka bench data --megabytes 60 --file $S/fi/msdocs_fi.jsonl.gz --file $S/fi/turku_ner_fi.jsonl.gz "
    "--file $S/fi/fiwiki_sample_fi.jsonl.gz --output docs/benchmarks/data-plane.json":
        "takes minutes; tests/infra/test_bench.py runs it on little",
    "S=$TOKKA_SHARED; tokka bench tokens --vocabulary 262144 --megabytes 49 --repeat 1 --no-peer "
    "--output docs/benchmarks/tokens-262k.json --file $S/fi/aptitude_doc_fi.jsonl.gz "
    "--file $S/fi/fiwiki_sample_fi.jsonl.gz --file $S/fi/gnome_help_fi.jsonl.gz --file $S/fi/kalevala_fi.jsonl.gz "
    "--file $S/fi/libreoffice_help_fi.jsonl.gz --file $S/fi/manpages_fi.jsonl.gz --file $S/fi/msdocs_fi.jsonl.gz "
    "--file $S/fi/statutes_fi.jsonl.gz --file $S/fi/turku_ner_fi.jsonl.gz --file $S/en/gnome_help_en.jsonl.gz "
    "--file $S/en/gutenberg_en.jsonl.gz --file $S/en/libreoffice_help_en.jsonl.gz --file $S/en/msdocs_en.jsonl.gz "
    "--file $S/en/wikitext2_valid_en.jsonl.gz --file $S/code/npm_javascript.jsonl.gz --file $S/code/pypi_python.jsonl.gz "
    "--file $S/code/python_stdlib.jsonl.gz":
        "takes minutes; tests/assets/shards/test_large_vocabulary.py trains one of that size",
    "S=$TOKKA_SHARED; tokka bench tokens --megabytes 400 --repeat 1 --output docs/benchmarks/tokens.json "
    "--file $S/fi/msdocs_fi.jsonl.gz --file $S/fi/turku_ner_fi.jsonl.gz --file $S/fi/fiwiki_sample_fi.jsonl.gz "
    "--file $S/en/msdocs_en.jsonl.gz --file $S/en/gutenberg_en.jsonl.gz --file $S/code/python_stdlib.jsonl.gz "
    "--file $S/code/pypi_python.jsonl.gz":
        "takes minutes; tests/infra/test_bench.py runs it on little",
}  # fmt: skip
"""Commands of which only command, arguments and options are checked, and why."""

TARGETS = {
    "demo": "installs and runs for minutes; its recipe's command is checked, and run over a smaller recipe",
    "test": "is what runs this",
}
"""Targets of make in fenced blocks: looked up by ``make -n``, which starts nothing, and why they are not made."""

_COMPOSE = "tests/infra/test_compose.py"
OTHERS = {
    "export TOKKA_MY_DATA=$PWD": "tests/test_docs.py",
    "python -m infra.bench.overhead_ui 10000 docs/benchmarks/overhead-ui.json": "tests/infra/test_bench_overhead.py",
    "infra/docker/build.sh orchestrator tokka": "tests/infra/test_images.py",
    "sudo infra/stack/prepare.sh /srv/tokka": _COMPOSE,
    "cp infra/.env.example infra/.env": "tests/test_docs.py",
    "docker compose -f infra/compose.yaml up -d --wait": _COMPOSE,
    "docker compose -f infra/compose.yaml exec code python3 -m orchestration.cli doctor": _COMPOSE,
}
"""Commands of other programs, and the test that runs them, or does what they do."""
