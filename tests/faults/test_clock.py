"""A clock that jumps by hours, forward and back, while a run works: nothing is lost, and nothing is done twice.

Every process of the run has the clock of clock.c, which the test sets.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from assets.lake import Lake
from tests.faults.test_kill import digests
from tests.workplace import Workplace, small_workplace, wait_for_line

UNTIL = "checkpoint"
HOUR, DAY = 3_600, 86_400


@dataclass(frozen=True)
class Clock:
    """A clock for the processes that are started with ``environment``."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.folder / "clock.so"), "TEST_CLOCK": str(self.folder / "offset")}

    def set(self, seconds: int) -> None:
        """Let it be so many seconds ahead, from now on, for all of them."""
        with (self.folder / "offset").open("r+b") as stream:
            stream.write(seconds.to_bytes(8, "little", signed=True))


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler (Debian: apt-get install build-essential)")
    source = Path(__file__).with_name("clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(tmp_path / "clock.so"), str(source)], check=True)
    (tmp_path / "offset").write_bytes(bytes(8))
    return Clock(tmp_path)


def test_a_run_whose_clock_jumps_forward_and_back_ends_with_the_same_digests(finished, tmp_path, clock):
    place = small_workplace(tmp_path)
    process = place.start("run", "small", "--to", UNTIL, **clock.environment)
    wait_for_line(process, "raw_corpus")
    clock.set(9 * HOUR)
    wait_for_line(process, "mixture")
    clock.set(-40 * HOUR)
    wait_for_line(process, "step ")
    clock.set(2 * HOUR)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    made, quiet = digests(place.lake), digests(finished.place.lake)
    assert any(asset == UNTIL for asset, _ in made) and made == {name: quiet[name] for name in made}
    manifests = list(Lake.open(str(place.lake)).manifests())
    begun = {manifest.started[:10] for manifest in manifests}
    assert len(begun) >= 2, f"the clock did not jump: {begun}"
    assert all(0 <= manifest.seconds < HOUR for manifest in manifests)
    assert all(0 <= value < 20 * HOUR for manifest in manifests for value in manifest.cost.values())
    # Neither from the right time nor from a wrong one does anything look new, old, or unfinished.
    for seconds in (0, -30 * HOUR, 400 * DAY):
        clock.set(seconds)
        again = place.tokka("run", "small", "--to", UNTIL, **clock.environment)
        assert again.returncode == 0 and "nothing to do" in again.stdout, again.stderr
    assert digests(place.lake) == made


def test_what_is_kept_outlives_a_clock_that_says_that_all_is_old(finished, tmp_path, clock):
    place = Workplace(tmp_path)
    shutil.copytree(finished.place.folder, place.folder, dirs_exist_ok=True)
    before = digests(place.lake)
    clock.set(4_000 * DAY)
    removed = place.tokka("lake", "gc", "--keep", "1", "--older-than", "1", "--delete", **clock.environment)
    assert removed.returncode == 0, removed.stderr
    assert digests(place.lake) == before
