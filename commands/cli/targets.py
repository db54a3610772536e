"""Which target a command means: `MODEL@GPU`, `identity:<hex>`, a unique beginning of one, or options."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ledger.errors import BadInput
from projections.results.identity import IDENTITY_FIELDS

if TYPE_CHECKING:
    from projections.state.state import State

Function = TypeVar("Function", bound=Callable[..., Any])
SHOWN = 8


def target_options(function: Function) -> Function:
    """Add TARGET and the options that select one; they arrive as `target`, `model`, `gpu` and the identity fields."""
    for field in reversed(IDENTITY_FIELDS):
        function = click.option(
            f"--{field.replace('_', '-')}", field, metavar="VALUE", help=f"Select by {field} of the identity."
        )(function)
    function = click.option("--gpu", metavar="NAME", help="Select by GPU.")(function)
    function = click.option("--model", metavar="ID", help="Select by model_id.")(function)
    return click.argument("target", required=False)(function)


def resolve_target(state: State, target: str | None, **selection: str | None) -> str:
    """Return the one target meant. Raises `BadInput` when none or several fit, naming them."""
    chosen = {name: value for name, value in selection.items() if value is not None}
    columns = {"model": "model_id", "gpu": "gpu_type"}
    where = [f"{columns.get(name, name)} = ${name}" for name in chosen]
    params: dict[str, Any] = dict(chosen)
    if target is not None:
        exact = state.rows("SELECT target FROM results WHERE target = $target LIMIT 1", {"target": target})
        if exact and not chosen:
            return target
        where.append("(starts_with(target, $target) OR starts_with(model_id, $target))")
        params["target"] = target
    if not where:
        raise BadInput(
            "which target? give MODEL@GPU, identity:<hex>, or --model",
            code="no_target",
            hint="perfledger baseline list shows them",
        )
    rows = state.rows(
        f"SELECT DISTINCT target FROM results WHERE {' AND '.join(where)} ORDER BY target LIMIT {SHOWN + 1}",  # noqa: S608
        params,
    )
    found = [row["target"] for row in rows]
    asked = target or ", ".join(f"{name}={value}" for name, value in chosen.items())
    if not found:
        raise BadInput(
            f"no result of {asked} is in this ledger",
            code="no_such_target",
            hint="perfledger baseline list shows the targets",
        )
    if len(found) > 1:
        names = ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
        raise BadInput(
            f"{asked} fits several targets: {names}",
            code="ambiguous_target",
            hint="name one of them whole",
            targets=found[:SHOWN],
        )
    return str(found[0])
