"""Two evaluations side by side: the same items or a sentence, all items and clean ones, averages over tasks."""

import json

import numpy as np
import pytest

from assets.evaluation.compare import ComparisonError, Evaluated, compare
from assets.lake import Identity
from assets.recipe.evaluation import Average

METRIC = "accuracy"


def result(scores, contaminated=(), data="d" * 64, status="scored"):
    """A task's result as the job writes it, from the scores of its items."""
    clean = [score for n, score in enumerate(scores) if n not in contaminated]
    metrics = {METRIC: float(np.mean(scores))} if status == "scored" else {}
    return {
        "status": status, "reason": "it broke", "metrics": metrics, "signatures": {}, "data": data,
        "clean": {"items": len(clean), "metrics": {METRIC: float(np.mean(clean))} if clean else {}},
    }  # fmt: skip


@pytest.fixture
def put(lake):
    """Puts an evaluation with these scores by task into the lake."""

    def write(name, tasks, contaminated=(), order=None, **more):
        who = Identity("evaluation", "tiny--step-0000004", {"name": name}, "test")
        with lake.write(who) as out:
            results = {task: result(scores, contaminated, **more) for task, scores in tasks.items()}
            out.stage("results.json").write_text(json.dumps({"tasks": results}), "utf-8")
            for task, scores in tasks.items():
                rows = [
                    {"id": f"item {n}", "prompt": "p", "scores": {METRIC: score}, "contaminated": n in contaminated}
                    for n, score in enumerate(scores)
                ]
                lines = "".join(json.dumps(rows[n]) + "\n" for n in order or range(len(rows)))
                out.stage(f"items/{task}.jsonl").write_text(lines, "utf-8")
        return Evaluated(name, lake, lake.find("evaluation", who.partition, who.version))

    return write


GOOD = [1.0] * 70 + [0.0] * 30
POOR = [1.0] * 40 + [0.0] * 60


def test_a_difference_beyond_chance_and_one_that_is_not(put):
    rng = np.random.default_rng(1)
    near = rng.permutation([1.0] * 66 + [0.0] * 34).tolist()
    a = put("a", {"clear": GOOD, "close": rng.permutation(GOOD).tolist()})
    b = put("b", {"clear": POOR, "close": near})
    clear, close = compare(a, b)
    assert (clear["task"], clear["better"], clear["difference"]) == ("clear", "a", pytest.approx(0.3))
    assert 0 < clear["low"] < 0.3 < clear["high"] and clear["p"] < 0.01
    assert (close["better"], close["difference"]) == ("open", pytest.approx(0.04))
    assert close["low"] < 0 < close["high"] and close["detectable"] > 0.04


def test_items_are_matched_by_their_ids_and_not_by_their_places(put):
    a = put("a", {"task": GOOD})
    b = put("b", {"task": GOOD}, order=list(range(99, -1, -1)))
    (row,) = compare(a, b)
    assert (row["better"], row["stderr"]) == ("same", 0)


def test_a_clean_comparison_leaves_out_what_is_contaminated_on_either_side(put):
    a, b = put("a", {"task": GOOD}, contaminated=(0, 1)), put("b", {"task": POOR}, contaminated=(1, 99))
    (row,) = compare(a, b)
    assert (row["items"], row["clean"]["items"]) == (100, 97)
    assert (row["clean"]["a"], row["clean"]["b"]) == (pytest.approx(68 / 97), pytest.approx(38 / 97))
    (all_dirty,) = compare(*(put(n, {"task": [1.0, 0.0]}, contaminated=(0, 1)) for n in ("c", "d")))
    assert all_dirty["clean"] is None


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"tasks": {"task": GOOD}, "data": "e" * 64},
            "task was scored on other data: a on the benchmark dddddddddddd, b on",
        ),
        (
            {"tasks": {"task": GOOD[:-1]}},
            "not scored on the same items: 1 of a are not among those of b, such as 'item 99'",
        ),
        ({"tasks": {"task": [*GOOD, 1.0]}}, "not scored on the same items: 1 of b are not among those of a"),
        ({"tasks": {"task": GOOD}, "status": "failed"}, "task of b is failed: it broke"),
        ({"tasks": {"other": GOOD}}, "b has no task task; it has other"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_sentence(put, other, message):
    a, b = put("a", {"task": GOOD}), put("b", **other)
    for task in ("task", None):
        with pytest.raises(ComparisonError, match=message):
            compare(a, b, task)


def test_one_task_that_cannot_be_compared_does_not_stop_the_others(put):
    a, b = put("a", {"one": GOOD, "two": GOOD}), put("b", {"one": POOR, "two": POOR[:-1]})
    one, two = compare(a, b)
    assert one["better"] == "a" and "better" not in two and "same items" in two["reason"]


def test_an_average_is_compared_with_its_tasks_drawn_independently(put):
    rng = np.random.default_rng(4)
    scores = {
        side: {t: (rng.random(80) < share).astype(float).tolist() for t in "xyz"}
        for side, share in (("a", 0.8), ("b", 0.5))
    }
    a, b = (put(side, tasks) for side, tasks in scores.items())
    averages = {"mean": Average(tasks=("x", "y"), metric=METRIC), "more": Average(tasks=("x", "w"), metric=METRIC)}
    by_name = {row["task"]: row for row in compare(a, b, averages=averages)}
    x, y, mean = by_name["x"], by_name["y"], by_name["mean"]
    assert mean["difference"] == pytest.approx((x["difference"] + y["difference"]) / 2)
    assert mean["stderr"] == pytest.approx(np.hypot(x["stderr"], y["stderr"]) / 2, rel=0.1)
    assert by_name["more"]["reason"] == "the average needs w, which cannot be compared"


def test_other_prompts_are_told(put, lake):
    a, b = put("a", {"task": GOOD}), put("b", {"task": GOOD})
    path = lake.path(b.manifest, "items/task.jsonl")
    text = lake.fs.cat_file(path).decode().replace('"prompt": "p"', '"prompt": "q"', 3)
    lake.fs.pipe_file(path, text.encode())
    (row,) = compare(a, b)
    assert row["note"] == "the prompts of 3 items differ"


def test_items_without_a_score_are_left_out_on_both_sides_or_refused(put, lake):
    a, b = (put(side, {"task": [1.0, 1.0, 0.0]}) for side in "ab")

    def drop(side, text):
        path = lake.path(side.manifest, "items/task.jsonl")
        lake.fs.pipe_file(path, lake.fs.cat_file(path).replace(text, b'"scores": {}'))

    drop(a, b'"scores": {"accuracy": 0.0}')
    (row,) = _only_reasons(a, b)
    assert row == "1 items have a score on one side only, such as 'item 2'."
    drop(b, b'"scores": {"accuracy": 0.0}')
    (row,) = _only_reasons(a, b)
    assert "do not give accuracy as it was reported: reported 0.666667, by the items 1 (mean)" in row


def _only_reasons(a, b):
    try:
        return [row["reason"] for row in compare(a, b)]
    except ComparisonError as error:
        return [str(error)]
