"""Programs that try to reach a server: of this machine, of the network, by whatever kind of socket."""

import contextlib
import secrets
import socket
import threading
from collections.abc import Iterator

from tests.eval_jobs.sandbox.attacks import Plainly, Run, lines, text


@contextlib.contextmanager
def server(family: int, address: object) -> Iterator[socket.socket]:
    """A server on this machine that greets whoever comes."""
    with socket.socket(family) as listening:
        listening.bind(address)
        listening.listen()
        listening.settimeout(0.2)
        over = threading.Event()

        def greet() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError), listening.accept()[0] as connection:
                    connection.sendall(b"welcome")

        thread = threading.Thread(target=greet)
        thread.start()
        try:
            yield listening
        finally:
            over.set()
            thread.join()


CONNECT = """
    import socket
    for family, address in targets:
        try:
            with socket.socket(family) as s:
                s.settimeout(3)
                s.connect(tuple(address) if isinstance(address, list) else address)
                print(f"{address}: {s.recv(10)}")
        except OSError as error:
            print(f"{address}: {type(error).__name__} {error.errno}")
"""


def test_no_server_of_the_machine_can_be_reached(run: Run, plainly: Plainly) -> None:
    own = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} | {"127.0.0.1"}
    abstract = "\0tokka-" + secrets.token_hex(8)
    with server(socket.AF_INET, ("0.0.0.0", 0)) as tcp, server(socket.AF_UNIX, abstract):
        targets = [[int(socket.AF_INET), [address, tcp.getsockname()[1]]] for address in sorted(own)]
        attack = text(CONNECT, targets=[*targets, [int(socket.AF_UNIX), abstract]])
        assert plainly(attack).count("welcome") == len(targets) + 1
        outcome = run(attack)
    assert outcome.status == "passed"
    assert outcome.output.count("PermissionError 1") == len(targets)
    assert "ConnectionRefusedError" in outcome.output  # an abstract socket belongs to a network namespace


def test_no_other_kind_of_network(run: Run) -> None:
    outcome = run(
        text("""
            import socket
            families = {"AF_INET6": 10, "AF_NETLINK": 16, "AF_PACKET": 17, "AF_VSOCK": 40, "AF_BLUETOOTH": 31, "AF_ALG": 38}
            for family, number in families.items():
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
                    try:
                        socket.socket(number, kind, 0)
                        print(f"{family} {kind}: open")
                    except OSError as error:
                        print(f"{family} {kind}: {error.errno}")
            devices = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
            print(f"devices: {devices}")
            socket.socketpair()[0].close()
            print("pair: fine")
        """)
    )
    assert outcome.status == "passed", outcome.output
    said = lines(outcome)
    assert said.pop("devices") == "['lo']"
    assert said.pop("pair") == "fine"
    assert len(said) == 18 and set(said.values()) == {"1"}
