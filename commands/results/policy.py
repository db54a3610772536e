"""`perfledger policy`: show, check and adopt the metric policy results are judged by."""

from __future__ import annotations

from typing import Any

import click

from commands.cli.app import App, command, global_options
from ledger.event import NewEvent
from ledger.outside.files import read_bytes
from projections.results.metric_policy import MetricPolicy, read_policy_file

STREAM = "policy/metrics"


@click.group("policy")
@global_options
def policy() -> None:
    """The metric policy: limits per metric, the window's length, and the rules of a comparison."""


@command("show", reads=True)
@click.option("--default", "built_in", is_flag=True, help="The built-in policy instead of the one in force.")
def show(app: App, built_in: bool) -> int:
    """Print the policy in force as YAML, every limit and rule spelled out: a file to start from."""
    adopted: MetricPolicy | None = None
    if not built_in:
        from projections.results.window import adopted_policy

        with app.state(app.ledger()) as state:
            adopted = adopted_policy(state)
    chosen = adopted or MetricPolicy()
    app.emit({"policy": chosen.as_dict(), "digest": chosen.digest()}, lambda: as_yaml(chosen.as_dict()))
    return 0


@command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
def check_file(app: App, file: str) -> int:
    """Say whether FILE is a policy, and what it changes of the built-in one."""
    chosen = read_policy_file(file)
    changes = differences(MetricPolicy().as_dict(), chosen.as_dict())
    lines = [f"{file}: a policy; digest {chosen.digest()[:12]}"]
    changed = [f"  {name}: {old} -> {new}" for name, (old, new) in changes.items()]
    lines += changed or ["  the same as the built-in one"]
    app.emit(
        {"file": file, "digest": chosen.digest(), "policy": chosen.as_dict(), "changes": changes}, "\n".join(lines)
    )
    return 0


@command("adopt")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--reason", required=True, metavar="TEXT", help="Why results are judged by it from now on.")
def adopt(app: App, file: str, reason: str) -> int:
    """Judge by FILE from now on, wherever no other policy is named. What was judged stays as it was."""

    from ledger.events.policies import MetricPolicyAdopted
    from projections.results.window import adopted_policy
    from projections.state.succession import in_force, successor, told

    chosen = read_policy_file(file)
    ledger = app.ledger()
    position = ledger.head().position
    with app.state(ledger) as state:
        before = adopted_policy(state)
        replaces, number = successor(state, "metric")
    digest = ledger.evidence.put(read_bytes(file), "application/yaml")
    payload = MetricPolicyAdopted(
        name=chosen.name,
        policy=chosen.as_dict(),
        digest=chosen.digest(),
        sha256=digest,
        reason=reason,
        replaces_events=replaces,
        number=number,
    )
    receipt = ledger.append([NewEvent(stream=STREAM, payload=payload)], seen={STREAM: position})[0]
    with app.state(ledger) as state:
        now = in_force(state, "metric")
    changes = differences(before.as_dict(), chosen.as_dict())
    lines = [f"adopted {chosen.name} ({chosen.digest()[:12]})"]
    lines += [f"  {name}: {old} -> {new}" for name, (old, new) in changes.items()] or ["  nothing changes"]
    lines += [f"but {said}" for said in [told(now, receipt.event_id)] if said]
    document = {
        "event_id": receipt.event_id,
        "digest": chosen.digest(),
        "changes": changes,
        "replaces_events": replaces,
        "in_force": now.document() if now else None,
    }
    app.emit(document, "\n".join(lines))
    return 0


policy.add_command(show)
policy.add_command(check_file)
policy.add_command(adopt)


def differences(old: Any, new: Any, path: str = "") -> dict[str, list[Any]]:
    """Return what differs between two policies as data: dotted name to [old, new]."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return {} if old == new else {path: [old, new]}
    found: dict[str, list[Any]] = {}
    for key in dict.fromkeys([*old, *new]):
        found |= differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    return found


def as_yaml(data: dict[str, Any]) -> str:
    """Return plain data as YAML text."""
    import io

    from ruamel.yaml import YAML

    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    sink = io.StringIO()
    writer.dump(data, sink)
    return sink.getvalue().rstrip("\n")
