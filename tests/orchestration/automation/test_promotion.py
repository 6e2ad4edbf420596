"""Promoting, refusing, rolling back: over real versions, receipts and histories."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
import pytest

from assets.lake import Manifest
from assets.promotion.history import Entry, append, before, history
from assets.promotion.model import PromotionError
from orchestration.automation.promoting import build_job, look
from orchestration.promotion import RiskNotConfirmedError, better, promote, propose, rollback
from tests.orchestration.automation.place import Place

KEYS = {0: "tiny--step-0000000", 4: "tiny--step-0000004"}


def results(score: float) -> dict[str, Any]:
    """What an evaluation writes, as far as scores and passports read it."""
    metrics = {"metrics": {"bits_per_character": score}, "items": 3, "stderr": {}}
    task = {
        **metrics, "status": "scored", "language": "fi", "contaminated": 0, "clean": metrics,
        "kind": "bits_per_character", "reason": None, "data": "", "ids": [], "contaminated_ids": [],
    }  # fmt: skip
    return {"tasks": {"heldout_fi": task}, "harness": {}, "seed": 1}


@pytest.fixture
def model(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A trained and scored model with its card. Such bare versions have no passport; ``test_promote.py`` has a real one."""
    monkeypatch.setattr("assets.reports.passport.passport", lambda lake, evaluation: {"evaluation": evaluation.name})
    place.road("pretraining_run")
    score(place, {0: 3.0, 4: 2.0})
    return place


def score(
    place: Place, scores: dict[int, float], failed: tuple[int, ...] = (), risks: dict[str, str] | None = None
) -> None:
    for step, key in KEYS.items():
        place.make("checkpoint", key, "risky" if risks else "1", risks=risks)
        place.make(
            "evaluation",
            key,
            str(scores[step]),
            passed=step not in failed,
            files={"results.json": results(scores[step])},
            counts={"step": step, "tokens": step * 64},
        )
    place.make("scoreboard", "tiny")
    place.make("model_card", "tiny", files={"model_card.md": "card"})


def take(place: Place, step: int | None = None, name: str | None = None, confirm: bool = False) -> Entry:
    proposal = propose(place.catalog, place.profile, place.instance, "tiny", step, name)
    return promote(place.profile, place.instance, proposal, "me@here", proposal.why, confirm)


def promoted(place: Place, entry: Entry) -> Manifest:
    return place.lake.manifest(entry.version)


def test_a_promoted_model_is_a_version_with_card_passport_and_every_gate(model: Place) -> None:
    entry = take(model)
    made = promoted(model, entry)
    assert (entry.step, entry.name, entry.why) == (4, "tiny", "the latest checkpoint that passed")
    assert {ref.asset for ref in made.inputs} == {"checkpoint", "evaluation", "model_card"}
    assert {f.path for f in made.files} == {"card/data.json", "card/model_card.md", "passport.json", "promotion.json"}
    gates = {row["version"].split("/")[0]: row["gate"] for row in model.lake.read_json(made, "promotion.json")["gates"]}
    assert gates["raw_corpus"] == gates["evaluation"] == "passed" and "model_card" not in gates
    assert model.lake.verify(made) == []
    event = model.instance.get_latest_materialization_event(dg.AssetKey("promoted_model"))
    assert event.asset_materialization.metadata["who"].value == "me@here"


def test_only_what_passed_its_own_evaluation_is_proposed_or_promoted(model: Place) -> None:
    score(model, {0: 2.9, 4: 2.1}, failed=(4,))
    assert take(model).step == 0
    with pytest.raises(
        PromotionError, match=r"(?s)step 4, cannot be promoted.*evaluation/tiny--step-0000004/.*its gate failed"
    ):
        take(model, 4)
    score(model, {0: 2.8, 4: 2.2}, failed=(0, 4))
    with pytest.raises(PromotionError, match="no checkpoint of tiny has passed"):
        take(model)
    with pytest.raises(PromotionError, match="no evaluated checkpoint at step 3; there are those at the steps 0, 4"):
        take(model, 3)


@pytest.mark.parametrize(
    "asset", ["raw_corpus", "clean_corpus", "tokenizer", "mixture", "pretraining_run", "checkpoint"]
)
def test_a_gate_anywhere_behind_it_that_has_not_passed_is_named(model: Place, asset: str) -> None:
    key = {"raw_corpus": "docs_fi", "clean_corpus": "docs_fi", "tokenizer": "tiny-bpe", "checkpoint": KEYS[4]}.get(
        asset, "tiny"
    )
    manifest = model.lake.manifest(model.ref(asset, key))
    model.judge(manifest, False)
    with pytest.raises(PromotionError, match=f"{manifest.name}: its gate failed: share = 2"):
        take(model)
    model.lake.fs.rm_file(model.lake.path(manifest, "receipt.json"))
    with pytest.raises(PromotionError, match=f"{manifest.name}: its gate has not run"):
        take(model)


def test_a_receipt_that_was_changed_does_not_count(model: Place) -> None:
    manifest = model.lake.manifest(model.ref("mixture", "tiny"))
    model.judge(manifest, False)
    path = model.lake.path(manifest, "receipt.json")
    with open(path) as stream:
        text = stream.read()
    with open(path, "w") as stream:
        stream.write(text.replace('"passed": false', '"passed": true'))
    with pytest.raises(PromotionError, match=r"receipt.json was changed after it was written"):
        take(model)


def test_an_accepted_risk_is_shown_and_must_be_confirmed(model: Place) -> None:
    run = model.lake.manifest(model.ref("pretraining_run", "tiny"))
    model.judge(run, False)
    score(model, {0: 2.5, 4: 1.9}, risks={run.name: "the loss has a spike, and we know why"})
    with pytest.raises(RiskNotConfirmedError, match=r"(?s)without --confirm-risks.*the loss has a spike"):
        take(model)
    entry = take(model, confirm=True)
    assert entry.risks == {run.name: "the loss has a spike, and we know why"}
    assert promoted(model, entry).accepted_risks == entry.risks


def test_damaged_weights_are_not_promoted(model: Place) -> None:
    checkpoint = model.ref("checkpoint", KEYS[4])
    with open(model.lake.path(checkpoint, "data.json"), "a") as stream:
        stream.write(" ")
    with pytest.raises(PromotionError, match=r"data\.json has sha256"):
        take(model)


def test_the_best_of_a_metric(model: Place) -> None:
    policy = {"choose": "best", "metric": "heldout_fi.bits_per_character"}
    model.recipe["automation"] = {"promote": policy}
    assert take(model).why == "the best heldout_fi.bits_per_character of those that passed, 2"
    score(model, {0: 1.5, 4: 2.0})
    assert take(model).step == 0
    model.recipe["automation"] = {"promote": policy | {"lower_is_better": False}}
    assert take(model).step == 4


def test_a_card_of_other_scores_is_refused(model: Place) -> None:
    model.make("evaluation", KEYS[4], "again", files={"results.json": results(1.0)}, counts={"step": 4, "tokens": 256})
    with pytest.raises(PromotionError, match="the model card of tiny speaks of another evaluation of step 4"):
        take(model)


def test_rolling_back_goes_step_by_step_and_the_history_is_kept(model: Place) -> None:
    first = take(model, 0)
    second = take(model, 4)
    with pytest.raises(PromotionError, match="was never the version"):
        rollback(model.profile, model.instance, "tiny", "0" * 16, "me", "why")
    back = rollback(model.profile, model.instance, "tiny", None, "you@there", "it repeats itself")
    assert (back.version, back.step, back.who, back.why) == (first.version, 0, "you@there", "it repeats itself")
    with pytest.raises(PromotionError, match="there is nothing before"):
        rollback(model.profile, model.instance, "tiny", None, "me", "why")
    again = rollback(model.profile, model.instance, "tiny", second.version.version, "me", "it was not that")
    assert again.version == second.version
    assert rollback(model.profile, model.instance, "tiny", None, "me", "but it was").version == first.version
    entries = history(model.lake, "tiny")
    assert [e.number for e in entries] == [1, 2, 3, 4, 5]
    assert [e.action for e in entries] == ["promote", "promote", "rollback", "rollback", "rollback"]


def test_nothing_to_roll_back(model: Place) -> None:
    with pytest.raises(PromotionError, match="nothing was promoted as 'other'"):
        rollback(model.profile, model.instance, "other", None, "me", "why")


def test_those_who_promote_at_once_each_get_a_number(model: Place) -> None:
    entry = take(model)
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda _: append(model.lake, entry), range(24)))
    assert sorted(e.number for e in written) == list(range(2, 26))
    assert [e.number for e in history(model.lake, "tiny")] == list(range(1, 26))


def test_a_history_that_was_changed_is_refused(model: Place) -> None:
    take(model)
    path = f"{model.lake.root}/.promoted/tiny/000001.json"
    with open(path) as stream:
        text = stream.read()
    with open(path, "w") as stream:
        stream.write(text.replace("me@here", "you@here"))
    with pytest.raises(Exception, match="was changed after it was written"):
        history(model.lake, "tiny")


def entry_of(place: Place, action: str, version: str) -> Entry:
    ref = place.ref("checkpoint", KEYS[4])
    return Entry(
        number=0, name="n", action=action, version=ref.model_copy(update={"version": version}), recipe="tiny", step=4,
        who="", why="", time="", risks={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("moves", "target"),
    [
        ("a", None), ("ab", "a"), ("abc", "b"), ("abcB", "a"), ("abcBA", None), ("abcBd", "b"), ("abcA", None),
        ("aa", None), ("abB", "a"), ("abAbA", None), ("aba", "b"), ("abcBC", "b"),
    ],
)  # fmt: skip
def test_where_a_rollback_goes(model: Place, moves: str, target: str | None) -> None:
    """Small letters promote a version, capital ones go back to it."""
    entries = [entry_of(model, "rollback" if m.isupper() else "promote", m.lower()) for m in moves]
    found = before(entries)
    assert (found.version.version if found else None) == target


def test_a_policy_promotes_by_itself_once_and_only_what_is_better(model: Place) -> None:
    assert "No recipe has" in str(look(model.instance, model.catalog, None).skip_reason)
    policy = {"automatic": True, "choose": "best", "metric": "heldout_fi.bits_per_character", "name": "best-fi"}
    model.recipe["automation"] = {"promote": policy}
    result = look(model.instance, model.catalog, None)
    (request,) = result.run_requests or []
    job = build_job(model.catalog, model.profile)
    assert job.execute_in_process(request.run_config, instance=model.instance).success
    (entry,) = history(model.lake, "best-fi")
    assert (entry.step, entry.who) == (4, "policy of tiny")
    assert "No new model card of tiny" in str(look(model.instance, model.catalog, result.cursor).skip_reason)
    score(model, {0: 4.0, 4: 2.5})
    assert len(look(model.instance, model.catalog, result.cursor).run_requests or []) == 1
    assert job.execute_in_process(request.run_config, instance=model.instance).success
    assert len(history(model.lake, "best-fi")) == 1
    proposal = propose(model.catalog, model.profile, model.instance, "tiny", None, None)
    assert "is 2.5, not better than 2 of" in str(better(model.catalog, model.profile, proposal))
    score(model, {0: 4.0, 4: 1.5})
    assert job.execute_in_process(request.run_config, instance=model.instance).success
    assert len(history(model.lake, "best-fi")) == 2


def test_a_policy_confirms_no_risk(model: Place) -> None:
    model.recipe["automation"] = {"promote": {"automatic": True}}
    run = model.lake.manifest(model.ref("pretraining_run", "tiny"))
    score(model, {0: 2.5, 4: 1.9}, risks={run.name: "a reason"})
    job = build_job(model.catalog, model.profile)
    done = job.execute_in_process(
        {"ops": {"promote": {"config": {"recipe": "tiny"}}}}, instance=model.instance, raise_on_error=False
    )
    assert not done.success and history(model.lake, "tiny") == []
