"""Which approval policy is in force: the fold of all adopted ones, from what is trusted to the signed end.

It begins at the pinned policy. Without a pin it begins at the first policies of the log, which anybody who can write
the log can add to: they can make it stricter, never laxer. From there on

* a policy with allowed signers is replaced by one that as many of its own signers signed as it asks for;
* a pinned policy without signers is replaced by another pin alone;
* any other policy without signers is replaced by a stricter one, or by one adopted on this machine that as many people
  endorsed as it asks for.

A change that was signed by keys which are valid no more adds its own demands and does not end those before it. What
nothing ended holds; of two that hold, the stricter, and where neither is the stricter, both. So the answer depends on
what is known, not on the order in which it was learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ledger.identity import names
from ledger.identity.distinct import Distinct
from ledger.identity.signing import EXPIRED, GOOD, Seen
from projections.authority.policy import NONE, Policy, at_least_as_strict, strictest

ENDED, ADDED, REFUSED = "ended", "added", "refused"


@dataclass(frozen=True)
class Endorsement:
    """Somebody's word for a change of policy, by its digest. `origin`: whose log it is in."""

    digest: str
    approver: str
    signature: str = ""
    origin: str = ""


# Says whether an endorsement is signed by its approver as the policy lists them.
Verify = Callable[[Policy, Endorsement], Seen]


@dataclass(frozen=True)
class SetAside:
    """A policy of the log that is not in force and never was, with why."""

    policy: Policy
    why: str


@dataclass(frozen=True)
class Chain:
    """What holds. in_force: all of them must be satisfied. rivals: more than one that nothing ended.

    known: every policy that is or was in force, by digest. pending: changes that lack endorsements, with how many
    they have. anchor: the pinned one.
    """

    in_force: tuple[Policy, ...]
    rivals: tuple[Policy, ...] = ()
    known: Mapping[str, Policy] = field(default_factory=dict)
    set_aside: tuple[SetAside, ...] = ()
    anchor: Policy | None = None

    def covers(self, act: str) -> bool:
        """Whether a decision of this kind needs approval."""
        return any(act in policy.document.covers for policy in self.in_force)


def fold(
    policies: Sequence[Policy],
    endorsements: Iterable[Endorsement],
    *,
    own_origin: str,
    verify: Verify,
    anchor: Policy | None = None,
) -> Chain:
    """Return which policies are in force. `policies` are those of the log, of every origin, in any order."""
    words = list(endorsements)
    step = _Step(words, own_origin, verify, anchor)
    roots = [anchor] if anchor else _roots(policies)
    known = {root.digest: root for root in roots}
    waiting = [p for p in sorted(policies, key=lambda p: p.digest) if p.digest not in known]
    ended: set[str] = set()
    while True:
        ready = [p for p in waiting if p.parents and all(d in known for d in p.parents)]
        outcomes = [(p, step.outcome([known[d] for d in p.parents], p)[0]) for p in ready]
        taken = [(p, outcome) for p, outcome in outcomes if outcome != REFUSED]
        for policy, outcome in taken:
            known[policy.digest] = policy
            ended |= set(policy.parents) if outcome == ENDED else set()
        waiting = [p for p in waiting if p.digest not in known]
        if not taken:
            break
    standing = [policy for digest, policy in known.items() if digest not in ended]
    aside = tuple(SetAside(p, _why(p, known, step, anchor)) for p in waiting)
    in_force = tuple(strictest(standing)) or (NONE,)
    rivals = tuple(sorted(standing, key=lambda p: p.digest)) if len(standing) > 1 else ()
    return Chain(in_force, rivals, known, aside, anchor)


def _roots(policies: Sequence[Policy]) -> list[Policy]:
    """Return the last first policy of each origin. Each is stricter than nothing, or does not matter."""
    last: dict[str, Policy] = {}
    for policy in sorted(policies, key=lambda p: (p.origin, p.position)):
        if not policy.parents:
            last[policy.origin] = policy
    return list(last.values())


@dataclass(frozen=True)
class _Step:
    """Whether a policy replaces those it names."""

    words: list[Endorsement]
    own_origin: str
    verify: Verify
    anchor: Policy | None

    def outcome(self, parents: Sequence[Policy], change: Policy) -> tuple[str, str]:
        """Return `ended`, `added` or `refused`, and why it is the last."""
        found = [self._from(parent, change) for parent in parents]
        why = next((why for outcome, why in found if outcome == REFUSED), "")
        if why:
            return REFUSED, why
        return (ENDED if all(outcome == ENDED for outcome, _ in found) else ADDED), ""

    def _from(self, parent: Policy, change: Policy) -> tuple[str, str]:
        lineage = parent.document.lineage
        if lineage and change.document.lineage != lineage:
            return REFUSED, "it is of another ledger"
        if parent.signed:
            return self._signed(parent, change)
        if self.anchor is not None:
            return REFUSED, "the pinned policy lists no signers, so that only another pin replaces it"
        if at_least_as_strict(change, parent):
            return ENDED, ""
        if change.origin != self.own_origin:
            return REFUSED, "it is less strict, another machine adopted it, and the policy before lists no signers"
        people = {names.normal(w.approver) for w in self._for(change) if not names.fault(w.approver)}
        if len(people) < parent.needed:
            return REFUSED, f"{len(people)} of {parent.needed} people endorsed it"
        return ENDED, ""

    def _signed(self, parent: Policy, change: Policy) -> tuple[str, str]:
        good, expired, wrong = Distinct(), Distinct(), ""
        for word in self._for(change):
            seen = self.verify(parent, word)
            if seen.outcome in (GOOD, EXPIRED):
                expired.add(word.approver, seen.key)
            if seen.outcome == GOOD:
                good.add(word.approver, seen.key)
            elif not wrong:
                wrong = f"; {word.approver!a}: {seen.why or 'not signed'}"
        if len(good) >= parent.needed:
            return ENDED, ""
        if len(expired) >= parent.needed:
            return ADDED, ""
        return REFUSED, f"{len(good)} of {parent.needed} keys of the policy before signed it{wrong}"

    def _for(self, change: Policy) -> list[Endorsement]:
        return [word for word in self.words if word.digest == change.digest]


def _why(policy: Policy, known: Mapping[str, Policy], step: _Step, anchor: Policy | None) -> str:
    """Return why a policy does not count."""
    missing = [digest for digest in policy.parents if digest not in known]
    if missing:
        return f"it replaces {missing[0][:12]}, which is not in force here and never was"
    if policy.parents:
        return step.outcome([known[digest] for digest in policy.parents], policy)[1]
    return f"the policy pinned here is {anchor.digest[:12]}" if anchor else "its machine adopted another one later"
