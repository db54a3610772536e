"""A TCP proxy in front of a real server: it shows requests going by, and can cut the line before or after one acted.

For plain HTTP/1.1 whose requests are not pipelined, which is how S3 clients speak.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType

# (number of the request from 1, its first line) -> whether to cut the line there
Verdict = Callable[[int, str], bool]


class FlakyProxy:
    """Forwards to `127.0.0.1:port`. `before` cuts before a request is passed on, `after` when its answer came back."""

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.before: Verdict = lambda number, line: False
        self.after: Verdict = lambda number, line: False
        self.requests: list[str] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def endpoint(self) -> str:
        """The address to give the client."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FlakyProxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in list(self._open):
            self._cut(one)
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self.upstream))
        self._open |= {client, server}
        try:
            while True:
                request = self._read_message(client)
                if not request:
                    return
                line = request.partition(b"\r\n")[0].decode("latin-1")
                with self._lock:
                    self.requests.append(line)
                    number = len(self.requests)
                if self.before(number, line):
                    return
                server.sendall(request)
                answer = self._read_message(server, head_only=line.startswith("HEAD "))
                if not answer or self.after(number, line):
                    return
                client.sendall(answer)
        except OSError:
            return
        finally:
            self._cut(client)
            self._cut(server)

    def _cut(self, one: socket.socket) -> None:
        self._open.discard(one)
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()

    def _read_message(self, source: socket.socket, *, head_only: bool = False) -> bytes:
        """Read one HTTP message: its head, and a body of Content-Length or in chunks."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = source.recv(65536)
            if not more:
                return b""
            data += more
            if b"100-continue" in data and b"\r\n\r\n" in data:
                source.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        head, _, body = data.partition(b"\r\n\r\n")
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (row.partition(b":") for row in head.split(b"\r\n")[1:])
        }
        if head_only:
            return data
        if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
            while not body.endswith(b"0\r\n\r\n"):
                body += source.recv(65536)
        else:
            while len(body) < int(fields.get(b"content-length", b"0")):
                body += source.recv(65536)
        return head + b"\r\n\r\n" + body
