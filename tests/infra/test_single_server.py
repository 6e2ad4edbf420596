"""The stack on one server without containers: the units of infra/systemd with tokka.env, as they stand, under their own paths.

systemd is not at hand in tests. Bubblewrap gives /opt/tokka, /srv/tokka, ports and processes of a server of its own, in which the
ExecStart of each unit is started; what systemd confines besides is judged by ``systemd-analyze`` in test_deployments.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compose import prepared
from tests.postgres import installed
from tests.servers import seaweed
from tests.workplace import let_others_through

pytestmark = [pytest.mark.postgres, pytest.mark.s3]

ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "infra" / "systemd"
PROGRAMS = ("bwrap", "nginx", "curl", "openssl", "setpriv")

SERVER = """
set -eu
# The services' user, but for the units of Python, whose interpreter may stand in a home that only root enters.
if [ "$(id -u)" = 0 ]; then tokka="setpriv --reuid=10001 --regid=10001 --clear-groups"; else tokka=; fi
export TMPDIR=/tmp
set -a; . infra/systemd/tokka.env; set +a
PGDATA=/srv/tokka/postgres $tokka /bin/sh infra/stack/postgres.sh > /srv/logs/postgres 2>&1 &
answers() {{  # SECONDS COMMAND...: whether it succeeds within so many seconds
  left=$1; shift
  until "$@" > /dev/null 2>&1; do left=$((left - 1)); [ "$left" -gt 0 ] || return 1; sleep 1; done
}}
answers 60 $(ls -d /usr/lib/postgresql/*/bin | tail -n 1)/pg_isready -h 127.0.0.1 -U tokka
{units}
answers 90 tokka serve code --check
answers 90 tokka serve webserver --check
answers 90 tokka serve daemon --check
ask() {{ curl -s --cacert /srv/tokka/secrets/tls.crt -w '\\n%{{http_code}}\\n' "$@"; }}
answers 30 curl -sk -o /dev/null https://localhost:8443/
ask https://localhost:8443/server_info > /srv/answers/without_login
ask -u "{login}" -H 'Content-Type: application/json' -d '{{"query": "{{assetNodes {{assetKey {{path}}}}}}"}}' \\
  https://localhost:8443/graphql > /srv/answers/assets
tokka doctor --json > /srv/answers/doctor || true
tokka run mini --to raw_corpus --json > /srv/answers/run
tokka lake verify --json > /srv/answers/verify
cp /proc/net/tcp /srv/answers/tcp; cp /proc/net/tcp6 /srv/answers/tcp6
"""


def unit_commands() -> str:
    """A line of shell for each unit that starts it as its own user would, its output kept by its name."""
    lines = []
    for unit in sorted(SYSTEMD.glob("*.service")):
        command = re.search(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)[1]
        user = "$tokka " if command.startswith("/bin/sh ") else ""
        lines.append(f"{user}{command} > /srv/logs/{unit.stem} 2>&1 &")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The folder /srv of a server that was started, asked and ended."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")]
    if missing or not installed():
        pytest.skip(f"not installed: {', '.join([*missing, 'postgresql'])} (see .ci/run)")
    srv = tmp_path_factory.mktemp("srv")
    let_others_through(srv)  # the services' user
    for name in ("logs", "answers"):
        (srv / name).mkdir()
    login = ":".join(prepared(srv / "tokka"))
    environment = {
        "PATH": f"/opt/tokka/.venv/bin:{Path(seaweed()).parent}:/usr/sbin:{os.environ['PATH']}",
        "HOME": "/srv",
        "LANG": "C.UTF-8",
    }
    sandbox = [
        "bwrap", "--dev-bind", "/", "/", "--tmpfs", "/opt", "--bind", str(ROOT), "/opt/tokka",
        "--bind", sys.prefix, "/opt/tokka/.venv", "--bind", str(srv), "/srv",
        "--ro-bind", str(srv / "tokka" / "passwd"), "/etc/passwd", "--tmpfs", "/tmp", "--chmod", "1777", "/tmp",
        "--unshare-net", "--unshare-pid", "--proc", "/proc", "--die-with-parent", "--chdir", "/opt/tokka",
    ]  # fmt: skip
    done = subprocess.run(
        [*sandbox, "/bin/sh", "-c", SERVER.format(units=unit_commands(), login=login)],
        env=environment, capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    logs = "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in sorted((srv / "logs").iterdir()))
    assert done.returncode == 0, f"{done.stderr}\n{logs}"
    return srv


def test_nobody_gets_in_without_a_login_and_with_one_the_graph_is_there(server):
    assert (server / "answers" / "without_login").read_text().splitlines()[-1] == "401"
    *body, status = (server / "answers" / "assets").read_text().splitlines()
    assert status == "200"
    keys = {node["assetKey"]["path"][0] for node in json.loads("".join(body))["data"]["assetNodes"]}
    assert {"raw_corpus", "pretraining_run", "model_card"} <= keys


def test_the_doctor_finds_the_server_well(server):
    found = {finding["what"]: finding for finding in json.loads((server / "answers" / "doctor").read_text())}
    for what in ("Dagster's instance", "Dagster's daemon", "Lake", "Secrets"):
        assert found[what]["there"], found[what]
    assert "PostgreSQL" in found["Dagster's instance"]["found"]


def test_a_run_puts_its_versions_into_the_server_s_own_s3(server):
    run = json.loads((server / "answers" / "run").read_text())
    assert run["exit_code"] == 0 and len(run["made"]) == run["planned"] > 0
    assert json.loads((server / "answers" / "verify").read_text())["versions"] == run["planned"]
    assert not (server / "tokka" / "home" / "lake").exists()


def test_nothing_listens_beyond_loopback(server):
    listening = [
        line.split()[1].partition(":")[0]
        for name in ("tcp", "tcp6")
        for line in (server / "answers" / name).read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    ]
    # 127.0.0.1, ::1 and ::ffff:127.0.0.1, as Linux writes them.
    loopback = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
    assert listening and set(listening) <= loopback


def test_no_log_tells_a_secret(server):
    secrets = server / "tokka" / "secrets"
    planted = [(secrets / name).read_text().strip() for name in ("postgres_password", "s3_access_key", "s3_secret_key")]
    for path in (server / "logs").iterdir():
        text = path.read_text()
        assert all(secret not in text for secret in planted), path
