"""A Hub on loopback: real HTTP that the real `huggingface_hub` client talks to, with faults to switch on.

In a test:

    with HubServer() as hub:
        repo = hub.create("org/perf")
        hub.faults.append(Fault("POST */commit/*", kind="status", status=503))
        ... env=hub.env() ...
        hub.requests           # every request in order, as "METHOD path"

As a process of its own: `python -m tests.hub_server --repo org/perf` prints one JSON line with the
endpoint and its tokens, and serves until its stdin closes. `POST /_admin/faults` switches faults on there.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import fnmatch
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, unquote

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.hub_repo import Blob, Repo
from tests.waiting import until

WRITE_TOKEN = "hf_writewritewritewrite"
READ_TOKEN = "hf_readreadreadreadread"


@dataclass
class Fault:
    """What goes wrong with the next `times` requests that match, after letting `skip` of them pass.

    match: a pattern over "METHOD path". kind: `status` answers it instead of acting; `status_after` acts and then
    answers it; `drop` and `drop_after` cut the connection; `slow` waits `seconds` first; `race` lets a stranger's
    commit land first; `hide` acts, but drops the files from the commit (as a .gitignore does).
    """

    match: str
    kind: str = "status"
    status: int = 503
    retry_after: str | None = None
    times: int = 1
    skip: int = 0
    seconds: float = 0.0


@dataclass
class Token:
    """An access token; after `uses_left` requests it is no longer accepted."""

    user: str
    write: bool
    uses_left: int | None = None


class _Connections(H11Protocol):
    """Remembers the transports, so that a fault can cut one."""

    open: ClassVar[dict[tuple[str, int], asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.open[transport.get_extra_info("peername")[:2]] = transport


@dataclass
class HubServer:
    """The server: state, faults, and a thread that serves it."""

    page_size: int = 1000
    lfs: bool = True  # *.parquet goes through LFS, as .gitattributes of a dataset says; False: as it is
    repos: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    tokens_seen: list[str] = field(default_factory=list)  # of each request; empty where it had none
    pages_at: str | None = None  # another server, to which a listing's next page points
    # called with (index from 1, "before" | "after", "METHOD path"); a test kills a client from here
    hook: Callable[[int, str, str], None] | None = None
    port: int = 0

    def __post_init__(self) -> None:
        self.tokens = {WRITE_TOKEN: Token("writer", write=True), READ_TOKEN: Token("reader", write=False)}

    # -- life ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> HubServer:
        config = uvicorn.Config(
            self,
            host="127.0.0.1",
            port=self.port,
            log_level="critical",
            http=_Connections,
            ws="none",
            lifespan="off",
            access_log=False,
            timeout_keep_alive=60,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until(lambda: self._server.started)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self.port}"

    def env(self, token: str | None = WRITE_TOKEN, **extra: str) -> dict[str, str]:
        """Environment variables for a client process."""
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HUB_DISABLE_XET": "1",
            **({"HF_TOKEN": token} if token else {}),
            **extra,
        }

    def create(self, repo_id: str, *, private: bool = False, files: dict[str, bytes] | None = None) -> Repo:
        """Create a repository, with some files if given."""
        repo = self.repos[repo_id] = Repo(repo_id, private)
        if files:
            repo.commit("seed", {path: self.blob(path, data) for path, data in files.items()})
        return repo

    def blob(self, path: str, data: bytes) -> Blob:
        """The bytes, stored the way this path is stored."""
        return Blob(data, lfs=self._is_lfs(path, len(data)))

    def count(self, pattern: str) -> int:
        """How many requests matched a pattern over "METHOD path"."""
        return sum(fnmatch.fnmatchcase(line, pattern) for line in self.requests)

    def _is_lfs(self, path: str, size: int) -> bool:
        return (self.lfs and path.endswith(".parquet") and size > 0) or size > 10 * 2**20

    # -- one request ---------------------------------------------------------------------------------------------

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application: log, faults, authentication, then the endpoint."""
        request = Request(scope, receive)
        body = await request.body()
        line = f"{request.method} {scope['path']}"
        if line.startswith("POST /_admin/faults"):
            self.faults.extend(Fault(**row) for row in json.loads(body))
            return await Response(status_code=204)(scope, receive, send)
        self.requests.append(line)
        self.tokens_seen.append(request.headers.get("authorization", "").removeprefix("Bearer "))
        index = len(self.requests)
        fault = self._fault(line)
        if self.hook:
            await asyncio.to_thread(self.hook, index, "before", line)
        if fault and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault and fault.kind == "race":
            for repo in self.repos.values():
                repo.commit("somebody else", {f"other/{index}.txt": Blob(b"%d" % index)})
        acted = fault is None or fault.kind not in ("status", "drop")
        response = self._answer(request, body, hide=bool(fault and fault.kind == "hide")) if acted else None
        if self.hook:
            await asyncio.to_thread(self.hook, index, "after", line)
        if fault and fault.kind in ("drop", "drop_after"):
            transport = _Connections.open.get(tuple(scope["client"]))
            assert transport is not None
            transport.abort()
            return None
        if fault and fault.kind in ("status", "status_after"):
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            response = JSONResponse({"error": "switched on by a test"}, fault.status, headers)
        assert response is not None
        return await response(scope, receive, send)

    def _fault(self, line: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fnmatch.fnmatchcase(line, fault.match):
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def _answer(self, request: Request, body: bytes, *, hide: bool) -> Response:
        parts = request.url.path.strip("/").split("/")
        if parts[0] == "_lfs":
            return self._lfs_object(request, parts, body)
        token = request.headers.get("authorization", "").removeprefix("Bearer ").strip() or None
        caller: Token | None = None
        if token is not None:
            caller = self.tokens.get(token)
            if caller is None or caller.uses_left == 0:
                return _error(401, "Invalid credentials in Authorization header")
            if caller.uses_left is not None:
                caller.uses_left -= 1
        if parts[:2] == ["api", "whoami-v2"]:
            if caller is None:
                return _error(401, "Invalid username or password.")
            role = "write" if caller.write else "read"
            return JSONResponse(
                {
                    "type": "user",
                    "name": caller.user,
                    "orgs": [],
                    "auth": {"accessToken": {"displayName": "test", "role": role}},
                }
            )
        if parts[:3] == ["api", "repos", "create"]:
            return self._create(json.loads(body), caller)
        if parts[:2] == ["api", "validate-yaml"]:
            return JSONResponse({"errors": [], "warnings": []})
        if parts[:2] == ["api", "datasets"] and len(parts) >= 4:
            return self._api(request, parts[2:], body, caller, hide=hide)
        if parts[0] == "datasets" and len(parts) >= 4:
            return self._git(request, parts[1:], body, caller)
        return _error(404, "not found")

    # -- repositories --------------------------------------------------------------------------------------------

    def _create(self, wish: dict[str, Any], caller: Token | None) -> Response:
        if caller is None or not caller.write:
            return _error(403, "You don't have the rights to create a dataset under this namespace")
        repo_id = f"{wish.get('organization') or caller.user}/{wish['name']}"
        url = f"{self.endpoint}/datasets/{repo_id}"
        if repo_id in self.repos:
            return JSONResponse({"error": "You already created this dataset repo", "url": url}, 409)
        self.create(repo_id, private=bool(wish.get("private")) or wish.get("visibility") == "private")
        return JSONResponse({"url": url, "name": repo_id})

    def _visible(self, repo_id: str, caller: Token | None) -> Repo | Response:
        repo = self.repos.get(repo_id)
        if repo is None or (repo.private and caller is None):
            # the real Hub does not tell strangers which private repositories exist
            code = 401 if caller is None else 404
            return _error(code, "Repository not found", code="RepoNotFound")
        return repo

    def _api(self, request: Request, parts: list[str], body: bytes, caller: Token | None, *, hide: bool) -> Response:
        repo = self._visible("/".join(parts[:2]), caller)
        if isinstance(repo, Response):
            return repo
        verb = parts[2] if len(parts) > 2 else "revision"
        revision = unquote(parts[3]) if len(parts) > 3 else "main"
        commit = repo.at(revision)
        if commit is None:
            return _error(404, f"Invalid rev id: {revision}", code="RevisionNotFound")
        if verb in ("preupload", "commit") and not (caller and caller.write):
            return _error(403, f"you don't have write access to {repo.repo_id}")
        if verb == "revision":
            return JSONResponse(
                {
                    "_id": "0" * 24,
                    "id": repo.repo_id,
                    "sha": commit.oid,
                    "private": repo.private,
                    "siblings": [{"rfilename": path} for path in sorted(commit.files)],
                }
            )
        if verb == "tree":
            return self._tree(request, repo, revision, unquote("/".join(parts[4:])))
        if verb == "paths-info":
            paths = parse_qs(body.decode())["paths"]
            return JSONResponse([commit.files[path].entry(path) for path in paths if path in commit.files])
        if verb == "commits":
            return JSONResponse(
                [
                    {"id": c.oid, "title": c.title, "message": "", "authors": [], "date": "2026-01-01T00:00:00.000Z"}
                    for c in reversed(repo.commits)
                ]
            )
        if verb == "preupload":
            return JSONResponse(
                {
                    "files": [
                        {
                            "path": row["path"],
                            "shouldIgnore": False,
                            "uploadMode": "lfs" if self._is_lfs(row["path"], row["size"]) else "regular",
                            **({"oid": commit.files[row["path"]].etag} if row["path"] in commit.files else {}),
                        }
                        for row in json.loads(body)["files"]
                    ]
                }
            )
        if verb == "commit":
            return self._commit(repo, body, hide=hide)
        return _error(404, "not found")

    def _tree(self, request: Request, repo: Repo, revision: str, folder: str) -> Response:
        commit = repo.at(revision)
        assert commit is not None
        recursive = request.query_params.get("recursive", "").lower() == "true"
        entries = repo.tree(commit, folder, recursive=recursive)
        if entries is None:
            return _error(404, f"{folder} does not exist on {revision}", code="EntryNotFound")
        start = int(request.query_params.get("cursor", "0"))
        page = entries[start : start + self.page_size]
        headers = {}
        if start + self.page_size < len(entries):
            url = str(request.url.include_query_params(cursor=start + self.page_size))
            headers["Link"] = f'<{url.replace(self.endpoint, self.pages_at or self.endpoint, 1)}>; rel="next"'
        return JSONResponse(page, headers=headers)

    def _commit(self, repo: Repo, body: bytes, *, hide: bool) -> Response:
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        header = lines[0]["value"]
        if header.get("parentCommit", repo.head.oid) != repo.head.oid:
            return _error(412, "A commit has happened since. Please refresh and try again.")
        add: dict[str, Blob] = {}
        delete: list[str] = []
        for line in lines[1:]:
            key, value = line["key"], line["value"]
            if key == "file":
                add[value["path"]] = Blob(base64.b64decode(value["content"]))
            elif key == "lfsFile":
                if value["oid"] not in self.objects:
                    return _error(422, f"LFS object {value['oid']} was not uploaded")
                add[value["path"]] = Blob(self.objects[value["oid"]], lfs=True)
            elif key == "deletedFile":
                delete.append(value["path"])
            elif key == "deletedFolder":
                delete.append(value["path"].rstrip("/") + "/")
            else:
                return _error(400, f"unknown operation {key}")
        commit = repo.commit(header["summary"], {} if hide else add, delete=tuple(delete))
        return JSONResponse(
            {
                "success": True,
                "commitOid": commit.oid,
                "hookOutput": "",
                "commitUrl": f"{self.endpoint}/datasets/{repo.repo_id}/commit/{commit.oid}",
            }
        )

    # -- files and LFS -------------------------------------------------------------------------------------------

    def _git(self, request: Request, parts: list[str], body: bytes, caller: Token | None) -> Response:
        repo = self._visible("/".join(parts[:2]).removesuffix(".git"), caller)
        if isinstance(repo, Response):
            return repo
        if parts[2:] == ["info", "lfs", "objects", "batch"]:
            if not (caller and caller.write):
                return _error(403, f"you don't have write access to {repo.repo_id}")
            return JSONResponse(
                {
                    "transfer": "basic",
                    "objects": [
                        {"oid": row["oid"], "size": row["size"]}
                        | (
                            {}
                            if row["oid"] in self.objects
                            else {
                                "actions": {
                                    "upload": {"href": f"{self.endpoint}/_lfs/{row['oid']}?signature=do-not-print"},
                                    "verify": {"href": f"{self.endpoint}/_lfs/verify"},
                                }
                            }
                        )
                        for row in json.loads(body)["objects"]
                    ],
                }
            )
        if parts[2] != "resolve":
            return _error(404, "not found")
        commit, path = repo.at(unquote(parts[3])), unquote("/".join(parts[4:]))
        if commit is None:
            return _error(404, f"Invalid rev id: {parts[3]}", code="RevisionNotFound")
        blob = commit.files.get(path)
        if blob is None:
            return _error(404, f"{path} does not exist", code="EntryNotFound")
        headers = {
            "ETag": f'"{blob.etag}"',
            "X-Repo-Commit": commit.oid,
            "Accept-Ranges": "bytes",
            "Content-Disposition": f"inline; filename*=UTF-8''{quote(path.rsplit('/', 1)[-1])}",
        }
        if request.method == "HEAD":
            return Response(headers=headers | {"Content-Length": str(len(blob.data))})
        return Response(blob.data, headers=headers, media_type="application/octet-stream")

    def _lfs_object(self, request: Request, parts: list[str], body: bytes) -> Response:
        if parts[1] == "verify":
            row = json.loads(body)
            ok = len(self.objects.get(row["oid"], b"")) == row["size"]
            return JSONResponse({}, 200 if ok else 404)
        blob = Blob(body, lfs=True)
        if blob.sha256 != parts[1]:
            return _error(400, "the bytes do not have the announced digest")
        self.objects[blob.sha256] = body
        return Response(status_code=200)


def _error(status: int, message: str, *, code: str | None = None) -> JSONResponse:
    headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
    return JSONResponse({"error": message}, status, headers)


def main() -> None:
    """Serve as a process of its own until stdin closes."""
    parser = argparse.ArgumentParser(description="A Hub on loopback for tests and demonstrations.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--repo", action="append", default=[], help="OWNER/NAME of a dataset to create")
    parser.add_argument("--regular", action="store_true", help="store *.parquet without LFS")
    options = parser.parse_args()
    with HubServer(port=options.port, lfs=not options.regular) as hub:
        for repo_id in options.repo:
            hub.create(repo_id)
        print(json.dumps({"endpoint": hub.endpoint, "write_token": WRITE_TOKEN, "read_token": READ_TOKEN}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
