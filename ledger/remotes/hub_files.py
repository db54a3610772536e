"""Putting files into a dataset in one commit that replaces nothing: the look and the send of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ledger.errors import Conflict
from ledger.remotes.hub import HubRepo


@dataclass(frozen=True)
class Absent:
    """The files that a commit of the dataset, `parent`, does not have yet."""

    parent: str
    paths: list[str]


@dataclass(frozen=True)
class Committed:
    """Where files landed: `revision` is a commit that holds all of them.

    parent: the commit ours was made on; None when an earlier try, or another writer, had put them all there.
    written: the paths our commit added; already: those that were there with the same bytes.
    """

    revision: str
    parent: str | None
    written: list[str]
    already: list[str]


class NewFiles:
    """Files that are to be in a dataset, all added by one commit. Existing files are never replaced.

    Raises `Unavailable` when there is no token to write with; `look` and `send` raise as `HubRepo` does.
    """

    def __init__(self, repo: HubRepo, files: Mapping[str, bytes]) -> None:
        repo.require_token()
        self.repo = repo
        self.files = files
        self._seen = ""
        self._revision: str | None = None  # a commit that certainly holds the files, once the Hub named it

    def look(self) -> Absent | None:
        """Return what is not there, or None. Raises `Conflict` (code `upload_path_taken`) for other bytes."""
        self._seen = self._revision or self.repo.head()
        there = self.repo.files_at(self._seen, self.files)
        for path, file in there.items():
            if not file.is_content(self.files[path]):
                raise _taken(self.repo, path)
        absent = [path for path in self.files if path not in there]
        return Absent(self._seen, absent) if absent else None

    def send(self, absent: Absent, *, message: str) -> Collection[str]:
        """Commit the absent files on the commit that was looked at."""
        self._revision = self.repo.commit(
            {path: self.files[path] for path in absent.paths}, parent=absent.parent, message=message
        )
        return absent.paths

    def committed(self, sent: Absent | None) -> Committed:
        """Say where they are after a look has shown them there. sent: what this run committed, if anything."""
        parent, written = (sent.parent, sent.paths) if sent else (None, [])
        return Committed(self._revision or self._seen, parent, written, [p for p in self.files if p not in written])


def _taken(repo: HubRepo, path: str) -> Conflict:
    return Conflict(
        f"{path} exists in {repo.repo_id} with other content; it was not replaced and nothing was written",
        code="upload_path_taken",
        path=path,
        repo=repo.repo_id,
        hint="look at the existing file; a record of its own needs a timestamp of its own",
    )
