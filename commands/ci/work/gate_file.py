"""A pull request described in a file: its fields, reports, reviews and changed files as inputs of the gate."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec

from commands.ci.work import names
from ledger.errors import BadInput
from ledger.identifiers import format_time, parse_time
from ledger.outside.files import read_bytes
from projections.ci.gate import ChangeSeen, Known, PullSeen, ReviewSeen
from projections.ci.statuses import Report


class FileStatus(msgspec.Struct, kw_only=True):
    """One report in the file; sha defaults to the head. Of two with one time and id the later line counts."""

    context: str
    state: str
    sha: str | None = None
    at: str | None = None
    id: int = 0
    description: str | None = None


class FileReview(msgspec.Struct, kw_only=True):
    """One review in the file."""

    reviewer: str
    state: str
    at: str | None = None


class FilePull(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The file: a pull request, what was reported of it, and what it changes.

    conflict: true, false, or null when not known. approvals: a number, or names, instead of reviews.
    changed_files: null when not known; an aggregate is then only green when it is given as a status itself.
    """

    title: str
    head_sha: str = "0" * 40
    repository: str = "local/file"
    number: int = 1
    state: str = "open"
    draft: bool = False
    merged: bool = False
    conflict: bool | None = None
    mergeable: bool | None = None
    mergeable_state: str | None = None
    head_ref: str = ""
    base_ref: str = ""
    labels: list[str] = []
    author: str = ""
    approvals: int = 0
    reviews: list[FileReview] = []
    statuses: list[FileStatus] = []
    changed_files: list[str] | None = None


def read(file: str) -> list[Known]:
    """Read a described pull request. Raises `BadInput` naming file and field."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = sys.stdin.buffer.read() if file == "-" else read_bytes(file)
        text = data.decode("utf-8")
        pull = msgspec.convert(_plain(YAML(typ="safe", pure=True).load(text)), FilePull)
    except UnicodeDecodeError:
        raise _bad(file, "not UTF-8") from None
    except RecursionError:
        raise _bad(file, "nested too deeply, or contains itself") from None
    except YAMLError as error:
        raise _bad(file, f"not readable as JSON or YAML: {' '.join(str(error).split())}") from None
    except msgspec.ValidationError as error:
        raise _bad(file, str(error)) from None
    return inputs(pull, file)


def inputs(pull: FilePull, file: str) -> list[Known]:
    """Return the inputs of a described pull request, in the order of their times, then of the file.

    Raises `BadInput` naming `file` and the field of an invalid commit, state or time.
    """
    head = _value(file, "head_sha", names.commit, pull.head_sha)
    found: list[Known] = [_known(_pull(pull, head), "")]
    if pull.changed_files is not None:
        files = sorted(set(pull.changed_files))
        found.append(_known(ChangeSeen(sha=head, files=files, event_id="file:changed_files"), ""))
    for nth in range(pull.approvals):
        approval = ReviewSeen(
            reviewer=f"approval {nth + 1}", state="approved", at="", event_id=f"file:approvals[{nth}]"
        )
        found.append(_known(approval, ""))
    for nth, review in enumerate(pull.reviews):
        at = _value(file, f"reviews[{nth}].at", _time, review.at or "")
        said = ReviewSeen(
            reviewer=review.reviewer,
            state=review.state.lower(),
            at=at,
            recorded_at=f"{nth:06d}",
            event_id=f"file:reviews[{nth}]",
        )
        found.append(_known(said, at))
    for nth in range(len(pull.statuses)):
        report = _report(pull, nth, file, head)
        found.append(_known(report, report.at))
    return sorted(found, key=lambda known: known.learned_at)


def _pull(pull: FilePull, head: str) -> PullSeen:
    return PullSeen(
        repository=pull.repository,
        number=pull.number,
        title=pull.title,
        state=pull.state,
        head_sha=head,
        event_id="file:pull",
        at="",
        draft=pull.draft,
        merged=pull.merged,
        mergeable=pull.mergeable if pull.conflict is None else not pull.conflict,
        labels=pull.labels,
        author=pull.author,
        mergeable_state=pull.mergeable_state,
        head_ref=pull.head_ref,
        base_ref=pull.base_ref,
    )


def _report(pull: FilePull, nth: int, file: str, head: str) -> Report:
    status, field = pull.statuses[nth], f"statuses[{nth}]"
    return Report(
        sha=_value(file, f"{field}.sha", names.commit, status.sha) if status.sha else head,
        context=status.context,
        state=_value(file, f"{field}.state", names.state, status.state),
        at=_value(file, f"{field}.at", _time, status.at or ""),
        recorded_at=f"{nth:06d}",
        event_id=f"file:statuses[{nth}]",
        remote_id=status.id,
        description=status.description or "",
    )


def _known(seen: Any, at: str) -> Known:
    return Known(input=seen, learned_at=at)


def _value(file: str, field: str, read_value: Callable[[str], str], text: str) -> str:
    """What a field's text means, or the refusal of its reader with the file and the field before it."""
    try:
        return read_value(text)
    except BadInput as error:
        raise BadInput(
            f"{file}: {field}: {error.message}",
            code=error.code,
            hint=error.hint,
            **{**error.details, "file": file, "field": field},
        ) from None


def _time(text: str) -> str:
    return format_time(parse_time(text)) if text else ""


def _plain(data: Any) -> Any:
    """Take the shapes of GitHub's API too: `head.sha`, label and reviewer objects, `updated_at`."""
    if not isinstance(data, dict):
        return data
    pull = dict(data)
    if isinstance(pull.get("head"), dict):
        # an answer of GitHub's API: it has many fields more than a merge decision needs
        pull.setdefault("head_sha", pull["head"].get("sha"))
        pull.setdefault("head_ref", pull["head"].get("ref") or "")
        pull.setdefault("base_ref", _first(pull.get("base"), "ref") or "")
        pull.setdefault("author", _first(pull.get("user"), "login") or "")
        known = {field.name for field in msgspec.structs.fields(FilePull)} | {"files"}
        pull = {name: value for name, value in pull.items() if name in known}
        if not isinstance(pull.get("changed_files"), list):
            pull.pop("changed_files", None)  # there it is a count
    for ours, theirs in (("head_sha", "sha"), ("statuses", "checks")):
        if theirs in pull:
            pull.setdefault(ours, pull.pop(theirs))
    if isinstance(pull.get("approvals"), list):
        given = [{"reviewer": _first(item, "login"), "state": "approved"} for item in pull.pop("approvals")]
        pull["reviews"] = [*(pull.get("reviews") or []), *given]
    if isinstance(pull.get("statuses"), dict):
        pull["statuses"] = [{"context": context, "state": state} for context, state in pull["statuses"].items()]
    for name in ("labels", "changed_files"):
        if isinstance(pull.get(name), list):
            pull[name] = [_first(item, "name", "filename", "path") for item in pull[name]]
    if "files" in pull:
        files = pull.pop("files") or []
        named = [_first(item, "filename", "path") for item in files] if isinstance(files, list) else files
        pull.setdefault("changed_files", named)
    for name in ("reviews", "statuses"):
        if isinstance(pull.get(name), list):
            pull[name] = [_renamed(item) for item in pull[name]]
    if isinstance(pull.get("author"), dict):
        pull["author"] = pull["author"].get("login", "")
    return pull


def _renamed(item: Any) -> Any:
    """One review or status with the names this file format uses."""
    if not isinstance(item, dict):
        return item
    row = dict(item)
    for ours, theirs in (("at", ("updated_at", "created_at", "submitted_at")), ("reviewer", ("user", "author"))):
        for name in theirs:
            if name in row:
                row.setdefault(ours, _first(row.pop(name), "login"))
    if row.get("at") is not None:
        row["at"] = str(row["at"])  # YAML reads a bare time as one
    return row


def _first(item: Any, *keys: str) -> Any:
    if isinstance(item, dict):
        return next((item[key] for key in keys if key in item), item)
    return item


def _bad(file: str, fault: str) -> BadInput:
    return BadInput(
        f"{file}: {fault}",
        code="bad_pull_request_file",
        hint="docs/ci.md shows the fields: title, head_sha, changed_files, statuses, reviews, labels, ...",
        file=file,
    )
