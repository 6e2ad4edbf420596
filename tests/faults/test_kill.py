"""``kill -9`` at random moments: the run that follows ends with the digests of an undisturbed one, nothing twice, nothing half.

``TOKKA_FAULT_TRIALS`` says how often a run is killed (default 2), ``TOKKA_FAULT_SEED`` which moments are drawn. A run that is
done is followed by one in another lake.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from assets.lake import Lake
from tests.workplace import Workplace, small_workplace, wait_for_line

TRIALS = int(os.environ.get("TOKKA_FAULT_TRIALS", "2"))
SEED = int(os.environ.get("TOKKA_FAULT_SEED", "7"))
UNTIL = os.environ.get("TOKKA_FAULT_TO", "tokenized_shards")
"""The ordinary tests kill runs of the data plane; ``model_card`` is the whole graph."""
LONGEST = float(os.environ.get("TOKKA_FAULT_SECONDS", "8"))
"""A run is killed after up to so many seconds."""


def digests(folder: Path) -> dict[tuple[str, str], str]:
    """The digest of every version of a lake, and that no partition has two."""
    manifests = list(Lake.open(str(folder)).manifests())
    assert max(Counter((m.asset, m.partition) for m in manifests).values(), default=0) <= 1
    return {(m.asset, m.partition): m.digest for m in manifests}


def jobs_of(folder: Path) -> list[psutil.Process]:
    """Processes of jobs that work in a folder; a killed run leaves them at work."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if any(str(folder) in part for part in command) and any(
            "training_jobs" in p or "eval_jobs" in p for p in command
        ):
            found.append(process)
    return found


def one_life(place: Workplace, moment: float, with_job: bool) -> bool:
    """Run until ``moment`` seconds and kill the process group, with its job or without; whether it was done before."""
    with (place.folder / "said.log").open("w+") as said:
        process = subprocess.Popen(
            place.command("run", "small", "--to", UNTIL), env=place.environment, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for job in jobs_of(place.folder) if with_job else ():
                with contextlib.suppress(psutil.NoSuchProcess):
                    job.kill()
            return False
        said.seek(0)
        assert code == 0, said.read()
        return True


def assert_ended_well(place: Workplace, undisturbed: dict[tuple[str, str], str]) -> None:
    made = digests(place.lake)
    assert {asset for asset, _ in made} >= {"raw_corpus", "clean_corpus", UNTIL}
    assert made == {name: undisturbed[name] for name in made}
    assert not list(place.lake.glob("**/writing.json"))
    assert not jobs_of(place.folder)
    again = place.tokka("run", "small", "--to", UNTIL)
    assert "nothing to do" in again.stdout, again.stderr


def test_killed_at_random_moments_it_ends_with_the_same_digests(finished, tmp_path):
    undisturbed = digests(finished.place.lake)
    draw, killed, lakes = random.Random(SEED), 0, 1
    place = small_workplace(tmp_path / "1", processes=2)
    while killed < TRIALS:
        moment, with_job = draw.uniform(0.5, LONGEST), draw.random() < 0.5
        if one_life(place, moment, with_job):
            assert_ended_well(place, undisturbed)
            lakes += 1
            place = small_workplace(tmp_path / str(lakes), processes=2)
            continue
        killed += 1
        what = f"seed {SEED}, kill {killed}, lake {lakes}, after {moment:.2f} s {'with its job' if with_job else ''}"
        seen = digests(place.lake) if place.lake.exists() else {}
        wrong = {name for name, digest in seen.items() if undisturbed.get(name) != digest}
        assert not wrong, f"{what}: {wrong}"
        lake = Lake.open(str(place.lake))
        assert not [fault for manifest in lake.manifests() for fault in lake.verify(manifest)], what
        print(f"{what}: {len(seen)} versions")
    result = place.tokka("run", "small", "--to", UNTIL)
    assert result.returncode == 0, result.stderr
    assert_ended_well(place, undisturbed)


def test_two_runs_of_one_recipe_at_once_end_well(finished, tmp_path):
    place = small_workplace(tmp_path)
    both = [place.start("run", "small", "--to", "clean_corpus") for _ in range(2)]
    said = [process.communicate(timeout=240)[1] for process in both]
    assert all("Traceback" not in text for text in said), said
    for process, text in zip(both, said, strict=True):
        assert process.returncode in (0, 3), text
        assert process.returncode == 0 or "is being written by process" in text or "is already in the lake" in text, (
            text
        )
    after = place.tokka("run", "small", "--to", "clean_corpus")
    assert after.returncode == 0, after.stderr
    undisturbed = digests(finished.place.lake)
    made = digests(place.lake)
    assert made == {name: undisturbed[name] for name in made}


def test_a_run_that_waits_for_the_gpu_goes_on_when_the_one_before_it_is_killed(finished, tmp_path):
    place = Workplace(tmp_path)
    shutil.copytree(finished.place.folder, place.folder, dirs_exist_ok=True)
    for name, layers, steps in (("longer", 12, 2_000), ("shorter", 2, 10)):
        training = {"steps": steps, "checkpoints": [0, steps]}
        place.recipe(name, {"extends": "small", "model": {"layers": layers}, "training": training})
    first = place.start("run", "longer", "--to", "pretraining_run")
    wait_for_line(first, "step ")
    second = place.start("run", "shorter", "--to", "pretraining_run")
    wait_for_line(second, "waits for a place in the pool gpu")
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    for job in jobs_of(place.folder):
        job.kill()
    said = second.communicate(timeout=180)[1]
    assert second.returncode == 0, said
    assert ("pretraining_run", "shorter") in digests(place.lake)


@pytest.mark.parametrize("name", ["documents/part-00000.parquet", "manifest.json"])
def test_a_run_that_uses_a_version_with_a_flipped_byte_stops_with_a_sentence(tmp_path, name):
    place = small_workplace(tmp_path)
    assert place.tokka("run", "small", "--to", "raw_corpus").returncode == 0
    (path,) = place.lake.glob(f"raw_corpus/small_fi/*/{name}")
    about, raw = path.stat(), bytearray(path.read_bytes())
    # Of a manifest the last digit of a count: it stays a number, and the manifest JSON.
    offset = re.search(rb'"documents": \d+', raw).end() - 1 if name == "manifest.json" else len(raw) // 2
    raw[offset] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    result = place.tokka("run", "small", "--to", "clean_corpus")
    assert result.returncode == 3, result.stderr
    said = "is not what was written" if name != "manifest.json" else "was changed after it was written: its checksum"
    assert f"{path.name} {said}" in result.stderr and "Traceback" not in result.stderr
    assert not list(place.lake.glob("clean_corpus/small_fi/*/manifest.json"))


def test_a_disk_that_is_full_leaves_no_half_version_and_is_said(tmp_path):
    place = small_workplace(tmp_path)
    # Bytes of the largest file that the process may write; the event log of Dagster stays below it.
    limited = ["bash", "-c", 'ulimit -f 60; exec "$@"', "bash", *place.command("run", "small", "--to", "clean_corpus")]
    assert place.tokka("recipes", "check", "small").returncode == 0
    started = time.monotonic()
    result = subprocess.run(limited, env=place.environment, capture_output=True, text=True, check=False)
    assert result.returncode != 0 and time.monotonic() - started < 120
    lake = Lake.open(str(place.lake))
    assert not [fault for manifest in lake.manifests() for fault in lake.verify(manifest)]
    after = place.tokka("run", "small", "--to", "clean_corpus")
    assert after.returncode == 0, after.stderr
