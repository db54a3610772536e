"""The real server as a process on loopback, and a sender that signs."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx2

from commands.service.signatures import sign
from tests.conftest import NO_BYTE_CODE, PERFLEDGER, clean_env

SECRET = b"a-github-secret"
BUILDKITE_SECRET = b"a-buildkite-secret"


def _limit(file_bytes_max: int | None, descriptors: int | None) -> Callable[[], None]:
    """Let no file grow past a size, to the program a full disk, and let no more files be open than a number."""

    def limit() -> None:
        if file_bytes_max is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))
        if descriptors is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    return limit


class Server:
    """`perfledger serve` over a ledger folder; `kill` is a kill -9."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        env: dict[str, str] | None = None,
        file_bytes_max: int | None = None,
        descriptors: int | None = None,
    ) -> None:
        secrets = {
            "PERFLEDGER_GITHUB_SECRET": SECRET.decode(),
            "PERFLEDGER_BUILDKITE_SECRET": BUILDKITE_SECRET.decode(),
        }
        self.process = subprocess.Popen(
            [PERFLEDGER, "serve", "--port", "0", "--json", "--ledger", str(folder), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_env(**{**secrets, **(NO_BYTE_CODE if file_bytes_max else {}), **(env or {})}),
            preexec_fn=_limit(file_bytes_max, descriptors),
        )
        self.url = json.loads(self._first_document())["listening"]
        self.wait_until_healthy()

    def _first_document(self) -> str:
        assert self.process.stdout is not None
        deadline = time.monotonic() + 120
        text = b""
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            while not text.rstrip().endswith(b"\n}") and time.monotonic() < deadline:
                if ready.select(timeout=1):
                    text += os.read(self.process.stdout.fileno(), 65536)
                if self.process.poll() is not None:
                    break
        assert text, self.process.stderr.read() if self.process.stderr else ""
        return text.decode()

    def wait_until_healthy(self) -> None:
        """Wait until /healthz answers 200."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(f"{self.url}/healthz").status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError("the server did not come up")

    def recorded_total(self) -> int:
        """Return how many webhooks it says it has recorded, by /metrics."""
        return self.metric("perfledger_webhooks_recorded_total")

    def metric(self, name: str) -> int:
        """Return a number of /metrics."""
        lines = httpx2.get(f"{self.url}/metrics", timeout=60).text.splitlines()
        return int(dict(line.rsplit(" ", 1) for line in lines)[name])

    def peak_bytes(self) -> int:
        """Return the largest memory the process has had in use."""
        [line] = [
            line
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
            if line.startswith("VmHWM:")
        ]
        return int(line.split()[1]) * 1024

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        self.process.kill()
        self.process.wait(timeout=10)
        self._close()

    def stop(self) -> str:
        """Ask it to end, and return what it said on stderr."""
        self.process.send_signal(signal.SIGTERM)
        try:
            _, said = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return said.decode()

    def _close(self) -> None:
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def github(
        self,
        event: str,
        body: Any,
        delivery: str = "",
        *,
        secret: bytes = SECRET,
        client: httpx2.Client | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> httpx2.Response:
        """Send one signed delivery of GitHub; `body` is a document or the very bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery or "d-1",
            "X-Hub-Signature-256": f"sha256={sign(secret, data)}",
            **headers,
        }
        return (client.post if client else httpx2.post)(
            f"{self.url}/webhooks/github",
            content=data,
            headers={name: value for name, value in sent.items() if value != "-"},
        )

    def buildkite(
        self,
        body: Any,
        *,
        at: float | None = None,
        secret: bytes = BUILDKITE_SECRET,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> httpx2.Response:
        """Send one signed delivery of Buildkite."""
        data = json.dumps(body).encode()
        stamp = str(int(time.time() if at is None else at))
        sent = {
            "Content-Type": "application/json",
            "X-Buildkite-Event": body["event"],
            "X-Buildkite-Signature": f"timestamp={stamp},signature={sign(secret, stamp.encode() + b'.' + data)}",
            **headers,
        }
        return httpx2.post(
            f"{self.url}/webhooks/buildkite",
            content=data,
            headers={name: value for name, value in sent.items() if value != "-"},
        )
