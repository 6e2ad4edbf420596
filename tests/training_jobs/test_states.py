"""Saved states: what they hold, how they are read, and that nobody waits for the disk."""

import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from training_jobs.state_files import PlainUnpickler

SLOW = """
import sys, time, torch, torch.distributed as dist, fsspec
from pathlib import Path
from fsspec.implementations.local import LocalFileSystem
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import distribute_tensor, Shard
from training_jobs.states import States

class Slow(LocalFileSystem):
    protocol = "slow"
    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(str(path).removeprefix("slow://"))
    def open(self, path, mode="rb", **options):
        if "w" in mode:
            time.sleep(1.5)
        return super().open(path, mode, **options)

fsspec.register_implementation("slow", Slow)
dist.init_process_group("gloo", init_method="tcp://127.0.0.1:0", rank=0, world_size=1)
said = []
states = States("slow://" + sys.argv[1], 2, said.append)
mesh = init_device_mesh("cpu", (1,))
weights = distribute_tensor(torch.arange(8.0), mesh, [Shard(0)])
Path(sys.argv[1], "step-0000000").mkdir(parents=True)  # what a removal that was interrupted leaves
for step in (1, 2, 3):
    start = time.perf_counter()
    states.save(step, {"model": {"w": weights}}, {"note": step}, {"log.jsonl": b"line"})
    taken = time.perf_counter() - start
    if step == 1:
        assert taken < 1, f"the step waited {taken} s for the disk"
        weights.to_local().fill_(7)
states.wait()
found = states.find()
assert found.step == 3 and states.meta(found.path) == {"note": 3}, found
read = {"model": {"w": distribute_tensor(torch.zeros(8), mesh, [Shard(0)])}}
states.load(states.uri + "/step-0000002", read)
assert read["model"]["w"].to_local().tolist() == [7.0] * 8
assert states.read(found.path, "log.jsonl") == b"line"
states.close()
print(said)
"""


def test_a_slow_disk_holds_nobody_up_and_the_copy_is_of_its_moment(tmp_path: Path) -> None:
    """Files that take 1.5 s to open: the save returns at once, and what changes afterwards is not in the state."""
    done = subprocess.run(
        [sys.executable, "-c", SLOW, str(tmp_path / "states")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
    )
    assert done.returncode == 0, done.stderr
    assert "saved the state of step 3" in done.stdout
    assert sorted(path.name for path in (tmp_path / "states").iterdir()) == ["step-0000002", "step-0000003"], "keep: 2"
    manifest = json.loads((tmp_path / "states" / "step-0000003" / "state.json").read_text())
    files = {path.name: path.stat().st_size for path in (tmp_path / "states" / "step-0000003").iterdir()}
    assert {name: size for name, (size, _) in manifest["files"].items()} == {
        k: v for k, v in files.items() if k != "state.json"
    }


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo harm",)


@pytest.mark.parametrize("what", [Evil(), Path("x"), io.BytesIO])
def test_a_metadata_file_runs_nothing(what: object, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(pickle.UnpicklingError, match="does not belong there"):
        PlainUnpickler(io.BytesIO(pickle.dumps(what))).load()
    assert "harm" not in capfd.readouterr().out
