"""The process that verifies checkpoints: the gates of a run share one, since its imports take longer than a small model."""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Lock
from typing import IO

COMMAND = (sys.executable, "-m", "training_jobs.verify", "--stay")


class VerifierError(Exception):
    """The process could not verify what it was asked to; the message says why."""


class Verifier:
    """Starts the process when it is first asked, and again where it has left; ends it with this process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._said: IO[bytes] | None = None
        self._one_at_a_time = Lock()
        atexit.register(self.end)

    def verify(self, spec: Path) -> None:
        """Have the VerifyJob in ``spec`` done. Raises VerifierError."""
        with self._one_at_a_time:
            if self._process is None or self._process.poll() is not None:
                self._start()
            answer = self._ask(spec)
            if not answer and self._process is not None and self._process.wait() == 0:
                # It left for want of work between the look and the question.
                self._start()
                answer = self._ask(spec)
            if not answer:
                assert self._process is not None and self._said is not None
                self._said.seek(0)
                said = self._said.read()[-500:].decode("utf-8", "replace")
                raise VerifierError(f"the process of the check ended with {self._process.wait()}: {said}")
            if "error" in (found := json.loads(answer)):
                raise VerifierError(found["error"])

    def _start(self) -> None:
        self.end()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            encoding="utf-8",
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )

    def _ask(self, spec: Path) -> str:
        """The line that the process answers with; empty where it has ended."""
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(f"{spec}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return ""
        return self._process.stdout.readline()

    def end(self) -> None:
        """End the process where it runs: its input ends, and so does it."""
        if self._process is None:
            return
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                continue
        self._process.wait()
        if self._said is not None:
            self._said.close()
        self._process = None


VERIFIER = Verifier()
