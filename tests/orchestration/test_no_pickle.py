"""Nothing that can run code is read from the lake."""

import ast
import pickle
from pathlib import Path

import pytest

from assets.lake import LakeError
from assets.lake.documents import read_parquet
from assets.shards.indexed import ShardError, read_shard

PROJECT = Path(__file__).parents[2]
ROOMS = ("assets", "orchestration", "training_jobs", "eval_jobs")


def _said(call, name):
    """The literal that a call gives for an argument, or None."""
    return next((getattr(k.value, "value", None) for k in call.keywords if k.arg == name), None)


def test_no_module_reads_pickles():
    faults, seen = [], 0
    for path in sorted(p for room in ROOMS for p in (PROJECT / room).rglob("*.py")):
        where = path.relative_to(PROJECT).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            seen += called in ("torch.load", "np.load")
            if called.split(".")[0] in ("pickle", "dill", "cloudpickle", "joblib", "shelve") and called.split(".")[-1] in (
                "load", "loads", "Unpickler", "open",
            ):  # fmt: skip
                faults.append(f"{where}:{node.lineno} {called}")
            if called == "torch.load" and _said(node, "weights_only") is not True:
                faults.append(f"{where}:{node.lineno} torch.load without weights_only")
            if called in ("np.load", "numpy.load") and _said(node, "allow_pickle") is not False:
                faults.append(f"{where}:{node.lineno} np.load without allow_pickle=False")
    assert seen >= 4
    assert faults == []


class Payload:
    """Makes a file where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


def test_a_payload_in_the_place_of_any_file_is_not_run(tmp_path, lake, corpora):
    mark = tmp_path / "ran"
    payload = pickle.dumps(Payload(mark))
    pickle.loads(payload)
    assert mark.exists(), "the payload works"
    mark.unlink()
    manifest = corpora["docs_fi"]
    path = Path(lake.path(manifest, "documents/part-00000.parquet"))
    path.write_bytes(payload)
    with pytest.raises(LakeError, match="is not what was written"):
        lake.require_whole(manifest)
    with pytest.raises(OSError):  # pyarrow's ArrowInvalid is a ValueError, its error of a short file an OSError
        try:
            read_parquet(lake, manifest, "documents/part-00000.parquet")
        except ValueError as error:
            raise OSError from error
    for name in ("manifest.json", "receipt.json"):
        Path(lake.path(manifest, name)).write_bytes(payload)
        with pytest.raises(LakeError):
            list(lake.manifests()) if name == "manifest.json" else lake.receipt(manifest)
    prefix = tmp_path / "part-00000"
    for suffix in (".idx", ".bin"):
        prefix.with_suffix(suffix).write_bytes(payload)
    with pytest.raises(ShardError):
        read_shard(prefix)

    assert not mark.exists()
