"""Secrets planted in the environment of a whole run are in nothing that it leaves behind."""

import base64
import json
import subprocess
import sys

from tests.engines import ROOT
from tests.secrets import leaks
from tests.workplace import PLANTED

QUERY = """{
  instance {info runLauncher {name}}
  workspaceOrError {... on Workspace {locationEntries {name displayMetadata {key value}
    locationOrLoadError {... on RepositoryLocation {repositories {
      allTopLevelResourceDetails {name description configuredValues {key value}}}}}}}}
  assetNodes {assetKey {path} description metadataEntries {label description}
    assetMaterializations(limit: 20) {partition metadataEntries {label description __typename
      ... on TextMetadataEntry {text} ... on MarkdownMetadataEntry {mdStr} ... on JsonMetadataEntry {jsonString}
      ... on PathMetadataEntry {path} ... on UrlMetadataEntry {url} ... on TableMetadataEntry {table {records}}}}}
  runsOrError {... on Runs {results {runId runConfigYaml tags {key value}
    eventConnection {events {... on MessageEvent {message}}}}}}
}"""


def test_a_search_for_secrets_finds_them_in_every_spelling(tmp_path):
    secret = PLANTED["AWS_SECRET_ACCESS_KEY"]
    (tmp_path / "plain").write_text(f"key={secret}")
    (tmp_path / "coded").write_bytes(base64.b64encode(f"user:{secret}@host".encode()))
    (tmp_path / f"named-{secret}").touch()
    (tmp_path / "clean").write_text("AWS_SECRET_ACCESS_KEY")
    assert leaks([secret], tmp_path, log=f"said {secret}", other="") == ["log", "coded", f"named-{secret}", "plain"]


def test_no_secret_is_in_what_a_run_leaves_behind(finished):
    place, result = finished.place, finished.result
    assert all(place.environment[name] == secret for name, secret in PLANTED.items()), "the runs had them"
    texts = {
        "stderr of the first run": "".join(finished.before_kill),
        "the second run": result.stdout + result.stderr,
        "doctor": place.tokka("doctor", "--json").stdout,
    }
    assert all(texts.values())
    assert leaks(PLANTED.values(), place.folder, **texts) == []
    # The search reads what there is: databases, logs, manifests, receipts, specifications of jobs, reports.
    searched = {path.name for path in place.folder.rglob("*")}
    assert {"manifest.json", "dagster.yaml"} <= searched
    assert leaks(["raw_corpus"], place.folder / "home" / "dagster"), "the event log is searched"


def test_no_secret_is_in_what_the_interface_answers(finished):
    place = finished.place
    environment = place.environment | {"DAGSTER_HOME": str(place.folder / "home" / "dagster")}
    done = subprocess.run(
        [sys.executable, "-c", "from dagster_graphql.cli import main; main()", "-w", str(ROOT / "workspace.yaml"), "-t", QUERY],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answer, _ = json.JSONDecoder().raw_decode(done.stdout[done.stdout.index("{") :])
    assert "errors" not in answer, answer["errors"]
    data = answer["data"]
    assert data["runsOrError"]["results"] and data["assetNodes"]
    resources = json.dumps(data["workspaceOrError"])
    assert "lake_uri" in resources, "the settings of the profile are shown"
    assert leaks(PLANTED.values(), place.folder / "recipes", answer=done.stdout, errors=done.stderr) == []
