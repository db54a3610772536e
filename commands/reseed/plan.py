"""perfledger reseed plan."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from commands.cli.app import App, command
from ledger.errors import BadInput
from projections.results.identity import IDENTITY_FIELDS

if TYPE_CHECKING:
    from commands.reseed.work.history import History
    from commands.reseed.work.planning import Request
    from commands.reseed.work.sources import Source
    from ledger.events.reseeds import ReseedPlanned
    from ledger.ledger import Ledger

DEFAULT_TOLERANCE = 0.05


def default_tolerance() -> float:
    """Return PERF_MAX_REGRESSION, else 5 %. Raises `BadInput` when the variable is no finite number >= 0."""
    text = os.environ.get("PERF_MAX_REGRESSION", "")
    if not text:
        return DEFAULT_TOLERANCE
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise BadInput(
            f"PERF_MAX_REGRESSION is {text!r}, not a number of at least 0",
            code="bad_tolerance",
            hint="for example 0.05 for 5 %",
        )
    return value


def one_line(option: str, text: str | None) -> str:
    """Return a rationale without space around it. Raises `BadInput` when it is missing or not one printable line:
    it goes into seed records, PROVENANCE.txt and the pull request."""
    line = (text or "").strip()
    if not line:
        raise BadInput(f"{option} is missing; nothing was planned", code="usage", hint=f'{option} "why, in one line"')
    if not line.isprintable():
        raise BadInput(
            f"{option} is not one printable line; nothing was planned",
            code="bad_reason",
            hint="write it in one line; longer text belongs in the pull request",
        )
    return line


def plan_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `plan`, shared with `run`."""
    options = [
        click.option("--model", metavar="M", help="The benchmark's model_id."),
        click.option("--gpu", metavar="G", help="The GPU, as records name it."),
        click.option(
            "--source", "sources", metavar="FILE|URL", multiple=True, help="A normalized result (repeatable)."
        ),
        click.option("--reason", metavar="TEXT", help="Why the baseline moves, in one line."),
        click.option(
            "--max-intra-batch-regression",
            "tolerance",
            type=float,
            metavar="FRACTION",
            help="How far sources may be worse than their median. Default: PERF_MAX_REGRESSION, else 0.05.",
        ),
        click.option("--drop", metavar="FILE", multiple=True, help="Leave this source out; the reason is recorded."),
        click.option("--drop-reason", metavar="TEXT", default="", help="The reviewed reason for --drop."),
        click.option("--dataset", metavar="OWNER/NAME", help="The dataset. Default: HF_REPO_ID."),
        *(
            click.option(f"--{name.replace('_', '-')}", name, metavar="VALUE", help="Part of the target's identity.")
            for name in IDENTITY_FIELDS
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@dataclass(frozen=True)
class Options:
    """What the options of `plan` say. identity: the fields of the target's identity by name, None where not given."""

    model: str | None
    gpu: str | None
    sources: tuple[str, ...]
    reason: str | None
    tolerance: float | None
    drop: tuple[str, ...]
    drop_reason: str
    dataset: str | None
    identity: dict[str, str | None]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """Gather the values of `plan_options` as click gives them."""
        own = {name: value for name, value in given.items() if name not in IDENTITY_FIELDS}
        return cls(**own, identity={name: given[name] for name in IDENTITY_FIELDS})


@command("plan")
@plan_options
def plan(app: App, **options: Any) -> None:
    """Read the sources, sync the history, take a backup, and compute what the seeds would move.

    Nothing outside the ledger changes but a new backup folder. Stops when sources disagree with each other.
    """
    from commands.reseed.show import plan_json, plan_text

    ledger = app.ledger()
    made = make_plan(app, ledger, Options.of(options))
    app.emit(plan_json(made), lambda: plan_text(made))


def make_plan(app: App, ledger: Ledger, options: Options) -> ReseedPlanned:
    """Check the options, read the sources, sync the history, and record a plan."""
    from commands.reseed.work import planning

    return planning.make(ledger, *asked(app, ledger, options))


def asked(app: App, ledger: Ledger, options: Options) -> tuple[Request, list[Source], History]:
    """Check the options, read the sources and sync the history: what a plan is made from. Nothing is recorded."""
    from commands.reseed.work import history, planning
    from commands.reseed.work import sources as source_files

    for name, value in (("--model", options.model), ("--gpu", options.gpu)):
        if not value:
            raise BadInput(
                f"{name} is missing; nothing was planned", code="usage", hint="perfledger reseed plan --help"
            )
    why = one_line("--reason", options.reason)
    if not options.sources:
        raise BadInput(
            "no --source was given; nothing was planned", code="usage", hint="--source FILE, once per result"
        )
    if options.drop and not options.drop_reason.strip():
        raise BadInput("--drop needs --drop-reason", code="usage", hint="say why this result may be left out")
    if options.drop:
        one_line("--drop-reason", options.drop_reason)
    limit = default_tolerance() if options.tolerance is None else options.tolerance
    if not math.isfinite(limit) or limit < 0:
        raise BadInput(
            f"--max-intra-batch-regression {limit} is not a number of at least 0",
            code="bad_tolerance",
            hint="for example 0.05 for 5 %",
        )
    found = source_files.read(options.sources)
    url = history.dataset_url(options.dataset)
    app.note(f"syncing {url} ...")
    request = planning.Request(
        model=str(options.model),
        gpu=str(options.gpu),
        reason=why,
        tolerance=limit,
        identity=options.identity,
        drop=tuple(source_files.shown(name) for name in options.drop),
        drop_reason=options.drop_reason.strip(),
    )
    return request, found, history.sync(ledger, url)
