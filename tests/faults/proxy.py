"""A real way to a server that is slow, breaks off, answers with errors, or is not there for a while."""

import contextlib
import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

SLOW, ERROR, BUSY, LOST, DONE_AND_LOST, BROKEN_OFF = "slow", "500", "503", "lost", "done and lost", "broken off"
SHARES = {SLOW: 0.06, ERROR: 0.03, BUSY: 0.03, LOST: 0.03, DONE_AND_LOST: 0.03, BROKEN_OFF: 0.03}
"""How often each fault befalls a request."""
AWAY = "away"


class FaultyProxy:
    """Hands HTTP requests on to ``target``, with faults that ``seed`` draws; ``seen`` counts requests by what befell them."""

    def __init__(self, target: str, port: int, seed: int) -> None:
        self.target, self.port = urlsplit(target).netloc, port
        self.draw, self.lock = random.Random(seed), threading.Lock()
        self.seen: Counter[str] = Counter()
        self.connections: set[socket.socket] = set()
        self.server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        """Listen; from now on requests are handed on."""
        self.server = _Server(("127.0.0.1", self.port), _handler(self))
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Refuse connections, and cut those that there are."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        with self.lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def go_away(self, seconds: float, after_requests: int) -> threading.Thread:
        """Refuse connections for so many seconds, once so many requests have come."""

        def wait_and_go() -> None:
            while sum(self.seen.values()) < after_requests:
                time.sleep(0.05)
            self.close()
            self.seen[AWAY] += 1
            time.sleep(seconds)
            self.open()

        thread = threading.Thread(target=wait_and_go, daemon=True)
        thread.start()
        return thread

    def fault(self) -> str:
        with self.lock:
            (found,) = self.draw.choices(["", *SHARES], [1 - sum(SHARES.values()), *SHARES.values()])
            self.seen[found] += 1
            return found


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is none of the test's business."""


def _handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            with proxy.lock:
                proxy.connections.add(self.connection)

        def finish(self) -> None:
            with proxy.lock:
                proxy.connections.discard(self.connection)
            with contextlib.suppress(OSError):
                super().finish()

        def handle_one(self) -> None:
            body = self._body()
            fault = proxy.fault()
            if fault == SLOW:
                time.sleep(proxy.draw.uniform(0.2, 1.5))
            if fault == LOST:
                self.close_connection = True
                return
            if fault in (ERROR, BUSY):
                self._answer(int(fault), [("Content-Type", "application/xml")], _ERRORS[fault])
                return
            connection = http.client.HTTPConnection(proxy.target, timeout=60)
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            if fault == DONE_AND_LOST:
                self.close_connection = True
                return
            self._answer(answer.status, answer.getheaders(), content, broken_off=fault == BROKEN_OFF)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_one  # noqa: N815

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                raise NotImplementedError("a request whose body comes in chunks")
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))

        def _answer(
            self, status: int, headers: list[tuple[str, str]], content: bytes, broken_off: bool = False
        ) -> None:
            self.send_response_only(status)
            length = [value for name, value in headers if name.lower() == "content-length"]
            for name, value in headers:
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            # The answer to HEAD names the length of what it does not bring.
            self.send_header("Content-Length", length[0] if self.command == "HEAD" and length else str(len(content)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else content[: len(content) // 2] if broken_off else content)
            self.close_connection = self.close_connection or broken_off

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: the counts say it."""

    return Handler


_ERRORS = {
    ERROR: b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>",
    BUSY: b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
}


@contextmanager
def faulty_way(target: str, port: int, seed: int) -> Iterator[FaultyProxy]:
    """An open proxy that is closed afterwards."""
    proxy = FaultyProxy(target, port, seed)
    proxy.open()
    try:
        yield proxy
    finally:
        proxy.close()
