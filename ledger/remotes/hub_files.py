"""Putting files into a dataset in one commit that replaces nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ledger.errors import Conflict
from ledger.remotes.hub import HubRepo
from ledger.remotes.landing import Words, land
from ledger.remotes.retry import RetryPolicy, default_policy


@dataclass(frozen=True)
class Committed:
    """Where files landed: `revision` is a commit that holds all of them.

    parent: the commit ours was made on; None when an earlier try, or somebody else, had put them all there.
    written: the paths our commit added; already: those that were there with the same bytes.
    """

    revision: str
    parent: str | None
    written: list[str]
    already: list[str]


def commit_files(
    repo: HubRepo,
    files: Mapping[str, bytes],
    *,
    message: str,
    before_commit: Callable[[str], None] | None = None,
    policy: RetryPolicy | None = None,
    find_out: str = "perfledger sync push",
) -> Committed:
    """Add files to a dataset, all in one commit, and return once a look at the Hub has shown them there.

    Existing files are never replaced: the same bytes count as done, other bytes raise `Conflict` (code
    `upload_path_taken`). `before_commit(parent)` runs before every try with the commit it will be made on; it records
    the intention, and raises to stop when the world changed. It is not called when everything is there already.

    Raises what `land` raises; `find_out` is the command its hints name.
    """
    repo.require_token()
    revision: str | None = None  # a commit that certainly holds the files, once the Hub named it
    seen = ""

    def look() -> _Absent | None:
        nonlocal seen
        seen = revision or repo.head()
        there = repo.files_at(seen, files)
        for path, file in there.items():
            if not file.is_content(files[path]):
                raise _taken(repo, path)
        absent = [path for path in files if path not in there]
        return _Absent(seen, absent) if absent else None

    def write(plan: _Absent) -> None:
        nonlocal revision
        if before_commit:
            before_commit(plan.parent)
        revision = repo.commit({path: files[path] for path in plan.paths}, parent=plan.parent, message=message)

    done = land(look, write, words=Words(repo.name, repo.repo_id, find_out), policy=policy or default_policy())
    parent, written = (done.plan.parent, done.plan.paths) if done.plan else (None, [])
    return Committed(revision or seen, parent, written, [path for path in files if path not in written])


@dataclass(frozen=True)
class _Absent:
    parent: str
    paths: list[str]


def _taken(repo: HubRepo, path: str) -> Conflict:
    return Conflict(
        f"{path} exists in {repo.repo_id} with other content; it was not replaced and nothing was written",
        code="upload_path_taken",
        path=path,
        repo=repo.repo_id,
        hint="look at the existing file; a record of its own needs a timestamp of its own",
    )
