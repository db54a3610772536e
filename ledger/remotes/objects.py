"""A shared ledger in an object store or a shared folder: S3, GCS, Azure and plain files, through obstore.

There is no commit here that lands whole. So the order of files is the promise: evidence, then segments, then the
checkpoint, each put only where nothing is; whoever reads in between sees a shorter log, never a wrong one.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from ledger import disk
from ledger.errors import BadInput, PerfledgerError, Unavailable
from ledger.remotes.bounded import Listing, gather
from ledger.remotes.remote import Remote, RemoteFile, Snapshot, Taken, Upload, is_replaced, safe_path
from ledger.remotes.retry import Busy, RetryPolicy, Unsure
from ledger.remotes.timeout import timeout_s

if TYPE_CHECKING:
    from obstore.store import ObjectStore

LIST_CHUNK = 1000
CHUNK_BYTES = 2**20
STAGING = ".staging"  # half-written files of a shared folder; nothing reads them

Result = TypeVar("Result")

_STATUS = re.compile(r"status code: (\d{3})")
# signs that the library went to ask the cloud machine it runs on who it is
_NO_CREDENTIALS = (
    "latest/api/token",
    "latest/meta-data",
    "computemetadata",
    "169.254.169.254",
    "account must be specified",
)
_HINTS = {
    "s3": "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (AWS_ENDPOINT_URL for another S3 server)",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to a service account file",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "file": "check the folder's permissions",
}


class ObjectRemote(Remote):
    """A shared ledger below `s3://BUCKET/PREFIX`, `gs://...`, `az://ACCOUNT/CONTAINER/...` or `file:///FOLDER`."""

    def __init__(self, url: str, *, create: bool, policy: RetryPolicy) -> None:
        self.url = url.rstrip("/")
        self.policy = policy
        self.scheme, path = take_apart(url)
        self._folder = _folder_of(url, path, create=create) if self.scheme == "file" else None
        self._store = self._open()

    def snapshot(self) -> Snapshot:
        """List everything below the prefix, a thousand objects a request."""

        def look() -> dict[str, RemoteFile]:
            import obstore

            found = {}
            listing = Listing(self.url, self.limits)
            # the log first: evidence is put before the segments that cite it, so what is listed later is there
            for folder in ("log", "evidence"):
                for chunk in obstore.list(self._store, prefix=folder, chunk_size=LIST_CHUNK):
                    for meta in chunk:
                        listing.file(meta["path"])
                        found[meta["path"]] = RemoteFile(safe_path(meta["path"]), meta["size"])
            return found

        return Snapshot(self._call(look))

    def read(self, snapshot: Snapshot, path: str) -> bytes:
        """Return an object's bytes."""
        listed = snapshot.files[path]
        # a checkpoint is replaced now and then, so that its size may be another by now
        data = self._get(path, self.limits.answer_bytes if path.endswith(".json") else listed.size)
        if len(data) != listed.size and not is_replaced(path):
            raise Busy(f"sent {len(data)} bytes of {path}, its listing says {listed.size}", sent=False)
        return data

    def publish(self, snapshot: Snapshot, upload: Upload) -> None:
        """Put the files one by one where nothing is, then the checkpoint over the old one."""
        del snapshot  # every put finds out for itself whether its name is free
        for path, source in upload.additions.items():
            self._put_new(path, source.read_bytes())
        for path, data in upload.replaced.items():
            self._call(functools.partial(self._put_checkpoint, path, data), writes=True)

    def _put_new(self, path: str, data: bytes) -> None:
        from obstore.exceptions import AlreadyExistsError

        try:
            self._call(lambda: self._put_durably(path, data), writes=True)
        except AlreadyExistsError:
            # an earlier push from this ledger was killed here, or its answer was lost; or another ledger took the name
            if self._get(path, len(data)) != data:
                raise Taken(path) from None

    def _put_durably(self, path: str, data: bytes) -> None:
        import obstore

        if self._folder is None:
            obstore.put(self._store, path, data, mode="create")
            return
        # obstore does not fsync: written aside, synced, then given its name only if that is free
        aside = f"{STAGING}/{secrets.token_hex(8)}"
        obstore.put(self._store, aside, data, mode="create")
        try:
            with (self._folder / aside).open("rb") as file:
                os.fsync(file.fileno())
            obstore.rename(self._store, aside, path, overwrite=False)
            disk.fsync_directory((self._folder / path).parent)
        finally:
            with contextlib.suppress(FileNotFoundError):
                (self._folder / aside).unlink()

    def _put_checkpoint(self, path: str, data: bytes) -> None:
        import obstore

        if self._folder is None:
            obstore.put(self._store, path, data, mode="overwrite")
        else:
            disk.make_directory((self._folder / path).parent)
            disk.overwrite(self._folder / path, data)

    def _get(self, path: str, most: int) -> bytes:
        import obstore

        def get() -> bytes:
            chunks = (bytes(chunk) for chunk in obstore.get(self._store, path).stream(min_chunk_size=CHUNK_BYTES))
            return gather(chunks, most=most, what=f"bytes of {path}", limits=self.limits)

        return self._call(get)

    def _open(self) -> ObjectStore:
        try:
            from obstore.store import from_url
        except ImportError:
            raise BadInput(
                f"{self.scheme}:// remotes need the package obstore",
                code="missing_extra",
                hint="pip install 'perfledger[objects]'",
            ) from None
        if self._folder is not None:
            return from_url(self._folder.as_uri())
        plain = any(os.environ.get(name, "").startswith("http://") for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT"))
        seconds = f"{timeout_s():g}s"
        client: Any = {"timeout": seconds, "connect_timeout": "10s", **({"allow_http": True} if plain else {})}
        # few retries inside: the policy around it does the waiting
        retry: Any = {"max_retries": 1, "retry_timeout": timedelta(seconds=timeout_s())}
        with self._translated():
            return from_url(self.url, client_options=client, retry_config=retry)

    def _call(self, function: Callable[[], Result], *, writes: bool = False) -> Result:
        with self._translated(writes=writes):
            return function()

    @contextlib.contextmanager
    def _translated(self, *, writes: bool = False) -> Iterator[None]:
        """Turn obstore's errors into ours. Its texts are not shown: they can hold signed URLs."""
        from obstore import exceptions as theirs

        try:
            yield
        except theirs.AlreadyExistsError:
            raise
        except (theirs.PermissionDeniedError, theirs.UnauthenticatedError, PermissionError):
            raise self._no_access() from None
        except (theirs.NotFoundError, FileNotFoundError):
            raise self._missing() from None
        except (theirs.UnknownConfigurationKeyError, theirs.InvalidPathError) as error:
            raise BadInput(
                f"{self.url} is not a usable address ({type(error).__name__})",
                code="bad_remote_url",
                hint=_HINTS[self.scheme],
            ) from None
        except (theirs.BaseError, OSError) as error:
            raise self._generic(str(error), writes=writes) from None

    def _generic(self, text: str, *, writes: bool) -> Exception:
        found = _STATUS.search(text)
        status = int(found.group(1)) if found else None
        if any(sign in text.lower() for sign in _NO_CREDENTIALS):
            return Unavailable(
                f"no credentials for {self.url}; nothing was sent",
                code="remote_no_credentials",
                hint=_HINTS[self.scheme],
                remote=self.url,
            )
        if status in (401, 403):
            return self._no_access()
        if status == 404:
            return self._missing()
        if status is not None:
            reason = f"failed with status {status}"
        elif "timed out" in text or "timeout" in text.partition("retry_timeout")[0].lower():
            reason = f"did not answer within {timeout_s():g} s"
        elif "error sending request" in text:
            reason = "cannot be reached"
        elif "No space left" in text:
            reason = "has no space left"
        else:
            reason = "did not complete the request"
        return Unsure(reason) if writes else Busy(reason)

    def _no_access(self) -> PerfledgerError:
        return Unavailable(
            f"the credentials have no permission for this at {self.url}; nothing more was written",
            code="remote_forbidden",
            hint=_HINTS[self.scheme],
            remote=self.url,
        )

    def _missing(self) -> PerfledgerError:
        return BadInput(
            f"there is nothing at {self.url} that these credentials can see; nothing was written",
            code="remote_missing",
            hint="create the bucket first, or correct --remote",
            remote=self.url,
        )


def take_apart(url: str) -> tuple[str, str]:
    """Return (scheme, path) of an object URL, the scheme being `s3`, `gs`, `az` or `file`.

    Raises `BadInput` when the URL is malformed; a message never repeats credentials.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:  # an unclosed bracket
        raise BadInput(
            f"the address of the remote is malformed: {error}",
            code="bad_remote_url",
            hint="s3://BUCKET/PREFIX, gs://..., az://..., file:///FOLDER",
        ) from None
    scheme = "s3" if parts.scheme == "s3a" else parts.scheme
    path = unquote(parts.path)
    if scheme == "file":
        if parts.netloc not in ("", "localhost") or not path.startswith("/"):
            raise BadInput(
                f"{url!r} is not file:///FOLDER",
                code="bad_remote_url",
                hint="three slashes, then an absolute path: file:///mnt/share/perf",
            )
    elif not parts.netloc or parts.username or parts.password:
        raise BadInput(
            f"{parts.scheme}:// needs a bucket and no credentials in the URL",
            code="bad_remote_url",
            hint=f"{parts.scheme}://BUCKET/PREFIX; {_HINTS[scheme]}",
        )
    if not path.isprintable():
        raise BadInput(
            f"the path of a {scheme}:// remote has a character that cannot be seen",
            code="bad_remote_url",
            hint="rename the folder; stores take no line ends and controls in names",
        )
    if parts.query or parts.fragment:
        raise BadInput(
            f"a {scheme}:// remote has no ? and no # part, which would be no part of its path",
            code="bad_remote_url",
            hint="write ? as %3F and # as %23 where they belong to the path",
        )
    return scheme, path


def _folder_of(url: str, path: str, *, create: bool) -> Path:
    """Return the folder of a `file://` URL. It must exist: writing below an unmounted share would look like success."""
    folder = Path(path)
    if create:
        with contextlib.suppress(FileExistsError):  # a file in its place: said below
            disk.make_directory(folder)
    if not folder.is_dir():
        raise BadInput(
            f"there is no folder {folder}; nothing was written",
            code="remote_missing",
            remote=url,
            hint="mount the share, or --create makes the folder",
        )
    return folder
