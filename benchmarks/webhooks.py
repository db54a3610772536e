"""Webhooks per second that are durably accepted, against writing each of them with fdatasync.

`floor` writes the bytes of one delivery's two journal lines and calls fdatasync, one delivery after the other,
which is what a receiver without group commit could reach at best. `intake` does everything but HTTP for as
many deliveries: signature, reading, events, the append, with 64 waiting at once; `one by one` is the same
with one delivery an append. `http` is the real server process with 32 connections, the clients on the same cores.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RLIMIT_NOFILE, setrlimit
from statistics import median
from typing import Any

from benchmarks.start import print_rows

COUNT = 1_500
ROUNDS = 3
WAITING = 64
CONNECTIONS = 32
SECRET = b"benchmark-secret"


def main() -> list[dict[str, Any]]:
    """Measure the four in turn, several rounds, and return a row for each with its ratio to the floor."""
    bodies = [body(n) for n in range(COUNT)]
    kinds: dict[str, Callable[[list[bytes]], float]] = {
        "floor": _floor,
        "one by one": lambda b: asyncio.run(_intake(b, 1)),
        "intake": lambda b: asyncio.run(_intake(b, 256)),
        "http": _http,
    }
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, measure in kinds.items():
            rates[name].append(measure(bodies))
    floor = median(rates["floor"])
    alone = median(rates["one by one"])
    return [
        _row("intake", rates, floor, f"fdatasync for each, {round(floor)}/s"),
        _row("http", rates, floor, f"fdatasync for each, {round(floor)}/s"),
        _row("intake", rates, alone, f"one append for each, {round(alone)}/s", limit=1.5),
    ]


def _row(
    name: str, rates: dict[str, list[float]], other: float, against: str, limit: float | None = None
) -> dict[str, Any]:
    """One line of the result: the median rate, and its ratio to another."""
    ratio = median(rates[name]) / other
    return {
        "name": f"webhooks: {name}",
        "value": round(median(rates[name])),
        "unit": "deliveries/s",
        "ratio": round(ratio, 2),
        "against": against,
        "limit": f">= {limit}" if limit else None,
        "ok": limit is None or ratio >= limit,
    }


def body(number: int, *, message: int = 1_500) -> bytes:
    """A status webhook as long as GitHub sends them; `message` is the length of its commit's message."""
    repository = {"id": 1, "full_name": "octocat/Hello-World", "owner": {"login": "octocat", "url": "x" * 200}}
    return json.dumps(
        {
            "id": number,
            "sha": f"{number % 97:040x}",
            "context": f"buildkite/ci/test-{number % 40}",
            "state": "success",
            "description": "Build passed",
            "target_url": "https://ci.example.org/1",
            "repository": repository,
            "updated_at": "2026-06-01T10:00:00Z",
            "commit": {"message": "x" * message},
            "sender": {"login": "octocat"},
        }
    ).encode()


def _floor(bodies: list[bytes]) -> float:
    """Write what the log writes for a delivery, and sync it, for each."""
    from ledger.ledger import Ledger

    with tempfile.TemporaryDirectory() as folder:
        book = Ledger.create(folder, origin="bench", actor="bench")
        book.append(_events(bodies[0], 0))
        line = len((book.log.journal_path).read_bytes().splitlines()[-1]) + 1
        fd = os.open(Path(folder) / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        data = b"x" * line
        started = time.perf_counter()
        for _ in bodies:
            os.write(fd, data)
            os.fdatasync(fd)
        took = time.perf_counter() - started
        os.close(fd)
    return len(bodies) / took


def _events(body: bytes, number: int) -> list[Any]:
    """What the receiver makes of one delivery, its signature checked."""
    from commands.service import github, reading, signatures

    signature = f"sha256={signatures.sign(SECRET, body)}"
    assert signatures.github_is_genuine([SECRET], body, signature)
    return reading.events(
        "github",
        f"d-{number}",
        "status",
        body_sha256=hashlib.sha256(body).hexdigest(),
        body_bytes=len(body),
        reading=github.read("status", body),
    )


async def _intake(bodies: list[bytes], batch_max: int) -> float:
    """Deliveries a second through the intake, as many as it takes waiting at once."""
    from commands.service.intake import Intake
    from ledger.ledger import Ledger

    with tempfile.TemporaryDirectory() as folder:
        book = Ledger.create(folder, origin="bench", actor="bench")
        intake = Intake(book.path, "bench", batch_max=batch_max)
        await intake.start()
        numbered = iter(enumerate(bodies))

        async def sender() -> None:
            for number, body in numbered:
                await intake.submit(_events(body, number))

        started = time.perf_counter()
        await asyncio.gather(*(sender() for _ in range(WAITING)))
        took = time.perf_counter() - started
        await intake.stop()
        assert book.head().position == 1 + 2 * len(bodies)
    return len(bodies) / took


@contextmanager
def serving(ledger: Path, *, descriptors: int | None = None) -> Iterator[tuple[int, int]]:
    """The server process on a ledger while the block runs: its process id, and the port it listens on.

    descriptors: how many files it may have open.
    """
    program = str(Path(sys.executable).with_name("perfledger"))
    server = subprocess.Popen(
        [program, "serve", "--port", "0", "-q", "--ledger", str(ledger)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PERFLEDGER_GITHUB_SECRET": SECRET.decode()},
        preexec_fn=(lambda: setrlimit(RLIMIT_NOFILE, (descriptors, descriptors))) if descriptors else None,
    )
    assert server.stdout is not None
    try:
        yield server.pid, int(server.stdout.readline().split(";")[0].rsplit(":", 1)[1])
    finally:
        server.terminate()
        server.wait(timeout=20)
        server.stdout.close()


def headers_of(body: bytes, number: int) -> dict[str, str]:
    """Return the headers of a genuine delivery."""
    from commands.service.signatures import sign

    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": "status",
        "X-GitHub-Delivery": f"d-{number}",
        "X-Hub-Signature-256": f"sha256={sign(SECRET, body)}",
    }


def post(port: int, body: bytes, number: int) -> int:
    """Send one delivery on a connection of its own and return the status of its answer. Raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/webhooks/github", body, headers_of(body, number))
        return connection.getresponse().status
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from None
    finally:
        connection.close()


def send(port: int, bodies: list[bytes], *, first: int = 0) -> float:
    """Send all deliveries over CONNECTIONS connections and return the seconds. `first` is the number of the first."""
    headers = [headers_of(body, first + n) for n, body in enumerate(bodies)]

    def each(start: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for n in range(start, len(bodies), CONNECTIONS):
            connection.request("POST", "/webhooks/github", bodies[n], headers[n])
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
        connection.close()

    senders = [threading.Thread(target=each, args=(n,)) for n in range(CONNECTIONS)]
    started = time.perf_counter()
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return time.perf_counter() - started


def _http(bodies: list[bytes]) -> float:
    """Deliveries a second through the server process, over real connections."""
    from ledger.ledger import Ledger

    with tempfile.TemporaryDirectory() as folder:
        book = Ledger.create(folder, origin="bench", actor="bench")
        with serving(book.path) as (_, port):
            took = send(port, bodies)
            assert book.head().position == 1 + 2 * len(bodies)
    return len(bodies) / took


if __name__ == "__main__":
    print_rows(main())
