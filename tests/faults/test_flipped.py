"""A flipped byte in any file of any version is found before it is used: by what reads it next, and by ``tokka lake verify``.

The lake is a copy of one that a whole run has made. ``TOKKA_FAULT_SEED`` says which bytes are flipped.
"""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from assets.graph import BY_ASSET, STAGES
from assets.lake import Lake, LakeError, Manifest
from assets.lake.seal import seal_fault
from assets.recipe.catalog import Catalog
from assets.recipe.load import load_catalog
from assets.stage import Input
from orchestration.build import build_definitions
from orchestration.instance import local_storage
from orchestration.profile import Profile
from tests.faults.test_kill import SEED
from tests.workplace import Workplace

READ = [stage.asset for stage in STAGES if stage.asset != "model_card"]
"""Every asset but the last is read by another one."""


@dataclass(frozen=True)
class Copy:
    """A copy of a finished workplace, opened in this process."""

    catalog: Catalog
    profile: Profile
    instance: dg.DagsterInstance
    definitions: dg.Definitions

    @property
    def lake(self) -> Lake:
        return self.profile.lake

    def current(self, asset: str, key: str) -> Manifest:
        (found,) = self.lake.manifests(asset, key)
        return found

    def materialize(self, asset: str, key: str) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_implicit_job_def_def_for_assets([dg.AssetKey(asset)])
        assert job is not None
        return job.execute_in_process(
            instance=self.instance, partition_key=key, asset_selection=[dg.AssetKey(asset)], raise_on_error=False
        )


@pytest.fixture(scope="module")
def copy(finished, tmp_path_factory) -> Iterator[Copy]:
    place = Workplace(tmp_path_factory.mktemp("copy"))
    shutil.copytree(finished.place.folder, place.folder, dirs_exist_ok=True)
    home = place.folder / "home" / "dagster"
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n" + local_storage(home))
    before = dict(os.environ)
    os.environ.update({k: v for k, v in place.environment.items() if k.startswith("TOKKA_")})
    try:
        # TOKKA_LAKE and the like of whoever runs the tests belong to another lake.
        for name in set(before) - set(place.environment):
            del os.environ[name]
        catalog, profile = load_catalog(), Profile.from_environment()
        with dg.DagsterInstance.from_config(str(home)) as instance:
            yield Copy(catalog, profile, instance, build_definitions(catalog, profile))
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def flipped(path: Path, place: int) -> Iterator[None]:
    """The file with one bit of the byte at ``place`` changed, in a new inode as after a repair of the file system."""
    whole, about = path.read_bytes(), path.stat()
    kept = path.with_name(f".{path.name}.kept")
    path.rename(kept)
    try:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
        yield
    finally:
        kept.replace(path)


def use(lake: Lake, manifest: Manifest) -> tuple[Manifest, object]:
    """What every step does with a version before it reads it; see orchestration.execute."""
    found = lake.find(manifest.asset, manifest.partition, manifest.version)
    assert found is not None
    receipt = None if BY_ASSET[found.asset].gate is None else lake.require_receipt(found.ref)
    lake.require_whole(found)
    return found, receipt


@pytest.mark.parametrize("asset", BY_ASSET)
def test_every_file_of_every_version_is_refused_by_its_name(copy, asset):
    lake, draw = copy.lake, random.Random(f"{SEED} {asset}")
    manifests = list(lake.manifests(asset))
    assert manifests
    for manifest in manifests:
        before = use(lake, manifest)
        files = sorted(path for path in Path(lake.folder(manifest)).rglob("*") if path.is_file())
        assert {path.name for path in files} >= {"manifest.json"} | {Path(f.path).name for f in manifest.files}
        for path in files:
            size = path.stat().st_size
            for place in {draw.randrange(size) for _ in range(3)} if size else ():
                with flipped(path, place):
                    _refused_or_the_same(lake, manifest, path, place, before)


def _refused_or_the_same(lake: Lake, manifest: Manifest, path: Path, place: int, before: object) -> None:
    where = f"{path}, offset {place}"
    if path.name in ("manifest.json", "receipt.json"):
        kind = Manifest if path.name == "manifest.json" else type(before[1])
        assert path.name in str(seal_fault(path.read_bytes, kind, str(path), True)), where
    else:
        assert any(path.name in fault for fault in lake.verify(manifest)), where
    try:
        found = use(lake, manifest)
    except LakeError as error:
        assert path.name in str(error) and manifest.partition in str(error), where
    else:
        # Space between two values of JSON, and nothing else, may become another character that means nothing.
        assert path.name in ("manifest.json", "receipt.json") and found == before, where


def _reader(copy: Copy, asset: str) -> tuple[Input, Input]:
    """A partition of ``asset`` of the finished recipe, and one that reads it."""
    for stage in STAGES:
        for key in stage.keys(copy.catalog):
            if not list(copy.lake.manifests(stage.asset, key)):
                continue
            for made_from in stage.inputs(copy.catalog, key):
                if made_from[0] == asset:
                    return made_from, (stage.asset, key)
    raise AssertionError(f"nothing reads {asset}")


@pytest.mark.parametrize("asset", READ)
def test_the_next_step_stops_with_its_name_and_makes_nothing(copy, asset):
    made_from, reader = _reader(copy, asset)
    draw, manifest, reading = random.Random(SEED), copy.current(*made_from), copy.current(*reader)
    entry = draw.choice([entry for entry in manifest.files if entry.size])
    path, folder = Path(copy.lake.path(manifest, entry.path)), Path(copy.lake.folder(reading))
    aside = folder.rename(folder.with_name("aside"))
    try:
        with flipped(path, draw.randrange(entry.size)):
            result = copy.materialize(*reader)
        said = [str(event.step_failure_data.error) for event in result.filter_events(lambda e: e.is_step_failure)]
        assert not result.success and any(f"{entry.path} is not what was written" in text for text in said), said
        assert not folder.exists()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
