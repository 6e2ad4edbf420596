"""`tokka bench eval`: what it compares, and one small run of both sides on the same tasks."""

import json
import os
from pathlib import Path

import pytest

from infra.bench.eval import BATCH_SIZES, DifferentScoresError, bench, compare, missing_data
from infra.bench.eval_tasks import DATA, FINBENCH, SHOTS, SUBJECTS, write_tasks

SHARED = os.environ.get("TOKKA_SHARED")
needs_data = pytest.mark.skipif(not SHARED, reason="TOKKA_SHARED names no folder with the evaluation data")


def test_equal_answers_are_equal_and_others_are_named() -> None:
    ours = {"a": {0: [[-1.0, True], [-2.0, False]], 1: [[-5.0, False], [-5.1, False]]}, "g": {0: [["text"]]}}
    theirs = {"a": {0: [[["-1.00005", "True"]], [["-2.0", "False"]]], 1: ours["a"][1]}, "g": {0: [["text"]]}}
    assert compare(ours, theirs) == pytest.approx(5e-5)
    for changed, message in (
        ({"a": {**ours["a"], 0: [[-1.0002, True], [-2.0, False]]}, "g": ours["g"]}, "a, item 0: Tokka gives -1.0002"),
        ({"a": {**ours["a"], 0: [[-1.0, False], [-2.0, False]]}, "g": ours["g"]}, "a, item 0: Tokka gives False"),
        ({"a": ours["a"], "g": {0: [["other"]]}}, "g, item 0: Tokka gives 'other', lm_eval 'text'"),
        ({"a": ours["a"]}, "did not answer the same items"),
    ):
        with pytest.raises(DifferentScoresError, match=message):
            compare(changed, theirs)
    close = {"a": {0: [[-1.00001, False], [-1.00002, False]]}}
    with pytest.raises(DifferentScoresError, match="pick different choices"):
        compare(close, {"a": {0: [[-1.00003, False], [-1.00002, False]]}})
    # A long text's log-likelihood is a sum of thousands in float32.
    assert compare({"a": {0: [[-50_000.02]]}}, {"a": {0: [[-50_000.0]]}}) == pytest.approx(0.02)


def test_missing_data_is_named(tmp_path: Path) -> None:
    assert missing_data(tmp_path) == list(DATA)


@needs_data
def test_prompts_of_a_subject_begin_alike(tmp_path: Path) -> None:
    groups = write_tasks(tmp_path, Path(str(SHARED)), 5, 8)
    assert len(groups["finbench"]) == len(FINBENCH) and len(groups["mmlu"]) == len(SUBJECTS)
    rows = [json.loads(line) for line in (tmp_path / "bench_mmlu_marketing.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 5
    (shared,) = {"\n\n".join(row["context"].split("\n\n")[: SHOTS + 1]) for row in rows}
    assert shared.count("Answer:") == 5
    assert all(row["context"].count("Answer:") == 6 and len(row["choices"]) == 4 for row in rows)


@needs_data
@pytest.mark.timeout(300)
def test_both_sides_answer_alike(tmp_path: Path) -> None:
    said: list[str] = []
    result = bench(Path(str(SHARED)), ("llama",), 1, 4, 1024, BATCH_SIZES[1:2], (), said.append, tmp_path)
    assert list(result["llama"]["measured"]) == ["all"]
    figures = result["llama"]["measured"]["all"]
    assert figures["items"] == 13 and figures["lm_eval_best_batch_size"] == "8"
    assert 0 <= figures["largest_difference"]["8"] < 1e-2
    assert figures["ratio"] > 0 and figures["tokka"]["seconds"] > 0
    assert list(tmp_path.iterdir()) == []
    json.dumps(result)


@needs_data
@pytest.mark.timeout(600)
def test_each_group_is_measured_by_itself(tmp_path: Path) -> None:
    groups = ("rolling", "generation")
    result = bench(Path(str(SHARED)), ("llama",), 1, 2, 512, ("1",), groups, lambda line: None, tmp_path)
    measured = result["llama"]["measured"]
    assert {group: figures["items"] for group, figures in measured.items()} == {"rolling": 2, "generation": 1}
    assert all(figures["ratio"] > 0 and list(figures["lm_eval"]) == ["1"] for figures in measured.values())
