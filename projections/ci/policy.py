"""The CI policy: all rules in one file, read strictly, with a digest that decisions name.

`docs/ci.md` explains every field for people who write one. Reading is strict: an unknown field, a
tier that does not exist or a context claimed by two lanes is refused with its place in the file.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal

import msgspec

from ledger import canonical
from ledger.errors import BadInput
from projections.ci import globs

FORMAT = "perfledger-ci-policy/1"

AggregateMode = Literal["strict", "observed"]
ConditionKind = Literal[
    "context", "aggregate", "approvals", "title", "not_draft", "no_conflict", "open", "label", "no_label"
]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every part of the policy file has in common: no unknown field."""


class Tier(_Part, frozen=True, kw_only=True):
    """A group of lanes that run together and may have one aggregate status.

    number: 1 is the cheapest. starts: the moments it runs at, for people. scope: TEST_SCOPE of its builds.
    aggregate: the context of its aggregate status; null for a tier whose only status is its own context.
    prefixes: contexts that belong to it. also_watches: patterns every lane of the tier watches too.
    where, takes, checks: notes for people.
    """

    name: str
    number: int
    starts: list[str]
    scope: str | None = None
    aggregate: str | None = None
    prefixes: list[str] = []
    also_watches: list[str] = []
    where: str = ""
    takes: str = ""
    checks: list[str] = []


class Lane(_Part, frozen=True, kw_only=True):
    """One test job. tier null: only started by name. timeout_minutes as configured in the tier's step.

    watches: path patterns (see `globs`). measures: patterns of the code whose behaviour the lane judges;
    `ci lint` finds files of them that the lane does not watch. common: whether it takes the tier's
    `also_watches`.
    """

    name: str
    test_type: str
    context: str
    timeout_minutes: int
    tier: str | None = None
    watches: list[str] = []
    measures: list[str] = []
    common: bool = True


class Tag(_Part, frozen=True, kw_only=True):
    """A title tag. pattern: a regular expression instead of the tag itself. label: the type label."""

    tag: str
    label: str | None = None
    pattern: str | None = None


class Title(_Part, frozen=True, kw_only=True):
    """What a title must begin with. format and examples are shown to contributors."""

    format: str
    tags: list[Tag]
    examples: list[str] = []


class Scope(_Part, frozen=True, kw_only=True):
    """A label given when any changed name begins with one of the prefixes."""

    label: str
    prefixes: list[str]


class Labels(_Part, frozen=True, kw_only=True):
    """Scope labels, and the names of the process labels."""

    scopes: list[Scope]
    ready: str = "ready"
    conflict: str = "needs-rebase"
    block: str | None = "do-not-merge"


class TestCommand(_Part, frozen=True, kw_only=True):
    """What `/test <name>` starts: TEST_TYPE and TEST_SCOPE of the build; ref overrides the branch."""

    __test__ = False  # a rule about tests, not one: pytest collects by this name

    name: str
    test_type: str
    scope: str
    ref: str | None = None


class Commands(_Part, frozen=True, kw_only=True):
    """Slash commands. place: `line` reads every line of a comment, `start` only the first one.

    several: whether all commands of a comment count or only the first. permissions: GitHub permissions that
    suffice; associations: what an author's association in the webhook must be when no permission was
    looked up.
    """

    tests: list[TestCommand]
    permissions: list[str]
    associations: list[str]
    merge: TestCommand
    place: Literal["line", "start"] = "line"
    several: Literal["all", "first"] = "all"
    reaction: str = "rocket"


class Condition(_Part, frozen=True, kw_only=True):
    """One merge condition. Which field it needs depends on `kind`; see `docs/ci.md`.

    advisory: shown, but it does not block. context: exact, or a regular expression when `pattern`.
    optional: an unreported context does not block.
    """

    id: str
    kind: ConditionKind
    context: str | None = None
    pattern: bool = False
    tier: str | None = None
    label: str | None = None
    at_least: int = 1
    advisory: bool = False
    optional: bool = False


class Merge(_Part, frozen=True, kw_only=True):
    """When a pull request may be merged, and how."""

    conditions: list[Condition]
    method: Literal["squash", "merge", "rebase"] = "squash"
    delete_branch: bool = True
    keep_branches: list[str] = []
    update_when_behind: bool = False


class Policy(_Part, frozen=True, kw_only=True):
    """A whole policy.

    aggregates: `strict` (every lane that should have started has succeeded on this very commit) or `observed`
    (all contexts of the group that were reported at all). passing_states: what counts as success.
    split_names_on_whitespace: a name with a space is also tried as its pieces, as the plugin reads it.
    """

    format: Literal["perfledger-ci-policy/1"]
    name: str
    source: str
    base_branches: list[str]
    matcher: Literal["monorepo-diff-1.4.0"]
    tiers: list[Tier]
    lanes: list[Lane]
    title: Title
    labels: Labels
    commands: Commands
    merge: Merge
    aggregates: AggregateMode = "strict"
    passing_states: list[str] = msgspec.field(default_factory=lambda: ["success"])
    split_names_on_whitespace: bool = False

    def tier(self, name: str) -> Tier:
        """Return the tier of that name, which reading has made sure of."""
        return next(tier for tier in self.tiers if tier.name == name)

    def lanes_of(self, tier: str) -> list[Lane]:
        """Return the tier's lanes in the order of the file."""
        return [lane for lane in self.lanes if lane.tier == tier]

    def patterns(self, lane: Lane) -> list[str]:
        """Return everything the lane watches, the tier's common patterns included."""
        common = self.tier(lane.tier).also_watches if lane.tier and lane.common else []
        return [*lane.watches, *common]


def digest(policy: Policy) -> str:
    """Return the version that decisions name: SHA-256 hex over the canonical JSON, defaults included."""
    return hashlib.sha256(canonical.encode(as_data(policy))).hexdigest()


def as_data(policy: Policy) -> dict[str, Any]:
    """Return the policy as plain JSON values, defaults included."""
    data: dict[str, Any] = msgspec.to_builtins(policy)
    return data


def regexes(policy: Policy) -> list[dict[str, str]]:
    """Return every path pattern with a `*` and the regular expression it means, sorted by pattern."""
    patterns = {p for lane in policy.lanes for p in (*policy.patterns(lane), *lane.measures) if "*" in p}
    return [{"pattern": pattern, "regex": globs.to_regex(pattern)} for pattern in sorted(patterns)]


def from_data(data: Any, *, where: str) -> Policy:
    """Return the checked policy. `where` names the file in errors. Raises `BadInput`."""
    try:
        policy = msgspec.convert(data, Policy)
    except msgspec.ValidationError as error:
        raise _bad(where, str(error)) from None
    _check(policy, where)
    return policy


def from_yaml(text: str, *, where: str) -> Policy:
    """Read a policy from YAML (or JSON, which is YAML). Raises `BadInput` naming file and field."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise _bad(where, f"not readable as YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise _bad(where, "nested too deeply") from None
    return from_data(data, where=where)


def _check(policy: Policy, where: str) -> None:
    """Refuse what the types cannot: names that do not exist or exist twice, patterns that cannot be read."""
    tiers = {tier.name for tier in policy.tiers}
    _unique(where, "tiers[].name", [tier.name for tier in policy.tiers])
    _unique(where, "lanes[].name", [lane.name for lane in policy.lanes])
    _unique(where, "lanes[].test_type", [lane.test_type for lane in policy.lanes])
    _unique(where, "lanes[].context", [lane.context for lane in policy.lanes])
    _unique(where, "title.tags[].tag", [tag.tag for tag in policy.title.tags])
    _unique(where, "labels.scopes[].label", [scope.label for scope in policy.labels.scopes])
    _unique(where, "commands.tests[].name", [test.name for test in policy.commands.tests])
    _unique(where, "merge.conditions[].id", [rule.id for rule in policy.merge.conditions])
    for index, lane in enumerate(policy.lanes):
        place = f"lanes[{index}]"
        if lane.tier is not None:
            if lane.tier not in tiers:
                raise _bad(where, f"{place}.tier: there is no tier {lane.tier!r}")
            prefixes = tuple(policy.tier(lane.tier).prefixes)
            if policy.tier(lane.tier).aggregate and not lane.context.startswith(prefixes):
                raise _bad(
                    where,
                    f"{place}.context: {lane.context!r} has no prefix of tier {lane.tier!r}, "
                    "so its aggregate would never see it",
                )
        if lane.timeout_minutes <= 0:
            raise _bad(where, f"{place}.timeout_minutes: must be above 0")
        for pattern in (*policy.patterns(lane), *lane.measures):
            _readable_pattern(where, place, pattern)
    for index, tag in enumerate(policy.title.tags):
        _readable_regex(where, f"title.tags[{index}].pattern", tag.pattern)
    for index, rule in enumerate(policy.merge.conditions):
        _check_condition(policy, rule, where, f"merge.conditions[{index}]")
    known = {lane.test_type for lane in policy.lanes} | {tier.name for tier in policy.tiers} | {"all"}
    for index, test in enumerate(policy.commands.tests):
        if test.test_type not in known:
            raise _bad(where, f"commands.tests[{index}].test_type: no lane has the TEST_TYPE {test.test_type!r}")
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", test.name):
            raise _bad(where, f"commands.tests[{index}].name: {test.name!r} is not one lower-case word")


def _check_condition(policy: Policy, rule: Condition, where: str, place: str) -> None:
    """Each kind of condition needs its own field."""
    needed = {"context": "context", "aggregate": "tier", "label": "label", "no_label": "label"}.get(rule.kind)
    if needed and not getattr(rule, needed):
        raise _bad(where, f"{place}: a condition of kind {rule.kind} needs the field {needed}")
    if rule.kind == "aggregate" and rule.tier not in {tier.name for tier in policy.tiers if tier.aggregate}:
        raise _bad(where, f"{place}.tier: there is no tier {rule.tier!r} with an aggregate")
    if rule.kind == "context" and rule.pattern:
        _readable_regex(where, f"{place}.context", rule.context)
    if rule.at_least < 1:
        raise _bad(where, f"{place}.at_least: must be 1 or more")


def _readable_pattern(where: str, place: str, pattern: str) -> None:
    if not pattern:
        raise _bad(where, f"{place}: an empty pattern would match every file")
    try:
        globs.to_regex(pattern)
        globs.match_how(pattern, "probe")
    except BadInput as error:
        raise _bad(where, f"{place}: {error.message}") from None
    except re.error as error:
        raise _bad(where, f"{place}: the pattern {pattern!r} cannot be read: {error}") from None


def _readable_regex(where: str, place: str, pattern: str | None) -> None:
    if re.search(r"\(\?[=!<P]|\\[1-9]", pattern or ""):
        # the same expression is read by RE2 in SQL, which has neither and never takes exponential time
        raise _bad(where, f"{place}: {pattern!r} uses a lookaround or a backreference, which is not supported here")
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise _bad(where, f"{place}: {pattern!r} is not a regular expression: {error}") from None


def _unique(where: str, place: str, values: list[str]) -> None:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise _bad(where, f"{place}: {', '.join(map(repr, twice))} is listed twice")


def _bad(where: str, fault: str) -> BadInput:
    return BadInput(
        f"{where}: {fault}",
        code="bad_ci_policy",
        hint="correct the file and run `perfledger ci policy check FILE`",
        file=where,
    )
