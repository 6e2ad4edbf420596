"""The Dagster UI in headless Chromium, and the clicks that several tests share."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@contextmanager
def chromium(*arguments: str) -> Iterator["Browser"]:
    """A running browser, with further arguments of Chromium's; the test is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *arguments])
        yield running
        running.close()


def launch(page: "Page", partition: str) -> None:
    """From the button "Materialize" to a run of one partition."""
    from playwright.sync_api import TimeoutError as NotThereYet

    page.get_by_role("button", name="Materialize").first.click()
    wanted = page.get_by_placeholder("Filter partitions")
    for _ in range(10):
        # A click that comes while the dialog is still drawn opens nothing.
        page.get_by_text("Select a partition or create one").first.click()
        with suppress(NotThereYet):
            wanted.wait_for(timeout=10_000)
            break
    wanted.fill(partition)
    page.locator("[role=menuitem]").filter(has=page.get_by_text(partition, exact=True)).first.click()
    # The open menu may lie over the label, so the events go to it directly: whatever is outside the menu closes it.
    for event in ("pointerdown", "mousedown", "mouseup", "click"):
        page.get_by_text("Partition selection").dispatch_event(event)
    page.get_by_role("button", name="Launch 1 run").click()


def launch_recipe(page: "Page", recipe: str) -> None:
    """From the list of jobs to the page of a run that makes a whole recipe."""
    from playwright.sync_api import TimeoutError as NotThereYet

    page.get_by_text("run_recipe", exact=True).first.click()
    page.get_by_text("Launchpad").first.click()
    for _ in range(10):
        # What is typed before the page knows the partitions brings no suggestion.
        page.get_by_placeholder("Partition").fill(recipe)
        try:
            page.get_by_text(recipe, exact=True).first.click(timeout=5_000)
            break
        except NotThereYet:
            page.reload()
    page.get_by_role("button", name="Launch Run").click()
    page.wait_for_url("**/runs/*")
