"""The stage tokenizer: one version per tokenizer name."""

import json
from dataclasses import asdict
from typing import Any

from assets.lake import Lake, Manifest
from assets.recipe.catalog import Catalog
from assets.stage import Input, Plot, Shown, Stage, Table, Work
from assets.tokenizer import gate

TOKENIZER = "tokenizer.json"
REPORT = "report.json"


def inputs(catalog: Catalog, name: str) -> list[Input]:
    languages = catalog.tokenizers[name].sources
    return [("decontaminated_corpus", source) for source in sorted({s for names in languages.values() for s in names})]


def config(catalog: Catalog, name: str) -> dict[str, Any]:
    """What decides a tokenizer; the bounds of its gate do not."""
    return catalog.tokenizers[name].model_dump(mode="json", exclude={"name", "max_fertility"})


def make(work: Work) -> None:
    """Train, write the Hugging Face files, and measure on documents that the sample does not hold."""
    from assets.tokenizer import bpe
    from assets.tokenizer.measure import measure
    from assets.tokenizer.sample import held_out_texts, training_texts

    config = work.catalog.tokenizers[work.key]
    corpora = dict(work.inputs["decontaminated_corpus"])
    sampled = dict.fromkeys(sorted(config.sources), 0)

    def texts() -> Any:
        for language, text in training_texts(work.lake, corpora, work.catalog.sources, config):
            sampled[language] += len(text.encode())
            yield text

    work.log.info("training a byte-level BPE of %d ids", config.vocab_size)
    trained = bpe.train(config, texts())
    trained.save(str(work.out.stage(TOKENIZER)))
    work.out.add(TOKENIZER)
    work.out.write_json("tokenizer_config.json", bpe.hugging_face_config())
    trained.encode_special_tokens = True
    held_out = held_out_texts(work.lake, corpora, work.catalog.sources, config)
    report = {
        language: {**asdict(measure(trained, texts)), "sampled_bytes": sampled[language]}
        for language, texts in held_out.items()
    }
    work.out.write_json(REPORT, report)
    work.out.counts.update(
        vocab_size=trained.get_vocab_size(), **{f"sampled_bytes_{language}": n for language, n in sampled.items()}
    )


def show(lake: Lake, manifest: Manifest) -> dict[str, Shown]:
    """Fertility by language, as a table and as bars."""
    from assets.plots import bars

    report: dict[str, dict[str, float]] = lake.read_json(manifest, REPORT)
    fertility = {language: row["fertility"] for language, row in report.items()}
    vocabulary = json.loads(lake.fs.cat_file(lake.path(manifest, TOKENIZER)))["model"]["vocab"]
    longest = sorted(vocabulary, key=len, reverse=True)[:10]
    return {
        "measures": Table([{"language": language, **row} for language, row in report.items()]),
        "fertility": Plot(bars(fertility, "tokens per word", "Fertility by language"), "Fertility by language"),
        "longest tokens": Table([{"token": token, "id": vocabulary[token]} for token in longest]),
        **{f"fertility_{language}": value for language, value in fertility.items()},
    }


STAGE = Stage(
    asset="tokenizer",
    space="tokenizer",
    description="Byte-level BPE trained on a uniform sample of the languages; Hugging Face files.",
    keys=lambda catalog: list(catalog.tokenizers),
    inputs=inputs,
    config=config,
    code=("assets.tokenizer.bpe", "assets.tokenizer.sample"),
    libraries=("tokenizers",),
    group="tokens",
    kinds=("huggingface",),
    make=make,
    gate=gate.GATE,
    show=show,
)
