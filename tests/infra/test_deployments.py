"""Settings of the deployments that no server of their kind is at hand for: Helm's values, systemd's units."""

import re
import shutil
import subprocess
from pathlib import Path

import dagster as dg
import pytest
import yaml

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
UNITS = sorted((INFRA / "systemd").glob("*.service"))


def test_helm_gives_the_instance_the_settings_of_every_other_deployment():
    values = yaml.safe_load((INFRA / "helm" / "values.yaml").read_text())
    local = yaml.safe_load((INFRA / "dagster" / "local.yaml").read_text())
    assert values["computeLogManager"]["type"] == local.pop("compute_logs")["class"]
    assert values["telemetry"] == local.pop("telemetry")
    coordinator = local.pop("run_coordinator")  # the chart writes one of its own
    assert values["additionalInstanceConfig"] == local
    with dg.DagsterInstance.local_temp(overrides={**local, "run_coordinator": coordinator}) as instance:  # accepted
        assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == 1
    storage = yaml.safe_load((INFRA / "dagster" / "postgres.yaml").read_text())["storage"]["postgres"]["postgres_db"]
    assert values["postgresql"]["postgresqlScheme"] == storage["scheme"]


def test_helm_runs_nothing_as_root_and_holds_no_secret():
    text = (INFRA / "helm" / "values.yaml").read_text()
    values = yaml.safe_load(text)
    pods = [values["dagsterWebserver"], values["dagsterDaemon"], *values["dagster-user-deployments"]["deployments"]]
    for pod in pods:
        assert pod["podSecurityContext"]["runAsNonRoot"] and pod["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert pod["resources"]["limits"]["memory"]
        assert all("KEY" not in entry["name"] for entry in pod.get("env", []))
    assert values["dagsterWebserver"]["service"]["type"] == "ClusterIP"
    assert not re.search(r"(?i)postgresqlPassword:", text)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_units_are_valid_and_confined(unit, tmp_path):
    text = unit.read_text()
    assert "User=tokka" in text and "NoNewPrivileges=yes" in text and "ProtectSystem=strict" in text
    assert "Restart=always" in text and "MemoryMax=" in text
    command = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)[1]
    named = [word.removeprefix("/opt/tokka/") for word in command.split() if word.startswith("/opt/tokka/infra/")]
    assert all((ROOT / path).is_file() for path in named)
    assert named or command.startswith("/opt/tokka/.venv/bin/tokka serve ")
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    # /opt/tokka is not there; everything else is judged as it stands.
    copy = tmp_path / unit.name
    copy.write_text(text.replace(command, "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if unit.name in line]
    assert not complaints


def test_every_unit_belongs_to_the_target_and_every_file_of_a_secret_is_prepared(tmp_path):
    target = (INFRA / "systemd" / "tokka.target").read_text()
    assert set(re.findall(r"tokka-\w+\.service", target)) == {unit.name for unit in UNITS}
    done = subprocess.run(
        [str(INFRA / "stack" / "prepare.sh"), str(tmp_path / "srv"), "maija"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    secrets = {path.name: path for path in (tmp_path / "srv" / "secrets").iterdir()}
    files = re.findall(r"_FILE=/srv/tokka/secrets/(\S+)", (INFRA / "systemd" / "tokka.env").read_text())
    assert set(files) == set(secrets)
    composed = yaml.safe_load((INFRA / "compose.yaml").read_text())["secrets"]
    assert {Path(secret["file"]).name for secret in composed.values()} == set(secrets)
    assert all(path.stat().st_mode & 0o077 == 0 for path in secrets.values()), "for their owner alone"
    assert secrets["htpasswd"].read_text().startswith("maija:$6$")
    before = {name: path.read_bytes() for name, path in secrets.items()}
    again = subprocess.run(
        [str(INFRA / "stack" / "prepare.sh"), str(tmp_path / "srv")], capture_output=True, text=True, check=False
    )
    assert again.returncode == 0 and "password" not in again.stdout
    assert before == {name: path.read_bytes() for name, path in secrets.items()}, "what is there stays"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "the folder"),
        (("x", "a b"), "characters"),
        (("x", "a:b"), "characters"),
        (("x", "a", "0:0"), "not run as root"),
    ],
)
def test_prepare_refuses_what_would_not_work(tmp_path, arguments, said):
    import os

    if "0:0" in arguments and os.getuid():
        pytest.skip("only root names a user")
    done = subprocess.run(
        [str(INFRA / "stack" / "prepare.sh"), *arguments], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode and said in done.stderr


@pytest.mark.parametrize("script", ["postgres.sh", "s3.sh", "proxy.sh"])
def test_a_service_without_its_secret_says_so_and_ends(tmp_path, script):
    import os

    environment = {
        "PATH": f"{Path(shutil.which('sh')).parent}:{os.environ['PATH']}:{ROOT}/.venv/bin",
        "PGDATA": str(tmp_path / "data"),
        "TOKKA_S3_FOLDER": str(tmp_path),
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(
        ["/bin/sh", str(INFRA / "stack" / script)], env=environment, capture_output=True, text=True, check=False
    )
    if "is not installed" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 1
    assert re.search(r"^tokka: the secret TOKKA_\w+ is missing: .*\.$", done.stderr.strip())
