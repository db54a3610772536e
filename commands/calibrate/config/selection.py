"""Which stages a `--stages` argument means."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from commands.calibrate.config.stages import Stage, StagesFile
from ledger.errors import BadInput

ALL = "ALL"


class Selection(msgspec.Struct, frozen=True):
    """The chosen stages in order, and a line that says so when the tokens were not the keys."""

    stages: tuple[Stage, ...]
    note: str | None = None


def select_stages(stages: StagesFile | Iterable[Stage], wanted: str) -> Selection:
    """Return the stages a comma list of keys, `@group`s and base names selects.

    `ALL` alone is every stage in file order. Otherwise the order is that of the tokens, then of the
    file, each stage once. Raises `BadInput` listing what is known for an unknown token.
    """
    known = list(stages)
    if wanted == ALL:
        return Selection(tuple(known))
    tokens = [token.strip() for token in wanted.split(",") if token.strip()]
    unknown = [token for token in tokens if not _meant(known, token)]
    if unknown:
        raise _unknown(known, unknown)
    chosen = dict.fromkeys(key for token in tokens for key in _meant(known, token))
    by_key = {stage.key: stage for stage in known}
    note = None
    if set(chosen) != set(tokens):
        note = f"expanded --stages {wanted!r} → {len(chosen)} stage(s): {', '.join(chosen)}"
    return Selection(tuple(by_key[key] for key in chosen), note)


def _meant(known: list[Stage], token: str) -> list[str]:
    """Return the keys that a token selects: (1) exact key, (2) `@group`, (3) base alias; first kind that fits."""
    if any(stage.key == token for stage in known):
        return [token]
    if token.startswith("@"):
        return [stage.key for stage in known if stage.group == token[1:]]
    return [stage.key for stage in known if token in stage.aliases()]


def _unknown(known: list[Stage], unknown: list[str]) -> BadInput:
    keys = sorted(stage.key for stage in known)
    bases = sorted({alias for stage in known for alias in stage.aliases()})
    groups = sorted({f"@{stage.group}" for stage in known})
    return BadInput(
        f"unknown stage token(s): {unknown}\n  stage keys: {keys}\n  test-file bases: {bases}\n  groups: {groups}",
        code="unknown_stage",
        hint="perfledger calibrate stages",
        unknown=unknown,
        stage_keys=keys,
        bases=bases,
        groups=groups,
    )


def list_stages(stages: Iterable[Stage]) -> str:
    """Return the listing of `calibrate stages`: bases with their stages, then groups."""
    known = list(stages)
    lines = ["bases:"]
    tests: dict[str, str] = {}
    members: dict[str, list[Stage]] = {}
    for stage in known:
        base = shortest(stage)
        tests.setdefault(base, stage.test)
        members.setdefault(base, []).append(stage)
    for base in sorted(members):
        lines.append(f"  {base}  ({tests[base]})")
        lines += [f"    {stage.key}  [{_traits(stage)}]" for stage in members[base]]
    lines.append("groups:")
    by_group: dict[str, list[str]] = {}
    for stage in known:
        by_group.setdefault(stage.group, []).append(stage.key)
    for group in sorted(by_group):
        keys = sorted(by_group[group])
        lines.append(f"  @{group} ({len(keys)}): {', '.join(keys)}")
    return "\n".join(lines)


def shortest(stage: Stage) -> str:
    """The shortest base name of a stage: the test file's own."""
    return min(stage.aliases(), key=len)


def _traits(stage: Stage) -> str:
    traits = [stage.group]
    if stage.calibration_preset:
        traits.append(f"preset={stage.calibration_preset}")
    if stage.gpus is not None:
        traits.append(f"gpus={stage.gpus}")
    return ", ".join(traits)
