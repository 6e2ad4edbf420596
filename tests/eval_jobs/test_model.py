"""The checkpoint behind lm-eval's interface: against lm-eval's own model, against torch, and on special tokens."""

from typing import Any

import pytest
import torch

from eval_jobs.model import CheckpointLM

MAX_LENGTH = 24
CONTEXT = "Sataa vettä, ja poro on tunturin eläin. Vastaus: "
CHOICES = ["kyllä", "ei", "k", "en tiedä, kysy tokalta", "?"]
PROMPTS = [f"<|user|>Käännä suomeksi: {text} <|assistant|>" for text in ("It rains.", "A herd walks over it.", "x")]


class Request:
    """As much of lm-eval's Instance as a model reads."""

    def __init__(self, *args: Any) -> None:
        self.args = args


@pytest.fixture(scope="module")
def model(world: Any) -> CheckpointLM:
    return CheckpointLM(world.lake.local(world.refs["tiny"]), MAX_LENGTH)


@pytest.fixture(scope="module")
def one_by_one(world: Any) -> CheckpointLM:
    """The same checkpoint, reading one text or prompt at a time."""
    return CheckpointLM(world.lake.local(world.refs["tiny"]), MAX_LENGTH, tokens_at_once=1, prompts_at_once=1)


@pytest.fixture(scope="module")
def harness_model(world: Any) -> Any:
    """lm-eval's own model over the same checkpoint."""
    from lm_eval.models.huggingface import HFLM

    folder = str(world.lake.local(world.refs["tiny"]))
    return HFLM(folder, device="cpu", dtype="float32", max_length=MAX_LENGTH, prefix_token_id=2, add_bos_token=False)


def direct(model: CheckpointLM, ids: list[int], scored: int) -> float:
    """Log-likelihood of the last ``scored`` of ``ids``, by one pass of the whole model."""
    with torch.no_grad():
        logits = model.model(torch.tensor([ids])).logits[0].double()
    chosen = torch.log_softmax(logits, dim=-1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
    return float(chosen[-scored:].sum())


def test_choices_equal_a_direct_computation(model: CheckpointLM) -> None:
    answers = model.loglikelihood([Request(CONTEXT, choice) for choice in CHOICES])
    context = model.tok_encode(CONTEXT.rstrip())
    for choice, (log_likelihood, _) in zip(CHOICES, answers, strict=True):
        ids = model.tok_encode(CONTEXT + choice)
        assert ids[: len(context)] == context
        scored = len(ids) - len(context)
        assert log_likelihood == pytest.approx(direct(model, ids[-(MAX_LENGTH + 1) :], scored), abs=1e-4)


def test_choices_equal_the_harness(model: CheckpointLM, harness_model: Any) -> None:
    requests = [Request(context, choice) for context in (CONTEXT, "", "poro") for choice in CHOICES]
    ours = model.loglikelihood(requests)
    theirs = harness_model.loglikelihood(requests, disable_tqdm=True)
    assert [o[0] for o in ours] == pytest.approx([t[0] for t in theirs], abs=1e-4)
    assert [o[1] for o in ours] == [t[1] for t in theirs]


def test_whole_texts_equal_the_harness_over_several_windows(
    model: CheckpointLM, harness_model: Any, world: Any
) -> None:
    texts = [text.replace("</s>", "") for text in world.texts] + ["a"]
    assert max(len(model.tok_encode(text)) for text in texts) > 2 * MAX_LENGTH
    ours = model.loglikelihood_rolling([Request(text) for text in texts])
    theirs = harness_model.loglikelihood_rolling([Request(text) for text in texts], disable_tqdm=True)
    assert ours == pytest.approx(theirs, abs=1e-3)


def test_a_text_within_one_window_is_scored_given_the_end_of_document(model: CheckpointLM) -> None:
    ids = model.tok_encode("Poro on eläin.")
    assert len(ids) <= MAX_LENGTH
    (ours,) = model.loglikelihood_rolling([Request("Poro on eläin.")])
    assert ours == pytest.approx(direct(model, [2, *ids], len(ids)), abs=1e-4)


def test_generation_equals_the_harness_and_a_direct_loop(model: CheckpointLM, harness_model: Any) -> None:
    arguments = {"until": ["\n"], "max_gen_toks": 6, "do_sample": False}
    ours = model.generate_until([Request(prompt, arguments | {"template": True}) for prompt in PROMPTS])
    # lm-eval's model takes the markers for special tokens too: these prompts hold nothing else that looks like one.
    theirs = harness_model.generate_until([Request(prompt, dict(arguments)) for prompt in PROMPTS], disable_tqdm=True)
    assert ours == theirs
    ids = model.encode_prompt(PROMPTS[0])
    for _ in range(6):
        with torch.no_grad():
            ids.append(int(model.model(torch.tensor([ids])).logits[0, -1].argmax()))
    end = ids.index(2) if 2 in ids[-6:] else len(ids)
    assert ours[0] == model.text_tokenizer.decode(ids[-6:end]).split("\n")[0]


def test_scores_do_not_depend_on_how_much_is_read_at_once(
    model: CheckpointLM, one_by_one: CheckpointLM, world: Any
) -> None:
    texts = [Request(text) for text in (*world.texts, "a", "poro", "the fell")]
    assert model.loglikelihood_rolling(texts) == pytest.approx(one_by_one.loglikelihood_rolling(texts), abs=1e-4)
    prompts = [Request(prompt, {"until": ["\n"], "max_gen_toks": 6, "template": True}) for prompt in PROMPTS]
    assert model.generate_until(prompts) == one_by_one.generate_until(prompts)


def test_the_same_call_gives_the_same_bits(model: CheckpointLM, world: Any) -> None:
    texts = [Request(text) for text in world.texts]
    assert model.loglikelihood_rolling(texts) == model.loglikelihood_rolling(texts)


def test_text_that_spells_a_special_token_is_text(model: CheckpointLM) -> None:
    for text in ("a</s>b", "</s>", "<|user|>x<|assistant|>", "<s><pad><unk>"):
        ids = model.tok_encode(text)
        assert min(ids) >= 24
        assert model.text_tokenizer.decode(ids, skip_special_tokens=False) == text


def test_the_template_places_special_ids_around_ordinary_text(model: CheckpointLM) -> None:
    ids = model.encode_prompt("<|user|>Käännä suomeksi: say </s> or <|assistant|> <|assistant|>")
    assert (ids[0], ids[-1]) == (4, 5)
    assert ids[1:-1] == model.tok_encode("Käännä suomeksi: say </s> or <|assistant|> ")
    assert min(ids[1:-1]) >= 24
    with pytest.raises(ValueError, match="does not begin with"):
        model.encode_prompt("Käännä suomeksi: x")


def test_no_room_for_the_prompt(model: CheckpointLM) -> None:
    with pytest.raises(ValueError, match="leaves 0 of 24 tokens to the prompt"):
        model.generate_until([Request(PROMPTS[0], {"until": ["\n"], "max_gen_toks": MAX_LENGTH, "template": True})])
