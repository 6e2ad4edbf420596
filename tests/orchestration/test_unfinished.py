"""An evaluation one task of which broke: its gate says which and why, and the next run does that task and nothing else."""

import json
import shutil

from assets.lake import Lake

STEP = "small--step-0000060"


def test_the_next_run_does_what_is_missing_and_nothing_else(finished, tmp_path):
    lake = Lake.open(str(finished.place.lake))
    (before,) = lake.manifests("evaluation", STEP)
    # As if the checkpoint had never been scored, on a machine where the library of one task's metric is broken.
    shutil.rmtree(lake.folder(before))
    shutil.rmtree(finished.place.lake / ".results")
    (tmp_path / "sacrebleu.py").write_text("__version__ = '2.4.0'\n")
    broken = finished.place.tokka("run", "small", PYTHONPATH=str(tmp_path))
    assert broken.returncode == 1, broken.stderr
    assert f"GATE FAILED  evaluation, partition {STEP}" in broken.stderr
    (line,) = [line for line in broken.stderr.splitlines() if "critical: failed = " in line]
    assert "failed = small_translation (" in line and "sacrebleu" in line
    (failed,) = lake.manifests("evaluation", STEP)
    assert failed.digest != before.digest
    assert lake.read_json(failed, "results.json")["tasks"]["small_heldout_fi"]["status"] == "scored"

    mended = finished.place.tokka("run", "small")
    assert mended.returncode == 0, mended.stderr
    (after,) = lake.manifests("evaluation", STEP)
    assert after.digest == before.digest
    assert lake.require_receipt(after.ref).passed
    timing = lake.read_json(after, "timing.json")
    assert timing["reused"] == ["small_heldout_fi"]
    assert sorted(timing["tasks"]) == ["small_missing", "small_translation"]
    # What failed was not written over: it lies aside, as it was.
    aside = finished.place.lake / ".aside" / "evaluation" / STEP / f"{failed.version}-{failed.digest[:12]}"
    assert json.loads((aside / "manifest.json").read_text("utf-8"))["digest"] == failed.digest
    assert "nothing to do" in finished.place.tokka("run", "small").stdout
