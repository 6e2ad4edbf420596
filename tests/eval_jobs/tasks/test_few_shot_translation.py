"""Translation by examples: what is asked and scored, and spBLEU only with its model at hand."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sacrebleu

from assets.recipe.evaluation import FewShotTranslation
from assets.recipe.pieces import NAME, pieces_digest, pieces_path
from eval_jobs.tasks import few_shot_translation
from eval_jobs.tasks.few_shot_translation import one_line

CONFIG = FewShotTranslation(files="none", source_language="en", language="fi", max_new_tokens=8)
ROWS = [
    {"prompt": "a fell=tunturi\nEND\n\nIt rains.=", "source": "It rains.", "reference": "Sataa vettä."},
    {"prompt": "a fell=tunturi\nEND\n\n</s>=", "source": "</s>", "reference": "Poro on tunturin eläin."},
    {"prompt": "a fell=tunturi\nEND\n\n" * 9 + "x=", "source": "x", "reference": "x"},
]


@pytest.fixture(autouse=True)
def sacrebleu_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of sacrebleu's own that is empty."""
    from sacrebleu.tokenizers import tokenizer_spm

    folder = tmp_path_factory.mktemp("sacrebleu")
    monkeypatch.setattr(tokenizer_spm, "SACREBLEU_DIR", str(folder))  # which it reads when it is imported
    monkeypatch.setenv("SACREBLEU", str(folder))
    return folder


def test_scores_are_sacrebleus_and_say_what_they_are(score: Callable[..., Any]) -> None:
    result, items = score(CONFIG, ROWS)
    assert result["status"] == "scored", result["reason"]
    generations, references = [i["generation"] for i in items], [i["reference"] for i in items]
    assert references == [row["reference"] for row in ROWS]
    assert not any("\n" in text or "END" in text for text in generations)
    assert any(generations)
    assert result["metrics"] == {
        "bleu": pytest.approx(sacrebleu.corpus_bleu(generations, [references]).score),
        "chrf++": pytest.approx(sacrebleu.corpus_chrf(generations, [references], word_order=2).score),
    }
    assert "tok:13a" in result["signatures"]["bleu"]
    assert "nw:2" in result["signatures"]["chrf++"]
    assert result["truncated"] == 1
    assert all(set(item["scores"]) == {"bleu", "chrf++"} for item in items)


def test_generation_is_greedy_up_to_end(score: Callable[..., Any], model: Any) -> None:
    """The continuation of the plain prompt, by transformers' own greedy decoding."""
    import torch

    _, items = score(CONFIG, ROWS[:2])
    for row, item in zip(ROWS, items, strict=False):
        ids = torch.tensor([model.tok_encode(row["prompt"])])
        for _ in range(8):
            with torch.no_grad():
                ids = torch.cat([ids, model.model(ids).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
        written = ids[0, len(model.tok_encode(row["prompt"])) :].tolist()
        written = written[: written.index(2)] if 2 in written else written
        text = model.text_tokenizer.decode(written, skip_special_tokens=True).split("END")[0]
        assert item["generation"] == one_line(text)


def test_line_breaks_become_spaces() -> None:
    assert one_line("  Sataa\nvettä.\n") == "Sataa vettä."


def test_spbleu_needs_its_model_and_then_uses_its_pieces(score: Callable[..., Any], sacrebleu_folder: Path) -> None:
    import sentencepiece

    assert pieces_digest() is None
    (sacrebleu_folder / "models").mkdir()
    corpus = sacrebleu_folder / "corpus.txt"
    corpus.write_text("Poro on tunturin eläin.\nSataa vettä.\nTokka kulkee tunturin yli.\n" * 20, "utf-8")
    model = sacrebleu_folder / "models" / NAME
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(model.with_suffix("")), vocab_size=40, hard_vocab_limit=False, minloglevel=2
    )
    assert pieces_path() == model and pieces_digest() == hashlib.sha256(model.read_bytes()).hexdigest()
    result, items = score(CONFIG, ROWS)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(model))
    generations, references = (
        [" ".join(pieces.encode(item[side], out_type=str)) for item in items] for side in ("generation", "reference")
    )
    expected = sacrebleu.corpus_bleu(generations, [references], tokenize="none", force=True).score
    assert result["metrics"]["spbleu"] == pytest.approx(expected)
    assert "tok:flores101" in result["signatures"]["spbleu"]
    # A translation that is the reference has every piece right.
    summary = few_shot_translation.Summary()
    scorer = {"spbleu": sacrebleu.BLEU(tokenize="flores101")}
    few_shot_translation.add_corpus_scores(summary, scorer, ["Sataa vettä."], ["Sataa vettä."], 1)
    assert summary.metrics["spbleu"] == pytest.approx(100)
