"""The stage tokenizer: one version per tokenizer name."""

import json
from collections.abc import Iterator
from typing import Any

from assets.lake import Lake, Manifest
from assets.lake.documents import read_parquet, write_table
from assets.recipe.catalog import Catalog
from assets.stage import Input, Shown, Stage, Work
from assets.tokenizer import gate

TOKENIZER = "tokenizer.json"
REPORT = "report.json"


def inputs(catalog: Catalog, name: str) -> list[Input]:
    config = catalog.tokenizers[name]
    sources = sorted({source for names in config.sources.values() for source in names})
    tasks = sorted(set(config.fertility_tasks.values()))
    return [*(("decontaminated_corpus", source) for source in sources), *(("benchmark", task) for task in tasks)]


def config(catalog: Catalog, name: str) -> dict[str, Any]:
    """What decides a tokenizer and its report; the bounds of its gate, and how large shards are, do not."""
    config = catalog.tokenizers[name]
    sources = {source for names in config.sources.values() for source in names}
    pairs = {s: catalog.sources[s] for s in sorted(sources) if catalog.sources[s].is_pairs}
    return {
        **config.model_dump(mode="json", exclude={"name", "max_fertility", "shard_bytes", "sources"}),
        "sources": {language: sorted(set(names)) for language, names in config.sources.items()},
        "pairs": {source: [declared.pair_language, declared.language] for source, declared in pairs.items()},
    }


def make(work: Work) -> None:
    """Train, write the Hugging Face files, and measure on documents that the sample does not hold."""
    import pyarrow as pa

    from assets.tokenizer import bpe, report
    from assets.tokenizer.sample import Text, draw, read

    config = work.catalog.tokenizers[work.key]
    bpe.untrained(config)  # a regex that does not compile is refused before the corpora are read
    corpora = work.inputs["decontaminated_corpus"]
    benchmarks = benchmark_texts(work)
    draws = draw(work.lake, corpora, work.catalog.sources, config)
    sampled = dict.fromkeys(sorted(config.sources), 0)
    held_out: list[Text] = []
    looked_at: list[str] = []

    def texts() -> Iterator[str]:
        for each in read(work.lake, corpora, work.catalog.sources, config, draws):
            if each.held_out:
                held_out.append(each)
                continue
            sampled[each.language] += len(each.text.encode())
            if each.looked_at:
                looked_at.append(each.text)
            yield each.text

    work.log.info("training a byte-level BPE of %d ids", config.vocab_size)
    trained = bpe.train(config, texts())
    trained.save(str(work.out.stage(TOKENIZER)))
    work.out.add(TOKENIZER)
    work.out.write_json("tokenizer_config.json", bpe.hugging_face_config())
    names = ("language", "document", "text")
    rows = [{name: getattr(each, name) for name in names} for each in sorted(held_out)]
    schema = pa.schema([(name, pa.large_string()) for name in names])
    write_table(work.out, gate.HELD_OUT, pa.Table.from_pylist(rows, schema))
    trained.encode_special_tokens = True
    by_language = {lang: [row["text"] for row in rows if row["language"] == lang] for lang in sampled}
    work.log.info("measuring it")
    found = report.build(trained, by_language, benchmarks, looked_at)
    for language, measured in found["languages"].items():
        measured["sampled_bytes"] = sampled[language]
    work.out.write_json(REPORT, found)
    work.out.counts.update(
        vocab_size=trained.get_vocab_size(),
        unused_tokens=found["vocabulary"]["unused"]["tokens"],
        **{f"sampled_bytes_{language}": size for language, size in sampled.items()},
    )


def benchmark_texts(work: Work) -> dict[str, tuple[str, list[str]]]:
    """By language the task that fertility is measured on too, and its texts in the language, in the order of its items.

    A task whose data is not at hand is left out.
    """
    from assets.benchmarks.items import PASSAGE
    from assets.recipe.evaluation import Translation

    found = {}
    for language, name in sorted(work.catalog.tokenizers[work.key].fertility_tasks.items()):
        task, items = work.catalog.tasks[name], read_parquet(work.lake, work.inputs["benchmark"][name], "items.parquet")
        if not items.num_rows:
            work.log.warning("The data of %s is not at hand: fertility in %s is not measured on it.", name, language)
            continue
        if isinstance(task, Translation):
            side = "reference" if language == task.language else "source"
            texts = [json.loads(item)[side] for item in items["item"].to_pylist()]
        else:
            texts = [text.replace(PASSAGE, "\n") for text in items["text"].to_pylist()]
        found[language] = (name, texts)
    return found


def show(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """The report as tables and plots."""
    from assets.tokenizer.report_show import shown

    return shown(manifest.partition, lake.read_json(manifest, REPORT))


STAGE = Stage(
    asset="tokenizer",
    space="tokenizer",
    description="Byte-level BPE trained on a uniform sample of the languages; Hugging Face files, report.",
    keys=lambda catalog: list(catalog.tokenizers),
    inputs=inputs,
    config=config,
    code=(
        "assets.tokenizer.bpe",
        "assets.tokenizer.sample",
        "assets.tokenizer.measure",
        "assets.tokenizer.report",
        "assets.tokenizer.stage",
        "assets.lake.documents",
        "assets.words",
    ),
    libraries=("tokenizers", "regex"),
    group="tokens",
    kinds=("huggingface",),
    make=make,
    gate=gate.GATE,
    show=show,
)
