"""Storage that fails: an S3 server that is slow, answers with errors and goes away for half a minute; a disk that fills up.

``TOKKA_FAULT_SEED`` says which requests fail.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from assets.lake import Lake
from tests.faults.proxy import AWAY, SHARES, faulty_way
from tests.faults.test_kill import SEED, digests
from tests.servers import free_ports, s3_server
from tests.workplace import small_workplace

UNTIL = "deduplicated_corpus"
AWAY_SECONDS = 30


@pytest.mark.s3
def test_a_run_outlives_a_slow_s3_with_errors_that_is_gone_for_half_a_minute(finished, tmp_path):
    (port,) = free_ports(1)
    with s3_server(tmp_path / "s3") as server, faulty_way(server.endpoint, port, SEED) as way:
        place = small_workplace(tmp_path)
        environment = {**server.environment, "AWS_SESSION_TOKEN": "", "TOKKA_CACHE": str(tmp_path / "cache")}
        gone = way.go_away(AWAY_SECONDS, after_requests=80)
        lake = ("--lake", "s3://lake/run")
        result = place.tokka("run", "small", "--to", UNTIL, *lake, **environment | {"AWS_ENDPOINT_URL": way.url})
        assert result.returncode == 0, (way.seen, result.stderr)
        gone.join()
        assert way.seen[AWAY] == 1 and all(way.seen[fault] for fault in SHARES), way.seen
        listed = place.tokka("lake", "ls", *lake, "--json", **environment)
        made = {(r["asset"], r["partition"]): r["digest"] for r in json.loads(listed.stdout)}
        assert any(asset == UNTIL for asset, _ in made)
        quiet = digests(finished.place.lake)
        assert made == {name: quiet[name][:12] for name in made}
        whole = place.tokka("lake", "verify", *lake, **environment)
        assert whole.returncode == 0, whole.stdout + whole.stderr


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of its own, and a function that gives it another size."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = os.getuid() == 0 and shutil.which("mount") is not None
    tried = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tokka-test", str(folder)], capture_output=True, text=True, check=False
    ) if mounted else None  # fmt: skip
    if tried is None or tried.returncode != 0:
        pytest.skip(f"no file system of a given size can be mounted here: {tried.stderr if tried else 'not root'}")
    yield (
        folder,
        lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", "tokka-test", str(folder)], check=True),
    )
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_is_full_is_one_sentence_and_with_more_room_it_goes_on(finished, tmp_path, small_disk):
    folder, resize = small_disk
    made_in = ("raw_corpus", "clean_corpus", "duplicates", UNTIL)
    needed = sum(path.stat().st_size for asset in made_in for path in (finished.place.lake / asset).rglob("*"))
    resize(f"{needed * 2 // 3 // 1024}k")
    place = small_workplace(tmp_path)
    lake = ("--lake", str(folder / "lake"))
    full = place.tokka("run", "small", "--to", UNTIL, *lake)
    assert full.returncode == 3, full.stderr
    assert "No space left on device" in full.stderr and "Traceback" not in full.stderr
    opened = Lake.open(str(folder / "lake"))
    assert not [fault for manifest in opened.manifests() for fault in opened.verify(manifest)]
    before = digests(folder / "lake")
    resize("64m")
    result = place.tokka("run", "small", "--to", UNTIL, *lake)
    assert result.returncode == 0, result.stderr
    made, quiet = digests(folder / "lake"), digests(finished.place.lake)
    assert before.items() <= made.items() and made == {name: quiet[name] for name in made}
    assert not list(folder.glob("lake/**/writing.json"))


def test_a_disk_that_is_full_under_dagsters_own_files_too(finished, small_disk):
    folder, resize = small_disk
    resize("64m")
    place = small_workplace(folder)
    assert place.tokka("run", "small", "--to", "raw_corpus").returncode == 0
    before = digests(place.lake)
    resize(f"{shutil.disk_usage(folder).used // 1024 + 200}k")
    full = place.tokka("run", "small", "--to", "clean_corpus")
    assert full.returncode == 3 and "Traceback" not in full.stderr, full.stderr
    assert "disk" in full.stderr or "No space left" in full.stderr
    resize("64m")
    result = place.tokka("run", "small", "--to", "clean_corpus")
    assert result.returncode == 0, result.stderr
    made, quiet = digests(place.lake), digests(finished.place.lake)
    assert before.items() <= made.items() and made == {name: quiet[name] for name in made}
