"""The client for GitHub-protocol APIs against a real server: where the token goes, what is a failure, what is unsure.

Source: docs/ci.md, "Publishing".
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from commands.ci.work.api import PAGES_MAX, PER_PAGE, GitHubApi, check_url, read_token
from ledger.errors import BadInput, PerfledgerError, Unavailable
from ledger.remotes.retry import Busy, Unsure

Answer = tuple[int, dict[str, str], bytes]
TOKEN = "a-token-of-ours"


class Server:
    """A server on loopback that answers each request by a function of method and path, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answer: Callable[[str, str], Answer | None] = lambda method, path: (200, {}, b"{}")
        self.seen: list[tuple[str, str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self._act("POST")

            def do_GET(self) -> None:
                self._act("GET")

            def _act(self, method: str) -> None:
                outer.seen.append((method, self.path, self.headers.get("authorization", "")))
                answer = outer.answer(method, self.path)
                if answer is None:
                    return  # the connection closes without an answer
                status, headers, body = answer
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of its own."""
    made = Server()
    yield made
    made.close()


@pytest.fixture
def api(server: Server) -> Iterator[GitHubApi]:
    """A client of the server."""
    made = GitHubApi(server.url + "/", TOKEN, wait_s_max=0)
    yield made
    made.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_refusal_and_the_token_goes_nowhere_else(server: Server, api: GitHubApi, status: int) -> None:
    elsewhere = Server()
    server.answer = lambda method, path: (status, {"Location": f"{elsewhere.url}{path}"}, b"")
    try:
        for ask in (lambda: api.post("/x", {"a": "b"}), lambda: api.items("/x")):
            with pytest.raises(Unavailable) as refused:
                ask()
            assert refused.value.code == "github_refused" and refused.value.details["http_status"] == status
        assert elsewhere.seen == []
        assert {authorization for _, _, authorization in server.seen} == {f"Bearer {TOKEN}"}
    finally:
        elsewhere.close()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 451])
def test_a_refusal_says_what_the_server_said_and_never_the_token(server: Server, api: GitHubApi, status: int) -> None:
    server.answer = lambda method, path: (status, {}, json.dumps({"message": "the reason " + "x" * 500}).encode())
    with pytest.raises(Unavailable) as refused:
        api.post("/x", {"a": "b"})
    error = refused.value
    assert f"answered {status}: the reason" in error.message and len(error.message) < 400
    assert TOKEN not in f"{error.message} {error.hint} {error.details}"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_leaves_a_write_unsure_and_a_read_to_be_tried_again(
    server: Server, api: GitHubApi, status: int
) -> None:
    server.answer = lambda method, path: (status, {}, b"<html>down</html>")
    with pytest.raises(Unsure):
        api.post("/x", {"a": "b"})
    with pytest.raises(Busy):
        api.items("/x")


def test_a_write_whose_answer_never_came_is_unsure(server: Server, api: GitHubApi) -> None:
    server.answer = lambda method, path: None
    with pytest.raises(Unsure):
        api.post("/x", {"a": "b"})


def test_a_write_that_never_left_is_not_unsure(server: Server) -> None:
    away = Server()
    away.close()
    api = GitHubApi(away.url, TOKEN, wait_s_max=0)
    with pytest.raises(Busy) as failed:
        api.post("/x", {"a": "b"})
    assert not isinstance(failed.value, Unsure) and failed.value.sent is False
    api.close()


@pytest.mark.parametrize("count", [0, 1, PER_PAGE - 1, PER_PAGE, PER_PAGE + 1, 3 * PER_PAGE])
def test_a_list_is_read_to_its_end_in_the_order_served(server: Server, api: GitHubApi, count: int) -> None:
    rows = [{"id": n} for n in range(count)]

    def page(method: str, path: str) -> Answer:
        number = int(path.rpartition("page=")[2])
        return 200, {}, json.dumps(rows[(number - 1) * PER_PAGE : number * PER_PAGE]).encode()

    server.answer = page
    assert api.items("/list") == rows
    assert len(server.seen) == count // PER_PAGE + 1


def test_a_list_without_an_end_is_given_up_and_not_read_for_ever(server: Server, api: GitHubApi) -> None:
    full = json.dumps([{"id": 1}] * PER_PAGE).encode()
    server.answer = lambda method, path: (200, {}, full)
    with pytest.raises(Unavailable, match="lists more than"):
        api.items("/list")
    assert len(server.seen) == PAGES_MAX


@pytest.mark.parametrize("body", [b"", b"{}", b"not json", b'"text"', b"\xff\xfe", b"null"])
def test_what_is_no_list_is_a_refusal_and_no_empty_list(server: Server, api: GitHubApi, body: bytes) -> None:
    server.answer = lambda method, path: (200, {}, body)
    with pytest.raises(Unavailable, match="not a list"):
        api.items("/list")


@pytest.mark.parametrize("body", [b"", b"not json", b"[1]", b"null", b"{}"])
def test_an_accepted_write_has_happened_whatever_the_answer_says(server: Server, api: GitHubApi, body: bytes) -> None:
    server.answer = lambda method, path: (201, {}, body)
    assert api.post("/x", {"a": "b"}).http_status == 201


@pytest.mark.parametrize(
    "url",
    [
        "",
        "github.com",
        "ftp://api.github.com",
        "https://",
        "https:///path",
        "http://[",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:x",
        "http://127.0.0.1:0",
        "http://127.0.0.1/a b",
        "https://x..y",
        "https://" + "a" * 64 + ".org",
        "http://127.0.0.1/\udcff",
        "http://127.0.0.1/\n",
        "http://example.org",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "https://user:secret@api.github.com",
        "https://secret@api.github.com",
    ],
)
def test_an_address_that_cannot_be_one_or_would_show_the_token_is_refused(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_url(url)
    assert refused.value.code == "bad_url" and refused.value.hint
    assert "secret" not in refused.value.message


@pytest.mark.parametrize(
    "url", ["https://api.github.com", "https://ghe.example.org:8443/api/v3", "http://localhost:1", "http://[::1]:80"]
)
def test_an_address_is_kept_without_its_last_slash(url: str) -> None:
    assert check_url(url) == check_url(url + "/") == url


@pytest.mark.parametrize(
    ("value", "code"),
    [("", "no_token"), ("  ", "no_token"), ("a\nb", "bad_token"), ("é", "bad_token"), ("\udcff", "bad_token")],
)
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, value: str, code: str
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", value)
    with pytest.raises(PerfledgerError) as refused:
        read_token("the next step")
    assert (refused.value.code, refused.value.exit_code, refused.value.hint) == (code, 2, "the next step")
    assert not value.strip() or value not in refused.value.message
