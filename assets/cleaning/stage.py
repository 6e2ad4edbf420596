"""The stage clean_corpus: one version per source, made from its raw corpus part by part."""

from collections import Counter
from typing import Any

from assets.cleaning import gate
from assets.cleaning.profiles import profile_of
from assets.cleaning.run import clean
from assets.cleaning.show import show
from assets.cleaning.texts import Languages
from assets.lake.documents import part_path, read_parts, write_table
from assets.recipe.catalog import Catalog
from assets.recipe.data import Source
from assets.stage import Stage, Work

REMOVED = "removed"


def languages_of(source: Source) -> Languages:
    """The declared languages of a source's columns; of a pair ``text`` is the side in ``pair_language``."""
    if source.pair_language is not None:
        return Languages(source.pair_language, source.language)
    return Languages(source.language)


def config(catalog: Catalog, source: str) -> dict[str, Any]:
    """What decides a clean corpus: the steps with their thresholds, and the declared languages."""
    declared = catalog.sources[source]
    return {
        "profile": declared.cleaning,
        "steps": profile_of(declared, f"sources.{source}").model_dump(mode="json")["steps"],
        "languages": languages_of(declared).columns,
    }


def make(work: Work) -> None:
    """Clean every part of the raw corpus; write the kept documents and the removed ones with their reasons."""
    source = work.catalog.sources[work.key]
    profile, languages = profile_of(source, f"sources.{work.key}"), languages_of(source)
    raw = work.input("raw_corpus")
    parts = len(raw.under("documents"))
    counts: Counter[str] = Counter()
    for number, part in enumerate(read_parts(work.lake, raw)):
        cleaned = clean(part, profile, languages)
        write_table(work.out, part_path(number), cleaned.kept)
        write_table(work.out, part_path(number, REMOVED), cleaned.removed)
        counts.update(cleaned.counts)
        work.log.info("part %d of %d: kept %d of %d documents", number + 1, parts, cleaned.kept.num_rows, part.num_rows)
    work.out.counts.update(counts)


STAGE = Stage(
    asset="clean_corpus",
    space="source",
    description="The documents of a source that are fit for training, personal data masked, and why the others go.",
    keys=lambda catalog: list(catalog.sources),
    inputs=lambda catalog, key: [("raw_corpus", key)],
    config=config,
    code=(
        "assets.cleaning.alphabets",
        "assets.cleaning.texts",
        "assets.cleaning.measures",
        "assets.cleaning.steps",
        "assets.cleaning.encoding",
        "assets.cleaning.licences",
        "assets.cleaning.strange_words",
        "assets.cleaning.personal",
        "assets.cleaning.phones",
        "assets.cleaning.secrets",
        "assets.cleaning.letters",
        "assets.cleaning.function_words",
        "assets.cleaning.languages",
        "assets.cleaning.furniture",
        "assets.cleaning.furniture.english",
        "assets.cleaning.furniture.finnish",
        "assets.cleaning.furniture.swedish",
        "assets.cleaning.boilerplate",
        "assets.cleaning.repetition",
        "assets.cleaning.pairs",
        "assets.cleaning.placeholders",
        "assets.cleaning.numbers",
        "assets.cleaning.code",
        "assets.cleaning.headers",
        "assets.cleaning.models",
        "assets.cleaning.profiles",
        "assets.cleaning.run",
        "assets.engine",
        "assets.corpora.language",
        "assets.lake.documents",
        "assets.words",
    ),
    make=make,
    gate=gate.GATE,
    libraries=("daft", "py3langid", "pycld2", "ftfy"),
    show=show,
)
