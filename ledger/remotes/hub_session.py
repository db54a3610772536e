"""Requests to a Hugging Face Hub: tokens, timeouts, and one sentence for every failure.

The client library waits without a timeout by default, retries some calls inside itself and not others, and puts
what the server said, URLs with signatures included, into its errors. So every request goes through a client
of ours that times out, never retries, and turns failures into `Busy`; what is shown is composed here, and
no token can be in it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NoReturn

from ledger.errors import BadInput, PerfledgerError, Unavailable
from ledger.limits import LIMITS
from ledger.remotes.bounded import gather
from ledger.remotes.retry import Busy, Moved, asked_to_wait
from ledger.remotes.timeout import timeout_s

if TYPE_CHECKING:
    import httpx2

TOKEN_VARIABLES = ("HF_API_KEY", "HUGGINGFACE_HUB_TOKEN", "HF_TOKEN")
DEFAULT_ENDPOINT = "https://huggingface.co"
CONNECT_TIMEOUT_S = 10.0


def find_token() -> str | None:
    """Return the access token from the environment: the first non-empty of HF_API_KEY, HUGGINGFACE_HUB_TOKEN, HF_TOKEN.

    Raises `BadInput` naming the variable, never its content, when it cannot be sent in a header.
    """
    for name in TOKEN_VARIABLES:
        token = os.environ.get(name, "").strip()
        if token:
            if not all(33 <= ord(letter) <= 126 for letter in token):
                raise BadInput(
                    f"{name} holds spaces or characters that no access token has",
                    code="bad_token",
                    hint=f"set {name} again, without line breaks or quotes",
                )
            return token
    return None


def endpoint() -> str:
    """Return the Hub's address: HF_ENDPOINT, else the public Hub."""
    return named_endpoint() or DEFAULT_ENDPOINT


def named_endpoint() -> str | None:
    """Return the address HF_ENDPOINT names; None when it is not set. Raises `BadInput` when it is malformed."""
    address = os.environ.get("HF_ENDPOINT", "").strip()
    return check_endpoint(address, "HF_ENDPOINT") if address else None


def check_endpoint(address: str, source: str) -> str:
    """Return a Hub's address in the form it is remembered by. Raises `BadInput` naming `source` when it is not one."""
    from urllib.parse import urlsplit

    hint = f"for example {DEFAULT_ENDPOINT}, which is also the default"
    address = address.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        parts, host = None, None
    if parts is not None and "@" in parts.netloc:  # never shown, and never remembered
        raise BadInput(f"{source} holds a user name or password", code="bad_endpoint", hint=hint)
    if parts is None or parts.scheme not in ("http", "https") or not host:
        raise BadInput(f"{source}={address!r} is not an http or https address", code="bad_endpoint", hint=hint)
    return address.replace(parts.netloc, parts.netloc.lower(), 1)


def prepare() -> None:
    """Import the client library with our HTTP client in it. Safe to call again.

    Raises `Unavailable` when HF_HUB_OFFLINE says that no Hub may be asked.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise Unavailable(
            "HF_HUB_OFFLINE is set, so the Hub was not asked",
            code="hub_offline",
            hint="unset HF_HUB_OFFLINE; perfledger sync status shows what waits",
        )
    # read when the library is imported: no calls of its own beside ours
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import httpx2
    from huggingface_hub import get_session, set_client_factory
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    global _client_class
    if _client_class is None:
        _client_class = _make_client_class()
        disable_progress_bars()
    if not isinstance(get_session(), _client_class):
        made = _client_class
        set_client_factory(lambda: made(follow_redirects=True, timeout=httpx2.Timeout(timeout_s())))


_client_class: type[httpx2.Client] | None = None


def _make_client_class() -> type[httpx2.Client]:
    import httpx2

    class OnePolicyClient(httpx2.Client):
        """Times out always, retries never: failures that may pass become `Busy`, which no caller inside catches."""

        def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            keep_token_home(request)
            keep_looks_home(request)
            # the library passes timeout=None for some calls, which would wait for ever
            given = request.extensions.get("timeout") or {}
            limit = timeout_s()
            fallback = {"connect": min(CONNECT_TIMEOUT_S, limit), "read": limit, "write": limit, "pool": limit}
            request.headers["accept-encoding"] = "gzip, deflate"
            request.extensions["timeout"] = {k: given.get(k) or v for k, v in fallback.items()}
            if request.method == "GET" and (look := getattr(_watched, "look", None)) is not None:
                look(str(request.url))
            whole = not options.pop("stream", False)
            try:
                response = super().send(request, stream=True, **options)
                if whole:
                    _read_bounded(response)
            except httpx2.TransportError as error:
                raise busy_from(error) from None
            status = response.status_code
            if status in (408, 425, 429) or status >= 500:
                response.close()
                asked = asked_to_wait(status, response.headers, now=time.time())
                raise Busy(_status_reason(status, asked), retry_after=asked, sent=status != 429)
            return response

    return OnePolicyClient


_watched = threading.local()


@contextmanager
def on_each_get(look: Callable[[str], None]) -> Iterator[None]:
    """Call `look` with the address of each GET that this thread sends; what it raises is raised to the caller."""
    _watched.look = look
    try:
        yield
    finally:
        _watched.look = None


def _read_bounded(response: httpx2.Response) -> None:
    """Read an answer that is not a file, to a limit that holds for what it is decompressed to as well."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "deflate"):  # others make gigabytes of the smallest piece that is read
        response.close()
        raise Busy(f"sent an answer in the coding {coding[:20]!r}, which was not asked for", sent=False)
    try:
        data = gather(response.iter_bytes(), most=LIMITS.answer_bytes, what="bytes in an answer", limits=LIMITS)
    finally:
        response.close()
    response._content = data  # where the client's own `read` puts it


_homes: dict[str, set[str]] = {}  # the header a token is sent in, to the origins it may be sent to


def origin_of(url: httpx2.URL) -> str:
    """Return the part of a URL that says which server is asked."""
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    return f"{url.scheme}://{url.host}:{port}"


def bind(token: str | None, endpoint: str) -> None:
    """Say that requests to a Hub may carry a token."""
    if token:
        import httpx2

        _homes.setdefault(f"Bearer {token}", set()).add(origin_of(httpx2.URL(endpoint)))


def keep_token_home(request: httpx2.Request) -> None:
    """Take the token out of a request to a server it is not for.

    A listing's next page and the address to upload a large file to are what a server answered; they may be anywhere.
    """
    given = request.headers.get("authorization", "")
    if given in _homes and origin_of(request.url) not in _homes[given]:
        del request.headers["authorization"]


@contextmanager
def at_home(endpoint: str) -> Iterator[None]:
    """Ask nobody but the Hub itself in this block: looks, whose next page a server names."""
    import httpx2

    held = _home.set(origin_of(httpx2.URL(endpoint)))
    try:
        yield
    finally:
        _home.reset(held)


_home: ContextVar[str | None] = ContextVar("_home", default=None)


def keep_looks_home(request: httpx2.Request) -> None:
    """Refuse a request of a look to another server than the Hub. Raises `Unavailable`."""
    home, asked = _home.get(), origin_of(request.url)
    if home is not None and asked != home:
        raise Unavailable(
            f"the Hub at {home} names a next page at {asked}, which is another server; it was not asked, and nothing "
            "was taken",
            code="hub_page_elsewhere",
            hint="check HF_ENDPOINT, or tell the Hub's owner",
        )


def busy_from(error: httpx2.TransportError) -> Busy:
    """Say what went wrong below HTTP, and whether the request may have arrived."""
    import httpx2

    if isinstance(error, httpx2.UnsupportedProtocol):
        return Busy("was given an address that is not an http address", sent=False)
    if isinstance(error, httpx2.ConnectTimeout):
        return Busy("did not accept a connection in time", sent=False)
    if isinstance(error, (httpx2.ConnectError, httpx2.ProxyError)):
        return Busy("cannot be reached", sent=False)
    if isinstance(error, httpx2.TimeoutException):
        return Busy(f"did not answer within {timeout_s():g} s")
    return Busy("closed the connection without an answer")


def _status_reason(status: int, asked: float | None) -> str:
    if status == 429:
        wait = f", and asks to wait {asked:g} s" if asked is not None else ""
        return f"says there were too many requests (429){wait}"
    if status == 408:
        return "timed out (408)"
    return f"failed with status {status}"


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from; the library wraps failures of its upload threads."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__


def raise_translated(error: Exception, repo_id: str, *, token: str | None, at: str, withheld: bool) -> NoReturn:
    """Raise what a failed call of the client library means to us.

    `Busy` and `Moved` for what another look or a later try may settle, else a `PerfledgerError`. Unknown failures are
    raised as they are.
    """
    import httpx2

    for cause in causes(error):
        if isinstance(cause, (Busy, Moved, PerfledgerError)):
            raise cause from None
        if isinstance(cause, httpx2.TransportError):
            raise busy_from(cause) from None
        response = getattr(cause, "response", None)
        if isinstance(response, httpx2.Response):
            if response.status_code == 401 and token is None:
                raise no_token(repo_id, at, withheld=withheld) from None
            _raise_for_status(response, repo_id, token=token, at=at)
    if isinstance(error, (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)):
        # a proxy's login page, for example: status 200 and not what was asked for
        raise Busy("sent an answer that is not a Hub's") from None
    raise error


def _raise_for_status(response: httpx2.Response, repo_id: str, *, token: str | None, at: str) -> NoReturn:
    status = response.status_code
    said = response.headers.get("x-error-message", "")
    kind = response.headers.get("x-error-code", "")
    if status in (409, 412) and response.request.method == "POST":
        raise Moved(f"{repo_id} has a newer commit") from None
    if status == 401 and kind == "RepoNotFound":
        raise missing(repo_id, at) from None
    if status == 401:
        raise Unavailable(
            "the Hub does not accept the access token (401): it is wrong or has expired; nothing more was sent to "
            f"{repo_id}",
            code="hub_token_refused",
            repo=repo_id,
            hint=f"make a token with write access at {at}/settings/tokens, export HF_TOKEN=..., run it again",
        ) from None
    if status == 403 or kind == "GatedRepo":
        raise Unavailable(
            f"the access token has no permission for this at {repo_id} ({status}); nothing was written",
            code="hub_forbidden",
            repo=repo_id,
            hint=f"use a token with write access to {repo_id} ({at}/settings/tokens), or ask its owner",
        ) from None
    if kind == "RevisionNotFound":
        raise BadInput(
            f"{repo_id} has no such commit; nothing was written",
            code="hub_no_revision",
            repo=repo_id,
            hint="leave @REVISION out for the newest commit",
        ) from None
    if status == 404 and kind != "EntryNotFound":
        raise missing(repo_id, at) from None
    if status in (400, 413, 422):
        detail = "".join(letter for letter in said if letter.isprintable())[:200]
        if token:
            detail = detail.replace(token, "***")
        why = f": {detail}" if detail else ""
        raise Unavailable(
            f"the Hub refused the request for {repo_id} ({status}){why}; nothing was written",
            code="hub_refused",
            repo=repo_id,
            hint="perfledger doctor",
        ) from None
    raise Unavailable(
        f"the Hub answered {status} for {repo_id}",
        code="hub_status",
        repo=repo_id,
        status=status,
        hint="run it again; if it stays, look at the Hub's status page",
    ) from None


def no_token(repo_id: str, at: str, *, withheld: bool) -> PerfledgerError:
    """Return the error for a write, or a private read, without a token, or without one that is for this Hub."""
    if withheld:
        return Unavailable(
            f"{repo_id} was last reached at {at}, and the access token that is set was not used there; it was not sent",
            code="hub_token_of_another",
            repo=repo_id,
            endpoint=at,
            hint=f"export HF_ENDPOINT={at} if the token is for that Hub, and run it again",
        )
    return Unavailable(
        f"no access token is set, and {repo_id} cannot be used without one; nothing was sent",
        code="hub_no_token",
        repo=repo_id,
        hint=f"export HF_TOKEN=... (from {at}/settings/tokens, with write access); HF_API_KEY and "
        "HUGGINGFACE_HUB_TOKEN work too",
    )


def missing(repo_id: str, at: str) -> PerfledgerError:
    """Return the error for a dataset that does not exist or that this token may not see."""
    return BadInput(
        f"there is no dataset {repo_id} at {at} that this token can see; nothing was written",
        code="hub_no_repo",
        repo=repo_id,
        hint=f"--create makes it (private), or: huggingface-cli repo create {repo_id} --repo-type dataset",
    )
