"""What the task modules share: scores of a corpus with their standard errors."""

import pytest
import sacrebleu

from eval_jobs.tasks.common import Summary, add_corpus_scores, chrf

REFERENCES = ["Kissa istuu matolla ja katsoo ulos."] * 32


@pytest.mark.parametrize("right", [0, 1, 16, 32])
def test_a_corpus_has_its_scores_however_many_of_its_translations_match(right):
    """Of one match in 32 a third of the resamples have none."""
    generations = REFERENCES[:right] + ["xyz"] * (32 - right)
    summary = Summary()
    add_corpus_scores(summary, {"bleu": sacrebleu.BLEU(), "chrf": chrf()}, generations, REFERENCES, 1)
    assert summary.metrics["chrf"] == pytest.approx(sacrebleu.CHRF().corpus_score(generations, [REFERENCES]).score)
    assert (summary.stderr["chrf"] > 0) == (0 < right < 32)
    assert summary.signatures["chrf"].startswith("nrefs:1|bs:200|seed:1|case:mixed|eff:yes|nc:6|nw:0")


def test_the_standard_error_is_that_of_sacrebleu():
    generations = REFERENCES[:16] + ["Koira istuu matolla."] * 16
    summary = Summary()
    add_corpus_scores(summary, {"chrf": chrf(word_order=2)}, generations, REFERENCES, 1)
    theirs = sacrebleu.CHRF(word_order=2).corpus_score(generations, [REFERENCES], n_bootstrap=200)
    assert summary.stderr["chrf"] == pytest.approx(float(theirs._ci) / 1.96)
