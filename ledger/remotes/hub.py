"""A Hugging Face dataset repository: look, read and commit, one request each, and a shared ledger in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ledger.errors import BadInput
from ledger.limits import LIMITS
from ledger.remotes import hub_session
from ledger.remotes.bounded import Listing, gather
from ledger.remotes.hub_access import HubAccess, access_to
from ledger.remotes.remote import Remote, RemoteFile, Snapshot, Taken, Upload, safe_path
from ledger.remotes.retry import Busy, RetryPolicy, Unsure, asking
from ledger.remotes.timeout import timeout_s

if TYPE_CHECKING:
    from huggingface_hub import HfApi

BRANCH = "main"
PATHS_PER_REQUEST = 1000
_URL = re.compile(r"hf://datasets/([^/\s]+)/([^/\s@]+)(?:/(.*))?")
# what the Hub takes as a name: no `--`, no `..`, no dot or dash at an end
_NAME = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
REPO_ID_LENGTH_MAX = 96

Result = TypeVar("Result")


@dataclass(frozen=True)
class DatasetUrl:
    """`hf://datasets/OWNER/NAME[/PREFIX]`, taken apart. `prefix` has no slash at either end."""

    repo_id: str
    prefix: str

    @classmethod
    def parse(cls, url: str) -> DatasetUrl:
        """Take a URL apart. Raises `BadInput` when it is not of that form."""
        found = _URL.fullmatch(url.strip())
        owner, name, prefix = found.groups(default="") if found else ("", "", "")
        if not _is_repo(owner, name):
            raise BadInput(
                f"{url!r} is not hf://datasets/OWNER/NAME[/PREFIX]",
                code="bad_remote_url",
                hint="for example hf://datasets/my-org/perf-ledger",
            )
        prefix = prefix.strip("/")
        if prefix and any(part in ("", ".", "..") for part in prefix.split("/")):
            raise BadInput(
                f"{url!r}: {prefix!r} is not a folder of the dataset",
                code="bad_remote_url",
                hint=f"for example hf://datasets/{owner}/{name}/team/perf",
            )
        return cls(f"{owner}/{name}", prefix)

    def __str__(self) -> str:
        return f"hf://datasets/{self.repo_id}" + (f"/{self.prefix}" if self.prefix else "")


def _is_repo(owner: str, name: str) -> bool:
    whole = len(owner) + 1 + len(name) <= REPO_ID_LENGTH_MAX
    return whole and not name.endswith(".git") and all(_NAME.fullmatch(part) for part in (owner, name))


class HubRepo:
    """One dataset repository. Each method is one look or one write; none repeats itself.

    Raises `Busy` for what may pass, `Moved` for a lost race, `Unsure` for a write whose answer was lost, and a
    `PerfledgerError` with its own sentence for a token, permission or repository that is wrong.
    """

    def __init__(self, repo_id: str, *, token: str | None = None, access: HubAccess | None = None) -> None:
        self.repo_id = repo_id
        self.access = access or access_to(repo_id)
        self.token = token if token is not None else self.access.token
        self.endpoint = self.access.endpoint
        self.limits = LIMITS
        self._api: HfApi | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"the Hub ({self.endpoint})"

    def require_token(self) -> None:
        """Refuse to start a write that cannot end well. Raises `Unavailable` (exit 4) when no token is set."""
        if self.token is None:
            raise hub_session.no_token(self.repo_id, self.endpoint, withheld=self.access.withheld)

    def create(self) -> None:
        """Create the repository, private, unless it exists."""
        self.require_token()
        self._call(lambda api: api.create_repo(self.repo_id, repo_type="dataset", private=True, exist_ok=True))

    def head(self) -> str:
        """Return the commit id of the newest commit of the branch."""
        info = self._call(
            lambda api: api.repo_info(self.repo_id, repo_type="dataset", revision=BRANCH, timeout=timeout_s())
        )
        return str(info.sha)

    def tree(self, revision: str, under: str = "") -> dict[str, RemoteFile]:
        """Return every file below a folder at a commit, by path in the repository; empty when there is none."""
        from huggingface_hub.errors import EntryNotFoundError

        def look(api: HfApi) -> dict[str, RemoteFile]:
            listing = Listing(self.repo_id, self.limits)
            entries = api.list_repo_tree(
                self.repo_id, path_in_repo=under or None, recursive=True, revision=revision, repo_type="dataset"
            )
            with hub_session.at_home(self.endpoint), hub_session.on_each_get(listing.page):
                try:
                    return _files(entries, listing)
                except EntryNotFoundError:
                    return {}

        return self._call(look)

    def files_at(self, revision: str, paths: Iterable[str]) -> dict[str, RemoteFile]:
        """Return those of `paths` that exist at a commit. One request per thousand paths."""
        wanted = list(paths)
        found: dict[str, RemoteFile] = {}
        for start in range(0, len(wanted), PATHS_PER_REQUEST):
            part = wanted[start : start + PATHS_PER_REQUEST]
            found |= _files(
                self._call(
                    lambda api, part=part: api.get_paths_info(  # type: ignore[misc]
                        self.repo_id, part, revision=revision, repo_type="dataset"
                    )
                )
            )
        return found

    def read(self, revision: str, file: RemoteFile) -> bytes:
        """Return a file's bytes at a commit. Raises `Busy` when they are not what the tree says they are."""

        def get(_: HfApi) -> bytes:
            from huggingface_hub import get_session, hf_hub_url, hf_raise_for_status

            url = hf_hub_url(self.repo_id, file.path, repo_type="dataset", revision=revision, endpoint=self.endpoint)
            # not hf_hub_download: that asks twice per file and keeps a cache; the digest of the tree is checked here
            headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
            with get_session().stream("GET", url, headers=headers) as response:
                if response.is_error:
                    response.read()
                hf_raise_for_status(response)
                what = f"bytes of {file.path}"
                return gather(response.iter_bytes(), most=file.size, what=what, limits=self.limits)

        data = self._call(get)
        if not file.is_content(data):
            raise Busy(f"sent other bytes for {file.path} than its tree names", sent=False)
        return data

    def commit(self, additions: Mapping[str, bytes | Path], *, parent: str, message: str) -> str:
        """Add files in one commit on `parent` and return the new commit's id.

        All land or none. Whoever calls has looked at `parent` and found none of these paths, or means to replace them.
        """
        from huggingface_hub import CommitOperationAdd

        self.require_token()
        operations = [
            CommitOperationAdd(path, data if isinstance(data, bytes) else str(data)) for path, data in additions.items()
        ]
        try:
            made = self._call(
                lambda api: api.create_commit(
                    self.repo_id,
                    operations,
                    commit_message=message,
                    repo_type="dataset",
                    revision=BRANCH,
                    parent_commit=parent,
                )
            )
        except Busy as failure:
            if failure.sent:
                raise Unsure(failure.reason, retry_after=failure.retry_after) from None
            raise
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            # the library's own failures (a malformed answer, its large-file transfer): only a look tells what landed
            raise Unsure(
                f"did not complete the upload ({type(error).__name__}; HF_HUB_DISABLE_XET=1 sends large files "
                "over plain HTTP)"
            ) from None
        return str(made.oid)

    def _call(self, function: Callable[[HfApi], Result]) -> Result:
        hub_session.prepare()
        hub_session.bind(self.token, self.endpoint)
        if self._api is None:
            from huggingface_hub import HfApi

            # token=False: without a token of the ledger send none, never the one another tool left in the home folder
            self._api = HfApi(endpoint=self.endpoint, token=self.token or False, library_name="perfledger")
        try:
            return function(self._api)
        except Exception as error:  # noqa: BLE001  (every library error becomes a PerfledgerError or goes on)
            hub_session.raise_translated(
                error, self.repo_id, token=self.token, at=self.endpoint, withheld=self.access.withheld
            )


def _files(entries: Iterable[Any], listing: Listing | None = None) -> dict[str, RemoteFile]:
    """Turn the library's listing into ours; folders have no blob id."""
    found = {}
    for entry in entries:
        if listing is not None:
            listing.file(entry.path)
        if hasattr(entry, "blob_id"):
            lfs = entry.lfs
            size = lfs.size if lfs else entry.size
            if not isinstance(size, int):
                raise ValueError("a size that is no number")
            found[entry.path] = RemoteFile(
                path=safe_path(entry.path),
                size=size,
                git_sha1=None if lfs else entry.blob_id,
                sha256=lfs.sha256 if lfs else None,
            )
    return found


class HubRemote(Remote):
    """A shared ledger in a dataset repository. A push is one commit, made on the commit that was looked at.

    Hubs time out on commits of very many files, so the first push of a long history may be several.
    """

    files_per_write = 500

    def __init__(self, url: str, *, create: bool, policy: RetryPolicy, access: HubAccess | None = None) -> None:
        parsed = DatasetUrl.parse(url)
        self.url = str(parsed)
        self.policy = policy
        self.repo = HubRepo(parsed.repo_id, access=access)
        self.address = self.repo.access.address
        self._prefix = f"{parsed.prefix}/" if parsed.prefix else ""
        if create:
            asking(self.repo.create, policy, name=self.repo.name)

    def require_write_access(self) -> None:
        """Refuse a push without a token."""
        self.repo.require_token()

    def snapshot(self) -> Snapshot:
        """Return the tree below the prefix at the newest commit."""
        self.repo.limits = self.limits
        revision = self.repo.head()
        files = self.repo.tree(revision, self._prefix.rstrip("/"))
        cut = len(self._prefix)
        return Snapshot({path[cut:]: replace(file, path=path[cut:]) for path, file in files.items()}, revision)

    def read(self, snapshot: Snapshot, path: str) -> bytes:
        """Return a file's bytes at the snapshot's commit."""
        assert snapshot.revision is not None
        file = snapshot.files[path]
        return self.repo.read(snapshot.revision, replace(file, path=self._prefix + path))

    def publish(self, snapshot: Snapshot, upload: Upload) -> str:
        """Add everything and the checkpoint in one commit on the snapshot's revision."""
        assert snapshot.revision is not None
        files: dict[str, bytes | Path] = {}
        for path, source in upload.additions.items():
            there = snapshot.files.get(path)
            if there is None:
                files[self._prefix + path] = source
            elif not there.is_content(source.read_bytes()):
                raise Taken(path)
        files |= {self._prefix + path: data for path, data in upload.replaced.items()}
        return self.repo.commit(files, parent=snapshot.revision, message=upload.message)
