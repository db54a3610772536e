"""What the ledger knows of a pull request or a commit, read from the state as inputs of the gate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ledger import canonical
from ledger.errors import BadInput
from projections.ci.gate import ChangeSeen, Input, Known, PullSeen, ReviewSeen
from projections.ci.statuses import Report

if TYPE_CHECKING:
    from projections.state.state import State

# The facts are read as of the moment the state is at; `judge` then folds them in the order they were learned.
_MOMENT = "learned_at <= CAST($as_of AS TIMESTAMPTZ) AND recorded_at <= CAST($as_recorded AS TIMESTAMPTZ)"


def _rows(state: State, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    moment = {"as_of": state.as_of, "as_recorded": state.as_recorded}
    return state.rows(sql, {**{k: v for k, v in moment.items() if f"${k}" in sql}, **parameters})


def find_repository(state: State, repository: str | None, number: int) -> str:
    """Return the repository of a pull request. Raises `BadInput` when none or several have that number."""
    rows = state.rows(
        "SELECT repository FROM pull_requests WHERE number = $number ORDER BY repository", {"number": number}
    )
    known = [row["repository"] for row in rows]
    if repository is not None:
        known = [name for name in known if name.lower() == repository.lower()]
    if not known:
        raise BadInput(
            f"pull request {repository or ''}#{number} was never seen here",
            code="no_such_pull_request",
            hint="let GitHub send pull_request webhooks to `perfledger serve`, or use --file",
            number=number,
        )
    if len(known) > 1:
        raise BadInput(
            f"#{number} exists in {', '.join(known)}",
            code="ambiguous_pull_request",
            hint=f"{known[0]}#{number}",
            number=number,
        )
    return str(known[0])


def of_pull(state: State, repository: str, number: int) -> list[Known]:
    """Return everything known of one pull request and its commits, in the order it was learned."""
    found = list(of_pulls(state, repository, number))
    return found[0] if found else []


def of_pulls(state: State, repository: str | None = None, number: int | None = None) -> Iterator[list[Known]]:
    """Yield, for every pull request (or the one named), everything known of it and its commits, as it was learned."""
    which = {"repository": repository, "number": number} if repository is not None else {}
    named = "repository = $repository AND number = $number AND " if which else ""
    pulls = _by_pull(_rows(state, f"SELECT * FROM fact_pull_request WHERE {named}{_MOMENT}", **which), _pull)
    reviews = _by_pull(_rows(state, f"SELECT * FROM fact_review WHERE {named}{_MOMENT}", **which), _review)
    heads = {pull: {one.input.head_sha for one in seen} for pull, seen in pulls.items()}
    commits: dict[str, list[Known]] = {}
    for one in of_commits(state, sorted(set().union(*heads.values()))):
        commits.setdefault(one.input.sha, []).append(one)
    for pull, seen in sorted(pulls.items()):
        of_heads = (one for sha in heads[pull] for one in commits.get(sha, []))
        yield sorted([*seen, *reviews.get(pull, []), *of_heads], key=_learned)


def _by_pull(rows: list[dict[str, Any]], read: Any) -> dict[tuple[str, int], list[Any]]:
    found: dict[tuple[str, int], list[Any]] = {}
    for row in rows:
        found.setdefault((row["repository"], row["number"]), []).extend(_known([row], read))
    return found


def of_commits(state: State, shas: list[str]) -> list[Any]:
    """Return the reports and changed files known of some commits."""
    reports = state.rows("SELECT * FROM check_reports WHERE sha IN (SELECT unnest($shas))", {"shas": shas})
    changes = _rows(state, f"SELECT * FROM fact_change WHERE sha IN (SELECT unnest($shas)) AND {_MOMENT}", shas=shas)
    return sorted([*_known(reports, _report), *_known(changes, _change)], key=_learned)


def _known(rows: list[dict[str, Any]], read: Any) -> list[Known]:
    return [Known(input=read(row), learned_at=row["learned_at"]) for row in rows]


def _learned(known: Known) -> tuple[str, str, str]:
    return (known.learned_at, known.input.recorded_at, known.input.event_id)


def _report(row: dict[str, Any]) -> Input:
    return Report(
        sha=row["sha"],
        context=row["context"],
        part=row["part"],
        state=row["state"],
        at=row["reported_at"],
        event_id=row["event_id"],
        recorded_at=row["recorded_at"],
        remote_id=row["remote_id"],
        source=row["source"],
        description=row["description"] or "",
        target_url=row["target_url"],
    )


def _change(row: dict[str, Any]) -> Input:
    return ChangeSeen(
        sha=row["sha"], files=canonical.decode(row["files"]), event_id=row["event_id"], recorded_at=row["recorded_at"]
    )


def _review(row: dict[str, Any]) -> Input:
    return ReviewSeen(
        reviewer=row["reviewer"],
        state=row["state"],
        at=row["submitted_at"],
        event_id=row["event_id"],
        recorded_at=row["recorded_at"],
        review_id=row["review_id"],
        sha=row["sha"],
    )


def _pull(row: dict[str, Any]) -> Input:
    return PullSeen(
        repository=row["repository"],
        number=row["number"],
        title=row["title"],
        state=row["state"],
        head_sha=row["head_sha"],
        event_id=row["event_id"],
        at=row["seen_at"],
        recorded_at=row["recorded_at"],
        draft=row["draft"],
        merged=row["merged"],
        mergeable=row["mergeable"],
        mergeable_state=row["mergeable_state"],
        labels=canonical.decode(row["labels"]),
        author=row["author"],
        head_ref=row["head_ref"],
        base_ref=row["base_ref"],
    )


def resolve_sha(state: State, sha: str) -> str:
    """Return the one commit that begins with `sha`. Raises `BadInput` when none or several do."""
    rows = state.rows(
        "SELECT DISTINCT sha FROM (SELECT sha FROM checks UNION SELECT sha FROM fact_change "
        "UNION SELECT head_sha AS sha FROM pull_requests) WHERE starts_with(sha, $sha) ORDER BY sha LIMIT 5",
        {"sha": sha},
    )
    known = [str(row["sha"]) for row in rows]
    if sha in known or not known:
        return sha
    if len(known) > 1:
        raise BadInput(
            f"{sha} is the beginning of several commits: {', '.join(known)}",
            code="ambiguous_sha",
            hint="give the full sha",
            sha=sha,
        )
    return known[0]
