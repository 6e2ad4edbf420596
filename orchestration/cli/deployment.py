"""What ``tokka doctor`` looks at in a deployment: storage, daemon, code location, lake, secrets, and who listens where."""

import os
import stat
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for. ``costs`` says what its absence costs, and how to get it."""

    what: str
    there: bool
    found: str
    costs: str


def lake_finding(uri: str) -> Finding:
    """Whether the lake can be read and written: a small file is put there, read, and removed."""
    from assets.lake import Lake

    costs = (
        "No run can keep what it makes. The lake is TOKKA_LAKE or the profile's; a folder has to belong to the user that runs "
        "tokka, S3 wants AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and a bucket that is there."
    )
    try:
        lake = Lake.open(uri)
        path = f"{lake.root}/.doctor-{uuid.uuid4().hex}"
        started = time.monotonic()
        if lake.is_local:
            Path(lake.root).mkdir(parents=True, exist_ok=True)
        with lake.fs.open(path, "wb") as stream:
            stream.write(b"tokka")
        with lake.fs.open(path, "rb") as stream:
            same = stream.read() == b"tokka"
        lake.fs.rm_file(path)
        took = time.monotonic() - started
    except Exception as error:  # whatever keeps the lake from being used is the finding
        return Finding("Lake", False, f"{uri}: {type(error).__name__}: {str(error).strip()[:200]}", costs)
    return Finding(
        "Lake", same, f"{uri}: written and read in {took:.2f} s" if same else f"{uri}: read other bytes", costs
    )


def instance_findings() -> Iterator[Finding]:
    """Dagster's storage, its daemon and the code location of a deployment."""
    from orchestration.cli.serve import code_trouble, late_daemons
    from orchestration.instance import InstanceError, open_instance

    costs = "Nothing runs without it: start PostgreSQL, and look at TOKKA_POSTGRES_HOST, _PORT and _PASSWORD_FILE."
    try:
        with open_instance() as instance:
            name = type(instance.run_storage).__name__
            kind = "PostgreSQL" if "Postgres" in name else "SQLite"
            runs = instance.get_runs_count()
    except InstanceError as error:
        yield Finding("Dagster's instance", False, str(error), costs)
        return
    at = os.environ.get("TOKKA_POSTGRES_HOST", os.environ["DAGSTER_HOME"])
    yield Finding("Dagster's instance", True, f"{kind} at {at}, {runs:,} runs", costs)
    late = late_daemons()
    yield Finding(
        "Dagster's daemon",
        not late,
        late or "all parts have reported within 5 minutes",
        "What is launched in the UI waits, and neither schedules nor sensors tick; `tokka run` works without. `tokka ui` "
        "starts one, and so do tokka-daemon.service and the service `daemon`.",
    )
    host = os.environ.get("TOKKA_CODE_HOST")
    if host:
        trouble = code_trouble(host, int(os.environ.get("TOKKA_CODE_PORT", "4000")))
        yield Finding(
            "Code location",
            not trouble,
            trouble or f"{host} answers",
            "The UI shows no graph and no run starts: look at the log of tokka-code.service or of the service `code`; a recipe "
            "that cannot be read stands there.",
        )


def listening_finding() -> Finding:
    """Which processes of this user, or of all users as root, listen on more than loopback; the proxy alone may."""
    import psutil

    wide: set[str] = set()
    proxies: set[str] = set()
    for process in psutil.process_iter(["name"]):
        try:
            connections = process.net_connections("tcp")
        except psutil.Error:
            continue
        for connection in connections:
            if connection.status != psutil.CONN_LISTEN or not connection.laddr:
                continue
            at = f"{connection.laddr.ip}:{connection.laddr.port}"
            name = process.info["name"] or "?"
            if "nginx" in name:
                proxies.add(at)
            elif not connection.laddr.ip.startswith(("127.", "::1", "::ffff:127.")) and _is_ours(process):
                wide.add(f"{name} on {at}")
    inside = in_container()
    found = f"beyond loopback: {', '.join(sorted(wide))}" if wide else "nothing of Tokka's beyond loopback"
    found += f"; nginx on {', '.join(sorted(proxies))}" if proxies else "; no nginx here"
    if inside:
        found += " (inside a container: what its network publishes decides)"
    return Finding(
        "Listening",
        not wide or inside,
        found,
        "Dagster's UI and its code location have no login: whoever reaches them starts runs. Start them with --host 127.0.0.1, "
        "and put infra/stack/proxy.sh in front.",
    )


def in_container() -> bool:
    """Whether this process is in a container, whose network says who reaches it."""
    return Path("/.dockerenv").exists() or bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def _is_ours(process: object) -> bool:
    """Whether a process belongs to the stack, by its command line."""
    import psutil

    assert isinstance(process, psutil.Process)
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return any(word in command for word in ("dagster", "orchestration", "postgres", "weed", "tokka"))


def secrets_finding() -> Finding:
    """Whether the files of secrets are there, and no other user can read them."""
    costs = (
        "Whoever reads them has the database or the lake: `chmod 600` the file; infra/stack/prepare.sh makes them so."
    )
    named = {
        k: Path(v)
        for k, v in sorted(os.environ.items())
        if k.endswith("_FILE") and k.startswith(("TOKKA_", "AWS_")) and v
    }
    wrong = [said for name, path in named.items() if (said := _secret_trouble(name, path))]
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    if endpoint.password:
        wrong.append("AWS_ENDPOINT_URL holds a password, which logs and messages show")
    if wrong:
        return Finding("Secrets", False, "; ".join(wrong), costs)
    if not named:
        return Finding("Secrets", True, "no NAME_FILE is set; what is needed comes from the environment", costs)
    return Finding("Secrets", True, f"{len(named)} files, read by their owner alone", costs)


def _secret_trouble(name: str, path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"{path} ({name}) cannot be found: {error.strerror}"
    if name.removesuffix("_FILE") == "TOKKA_CERTIFICATE":
        return ""
    if not os.access(path, os.R_OK):
        return f"{path} ({name}) cannot be read by this user"
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"{path} ({name}) is open to others (mode {stat.S_IMODE(mode):o})"
    return ""
