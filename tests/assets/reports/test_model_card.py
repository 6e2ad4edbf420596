"""The model card, written from a small lineage."""

import json

import pytest

from assets.lake import Identity, Receipt
from assets.recipe.catalog import Catalog
from assets.recipe.model import Recipe
from assets.reports.stage import MODEL_CARD
from tests.conftest import RECIPE, changed, make_version, passing_receipt

SOURCES = ("docs_fi", "docs_pairs")
CORPORA = {"raw_corpus": 120, "clean_corpus": 110, "deduplicated_corpus": 100, "decontaminated_corpus": 97}
LAST = "tiny--step-0000004"


@pytest.fixture
def put(lake):
    """Puts a version with these JSON files into the lake."""

    def write(asset, partition, *inputs, files=None, counts=None, cost=None, risks=None):
        who = Identity(asset, partition, {}, "test", tuple(made.ref for made in inputs))
        with lake.write(who, risks) as out:
            for name, value in (files or {}).items():
                out.stage(name).write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
            out.counts.update(counts or {})
            out.cost.update(cost or {})
        made = lake.find(asset, partition, who.version)
        passing_receipt(lake, made)
        return made

    return write


@pytest.fixture
def chain(put):
    """A checkpoint and a scoreboard, with all that a card tells of them."""

    def build(environment=None, risks=None):
        last = dict.fromkeys(SOURCES)
        for asset, documents in CORPORA.items():
            for source in SOURCES:
                inputs = [last[source]] if last[source] else []
                last[source] = put(asset, source, *inputs, counts={"documents": documents})
        report = {"languages": {"fi": {"fertility": 1.9}, "en": {"fertility": 1.4}}}
        tokenizer = put("tokenizer", "tiny-bpe", *last.values(), files={"report.json": report})
        shards = [put("tokenized_shards", f"{s}--tiny-bpe", tokenizer, made) for s, made in last.items()]
        blend = [{"source": s, "tokens": 1000, "weight": 0.5, "epochs": 1.5} for s in SOURCES]
        mixture = put("mixture", "tiny", *shards, files={"mixture.json": {"sources": blend}})
        metrics = "".join(json.dumps({"step": step, "loss": 6.0 - step}) + "\n" for step in range(1, 5))
        run = put(
            "pretraining_run", "tiny", mixture, tokenizer, risks=risks,
            files={"metrics.jsonl": metrics, "environment.json": {"ranks": 2, **(environment or {})}},
            counts={"parameters": 38_000, "tokens": 256}, cost={"rank_hours": 3.5},
        )  # fmt: skip
        checkpoint = put("checkpoint", LAST, run, tokenizer, counts={"step": 4, "tokens": 256})
        task = {
            "kind": "bits_per_character", "status": "scored", "metrics": {"bits_per_character": 2.5}, "items": 5,
            "contaminated": 1, "version": 1, "definition": "d" * 64, "data": "e" * 64,
        }  # fmt: skip
        results = {"tasks": {"heldout_fi": task}, "harness": {"lm_eval": "0.4.13"}, "seed": 1234}
        evaluation = put("evaluation", LAST, checkpoint, files={"results.json": results})
        row = {"task": "heldout_fi", "status": "scored", "items": 5, "stderr": None, "reason": None, "step": 4}
        row |= {"clean": 2.75, "clean_stderr": None, "contaminated": 1, "average": False}
        scores = [{**row, "metric": m, "score": s} for m, s in (("bits_per_character", 2.5), ("chrf", 31.0))]
        scoreboard = put("scoreboard", "tiny", evaluation, files={"scores.json": scores})
        return {"scoreboard": {"tiny": scoreboard}, "checkpoint": {LAST: checkpoint}}

    return build


def card(lake, inputs, catalog):
    return (lake.local(make_version(MODEL_CARD, lake, catalog, "tiny", inputs)) / "model_card.md").read_text("utf-8")


def test_the_card_tells_data_model_scores_gates_and_lineage(lake, catalog, chain):
    inputs = chain()
    text = card(lake, inputs, catalog)
    assert "BLOOM with 38,000 parameters, trained on 256 tokens from 2 sources." in text
    assert "| docs_fi | fi | MIT | 120 | 110 | 100 | 97 | 1,000 | 0.5 | 1.5 |" in text
    assert "| docs_pairs | en-fi | MIT | 120 | 110 | 100 | 97 | 1,000 | 0.5 | 1.5 |" in text
    assert "| task | metric | step 4 | ± | clean | items | contaminated |" in text
    assert "| heldout_fi | bits_per_character | 2.5 | – | 2.75 | 5 | 1 |" in text
    assert "| decontaminated_corpus | docs_fi | passed | 0 of 0 |" in text
    assert inputs["checkpoint"][LAST].digest in text
    assert "Scored by lm_eval 0.4.13; seed 1234." in text
    assert (
        f"| heldout_fi | bits_per_character | – | bits_per_character | 5 | 1 | scored | 1 | {'d' * 12} | {'e' * 12} |"
        in text
    )
    assert "| MIT | docs_fi, docs_pairs | 1 |" in text
    assert "None: every input had a passing receipt." in text


@pytest.mark.parametrize(
    ("environment", "shown"), [({"accelerator": "cuda"}, "3.5"), ({"accelerator": "cpu"}, "0"), ({}, "\N{EN DASH}")]
)
def test_gpu_hours_are_those_of_runs_on_a_gpu_and_unknown_where_the_run_does_not_say(
    lake, catalog, chain, environment, shown
):
    assert f"| gpu_hours | {shown} |" in card(lake, chain(environment), catalog)


def test_risks_that_were_taken_and_gates_that_failed_are_told(lake, catalog, chain):
    inputs = chain(risks={"mixture/tiny/abc": "it is only a trial"})
    checkpoint = inputs["checkpoint"][LAST]
    lake.write_receipt(
        Receipt(
            asset="checkpoint", partition=LAST, version=checkpoint.version, manifest_digest=checkpoint.digest,
            suite_digest="test", passed=False, expectations=[], profile=[], numbers={},
            time="2026-01-01T00:00:00+00:00",
        )
    )  # fmt: skip
    text = card(lake, inputs, catalog)
    assert "used mixture/tiny/abc without a passing gate: it is only a trial" in text
    assert f"| checkpoint | {LAST} | failed |" in text


def test_a_hostile_description_is_text_in_html(lake, chain):
    catalog = Catalog.of([Recipe.model_validate(changed(RECIPE, description="<script>alert(1)</script>"))])
    made = make_version(MODEL_CARD, lake, catalog, "tiny", chain())
    html = (lake.local(made) / "model_card.html").read_text("utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html and "<script" not in html
