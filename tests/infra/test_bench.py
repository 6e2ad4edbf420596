"""The benchmark of the data plane: its corpora, its measuring, and a small run of every stage."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.bench import threads, tokens
from infra.bench.corpus import documents, varied, vary, write_corpus
from infra.bench.data import PLANE, bench
from infra.bench.measure import CommandFailedError, measure

DEMO = Path(__file__).parents[2] / "infra" / "demo" / "corpora"


def shingles(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return set(zip(*(words[place:] for place in range(5)), strict=False))


def test_variants_are_as_long_and_no_near_duplicates():
    text = max((d["text"] for d in documents([DEMO / "gnome_help_fi.jsonl.gz"])), key=len)
    seen = [shingles(vary(text, variant)) for variant in range(4)]
    assert vary(text, 0) == text
    for place, one in enumerate(seen):
        for other in seen[place + 1 :]:
            assert len(one & other) / len(one | other) < 0.8
    assert vary(text, 3).count("\n") == pytest.approx(text.count("\n"), rel=0.2)
    assert len(vary(text, 3)) == pytest.approx(len(text), rel=0.2)


def test_a_corpus_has_the_size_that_is_asked_for_and_ids_of_its_own(tmp_path):
    base = documents([DEMO / "gnome_help_fi.jsonl.gz"])
    size = write_corpus(base, tmp_path, 1_500_000, files=2)
    rows = [json.loads(line) for file in sorted(tmp_path.glob("*.jsonl")) for line in file.open(encoding="utf-8")]
    assert size == sum(len(row["text"].encode()) for row in rows)
    assert 1_500_000 <= size < 1_500_000 + max(len(d["text"].encode()) for d in base) * 2
    assert len({row["id"] for row in rows}) == len(rows) == len(list(varied(base, 1_500_000)))


def test_memory_and_time_of_a_command_and_of_its_children_are_measured():
    child = "import time; x = bytearray(150_000_000); time.sleep(2)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    measured = measure([sys.executable, "-c", code])
    assert measured.seconds >= 2
    assert 150_000_000 < measured.peak_bytes < 400_000_000


def test_a_command_that_fails_says_its_last_words():
    with pytest.raises(CommandFailedError, match="exit code 3:\nbecause"):
        measure([sys.executable, "-c", "print('because'); raise SystemExit(3)"])


def test_every_stage_and_gate_is_measured(tmp_path):
    said: list[str] = []
    result = bench([DEMO / "gnome_help_fi.jsonl.gz"], 1, "fi", False, said.append, tmp_path)
    assert {"raw_corpus", *PLANE, *(f"{asset} gate" for asset in PLANE)} <= result["tokka"].keys()
    assert all(0 < figures["peak_gb"] < 3 for figures in result["tokka"].values())
    assert "ratios" not in result and not list(tmp_path.iterdir())


def test_shards_are_made_beside_megatrons_way_with_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(tokens, "PRETOKENIZERS", ("gpt2",))
    said: list[str] = []
    result = tokens.bench([DEMO / "gnome_help_fi.jsonl.gz"], 1, 600, True, 1, said.append, tmp_path)
    figures = result["gpt2"]
    assert figures["same_bytes"] is True
    assert all(figures["ratios"][what] > 0 for what in ("all_cores", "one_core", "processor_time"))
    for run in ("tokenizer", "tokka", "tokka gate", "megatron", "tokka on one core", "megatron on one core"):
        assert 0 < figures[run]["peak_gb"] < 3 and figures[run]["seconds"] > 0 and figures[run]["cpu_seconds"] > 0
    spent = figures["encoding threads"]
    assert len(spent["one core"]) == 1 and spent["one core"][0]["computed"] > 0 and spent["scaling"] > 0
    assert not list(tmp_path.iterdir())


def test_the_time_of_a_thread_is_computing_waiting_for_a_core_or_blocked():
    spent: dict[int, threads.Spent] = {}

    def work(seconds):
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass
        time.sleep(seconds)

    threads.accounted(work, spent)(0.3)
    (one,) = spent.values()
    assert 0.3 <= one.computed < 0.4 and 0.29 <= one.blocked < 1
    assert threads.scaling([{"computed": 3.0, "blocked": 0.0}], [{"computed": 1.0, "blocked": 0.5}] * 2) == 2.0


def test_other_bytes_than_the_peers_are_no_result(tmp_path):
    shards = tmp_path / "lake/tokenized_shards/corpus--bloom/0/shards"
    shards.mkdir(parents=True)
    for name in (shards / "part-00000.bin", shards / "part-00000.idx", tmp_path / "megatron.bin"):
        name.write_bytes(b"same")
    (tmp_path / "megatron.idx").write_bytes(b"else")
    with pytest.raises(tokens.DifferentIdsError, match=r"Tokka's \.idx differs"):
        tokens._same_bytes(tmp_path)


def test_processor_time_and_what_a_command_reports_are_measured():
    code = "import json, time\nwhile time.process_time() < 0.5: pass\nprint(json.dumps({'imports': 0.25}))"
    measured = measure([sys.executable, "-c", code])
    assert measured.reported == {"imports": 0.25}
    assert 0.5 <= measured.cpu_seconds <= measured.seconds + 0.5


def test_a_process_keeps_to_the_cores_it_is_told_to():
    code = "import os; from infra.bench.measure import keep_to_cores as k; k(1); print(len(os.sched_getaffinity(0)))"
    assert measure([sys.executable, "-c", code]).reported == {}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
