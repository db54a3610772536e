"""A small server on loopback that speaks the part of GitHub's REST protocol that `ci publish` uses.

Statuses, comments and reactions are kept and listed as GitHub lists them. `faults` is a queue of what to do
instead of a right answer to the next writes: an HTTP status, `drop` (act, then close without an
answer), `lose` (close before acting), or `limit:<seconds>` (429 with Retry-After), `reset:<seconds>`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeGitHub:
    """The server, its data and its log of requests (method, path, authorization)."""

    def __init__(self) -> None:
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        self.comments: dict[str, list[dict[str, Any]]] = {}
        self.reactions: dict[str, list[dict[str, Any]]] = {}
        self.delay_s = 0.0
        self.faults: list[str] = []
        self.list_faults: list[str] = []
        # called with "before" or "after" a write is carried out; a test kills a client from here
        self.hook: Callable[[str], None] = lambda when: None
        self.requests: list[tuple[str, str, str]] = []
        self.times: list[float] = []
        self._id = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def writes(self) -> list[str]:
        return [path for method, path, _ in self.requests if method == "POST"]

    def act(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._id += 1
        row = {"id": self._id, "url": f"{self.url}{path}/{self._id}", **body}
        parts = path.strip("/").split("/")
        if parts[3] == "statuses":
            self.statuses.setdefault(parts[4], []).insert(0, row)  # GitHub lists the newest first
        elif parts[-1] == "reactions":
            self.reactions.setdefault(parts[-2], []).append(row)
        else:
            self.comments.setdefault(parts[4], []).append(row)
        return row

    def rows(self, path: str) -> list[dict[str, Any]]:
        parts = path.strip("/").split("/")
        if parts[-1] == "statuses":
            return self.statuses.get(parts[4], [])
        if parts[-1] == "reactions":
            return self.reactions.get(parts[-2], [])
        return self.comments.get(parts[4], [])


def _handler(fake: FakeGitHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self._note("POST")
            time.sleep(fake.delay_s)
            fake.hook("before")
            fault = fake.faults.pop(0) if fake.faults else ""
            if fault == "lose":
                self.close_connection = True
                return
            if fault == "drop":
                fake.act(self.path, body)
                self.close_connection = True
                return
            if fault:
                self._fault(fault)
                return
            row = fake.act(self.path, body)
            fake.hook("after")
            self._answer(201, row)

        def do_GET(self) -> None:
            self._note("GET")
            if fake.list_faults:
                self._fault(fake.list_faults.pop(0))
                return
            path, _, query = self.path.partition("?")
            page = int(dict(part.split("=") for part in query.split("&"))["page"])
            self._answer(200, fake.rows(path)[(page - 1) * 100 : page * 100])

        def _fault(self, fault: str) -> None:
            word, _, seconds = fault.partition(":")
            if word == "limit":
                self._answer(429, {"message": "slow down"}, {"Retry-After": seconds})
            elif word == "reset":
                self._answer(
                    403,
                    {"message": "API rate limit exceeded"},
                    {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + int(seconds))},
                )
            else:
                self._answer(int(word), {"message": "no"})

        def _note(self, method: str) -> None:
            fake.requests.append((method, self.path, self.headers.get("authorization", "")))
            fake.times.append(time.monotonic())

        def _answer(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
            data = json.dumps(document).encode()
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler
