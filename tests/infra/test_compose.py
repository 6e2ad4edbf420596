"""The whole stack of infra/compose.yaml on a real Docker engine: what is published, who gets in, what leaks, and what a person
sees of it in a browser, which is kept as pictures in the folder that ``TOKKA_SCREENSHOTS`` names.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.compose import OURS, Stack, running_stack
from tests.pages import chromium, launch, launch_recipe
from tests.workplace import let_others_through, small_workplace

pytestmark = pytest.mark.docker

SCREENSHOTS = os.environ.get("TOKKA_SCREENSHOTS")
WEEKLY = {
    "description": "The demo, trained anew on Sundays, with a source of which cleaning removes more than is allowed.",
    "extends": "mini",
    "sources": {
        "gnome_help_strict": {
            "format": "jsonl", "files": "infra/demo/corpora/gnome_help_fi.jsonl.gz", "language": "fi",
            "license": "CC-BY-SA-3.0", "cleaning": "documentation", "pool": "strict",
            "bounds": {"language_share": 0.4, "removed": 0.05},
        }
    },
    "automation": {
        "retrain": {"cron": "0 2 * * 0", "timezone": "Europe/Helsinki", "budget": {"gpu_hours": 500}, "running": True}
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def stack(docker_engine, tmp_path_factory):
    place = tmp_path_factory.mktemp("stack")
    let_others_through(place)  # the services' user
    desk = small_workplace(place / "desk")
    desk.recipe("mini-weekly", WEEKLY)
    with running_stack(docker_engine, place, desk.folder) as running:
        yield running


def test_only_the_proxy_is_published_and_on_loopback_alone(stack):
    containers = json.loads("[" + ",".join(stack.compose("ps", "--format", "json").stdout.split("\n")).strip(",") + "]")
    assert {c["Service"] for c in containers} == {"postgres", "s3", "proxy", *OURS}
    published = {
        (c["Service"], p["URL"], p["PublishedPort"]) for c in containers for p in c["Publishers"] if p["PublishedPort"]
    }
    assert published == {("proxy", "127.0.0.1", stack.port)}


def test_nobody_gets_in_without_a_login(stack):
    for path in ("/", "/server_info", "/graphql", "/assets", "/report_asset_materialization/raw_corpus"):
        assert stack.ask(path, login=False)[0] == 401, path
    wrong = Stack(stack.folder, stack.port, (stack.login[0], "wrong"), stack.environment, stack.override)
    assert wrong.ask("/server_info")[0] == 401


def test_with_a_login_the_interface_answers_and_the_code_location_is_loaded(stack):
    assert stack.ask("/server_info")[0] == 200
    status, body = stack.ask(
        "/graphql",
        "{workspaceOrError {... on Workspace {locationEntries {name loadStatus locationOrLoadError {__typename}}}}"
        " assetNodes {assetKey {path}} instance {daemonHealth {allDaemonStatuses {daemonType required healthy}}}}",
    )
    assert status == 200, body
    data = json.loads(body)["data"]
    (location,) = data["workspaceOrError"]["locationEntries"]
    assert location["locationOrLoadError"]["__typename"] == "RepositoryLocation", body
    assert {"raw_corpus", "pretraining_run"} <= {node["assetKey"]["path"][0] for node in data["assetNodes"]}
    assert all(d["healthy"] for d in data["instance"]["daemonHealth"]["allDaemonStatuses"] if d["required"])


def test_a_foreign_page_can_neither_start_runs_nor_listen(stack):
    query = "{version}"
    assert stack.ask("/graphql", query, Origin="https://evil.example")[0] == 403
    assert stack.ask("/graphql", query, Origin=f"https://localhost:{stack.port}.evil.example")[0] == 403
    assert stack.ask("/graphql", query, Origin="null")[0] == 403
    assert stack.ask("/graphql", query, Origin=f"https://localhost:{stack.port}")[0] == 200


def test_the_doctor_finds_the_stack_well(stack):
    done = stack.tokka("doctor", "--json")
    assert done.returncode == 0, done.stderr
    found = {finding["what"]: finding for finding in json.loads(done.stdout)}
    for what in ("Dagster's instance", "Dagster's daemon", "Lake", "Secrets"):
        assert found[what]["there"], found[what]
    assert "PostgreSQL" in found["Dagster's instance"]["found"]


def test_no_process_is_root_and_no_secret_is_told(stack):
    names = stack.compose("ps", "-q").stdout.split()
    inspected = subprocess.run(
        ["docker", "inspect", *names], env=stack.environment, capture_output=True, text=True, check=True
    ).stdout
    for container in json.loads(inspected):
        assert container["Config"]["User"] == "10001:10001" and container["HostConfig"]["ReadonlyRootfs"]
        assert container["HostConfig"]["CapDrop"] == ["ALL"] and container["HostConfig"]["Memory"] > 0
    _, settings = stack.ask("/graphql", "{instance {info runLauncher {name} executablePath}}")
    _, pages = stack.ask("/")
    said = stack.compose("logs", "--no-color").stdout
    told = {"docker inspect": inspected, "the UI's settings": settings, "the UI": pages, "the logs": said}
    told["compose config"] = stack.compose("config").stdout
    assert "run_monitoring" in settings
    planted = [
        stack.login[1],
        *(
            (stack.folder / "secrets" / name).read_text().strip()
            for name in ("postgres_password", "s3_access_key", "s3_secret_key")
        ),
    ]
    for where, text in told.items():
        assert text, where
        for secret in planted:
            assert secret not in text, where


def test_a_missing_secret_stops_the_start_with_a_sentence(stack, tmp_path):
    environment = {k: v for k, v in stack.environment.items() if k != "TOKKA_FOLDER"}
    unset = Stack(stack.folder, stack.port, stack.login, environment, stack.override).compose("config", "-q")
    assert unset.returncode and "infra/stack/prepare.sh has made" in unset.stderr
    empty = tmp_path / "empty"
    empty.write_text("")
    done = stack.compose(
        "run", "--rm", "--no-deps", "-T", "-v", f"{empty}:/run/secrets/postgres_password:ro", "daemon", "daemon"
    )
    assert done.returncode == 2
    assert "the secret TOKKA_POSTGRES_PASSWORD is missing" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


# In a browser


@pytest.fixture(scope="module")
def browser(stack):
    """A browser that knows the stack's certificate by its key, and no other that is self-signed."""
    key = subprocess.run(
        ["openssl", "x509", "-pubkey", "-noout", "-in", str(stack.folder / "secrets" / "tls.crt")],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    der = base64.b64decode("".join(key.splitlines()[1:-1]))
    known = base64.b64encode(hashlib.sha256(der).digest()).decode()
    with chromium(f"--ignore-certificate-errors-spki-list={known}") as running:
        yield running


@pytest.fixture
def page(stack, browser):
    name, password = stack.login
    context = browser.new_context(
        viewport={"width": 1440, "height": 900},
        http_credentials={"username": name, "password": password, "origin": stack.address},
        timezone_id="Europe/Helsinki", locale="en-GB", base_url=stack.address,
    )  # fmt: skip
    context.set_default_timeout(300_000)  # of a run with some sixty partitions, on a slow and busy machine
    yield context.new_page()
    context.close()


def screenshot(page, name: str) -> None:
    """Keep what is seen, where somebody wants it."""
    if SCREENSHOTS:
        page.wait_for_timeout(1_500)  # what moves has come to rest
        page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"))


def node(page, name: str):
    """An asset or a group in the drawing of the lineage, where long names are cut in their middle."""
    return page.locator("svg foreignObject").get_by_text(re.compile(f"^{name[:10]}")).first


def launched(page, assets: list[str], partition: str) -> None:
    """Click from the lineage of the data to the page of a run that makes a partition of these assets."""
    page.goto("/")
    page.locator("a[href='/asset-groups']").first.click()
    node(page, "data").click()
    node(page, assets[0]).click()
    for asset in assets[1:]:
        node(page, asset).click(modifiers=["Shift"])
    page.get_by_text(re.compile("^Materialize selected")).wait_for()
    launch(page, partition)
    look_at_run(page)


def look_at_run(page) -> None:
    """From the message that a run was launched to its page."""
    page.get_by_text("View", exact=True).click()
    page.wait_for_url("**/runs/*")


def steps(stack: Stack, page) -> dict[str, str]:
    """How the steps of the run that is looked at ended."""
    run = page.url.rsplit("/", 1)[1]
    _, body = stack.ask("/graphql", f'{{runOrError(runId: "{run}") {{... on Run {{stepStats {{stepKey status}}}}}}}}')
    return {step["stepKey"]: step["status"] for step in json.loads(body)["data"]["runOrError"]["stepStats"]}


@pytest.mark.browser
def test_without_a_login_a_browser_sees_nothing(stack, browser):
    from playwright.sync_api import Error

    context = browser.new_context()
    with pytest.raises(Error, match="ERR_INVALID_AUTH_CREDENTIALS"):
        context.new_page().goto(stack.address)
    context.close()


@pytest.mark.browser
def test_a_source_of_the_demo_is_made_by_clicks_and_watched(stack, page):
    launched(page, ["raw_corpus", "clean_corpus"], "manpages_fi")
    page.get_by_text("ASSET_MATERIALIZATION").first.wait_for()
    screenshot(page, "run")
    page.get_by_text("RUN_SUCCESS").wait_for()
    assert steps(stack, page) == dict.fromkeys(
        ("raw_corpus", "raw_corpus_gate", "clean_corpus", "clean_corpus_gate"), "SUCCESS"
    )


@pytest.mark.browser
def test_a_gate_that_fails_shows_why_and_stops_what_follows(stack, page):
    launched(page, ["raw_corpus", "clean_corpus"], "gnome_help_strict")
    page.get_by_text("RUN_FAILURE").wait_for()
    assert steps(stack, page)["clean_corpus_gate"] == "FAILURE"
    page.goto("/assets/clean_corpus?view=checks&checkDetail=gate")
    page.get_by_text("Hide navigation").click()
    page.get_by_text("bounds not kept").wait_for()
    row = page.get_by_role("row").filter(has_text="documents removed in all").first
    row.wait_for()
    assert "<= 0.05" in row.inner_text()
    screenshot(page, "gate")
    page.get_by_text("[Show Markdown]").first.click()
    picture = page.locator("img[src^='data:image/png']").first
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    screenshot(page, "gate-plot")
    # Another run, of what reads the source.
    page.goto("/assets/duplicates?view=partitions")
    launch(page, "strict")
    look_at_run(page)
    page.get_by_text("RUN_FAILURE").wait_for()
    page.get_by_text("GateNotPassedError").first.wait_for()
    assert steps(stack, page)["duplicates"] == "FAILURE"


@pytest.fixture(scope="module")
def restored(stack, finished):
    """The name of a recipe that was run elsewhere: a back-up is put into the stack's lake as docs/operations.md says."""
    home = stack.folder / "home"
    shutil.copytree(finished.place.lake, home / "lake", ignore=shutil.ignore_patterns(".staging"))
    for path in (home / "lake", *(home / "lake").rglob("*")):
        os.chown(path, 10001, 10001)
    put = (
        "import os; from assets.lake import Lake; from orchestration.secret_files import read_secret_files as read; read()\n"
        "Lake.open(os.environ['TOKKA_LAKE']).fs.put('/home/tokka/lake/', 'tokka/lake/', recursive=True)"
    )
    done = stack.compose("exec", "-T", "code", "python3", "-c", put)
    assert done.returncode == 0, done.stderr[-3000:]
    return "small"


@pytest.mark.browser
def test_a_whole_recipe_is_made_by_a_click_and_its_scores_and_the_way_to_them_are_read(restored, page):
    page.goto("/jobs")
    launch_recipe(page, restored)
    page.get_by_text("partitions to make, in the lake s3://").first.wait_for()
    page.get_by_text(f"model_card {restored}: reused").first.wait_for()
    page.get_by_text("RUN_SUCCESS").first.wait_for()
    page.goto(f"/assets/scoreboard?view=partitions&partition={restored}")
    page.get_by_text("Hide navigation").click()
    page.get_by_text("heldout_fi").first.wait_for()
    screenshot(page, "scoreboard")
    page.get_by_text("[Show Markdown]").first.click()
    picture = page.locator("img[src^='data:image/png']").first
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    screenshot(page, "scores-plot")
    page.goto("/assets/pretraining_run?view=lineage&lineageScope=upstream")
    page.get_by_text("mixture").first.wait_for()
    screenshot(page, "lineage")


@pytest.mark.browser
def test_the_schedule_says_when_it_ticks_next(stack, page):
    page.goto("/")
    page.locator("a[href='/automation']").first.click()
    page.get_by_text("train_mini_weekly").first.click()
    page.get_by_text("Next tick").first.wait_for()
    page.get_by_text(re.compile(r"2:00:00")).first.wait_for()
    screenshot(page, "schedule")
