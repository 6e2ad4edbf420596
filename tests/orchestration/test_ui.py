"""The Dagster UI, as a person sees it: the graph, a gate's table, a plot, a run that is started and stopped by its gate."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from tests.pages import chromium, launch, launch_recipe
from tests.servers import free_ports
from tests.workplace import Workplace

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def place(finished, tmp_path_factory) -> Workplace:
    """A copy of the finished workplace with one recipe more, which shares all corpora and was never run."""
    copy = Workplace(tmp_path_factory.mktemp("ui"))
    shutil.copytree(finished.place.folder, copy.folder, dirs_exist_ok=True)
    copy.recipe("smaller", {"extends": "small", "training": {"steps": 10, "checkpoints": [10]}})
    return copy


@pytest.fixture(scope="module")
def ui(place):
    """The address of the UI over the workplace."""
    (port,) = free_ports(1)
    process = subprocess.Popen(
        place.command("ui", "--port", str(port)),
        env=place.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            if urllib.request.urlopen(f"{address}/server_info", timeout=2).status == 200:
                break
        time.sleep(0.3)
    yield address
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser):
    opened = browser.new_page(viewport={"width": 1500, "height": 1000})
    opened.set_default_timeout(60_000)
    yield opened
    opened.close()


def test_the_lineage_shows_the_groups_of_the_graph_in_order(ui, page):
    page.goto(f"{ui}/asset-groups")
    for group in ("data", "tokens", "training", "evaluation", "reports"):
        page.get_by_text(group, exact=True).first.wait_for()


def test_a_gate_shows_its_expectations_with_what_was_observed(ui, page):
    page.goto(f"{ui}/assets/clean_corpus?view=checks&checkDetail=gate")
    page.get_by_text("This is a blocking asset check").or_(page.get_by_text("blocking")).first.wait_for()
    page.get_by_text("documents read = kept + removed by reason").first.wait_for()


def test_a_run_shows_its_loss_curve(ui, page):
    page.goto(f"{ui}/assets/pretraining_run")
    page.get_by_text("[Show Markdown]").first.click()
    picture = page.locator("img[alt='Loss']")
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") > 300


def test_a_partition_is_materialized_and_judged_from_the_ui(ui, page, place, monkeypatch):
    import dagster as dg

    monkeypatch.setenv("DAGSTER_HOME", str(place.folder / "home" / "dagster"))
    page.goto(f"{ui}/assets/raw_corpus?view=partitions")
    launch(page, "small_pairs")
    with dg.DagsterInstance.get() as instance:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            run = instance.get_runs(limit=1)[0]
            if "tokka/recipe" not in run.tags and run.is_finished:
                break
            time.sleep(0.5)
        assert "tokka/recipe" not in run.tags, "the UI has started a run"
        assert run.status == dg.DagsterRunStatus.SUCCESS
        events = {log.dagster_event.event_type for log in instance.all_logs(run.run_id) if log.dagster_event}
        assert {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION} <= events


def test_a_whole_recipe_is_made_by_a_click_and_watched(ui, page, place):
    """The page stays open: what it shows comes while the run works."""
    page.goto(f"{ui}/jobs")
    launch_recipe(page, "smaller")
    page.set_default_timeout(300_000)
    page.get_by_text("partitions to make, in the lake").first.wait_for()
    assert not list(place.lake.glob("model_card/smaller/*/manifest.json"))
    page.get_by_text("mixture smaller").first.wait_for()
    page.get_by_text("model_card smaller").first.wait_for()
    page.get_by_text("RUN_SUCCESS").first.wait_for()
    assert list(place.lake.glob("model_card/smaller/*/manifest.json"))
