"""How soon genuine webhooks are taken while strangers hold connections and send bodies that prove nothing.

The server may have 256 files open. 400 connections send half a header each, 40 announce large bodies and send a byte
now and then, 20 send whole unsigned bodies of 8 MiB as fast as they can, 20 never read their answers; who is thrown
out comes back. The same deliveries are sent before, with no stranger there. Memory is the server's peak.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import peak
from benchmarks.log import QUICK
from benchmarks.start import print_rows
from benchmarks.webhooks import body, post, serving
from ledger.ledger import Ledger

DELIVERIES = 100 if QUICK else 1_000
DESCRIPTORS = 256
LIMIT_MS = 1_000
LIMIT_MIB = 200
LARGE = 8 * 2**20
HALF = b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Part: "
UNSIGNED = (
    b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-GitHub-Event: status\r\n"
    b"X-GitHub-Delivery: s\r\nX-Hub-Signature-256: sha256=" + b"0" * 64 + b"\r\nContent-Length: %d\r\n\r\n"
)


def main(deliveries: int = DELIVERIES, strangers: int = 400) -> list[dict[str, Any]]:
    """Measure and return the rows. `strangers`: connections with half a header; the others are in proportion."""
    with tempfile.TemporaryDirectory() as folder:
        book = Ledger.create(folder, origin="bench", actor="bench")
        with serving(book.path, descriptors=DESCRIPTORS) as (pid, port):
            alone = _p99([_deliver(port, number) for number in range(deliveries)])
            with crowd(port, strangers):
                among = _p99([_deliver(port, deliveries + number) for number in range(deliveries)])
            memory = peak.of_process(pid)
        assert book.head().position == 1 + 4 * deliveries
    return [
        {
            "name": f"99th percentile of {deliveries:,} deliveries among strangers",
            "value": round(among, 1),
            "unit": "ms",
            "ratio": round(among / alone, 1),
            "against": f"the same without strangers, {alone:.1f} ms",
            "limit": f"< {LIMIT_MS} ms",
            "ok": among < LIMIT_MS,
        },
        {
            "name": "peak memory, serve, among strangers",
            "value": round(memory, 1),
            "unit": "MiB",
            "ratio": None,
            "against": "",
            "limit": f"< {LIMIT_MIB} MiB",
            "ok": memory < LIMIT_MIB,
        },
    ]


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)] * 1000


def _deliver(port: int, number: int) -> float:
    """Send a genuine delivery on a connection of its own until it is taken; return the seconds from first to last."""
    started = time.perf_counter()
    while time.perf_counter() - started < 60:
        with contextlib.suppress(OSError):
            if post(port, body(number), number) == 200:
                return time.perf_counter() - started
    raise AssertionError(f"delivery {number} was not taken")


@contextmanager
def crowd(port: int, size: int) -> Iterator[None]:
    """Strangers of four kinds at a port while the block runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    done = threading.Event()
    kinds: list[tuple[Callable[[socket.socket], None], int]] = [
        (_half, size),
        (_drip, size // 10),
        (_flood, size // 20),
        (_deaf, size // 20),
    ]
    threads = [
        threading.Thread(target=_again, args=(port, behave, done), daemon=True)
        for behave, number in kinds
        for _ in range(number)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _again(port: int, behave: Callable[[socket.socket], None], done: threading.Event) -> None:
    """Connect and behave so, and come back a second after being thrown out."""
    while not done.is_set():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as stranger:
            while not done.is_set():
                behave(stranger)
        done.wait(1)


def _half(stranger: socket.socket) -> None:
    stranger.sendall(HALF)
    _until_closed(stranger)


def _drip(stranger: socket.socket) -> None:
    stranger.sendall(UNSIGNED % LARGE + b"[")
    for _ in range(100):
        time.sleep(0.5)
        stranger.sendall(b"[")


def _flood(stranger: socket.socket) -> None:
    stranger.sendall(UNSIGNED % LARGE)
    for _ in range(LARGE // 65536):
        stranger.sendall(b"x" * 65536)
    _until_closed(stranger)


def _deaf(stranger: socket.socket) -> None:
    stranger.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
    time.sleep(0.5)


def _until_closed(stranger: socket.socket) -> None:
    """Wait for the end of the connection, at most its timeout; raise OSError in both cases."""
    while stranger.recv(65536):
        pass
    raise ConnectionError


if __name__ == "__main__":
    print_rows(main())
