"""Real servers on loopback that write down what they are told: HTTP and SMTP."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Listener:
    """``port`` on loopback, what was said there, and the status that a web server answers with."""

    port: int
    said: list[Any] = field(default_factory=list)
    status: int = 200


@contextmanager
def http_listener(port: int = 0) -> Iterator[Listener]:
    """A web server that takes JSON by POST."""
    listener = Listener(port)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if listener.status == 200:
                listener.said.append(json.loads(body))
            self.send_response(listener.status)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        listener.port = server.server_address[1]
        with _serving(server):
            yield listener


@contextmanager
def smtp_listener() -> Iterator[Listener]:
    """A mail server (RFC 5321's minimum) that keeps recipients and content of each message."""
    listener = Listener(0)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 test\r\n")
            recipients: list[str] = []
            for raw in self.rfile:
                line = raw.decode().strip()
                verb = line.upper()
                if verb.startswith("RCPT TO:"):
                    recipients.append(line[8:].split()[0].strip("<>"))
                if verb == "DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = []
                    for content in self.rfile:
                        if content == b".\r\n":
                            break
                        lines.append(content.decode())
                    listener.said.append((recipients, "".join(lines)))
                    recipients = []
                if verb == "QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                self.wfile.write(b"250 ok\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        listener.port = server.server_address[1]
        with _serving(server):
            yield listener


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
