"""Which lanes a change starts, and which file matched which pattern; which patterns of a policy match no file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from projections.ci import globs
from projections.ci.policy import Lane, Policy

MATCHES_SHOWN = 20  # of one lane; the count is always whole


class Match(msgspec.Struct, frozen=True):
    """One changed file that starts a lane. how: `glob` or `prefix`."""

    file: str
    pattern: str
    how: str


class LaneStart(msgspec.Struct, frozen=True, kw_only=True):
    """A lane that a change starts. matches: the first pattern that caught each file."""

    name: str
    tier: str
    test_type: str
    scope: str | None
    context: str
    timeout_minutes: int
    match_count: int
    matches: list[Match]


def started(policy: Policy, files: Iterable[str]) -> list[LaneStart]:
    """Return the lanes a change of these files starts, in the policy's order; none for no files."""
    names = _names(policy, files)
    starts = []
    for lane in policy.lanes:
        if lane.tier is None:
            continue
        matches = [match for name in names if (match := first_match(policy, lane, name))]
        if matches:
            starts.append(
                LaneStart(
                    name=lane.name,
                    tier=lane.tier,
                    test_type=lane.test_type,
                    scope=policy.tier(lane.tier).scope,
                    context=lane.context,
                    timeout_minutes=lane.timeout_minutes,
                    match_count=len(matches),
                    matches=matches[:MATCHES_SHOWN],
                )
            )
    return starts


def first_match(policy: Policy, lane: Lane, name: str) -> Match | None:
    """Return the first of the lane's patterns that takes this name."""
    for pattern in policy.patterns(lane):
        how = globs.match_how(pattern, name)
        if how:
            return Match(name, pattern, how)
    return None


def _names(policy: Policy, files: Iterable[str]) -> list[str]:
    """The names as the plugin sees them; with the option, a name with a space also as its pieces."""
    names = sorted(set(files) - {""})
    if not policy.split_names_on_whitespace:
        return names
    pieces = {piece for name in names for piece in name.split()}
    return sorted(pieces.union(names))


class Dead(msgspec.Struct, frozen=True):
    """A pattern of the policy that no file of the repository matches. place: the field that holds it."""

    place: str
    pattern: str


class Unwatched(msgspec.Struct, frozen=True, kw_only=True):
    """Code that a lane judges but does not watch, by folder. why: `measures` or `imports`."""

    lane: str
    test_type: str
    why: str
    folder: str
    file_count: int
    example: str


def dead_patterns(policy: Policy, repository: Sequence[str]) -> list[Dead]:
    """Return the patterns and prefixes that match nothing among the repository's tracked names."""
    places: list[tuple[str, list[str]]] = [
        *((f"tiers.{tier.name}.also_watches", tier.also_watches) for tier in policy.tiers),
        *((f"lanes.{lane.name}.watches", lane.watches) for lane in policy.lanes),
        *((f"lanes.{lane.name}.measures", lane.measures) for lane in policy.lanes),
        *((f"labels.scopes.{scope.label}", scope.prefixes) for scope in policy.labels.scopes),
    ]
    return [
        Dead(place, pattern)
        for place, patterns in places
        for pattern in patterns
        if not any(globs.match_how(pattern, name) for name in repository)
    ]


def unwatched_measures(policy: Policy, repository: Sequence[str]) -> list[Unwatched]:
    """Return what lanes say they measure but do not watch."""
    found = []
    for lane in policy.lanes:
        measured = [name for name in repository if any(globs.match_how(p, name) for p in lane.measures)]
        found += unwatched(policy, lane, measured, why="measures")
    return found


def unwatched(policy: Policy, lane: Lane, names: Iterable[str], *, why: str) -> list[Unwatched]:
    """Return those of the names that would not start the lane, grouped by folder."""
    folders: dict[str, list[str]] = {}
    for name in sorted(names):
        if first_match(policy, lane, name) is None:
            folder = "/".join(name.split("/")[:3][: max(1, name.count("/"))])
            folders.setdefault(folder if "/" in name else ".", []).append(name)
    return [
        Unwatched(
            lane=lane.name, test_type=lane.test_type, why=why, folder=folder, file_count=len(files), example=files[0]
        )
        for folder, files in folders.items()
    ]
