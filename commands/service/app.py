"""The HTTP interface: webhook endpoints, health and metrics. It acknowledges only what is in the log.

| answer | when |
|---|---|
| 200 | in the log: `recorded`, `duplicate` (this delivery was there), `replayed` (its content was) |
| 400, 422 | no delivery: no event name, two body lengths, malformed JSON, or a payload that lacks what it must have |
| 401 | the signature is missing or wrong, or too old |
| 413 | the body is larger than allowed |
| 415 | not JSON |
| 503 | not recorded: busy, disk full, or no secret is configured; send it again |
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from sqlmodel import SQLModel

from commands.service import buildkite, github, reading, signatures
from commands.service.connections import Connections
from commands.service.intake import Intake
from commands.service.refusals import (
    OneLength,
    Problem,
    Refusal,
    add_error_answers,
    json_answer,
    needed_header,
    not_genuine,
    too_large,
)
from commands.service.unverified import BUDGET_BYTES, Unverified
from ledger.errors import BadInput, PerfledgerError, Unavailable
from ledger.ledger import PERFLEDGER_VERSION

BODY_BYTES_MAX = 8 * 2**20


class Receipt(SQLModel):
    """What became of a delivery. status: recorded, duplicate or replayed."""

    status: str
    delivery: str
    event: str
    position: int
    event_ids: list[str]


class Health(SQLModel):
    """Whether the receiver can record. status: ok or failing. position: of the last event of this origin."""

    status: str
    version: str
    origin: str
    position: int
    waiting: int
    trouble: str | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Shared secrets by source; a source without one answers 503. body_bytes_max: the size limit of a body."""

    github_secrets: Sequence[bytes] = ()
    buildkite_secrets: Sequence[bytes] = ()
    body_bytes_max: int = BODY_BYTES_MAX


_PROBLEM: dict[str, Any] = {"model": Problem}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    400: {**_PROBLEM, "description": "No event name or delivery id"},
    401: {**_PROBLEM, "description": "Signature missing, wrong or too old"},
    413: {**_PROBLEM, "description": "Body too large"},
    415: {**_PROBLEM, "description": "Not JSON"},
    422: {**_PROBLEM, "description": "Malformed JSON, or fields missing"},
    503: {**_PROBLEM, "description": "Not recorded; send it again"},
}


def _header(name: str, note: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": note,
        "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    }


_BODY = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
_GITHUB = {
    "parameters": [
        _header("X-GitHub-Event", "The kind of event"),
        _header("X-GitHub-Delivery", "The delivery's own id"),
        _header("X-Hub-Signature-256", "sha256= and the HMAC of the body"),
    ],
    "requestBody": _BODY,
}
_BUILDKITE = {
    "parameters": [
        _header("X-Buildkite-Event", "The kind of event"),
        _header("X-Buildkite-Signature", "timestamp=, and signature= the HMAC of timestamp, dot, body"),
    ],
    "requestBody": _BODY,
}


class Receiver:
    """Takes deliveries: checks size, signature and shape, and hands their events to the intake."""

    def __init__(self, intake: Intake, settings: Settings, unverified: Unverified) -> None:
        self.intake = intake
        self.settings = settings
        self._unverified = unverified

    async def github(self, request: Request) -> Response:
        """Take one delivery of GitHub."""
        secrets, signature = self.settings.github_secrets, request.headers.get("x-hub-signature-256")
        body = await self._genuine(
            request, secrets, "GitHub", lambda body: signatures.github_is_genuine(secrets, body, signature)
        )
        delivery = needed_header(request, "x-github-delivery")
        return await self._record("github", delivery, needed_header(request, "x-github-event"), body, github.read)

    async def buildkite(self, request: Request) -> Response:
        """Take one delivery of Buildkite; without an id of its own it is known by its body."""
        secrets, signature = self.settings.buildkite_secrets, request.headers.get("x-buildkite-signature")
        body = await self._genuine(
            request,
            secrets,
            "Buildkite",
            lambda body: signatures.buildkite_is_genuine(secrets, body, signature, now=time.time()),
        )
        delivery = request.headers.get("x-buildkite-request") or hashlib.sha256(body).hexdigest()
        return await self._record(
            "buildkite", delivery[:200], needed_header(request, "x-buildkite-event"), body, buildkite.read
        )

    async def _genuine(
        self, request: Request, secrets: Sequence[bytes], source: str, is_genuine: Callable[[bytes], bool]
    ) -> bytes:
        """Return the body of a request that is signed; nothing of one that cannot be is read."""
        if not secrets:
            raise Refusal(
                503,
                "not_configured",
                f"no secret for {source} is configured",
                f"set PERFLEDGER_{source.upper()}_SECRET and start again",
            )
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refusal(415, "not_json", "only application/json is taken", "set the webhook's content type")
        limit = self.settings.body_bytes_max
        announced = request.headers.get("content-length", "")
        size = int(announced[:18]) if announced.isascii() and announced.isdigit() else limit
        if size > limit:
            raise too_large(limit)
        if not signatures.is_shaped(source, request.headers):
            raise not_genuine()
        try:
            async with self._unverified.hold(size, getattr(request.state, "connection", None)):
                body = await _read(request, limit)
                if not is_genuine(body):
                    raise not_genuine()
                return body
        except Unavailable as error:
            raise Refusal(503, error.code, error.message, error.hint) from None

    async def _record(
        self,
        source: str,
        delivery: str,
        event: str,
        body: bytes,
        read: Callable[[str, bytes], reading.Reading],
    ) -> Response:
        try:
            events = reading.events(
                source,
                delivery,
                event,
                body_sha256=hashlib.sha256(body).hexdigest(),
                body_bytes=len(body),
                reading=read(event, body),
            )
            receipts = await self.intake.submit(events)
        except BadInput as error:
            raise Refusal(422, error.code, error.message, error.hint) from None
        except PerfledgerError as error:
            raise Refusal(503, error.code, error.message, error.hint or "send it again") from None
        except Exception as error:  # noqa: BLE001  (a bug must cost one delivery an answer, not show a traceback)
            self.intake.counters.failed += 1
            raise Refusal(
                503, "internal", f"{type(error).__name__}; nothing was acknowledged", "send it again, and report it"
            ) from None
        if receipts[0].duplicate:
            status = "duplicate"
        else:
            status = "replayed" if receipts[1:] and all(r.duplicate for r in receipts[1:]) else "recorded"
        document = {
            "status": status,
            "delivery": delivery,
            "event": event,
            "position": receipts[0].position,
            "event_ids": [receipt.event_id for receipt in receipts],
        }
        return json_answer(200, document)


async def _read(request: Request, limit: int) -> bytes:
    """Read a body, but never more of it than allowed. `limit` is in bytes."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
    return b"".join(parts)


def create_app(
    intake: Intake,
    settings: Settings,
    connections: Connections | None = None,
    watch: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> FastAPI:
    """Return the application over an intake; it starts and stops the intake, and what watches the server, with itself.

    connections: those of the server that runs it; None where another server bounds them.
    """

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await intake.start()
        watching = asyncio.create_task(watch()) if watch is not None else None
        yield
        if watching is not None:
            watching.cancel()
        await intake.stop()

    app = FastAPI(
        title="perfledger",
        version=PERFLEDGER_VERSION,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # its answer would repeat a header of the request as an address
        summary="Webhooks into the ledger, acknowledged when they are durably in the log.",
    )
    app.add_middleware(OneLength)
    budget = max(BUDGET_BYTES, settings.body_bytes_max)
    receiver = Receiver(intake, settings, Unverified(connections, budget))

    @app.post("/webhooks/github", response_model=Receipt, responses=_ANSWERS, openapi_extra=_GITHUB)
    async def github_webhook(request: Request) -> Response:
        """Take a delivery of GitHub: status, check_run, pull_request, pull_request_review, issue_comment, push."""
        return await receiver.github(request)

    @app.post("/webhooks/buildkite", response_model=Receipt, responses=_ANSWERS, openapi_extra=_BUILDKITE)
    async def buildkite_webhook(request: Request) -> Response:
        """Take a delivery of Buildkite: build and job events."""
        return await receiver.buildkite(request)

    _add_reports(app, intake, connections)
    add_error_answers(app, intake)
    return app


def _add_reports(app: FastAPI, intake: Intake, connections: Connections | None) -> None:
    @app.get("/healthz", response_model=Health, responses={503: {"model": Health, "description": "Cannot record"}})
    async def healthz() -> Response:
        """Say whether deliveries can be recorded."""
        origin, position = await intake.head()
        good = intake.running and intake.trouble is None
        return json_answer(
            200 if good else 503,
            {
                "status": "ok" if good else "failing",
                "version": PERFLEDGER_VERSION,
                "origin": origin,
                "position": position,
                "waiting": intake.waiting,
                "trouble": intake.trouble,
            },
        )

    @app.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Counters"}},
    )
    async def metrics() -> Response:
        """Counters in the text format of Prometheus."""
        return Response(_metrics(intake, connections), media_type="text/plain; version=0.0.4; charset=utf-8")


def _metrics(intake: Intake, connections: Connections | None) -> str:
    counters = msgspec.structs.asdict(intake.counters)
    lines = [f"perfledger_webhooks_{name}_total {value}" for name, value in counters.items() if name != "batch_max"]
    lines += [
        f"perfledger_webhooks_batch_max {intake.counters.batch_max}",
        f"perfledger_webhooks_waiting {intake.waiting}",
    ]
    if connections is not None:
        ended = msgspec.structs.asdict(connections.ended)
        lines.append(f"perfledger_connections_open {len(connections)}")
        lines += [f'perfledger_connections_ended_total{{reason="{why}"}} {number}' for why, number in ended.items()]
    return "\n".join(lines) + "\n"
