import resource
import subprocess
import sys

import dagster as dg
import pytest

from assets.graph import BY_ASSET, STAGES, goes_back, targets, upstream
from assets.recipe.load import load_catalog
from orchestration.assets_from_stages import build_all
from orchestration.build import build_definitions
from orchestration.profile import Profile


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


@pytest.fixture(scope="module")
def definitions(catalog):
    return build_definitions(catalog, Profile.from_environment())


def import_seconds(code):
    """Processor time of a process with this code, because an import waits for nothing, and what it printed; the least time of
    three, because a neighbour slows a shared core."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(seconds), done.stdout.strip()


def test_the_definitions_load_in_under_three_seconds_without_heavy_libraries():
    heavy = ["torch", "transformers", "nemo", "lm_eval", "great_expectations", "pandas", "daft", "matplotlib"]
    seconds, there = import_seconds(
        f"import sys, orchestration.definitions; print([m for m in {heavy} if m in sys.modules])"
    )
    assert there == "[]"
    # Dagster's own import, of half a second to a second, says how slow a machine is.
    assert seconds < max(3, 3.5 * import_seconds("import dagster")[0])


def test_dagster_accepts_the_graph(definitions):
    dg.Definitions.validate_loadable(definitions)


def test_every_stage_is_an_asset_and_every_gate_a_blocking_check(catalog):
    assets, checks = build_all(catalog)
    assert [a.key.to_user_string() for a in assets] == [s.asset for s in STAGES]
    gated = {spec.asset_key.to_user_string() for check in checks for spec in check.check_specs if spec.blocking}
    assert gated == {s.asset for s in STAGES} - {"scoreboard", "model_card"}


def test_dagsters_partition_mapping_is_exactly_what_a_stage_reads(catalog, definitions):
    graph = definitions.resolve_asset_graph()
    for stage in STAGES:
        for key in stage.keys(catalog):
            for asset in {a for a, _ in stage.inputs(catalog, key) if not goes_back(stage, a)}:
                mapping = graph.get_partition_mapping(dg.AssetKey(stage.asset), dg.AssetKey(asset))
                found = mapping.get_upstream_mapped_partitions_result_for_partitions(
                    downstream_partitions_subset=graph.get(
                        dg.AssetKey(stage.asset)
                    ).partitions_def.subset_with_partition_keys([key]),
                    downstream_partitions_def=graph.get(dg.AssetKey(stage.asset)).partitions_def,
                    upstream_partitions_def=graph.get(dg.AssetKey(asset)).partitions_def,
                ).partitions_subset.get_partition_keys()
                assert set(found) == {k for a, k in stage.inputs(catalog, key) if a == asset}, (stage.asset, key, asset)


def test_inputs_come_before_what_reads_them(catalog):
    seen = set()
    for stage, key in upstream(catalog, targets(catalog, "mini")):
        assert set(stage.inputs(catalog, key)) <= seen
        seen.add((stage.asset, key))
    assert ("model_card", "mini") in seen
    assert not [s for a, s in seen if a == "raw_corpus" and s.startswith("rich_")]


def test_a_run_that_starts_from_anothers_checkpoint_comes_after_all_of_it(catalog):
    order = [(stage.asset, key) for stage, key in upstream(catalog, targets(catalog, "mini-continued"))]
    seen = set()
    for asset, key in order:
        assert set(BY_ASSET[asset].inputs(catalog, key)) <= seen, (asset, key)
        seen.add((asset, key))
    assert len(order) == len(seen)
    assert order.index(("checkpoint", "mini--step-0000320")) < order.index(("pretraining_run", "mini-continued"))
    assert ("pretraining_run", "mini") in seen and ("evaluation", "mini--step-0000320") not in seen


def test_the_rooms_import_one_way():
    import ast
    from pathlib import Path

    root = Path(__file__).parents[2]
    allowed = {
        "assets/lake": ("assets.lake",),
        "assets/recipe": ("assets.lake", "assets.recipe"),
        "assets/gates": ("assets.lake", "assets.gates", "assets.recipe"),
        "training_jobs": ("assets.lake", "assets.recipe", "training_jobs"),
        "eval_jobs": ("assets.lake", "assets.recipe", "eval_jobs"),
        "assets": ("assets",),
    }
    for room, names in allowed.items():
        for path in (root / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                module = node.module if isinstance(node, ast.ImportFrom) else None
                names_found = [a.name for a in node.names] if isinstance(node, ast.Import) else [module or ""]
                for name in names_found:
                    if name.split(".")[0] in ("assets", "orchestration", "training_jobs", "eval_jobs"):
                        assert name.startswith(names), f"{path.relative_to(root)} imports {name}"
