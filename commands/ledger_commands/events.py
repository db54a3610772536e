"""perfledger events: the log itself."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from commands.cli import streams
from commands.cli.app import App, command, global_options, refuse_empty
from commands.cli.numbers import Whole
from ledger.errors import BadInput
from ledger.layout import outside_ledger
from ledger.outside import shown

if TYPE_CHECKING:
    from ledger.event import Event
    from ledger.ledger import Ledger

TAIL_POLL_S = 0.2
Function = TypeVar("Function", bound=Callable[..., Any])


@click.group("events")
@functools.partial(global_options, actor=False)  # --actor picks events here
def events() -> None:
    """The log itself: every event, as it was recorded."""


def filters(function: Function) -> Function:
    """Add the options that pick events."""
    for option in (
        click.option("--actor", "by", metavar="NAME", callback=refuse_empty, help="Only events of this actor."),
        click.option("--until", metavar="TIME", callback=refuse_empty, help="Only events recorded before TIME."),
        click.option("--since", metavar="TIME", callback=refuse_empty, help="Only events recorded at or after TIME."),
        click.option("--type", "types", metavar="TYPE", multiple=True, help="Only events of this type (repeatable)."),
        click.option(
            "--stream", metavar="STREAM", callback=refuse_empty, help="Only this stream; a trailing * matches a prefix."
        ),
        click.option("--origin", metavar="NAME", callback=refuse_empty, help="Only events of this origin."),
    ):
        function = option(function)
    return function


@dataclass(frozen=True)
class Picked:
    """What the options of `filters` say. A `stream` that ends in * is a prefix; `since` is included, `until` is not."""

    stream: str | None
    types: tuple[str, ...]
    since: str | None
    until: str | None
    by: str | None
    origin: str | None


def pick(ledger: Ledger, picked: Picked, *, after: int = 0) -> Iterator[Event]:
    """Yield the events the options ask for. Raises `BadInput` for an origin that is not here."""
    stream, origin = picked.stream, picked.origin
    if origin and origin not in ledger.origins():
        raise BadInput(f"no origin {origin} here", code="no_such_origin", hint="perfledger sql 'FROM origins'")
    prefix = stream[:-1] if stream and stream.endswith("*") else None
    found = ledger.read(
        origin=origin,
        after=after,
        stream=None if prefix is not None else stream,
        types=picked.types or None,
        since=picked.since,
        until=picked.until,
    )
    for event in found:
        if picked.by is not None and event.actor != picked.by:
            continue
        if prefix is not None and not event.stream.startswith(prefix):
            continue
        yield event


def check_types(ledger: Ledger, types: tuple[str, ...]) -> None:
    """Raise `BadInput` for a type that neither the catalogue nor an event of this ledger has.

    A newer version's events may carry types this one does not know; those are asked for like any other.
    """
    if not types:
        return
    import difflib

    from ledger.event import load_catalogue

    known = load_catalogue()
    for name in types:
        if name in known or any(True for _ in ledger.read(types=[name])):
            continue
        plain = {each.lower(): each for each in known}
        near = [plain[each] for each in difflib.get_close_matches(name.lower(), plain, n=3)]
        raise BadInput(
            f"no event here has the type {name!r}, and this version knows none of that name",
            code="no_such_type",
            nearest=near,
            hint=f"nearest: {', '.join(near)}" if near else "perfledger events types",
        )


def bound(app: App, ledger: Ledger, found: Iterator[Event]) -> Iterator[Event]:
    """Keep what the ledger knew at --as-of and what had happened by --as-recorded.

    Own events are known from when they were recorded, others from the pull that brought them.
    """
    if app.as_of is None and app.as_recorded is None:
        return found
    with app.state(ledger) as state:
        moment, recorded = state.as_of, state.as_recorded
        pulls = state.rows(
            "SELECT from_origin, first, last, learned_at FROM fact_pull WHERE origin = $own", {"own": ledger.origin}
        )
    known = [(p["from_origin"], p["first"], p["last"]) for p in pulls if p["learned_at"] <= moment]
    return (
        e
        for e in found
        if e.recorded_at <= recorded
        and (
            e.recorded_at <= moment
            if e.origin == ledger.origin
            else any(o == e.origin and a <= e.position <= b for o, a, b in known)
        )
    )


def known_event(app: App, ledger: Ledger, event: Event) -> Event:
    """Return the event if it was known at --as-of and --as-recorded; raises `BadInput` when it was not."""
    if any(True for _ in bound(app, ledger, iter([event]))):
        return event
    raise BadInput(
        f"event {event.event_id} ({event.position}@{event.origin}, {event.recorded_at}) was not known then",
        code="not_known_then",
        hint="leave out --as-of and --as-recorded, or give a later moment",
    )


def line(event: Event) -> str:
    """Return one line for people: where, when, who, what."""
    body = bytes(event.payload).decode()
    short = body if len(body) <= 90 else body[:89] + "…"
    said = f"{event.position:>7}  {event.recorded_at[:23]}Z  {event.type:<22} {event.stream:<34} {event.actor}  {short}"
    return shown.terminal(said)


@command("list", reads=True, acts=False)
@filters
@click.option("-n", "--limit", type=Whole(1), metavar="N", help="Only the newest N.")
def list_(app: App, limit: int | None, **options: Any) -> None:
    """List events, oldest first. With --json one envelope a line."""
    import collections

    from commands.cli.output import to_json_line

    ledger = app.ledger()
    picked = Picked(**options)
    check_types(ledger, picked.types)
    found: Any = bound(app, ledger, pick(ledger, picked))
    if limit is not None:
        found = collections.deque(found, maxlen=limit)
    for event in found:
        streams.say(to_json_line(event.as_dict()) if app.as_json else line(event))


@command("show", reads=True)
@click.argument("event")
def show(app: App, event: str) -> None:
    """Show one event whole: by its id, or by position@origin."""
    from commands.cli.output import to_json

    ledger = app.ledger()
    found = known_event(app, ledger, ledger.event(event))
    streams.say(to_json(found.as_dict()))


@command("tail", acts=False, follows="events list")
@filters
@click.option("-n", "--lines", default=10, show_default=True, type=Whole(0), help="Begin with the newest N.")
@click.option("--follow/--no-follow", "-f", default=True, show_default=True, help="Wait for new events.")
def tail(app: App, lines: int, follow: bool, **options: Any) -> None:
    """Follow the log while other processes write it."""
    import collections

    from commands.cli.output import to_json_line

    def say(event: Event) -> None:
        streams.say(to_json_line(event.as_dict()) if app.as_json else line(event))
        sys.stdout.flush()

    ledger = app.ledger()
    picked = Picked(**options)
    check_types(ledger, picked.types)
    origin = picked.origin or ledger.origin
    picked = replace(picked, origin=origin)
    position = ledger.head(origin).position
    newest: collections.deque[Event] = collections.deque(maxlen=lines)
    newest.extend(event for event in pick(ledger, picked) if event.position <= position)
    for event in newest:
        say(event)
    while follow:
        for event in pick(ledger, picked, after=position):
            say(event)
            position = event.position
        time.sleep(TAIL_POLL_S)


@command("types")
def types_(app: App) -> None:
    """List the event types this version knows."""
    from commands.cli.output import table
    from ledger.event import load_catalogue

    known = load_catalogue()
    rows = [
        {
            "type": name,
            "schema_version": kind.schema_version,
            "summary": (kind.payload.__doc__ or "").strip().splitlines()[0],
        }
        for name, kind in known.items()
    ]
    app.emit(rows, lambda: table(["type", "version", "when"], [list(r.values()) for r in rows]))


@command("export", reads=True, acts=False)
@filters
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Default: stdout.")
def export(app: App, output: str | None, **options: Any) -> None:
    """Write events as canonical JSON lines, hashes included, so that anyone can verify them."""
    from ledger import disk
    from ledger.log import chain

    ledger = app.ledger()
    picked = Picked(**options)
    check_types(ledger, picked.types)
    target = None if output is None else outside_ledger(output, ledger.path)
    found = bound(app, ledger, pick(ledger, picked))
    if target is None:
        streams.write(chain.to_json(event) + b"\n" for event in found)
        return
    data = [chain.to_json(event) + b"\n" for event in found]
    disk.overwrite(target, b"".join(data))
    app.emit({"file": output, "events": len(data)}, f"{len(data)} events written to {output}")


for _command in (list_, show, tail, types_, export):
    events.add_command(_command)
