"""Real servers for the sharing tests: a Hub in this process, an S3 server as its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger
from ledger.remotes.retry import RetryPolicy
from tests.hub_server import HubServer

# tries as often as in use, but does not wait as long
QUICK = RetryPolicy(tries_max=6, wait_s=0.01, wait_max_s=0.05, wait_total_max_s=5.0)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub with the dataset org/perf, and this process pointed at it with a token that may write."""
    import huggingface_hub.constants
    from huggingface_hub import close_session

    with HubServer() as server:
        server.create("org/perf")
        for name in ("HF_API_KEY", "HUGGINGFACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        for name, value in server.env().items():
            monkeypatch.setenv(name, value)
        # read once at the library's import, which another test may have caused
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_TELEMETRY", True)
        monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        yield server
        close_session()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of an S3 server process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def s3_bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A new empty bucket, and this process set up to use it. Returns its URL."""
    import urllib.request

    for name, value in {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": "testing-secret-key",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"ledger-{abs(hash(request.node.nodeid)) % 10**10}"
    # any signature is accepted; the region is read from it
    auth = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"
    with urllib.request.urlopen(
        urllib.request.Request(f"{s3_endpoint}/{bucket}", method="PUT", headers={"Authorization": auth})
    ) as answer:
        assert answer.status == 200
    return f"s3://{bucket}/team/perf"


@pytest.fixture
def make_ledger(tmp_path: Path) -> Any:
    """Create ledgers by origin name: `make_ledger("alpha")`."""

    def make(origin: str) -> Ledger:
        return Ledger.create(tmp_path / origin, origin=origin, actor=f"{origin}@example.org")

    return make
