"""Putting files into a dataset in one commit: compare and swap, and look before anything is repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ledger.errors import BadInput, Conflict, OutcomeUnknown, PerfledgerError, Unavailable
from ledger.remotes.hub import HubRepo
from ledger.remotes.remote import RemoteFile
from ledger.remotes.retry import Busy, Moved, Patience, RetryPolicy, Unsure, given_up


@dataclass(frozen=True)
class Committed:
    """Where files landed: `revision` holds all of them.

    parent: the commit ours was made on; null when an earlier try, or somebody else, had put them all there.
    written: the paths our commit added; already: those that were there with the same bytes.
    """

    revision: str
    parent: str | None
    written: list[str]
    already: list[str]


def commit_files(
    repo: HubRepo, files: Mapping[str, bytes], *, message: str, before_commit: Callable[[str], None] | None = None,
    policy: RetryPolicy | None = None, find_out: str = "perfledger sync push",
) -> Committed:
    """Add files to a dataset, all in one commit, and return once a look at the Hub has shown them there.

    Existing files are never replaced: the same bytes count as done, other bytes raise `Conflict` (code
    `upload_path_taken`). `before_commit(head)` runs before every try with the commit it will be made on; it records
    the intention and raises to stop when the world changed. It is not called when everything is there already.

    Raises `OutcomeUnknown` when a try may have landed and the Hub could not be asked; `find_out` is the command
    its hint names.
    """
    repo.require_token()
    patience = Patience(policy or RetryPolicy())
    last: _Try | None = None   # our last commit, unless it is certain that it did not land
    while True:
        try:
            at = last.landed if last and last.landed else repo.head()
            absent = _absent(files, repo.files_at(at, files), repo)
            if not absent:
                return _done(files, last, at)
            if last and last.landed:
                raise _swallowed(repo, absent)
            last = None
            if before_commit:
                before_commit(at)
            last = _Try(at, absent)
            last.landed = repo.commit({path: files[path] for path in absent}, parent=at, message=message)
            continue
        except Moved as failure:
            cause: Busy | Moved = failure
            last = None
        except Unsure as failure:
            assert last is not None
            cause = last.doubt = failure
        except Busy as failure:
            cause = failure
            if last and not last.landed and not last.doubt:
                last = None   # it was refused before anything was done
        except (BadInput, Unavailable) as error:
            if last and last.doubt:
                raise _unknown(repo, last.doubt, find_out, because=error.message) from None
            raise
        if not patience.wait(cause):
            if last and last.landed:
                return _done(files, last, last.landed)   # the Hub said so; only the second look failed
            if last and last.doubt:
                raise _unknown(repo, last.doubt, find_out, because=f"it could not be asked since: it {_reason(cause)}")
            raise _out_of_patience(repo, cause, patience.tries)


@dataclass
class _Try:
    parent: str
    paths: list[str]
    landed: str | None = None
    doubt: Busy | None = None


def _done(files: Mapping[str, bytes], last: _Try | None, at: str) -> Committed:
    written = last.paths if last else []
    return Committed(at, last.parent if last else None, written, [path for path in files if path not in written])


def _absent(files: Mapping[str, bytes], there: Mapping[str, RemoteFile], repo: HubRepo) -> list[str]:
    for path, file in there.items():
        if not file.is_content(files[path]):
            raise Conflict(
                f"{path} exists in {repo.repo_id} with other content; it was not replaced and nothing was written",
                code="upload_path_taken", path=path, repo=repo.repo_id,
                hint="look at the existing file; a record of its own needs a timestamp of its own",
            )
    return [path for path in files if path not in there]


def _swallowed(repo: HubRepo, absent: list[str]) -> PerfledgerError:
    return Unavailable(
        f"the Hub accepted the commit, but {absent[0]} is not in {repo.repo_id}", code="hub_dropped_files",
        repo=repo.repo_id, paths=absent, hint="look for a rule in the dataset's .gitignore that covers this path, then run it again",
    )


def _reason(cause: Busy | Moved) -> str:
    return cause.reason if isinstance(cause, Busy) else str(cause)


def _unknown(repo: HubRepo, doubt: Busy, find_out: str, *, because: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{repo.name} {doubt.reason} while a commit to {repo.repo_id} was on its way: "
        f"it may or may not have landed ({because})",
        code="upload_unknown", repo=repo.repo_id, hint=f"{find_out} looks before it sends; nothing is ever sent twice",
    )


def _out_of_patience(repo: HubRepo, cause: Busy | Moved, tries: int) -> PerfledgerError:
    if isinstance(cause, Moved):
        return Conflict(
            f"other commits to {repo.repo_id} came first {tries} times in a row; nothing was written",
            code="remote_contended", repo=repo.repo_id, tries=tries, hint="run it again when fewer machines write",
        )
    return given_up(cause, repo.name, tries=tries)
