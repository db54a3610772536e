"""What the HTTP interface answers to a request that it refuses: a `Problem`, and the end of the connection."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlmodel import SQLModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from commands.service import reading
from commands.service.intake import Intake

# of an answer to a request that is refused: what was not read of its body must not be taken for the next request
CLOSE = {"Connection": "close"}


class Problem(SQLModel):
    """Why a request was not taken: a stable code, one sentence, and the next step."""

    code: str
    message: str
    hint: str = ""


class Refusal(Exception):
    """A request that is not taken, with its HTTP status."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.problem = Problem(code=code, message=message, hint=hint)

    def answer(self, headers: dict[str, str] | None = None) -> Response:
        """Return it as an answer that ends the connection."""
        return json_answer(self.status, self.problem.model_dump(), {**(headers or {}), **CLOSE})


TWO_LENGTHS = Refusal(400, "two_lengths", "the body has two lengths", "send Content-Length alone")


class OneLength:
    """Refuses a request whose body has two lengths: proxies and servers do not agree where such a body ends."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 400 and close the connection, or pass the request on."""
        names = [name for name, _ in scope.get("headers", ())]
        if b"transfer-encoding" in names and b"content-length" in names:
            await TWO_LENGTHS.answer()(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def add_error_answers(app: FastAPI, intake: Intake) -> None:
    """Answer every error of an application with a `Problem`; none shows a traceback."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> Response:
        intake.counters.refused += 1
        extra = {"Retry-After": "5"} if error.status == 503 else {}
        return error.answer(extra)

    @app.exception_handler(ClientDisconnect)
    async def went_away(_: Request, __: ClientDisconnect) -> Response:
        intake.counters.refused += 1
        return json_answer(
            400, {"code": "cut_off", "message": "the request ended before its body did", "hint": ""}, CLOSE
        )

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        return json_answer(
            error.status_code,
            {"code": "http_error", "message": str(error.detail), "hint": ""},
            {**(error.headers or {}), **CLOSE},
        )

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return json_answer(422, {"code": "bad_request", "message": str(error).splitlines()[0], "hint": ""})


def needed_header(request: Request, header: str) -> str:
    """Return a header of a request. Raises `Refusal` (400) when it is missing or not a name."""
    value = request.headers.get(header, "").strip()
    if not reading.is_name(value):
        raise Refusal(
            400,
            "bad_header",
            f"the header {header} is missing or not 1 to 200 printable characters",
            "send it as the sender documents it",
        )
    return value


def not_genuine() -> Refusal:
    """Return the refusal (401) of a request that its sender has not signed."""
    return Refusal(
        401,
        "bad_signature",
        "the signature is missing, wrong or too old",
        "check that both sides have the same secret and the right time",
    )


def too_large(limit: int) -> Refusal:
    """Return the refusal (413) of a body of more than `limit` bytes."""
    return Refusal(413, "body_too_large", f"the body is larger than {limit} bytes", "raise --max-body, or send less")


def json_answer(status: int, document: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    """Return a JSON document as an answer."""
    return Response(msgspec.json.encode(document), status, headers, media_type="application/json")
