"""A real PostgreSQL on loopback, started by the stack's own script, with a password of its own."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.servers import free_ports

SCRIPT = Path(__file__).parents[1] / "infra" / "stack" / "postgres.sh"
START_SECONDS = 60


@dataclass
class Postgres:
    """A server with its data in ``folder``; ``stop``, ``kill`` and ``start`` keep the data."""

    folder: Path
    port: int
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def environment(self) -> dict[str, str]:
        """What makes ``tokka`` commands keep Dagster's instance here; the password is in a file."""
        return {
            "TOKKA_POSTGRES_HOST": "127.0.0.1",
            "TOKKA_POSTGRES_PORT": str(self.port),
            "TOKKA_POSTGRES_PASSWORD_FILE": str(self.folder / "password"),
        }

    def start(self) -> None:
        user = "postgres" if os.getuid() == 0 else None
        environment = {
            "PATH": os.environ["PATH"],
            "PGDATA": str(self.folder / "data"),
            "TMPDIR": str(self.folder / "run"),
            **self.environment,
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["/bin/sh", str(SCRIPT)], env=environment, stdout=log, stderr=log, cwd=self.folder, user=user, group=user,
                extra_groups=[] if user else None, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._answers():
                return
            time.sleep(0.1)
        raise RuntimeError("PostgreSQL did not start:\n" + (self.folder / "log").read_text()[-2000:])

    def _answers(self) -> bool:
        import psycopg2

        try:
            psycopg2.connect(
                host="127.0.0.1",
                port=self.port,
                user="tokka",
                password=self.password,
                dbname="tokka",
                connect_timeout=2,
            ).close()
        except psycopg2.OperationalError:
            return False
        return True

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT closes connections and ends in order, SIGKILL is a machine that loses its power."""
        import psutil

        if self.process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            workers = psutil.Process(self.process.pid).children(recursive=True)
            self.process.send_signal(how)
            self.process.wait(60)
            # After SIGKILL they notice by themselves, and hold the data until then.
            psutil.wait_procs(workers, 30)
        self.process = None

    def execute(self, sql: str) -> None:
        """Carry out statements that give nothing back."""
        import psycopg2

        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user="tokka", password=self.password, dbname="tokka"
        )
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql)
        finally:
            connection.close()

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """The rows of a query."""
        import psycopg2

        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user="tokka", password=self.password, dbname="tokka"
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        finally:
            connection.close()


def installed() -> bool:
    """Whether there is a PostgreSQL that the script finds."""
    return shutil.which("postgres") is not None or any(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A running server that is ended afterwards. Skips the test where PostgreSQL is not installed."""
    if not installed():
        pytest.skip("PostgreSQL is not installed (see .ci/run)")
    # Not below pytest's folder, which is root's alone and through which PostgreSQL's user cannot pass.
    with tempfile.TemporaryDirectory(prefix="tokka-postgres-") as name:
        folder = Path(name)
        (port,) = free_ports(1)
        server = Postgres(folder, port)
        for inner in ("data", "run"):
            (folder / inner).mkdir(mode=0o700)
        (folder / "password").write_text(server.password)
        (folder / "password").chmod(0o600)
        if os.getuid() == 0:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, "postgres", "postgres")
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for the tests of the session."""
    with postgres_server() as server:
        yield server


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something listens on a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0
