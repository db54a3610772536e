"""`ci policy`: show, check, list and adopt the file that holds all CI rules."""

from __future__ import annotations

from typing import Any

import click

from commands.ci.chosen import Chosen, choose_in, default, load, shipped_names
from commands.cli.app import App, LazyGroup, command, global_options
from commands.cli.output import table

STREAM = "policy/ci"
NEXT_APPROVAL = "another approver: perfledger ci policy adopt FILE --reason WHY --approve --sign-key KEY"


@click.group(
    "policy",
    cls=LazyGroup,
    lazy={
        "show": ("ci.policy:show", "The policy in force, or the one named."),
        "list": ("ci.policy:list_", "Policies that were adopted, and the shipped ones."),
        "check": ("ci.policy:check", "Check a policy file."),
        "schema": ("ci.policy:schema", "The JSON Schema of a policy file."),
        "adopt": ("ci.policy:adopt", "Let decisions follow a policy from now on."),
    },
)
@global_options
def policy() -> None:
    """The file that holds all CI rules; adopting one is an event."""


@command("show", reads=True)
@click.argument("name", required=False, metavar="[FILE|NAME]")
def show(app: App, name: str | None) -> None:
    """Print a policy whole, defaults included."""
    from projections.ci.policy import as_data

    if name is not None:
        chosen = load(name)
    else:
        with app.state(app.ledger()) as state:
            chosen = choose_in(state, None)
    data = as_data(chosen.policy)
    app.emit({**chosen.document(), "policy": data}, lambda: f"# {chosen.line()}\n{_yaml(data)}")


@command("list", reads=True)
def list_(app: App) -> None:
    """List the adopted policies, newest first, and the shipped ones."""
    with app.state(app.ledger()) as state:
        rows = state.rows(
            "SELECT name, digest, adopted_at, current, reason, event_id FROM policies "
            "WHERE kind = 'ci' ORDER BY adopted_at DESC, event_id DESC"
        )
    shipped = [{"name": name, "digest": load(name).digest} for name in shipped_names()]
    document = {"adopted": rows, "shipped": shipped, "default": default().document()}
    app.emit(
        document,
        lambda: "\n".join(
            [
                table(
                    ["adopted", "version", "at", "in force", "reason"],
                    [[r["name"], r["digest"][:12], r["adopted_at"], r["current"], r["reason"]] for r in rows],
                )
                if rows
                else f"none adopted; {default().line()} holds",
                table(["shipped", "version"], [[s["name"], s["digest"][:12]] for s in shipped]),
            ]
        ),
    )


@command("check")
@click.argument("name", metavar="FILE|NAME")
def check(app: App, name: str) -> None:
    """Check a policy file; exit 2 naming the field when it is not valid."""
    chosen = load(name)
    app.emit(_summary(chosen), lambda: f"{chosen.line()}: {_counts(chosen)}")


@command("schema")
def schema(app: App) -> None:
    """Print the JSON Schema of a policy file, for editors; `check` knows more rules than it can say."""
    import msgspec

    from commands.cli.output import to_json
    from projections.ci.policy import Policy

    document = msgspec.json.schema(Policy)
    app.emit(document, lambda: to_json(document))


@command("adopt")
@click.argument("name", metavar="FILE|NAME")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in a sentence.")
@click.option("--approve", is_flag=True, help="Approve it, where the policy of approvals asks for that; adopt nothing.")
@click.option("--sign-key", metavar="KEY", help="SSH key to sign the approval with.")
def adopt(app: App, name: str, reason: str, approve: bool, sign_key: str | None) -> None:
    """Let every CI decision follow this policy from now on."""
    from commands.ledger_commands import approving
    from ledger.event import NewEvent
    from ledger.events.policies import CiPolicyAdopted
    from projections.ci.approval import decision, in_force, successor
    from projections.ci.policy import as_data, regexes
    from projections.state.succession import told

    chosen = load(name)
    ledger = app.ledger()
    position = ledger.head().position
    with app.state(ledger) as state:
        before = in_force(state)
        replaces_events, number = successor(state)
    if before is not None and before.digest == chosen.digest and not before.rivals:
        app.emit(
            {**_summary(chosen), "adopted": False, "event_id": before.event_id, "in_force": before.document()},
            f"{chosen.line()} is in force already",
        )
        return
    replaces = before.digest if before else None
    what = decision(chosen.digest, replaces)
    if approve:
        counted = approving.give(ledger, what, sign_key=sign_key, hint=NEXT_APPROVAL)
        following = "perfledger ci policy adopt" if all(one.enough for one in counted) else NEXT_APPROVAL
        app.emit(
            approving.document(what, counted, ledger.actor, following=following),
            approving.line(what, counted, ledger.actor, following=following),
        )
        return
    approving.require(ledger, what, hint=NEXT_APPROVAL)
    payload = CiPolicyAdopted(
        name=chosen.policy.name,
        digest=chosen.digest,
        policy=as_data(chosen.policy),
        path=name,
        sha256=ledger.evidence.put(chosen.text, "application/yaml"),
        reason=reason,
        globs=regexes(chosen.policy),
        replaces=replaces,
        replaces_events=replaces_events,
        number=number,
    )
    receipt = ledger.append([NewEvent(stream=STREAM, payload=payload)], seen={STREAM: position})[0]
    with app.state(ledger) as state:
        now = in_force(state)
    other = told(now, receipt.event_id)
    document = {
        **_summary(chosen),
        "adopted": True,
        "event_id": receipt.event_id,
        "replaces": replaces,
        "replaces_events": replaces_events,
        "in_force": now.document() if now else None,
    }
    said = f"{chosen.line()} was adopted ({receipt.event_id}), but {other}" if other else ""
    app.emit(document, said or f"{chosen.line()} holds from now on ({receipt.event_id})")


def _summary(chosen: Chosen) -> dict[str, Any]:
    rules = chosen.policy
    return {
        **chosen.document(),
        "tiers": len(rules.tiers),
        "lanes": len(rules.lanes),
        "tags": len(rules.title.tags),
        "commands": len(rules.commands.tests),
        "conditions": len(rules.merge.conditions),
        "mode": rules.aggregates,
    }


def _counts(chosen: Chosen) -> str:
    rules = chosen.policy
    return (
        f"{len(rules.tiers)} tiers, {len(rules.lanes)} lanes, {len(rules.title.tags)} title tags, "
        f"{len(rules.commands.tests)} test names, {len(rules.merge.conditions)} merge conditions, "
        f"{rules.aggregates} aggregates"
    )


def _yaml(data: Any) -> str:
    from io import StringIO

    from ruamel.yaml import YAML

    out = StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.width = 100
    writer.dump(data, out)
    return out.getvalue().rstrip()
