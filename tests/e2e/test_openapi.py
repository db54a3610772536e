"""The server against its own OpenAPI document: schemathesis invents requests, bounded in number."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from commands.service.signatures import sign
from ledger.ledger import Ledger
from tests.e2e.webhook_server import BUILDKITE_SECRET, SECRET, Server

BOUNDED = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("openapi") / ".perfledger"
    Ledger.create(folder, actor="tester")
    server = Server(folder)
    yield server
    assert "Traceback" not in server.stop()


def operations(running: Server) -> dict[str, Any]:
    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    named = {}
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        named[found.ok().label] = found.ok()
    return named


def test_the_document_names_every_endpoint(running: Server) -> None:
    assert set(operations(running)) == {
        "POST /webhooks/github",
        "POST /webhooks/buildkite",
        "GET /healthz",
        "GET /metrics",
    }


@pytest.mark.parametrize("label", ["POST /webhooks/github", "POST /webhooks/buildkite", "GET /healthz", "GET /metrics"])
def test_invented_requests_get_only_the_answers_the_document_promises(running: Server, label: str) -> None:
    operation = operations(running)[label]

    @BOUNDED
    @given(operation.as_strategy())
    def call(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(timeout=10)

    call()


def _signed(case: schemathesis.Case[Any], source: str) -> None:
    """Give an invented request a right signature, so that what comes after the check is reached."""
    body = json.dumps(case.body).encode()
    if source == "github":
        case.headers["X-Hub-Signature-256"] = f"sha256={sign(SECRET, body)}"
    else:
        stamp = str(int(time.time()))
        signature = sign(BUILDKITE_SECRET, stamp.encode() + b"." + body)
        case.headers["X-Buildkite-Signature"] = f"timestamp={stamp},signature={signature}"


@pytest.mark.parametrize("source", ["github", "buildkite"])
def test_invented_payloads_with_a_right_signature_are_taken_or_refused_but_never_break(
    running: Server, source: str
) -> None:
    operation = operations(running)[f"POST /webhooks/{source}"]
    kinds = {
        "github": ["status", "check_run", "pull_request", "pull_request_review", "issue_comment", "push", "ping"],
        "buildkite": ["job.finished", "build.finished", "ping"],
    }[source]
    seen: set[int] = set()

    @BOUNDED
    @given(operation.as_strategy(), st.sampled_from(kinds))
    def call(case: schemathesis.Case[Any], kind: str) -> None:
        case.headers[f"X-{'GitHub' if source == 'github' else 'Buildkite'}-Event"] = kind
        _signed(case, source)
        answer = case.call(timeout=10)
        seen.add(answer.status_code)
        # which object is right depends on a header, which the document can only say in words
        case.validate_response(answer, excluded_checks=[positive_data_acceptance])

    call()
    assert 401 not in seen and seen <= {200, 422} and 422 in seen, seen
