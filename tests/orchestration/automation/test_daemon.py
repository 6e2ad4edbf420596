"""The real daemon and the real UI: new files become a clean corpus, and the pages say why what did not happen did not."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from assets.lake import Lake
from tests.pages import ARGUMENTS, CHROMIUM
from tests.servers import free_ports
from tests.workplace import SMALL, Workplace, small_workplace

pytestmark = pytest.mark.browser

PROFILE = {"operations": {"running": ["new_files", "follow_data"], "every_seconds": 2}}
RETRAIN = {"cron": "0 2 * * 0", "timezone": "Europe/Helsinki", "running": True, "budget": {"gpu_hours": 5}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workplace, str]]:
    """A workplace in which nothing was ever run, with the UI and the daemon over it."""
    place = small_workplace(tmp_path_factory.mktemp("daemon"))
    place.recipe("small", SMALL | {"automation": {"retrain": RETRAIN}})
    profile = place.folder / "profile.yaml"
    profile.write_text(yaml.safe_dump(PROFILE))
    (port,) = free_ports(1)
    process = subprocess.Popen(
        place.command("ui", "--port", str(port), "--profile", str(profile)),
        env=place.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    yield place, f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        opened = browser.new_page(viewport={"width": 1500, "height": 1000})
        opened.set_default_timeout(60_000)
        yield opened
        browser.close()


def test_files_become_a_clean_corpus_and_nothing_is_trained(running: tuple[Workplace, str]) -> None:
    lake = Lake.open(str(running[0].lake))
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not list(lake.manifests("clean_corpus")):
        time.sleep(1)
    (first, *_) = list(lake.manifests("clean_corpus"))
    lake.require_receipt(first.inputs[0])
    assert list(lake.manifests("pretraining_run")) == []


def test_the_sensor_says_why_it_requested_nothing(running: tuple[Workplace, str], page: Any) -> None:
    page.goto(f"{running[1]}/locations/tokka/sensors/new_files")
    said = page.get_by_text("sources are as they were").first
    deadline = time.monotonic() + 60
    # The list is drawn anew with every look of the sensor, which closes what the pointer opened.
    while not said.is_visible():
        assert time.monotonic() < deadline
        page.mouse.move(0, 0)
        page.get_by_text("0 runs requested").nth(1).hover()
        page.wait_for_timeout(1_000)


def test_the_schedule_shows_its_next_tick(running: tuple[Workplace, str], page: Any) -> None:
    page.goto(f"{running[1]}/locations/tokka/schedules/train_small")
    page.get_by_text("Next tick").first.wait_for()
    page.get_by_text("2:00:00 AM GMT+").first.wait_for()
    page.get_by_text("within 5 GPU-hours per month").first.wait_for()
