"""`perfledger serve`: receive webhooks until interrupted."""

from __future__ import annotations

import errno
import os
import re
import socket
import sys
from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App, command
from ledger.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from commands.service.answers import Answerer
    from ledger.ledger import Ledger

HEADER_BYTES_MAX = 32 * 2**10
SECRETS = {"github": "PERFLEDGER_GITHUB_SECRET", "buildkite": "PERFLEDGER_BUILDKITE_SECRET"}


@command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option("--port", default=8787, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--max-body", default="8MiB", show_default=True, metavar="SIZE", help="Largest body that is taken.")
@click.option("--answers", is_flag=True, help="Post answers to slash commands at once, with GITHUB_TOKEN.")
@click.option(
    "--api-url",
    default="https://api.github.com",
    show_default=True,
    envvar="GITHUB_API_URL",
    metavar="URL",
    help="Where --answers posts to.",
)
def serve(app: App, host: str, port: int, max_body: str, answers: bool, api_url: str) -> None:
    """Receive GitHub and Buildkite webhooks; health at /healthz, counters at /metrics, API at /openapi.json.

    A delivery is acknowledged when it is durably in the log. The shared secrets are read from
    PERFLEDGER_GITHUB_SECRET and PERFLEDGER_BUILDKITE_SECRET; several, separated by white space, are all valid.
    """
    body_bytes_max, ledger, uvicorn = size(max_body), app.ledger(), _service_extra()
    from commands.service.app import Settings, create_app
    from commands.service.connections import ACCEPTED_A_TURN, Connections, Limits, connections_for, descriptors
    from commands.service.desk import CommandDesk
    from commands.service.intake import Intake

    settings = Settings(
        github_secrets=_secrets("github"), buildkite_secrets=_secrets("buildkite"), body_bytes_max=body_bytes_max
    )
    answerer = _answerer(ledger, app.actor, api_url) if answers else None
    desk = CommandDesk(decided=answerer.wake if answerer else None)
    intake = Intake(ledger.path, app.actor, after=desk.after)
    connections = Connections(Limits(connections=connections_for(descriptors())))
    listener = _listen(host, port)
    config = uvicorn.Config(
        create_app(intake, settings, connections, lambda: connections.watch(listener)),
        host=host,
        port=port,
        http=connections.protocol,
        backlog=ACCEPTED_A_TURN,
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
        proxy_headers=False,  # an address that a request claims for itself is not believed
        log_level="error",  # what strangers send is counted, not logged
        access_log=False,
        timeout_graceful_shutdown=10,
        server_header=False,
        lifespan="on",
        ws="none",
    )
    name, number = listener.getsockname()[:2]
    app.emit(
        {
            "listening": f"http://{name}:{number}",
            "ledger": str(ledger.path),
            "origin": ledger.origin,
            "sources": [source for source in SECRETS if getattr(settings, f"{source}_secrets")],
        },
        f"listening on http://{name}:{number}; interrupt to stop",
    )
    if not settings.github_secrets and not settings.buildkite_secrets:
        app.note(f"no secret is set, so every webhook is refused; set {' or '.join(SECRETS.values())}")
    # The event loop and the log's thread hand over at every disk call; Python's 5 ms turns would add up to more
    # than the disk takes.
    sys.setswitchinterval(0.0005)
    if answerer is None:
        uvicorn.Server(config).run(sockets=[listener])
        return
    answerer.start()
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        answerer.stop()


def _answerer(ledger: Ledger, actor: str | None, api_url: str) -> Answerer:
    from commands.ci.work.api import check_url, read_token
    from commands.service.answers import Answerer

    token = read_token("set it to a token that may comment, or leave --answers out")
    return Answerer(ledger.path, actor, api_url=check_url(api_url), token=token)


def _secrets(source: str) -> tuple[bytes, ...]:
    return tuple(word.encode() for word in os.environ.get(SECRETS[source], "").split())


def size(text: str) -> int:
    """Return bytes of `8MiB`, `500KiB` or a number. Raises `BadInput`."""
    found = re.fullmatch(r"(\d{1,12})\s*(B|KiB|MiB)?", text.strip(), re.IGNORECASE)
    if not found or int(found[1]) == 0:
        raise BadInput(f"--max-body {text!r} is not a size", code="usage", hint="--max-body 8MiB")
    return int(found[1]) * {"b": 1, "kib": 2**10, "mib": 2**20}[(found[2] or "B").lower()]


def _service_extra() -> Any:
    try:
        import fastapi  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise BadInput(
            f"`serve` needs {error.name}, which is not installed",
            code="extra_missing",
            hint="pip install 'perfledger[service]'",
        ) from None
    return uvicorn


def _port_is_taken(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EACCES, errno.EPERM)


def _listen(host: str, port: int) -> socket.socket:
    """Bind before anything is said, so that a taken port is one sentence."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, UnicodeError, TypeError) as error:  # TypeError: a name that the resolver cannot spell
        listener.close()
        raise Unavailable(
            f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}",
            code="cannot_listen",
            hint="--port 0 takes a free one"
            if _port_is_taken(error)
            else "--host 127.0.0.1, or another address of this host",
        ) from None
    listener.listen()
    return listener
