"""`perfledger serve` among strangers: whoever proves nothing gets no budget, and genuine deliveries keep being taken.

The rules are the table in docs/ci.md, "What strangers can do". Times are limits that no machine reaches; the figures
are of `python -m benchmarks strangers`.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest

from benchmarks.strangers import crowd
from commands.service.signatures import sign
from ledger.ledger import Ledger
from tests.e2e import webhook_payloads as payloads
from tests.e2e.webhook_server import SECRET, Server

MIB = 2**20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may have 256 files open, as on a small machine; the strangers of all tests come to it."""
    folder = tmp_path_factory.mktemp("strangers") / ".perfledger"
    Ledger.create(folder, origin="hook", actor="t")
    one = Server(folder, descriptors=256)
    try:
        yield one
    finally:
        assert one.stop() == "", "what strangers send is never on standard error"


def connect(server: Server) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=60)


NUMBERS = itertools.count(1)


def deliver(server: Server, **more: str) -> None:
    """Send a genuine delivery until it is taken, as one does by hand; five tries are enough."""
    number = next(NUMBERS)
    body = {**payloads.status(number=number, sha=f"{number:040x}"), **more}
    answers = []
    for _ in range(5):
        with contextlib.suppress(httpx2.TransportError), httpx2.Client(timeout=60) as client:
            answers.append(server.github("status", body, f"genuine-{number}", client=client))
            if answers[-1].status_code == 200:
                return
    raise AssertionError(f"not taken: {[answer.text for answer in answers]}")


@contextlib.contextmanager
def ended(server: Server, reason: str) -> Iterator[None]:
    """Assert that the server ended a connection for this reason."""
    name = f'perfledger_connections_ended_total{{reason="{reason}"}}'
    before = server.metric(name)
    yield
    assert server.metric(name) > before


def ends(stranger: socket.socket) -> bool:
    """Whether the server closes a connection (read to its end, with a limit that no slow machine reaches)."""
    stranger.settimeout(90)
    with contextlib.suppress(ConnectionResetError):
        while stranger.recv(65536):
            pass
    return True


def test_half_open_connections_take_no_place_from_genuine_deliveries(server: Server) -> None:
    strangers: list[socket.socket] = []
    beginnings = [b"", b"POST /webhooks/github HTT", b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-A: "]
    with ended(server, "place"):
        for number in range(400):
            with contextlib.suppress(OSError):
                one = connect(server)
                one.sendall(beginnings[number % 3])
                strangers.append(one)
            if number % 40 == 39:
                deliver(server)
    assert len(strangers) > 300
    for one in strangers:
        one.close()


def test_a_header_that_does_not_end_ends_the_connection(server: Server) -> None:
    beginnings = [b"", b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\n", b"GET /healthz HTTP/1.1\r\nHost"]
    with ended(server, "header"), contextlib.ExitStack() as open_ones:
        strangers = [open_ones.enter_context(connect(server)) for _ in beginnings]
        for stranger, sent in zip(strangers, beginnings, strict=True):
            stranger.sendall(sent)
        assert all(ends(stranger) for stranger in strangers)


def large_header(length: int, signature: str = "0" * 64) -> bytes:
    return (
        "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-GitHub-Event: status\r\n"
        f"X-GitHub-Delivery: s\r\nX-Hub-Signature-256: sha256={signature}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def test_a_body_that_comes_a_byte_at_a_time_ends_the_connection(server: Server) -> None:
    with ended(server, "body"), connect(server) as stranger:
        stranger.sendall(large_header(60_000))
        stranger.settimeout(0.2)
        deadline = time.monotonic() + 90
        closed = False
        while not closed and time.monotonic() < deadline:
            try:
                stranger.sendall(b" ")
                closed = stranger.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                closed = True
    assert closed


def test_slow_large_bodies_leave_the_budget_to_those_that_come(server: Server) -> None:
    """Twenty strangers announce 8 MiB each and send a little of it; large genuine deliveries are taken beside them."""
    strangers = [connect(server) for _ in range(20)]
    for one in strangers:
        one.sendall(large_header(8 * MIB) + b"[" * 70_000)
    with ended(server, "budget"):
        for _ in range(3):
            deliver(server, padding="x" * 2 * MIB)
    for one in strangers:
        one.close()


def test_unsigned_bodies_take_no_memory(server: Server) -> None:
    """Eighty bodies of 8 MiB at once, with a signature that has the right form and is wrong."""

    def send() -> None:
        with contextlib.suppress(OSError), connect(server) as stranger:
            stranger.sendall(large_header(8 * MIB))
            for _ in range(128):
                stranger.sendall(b"x" * 65536)
            ends(stranger)

    threads = [threading.Thread(target=send) for _ in range(80)]
    for one in threads:
        one.start()
    deliver(server)
    for one in threads:
        one.join()
    deliver(server)
    assert server.peak_bytes() < 200 * MIB


@pytest.mark.parametrize("signature", ["", "sha256=", "sha1=" + "0" * 40, "sha256=" + "g" * 64, "0" * 64])
def test_a_body_whose_signature_cannot_be_right_is_not_read(server: Server, signature: str) -> None:
    """The answer comes while the body has not: nobody waits for it."""
    with connect(server) as stranger:
        header = large_header(8 * MIB).replace(b"sha256=" + b"0" * 64, signature.encode())
        stranger.sendall(header)
        stranger.settimeout(60)
        assert stranger.recv(65536).startswith(b"HTTP/1.1 401")


def test_an_answer_that_is_not_read_ends_the_connection(server: Server) -> None:
    with ended(server, "answer"), connect(server) as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stranger.settimeout(1)
        request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        deadline = time.monotonic() + 90
        closed = False
        while not closed and time.monotonic() < deadline:
            try:
                stranger.sendall(request * 100)
            except TimeoutError:
                continue
            except OSError:
                closed = True
    assert closed


def test_a_body_behind_an_answer_is_not_waited_for(server: Server) -> None:
    """A request to read may announce a body without end; the answer ends the connection."""
    for path in ("/healthz", "/nothing"):
        with connect(server) as stranger:
            stranger.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            assert ends(stranger)


@pytest.mark.parametrize("path", ["/webhooks/github", "/healthz", "/nothing"])
def test_a_body_with_two_lengths_is_refused_and_its_connection_closed(server: Server, path: str) -> None:
    body, before = b"{}", server.recorded_total()
    with connect(server) as stranger:
        stranger.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-GitHub-Event: ping\r\n"
            f"X-GitHub-Delivery: two\r\nX-Hub-Signature-256: sha256={sign(SECRET, body)}\r\nContent-Length: 2\r\n"
            "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        stranger.settimeout(60)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while data := stranger.recv(65536):
                said += data
    assert said.startswith(b"HTTP/1.1 400") and said.count(b"HTTP/1.1") == 1
    assert server.recorded_total() == before


def test_no_answer_sends_a_stranger_elsewhere(server: Server) -> None:
    """A redirect to the path without its slash would repeat the Host header of the request as an address."""
    for path in ("/healthz/", "/webhooks/github/", "//evil.example/healthz/"):
        with connect(server) as stranger:
            stranger.sendall(f"GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode())
            stranger.settimeout(60)
            said = b""
            while data := stranger.recv(65536):
                said += data
        assert said.startswith(b"HTTP/1.1 404") and b"location" not in said.lower()


def test_bytes_that_are_no_http_are_counted_and_not_logged(server: Server) -> None:
    """What is on standard error is asserted when the server ends."""
    chosen = random.Random(7)
    for number in range(60):
        with connect(server) as stranger:
            junk = chosen.randbytes(chosen.randint(1, 3000))
            beginning = [b"", b"POST /webhooks/github HTTP/1.1\r\n", large_header(10)][number % 3]
            with contextlib.suppress(OSError):
                stranger.sendall(beginning + junk)
    deliver(server)


def test_a_header_without_end_is_cut_at_its_limit(server: Server) -> None:
    with connect(server) as stranger:
        with contextlib.suppress(OSError):
            stranger.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ")
            for _ in range(1000):
                stranger.sendall(b"x" * 65536)
        assert ends(stranger)
    assert server.peak_bytes() < 200 * MIB


def test_a_sender_that_goes_away_in_its_body_leaves_no_trace(server: Server) -> None:
    for _ in range(5):
        with connect(server) as stranger:
            stranger.sendall(large_header(1000) + b"{")
    before = server.recorded_total()
    deliver(server)
    assert server.recorded_total() == before + 1


@pytest.mark.soak
def test_thirty_minutes_among_strangers_leave_the_memory_flat(server: Server) -> None:
    """The crowd of the benchmark, and genuine deliveries all the while."""
    address = urlsplit(server.url)
    assert address.port is not None
    began, peaks = time.monotonic(), []
    with crowd(address.port, 400):
        while time.monotonic() - began < 30 * 60:
            deliver(server)
            peaks.append(server.peak_bytes())
    assert peaks[-1] < 200 * MIB
    assert peaks[-1] < 1.1 * peaks[len(peaks) // 6]
