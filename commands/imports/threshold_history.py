"""perfledger import threshold-history: how threshold literals moved, from a CSV or a repository's git history."""

from __future__ import annotations

import collections
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from commands.cli.app import App, command
from ledger.errors import BadInput
from ledger.event import NewEvent
from ledger.events.thresholds import Number, ThresholdEdited
from projections.calibration.bounds import bound_of, direction_of, group_of, parse_literal, percent_of

COLUMNS = ("commit", "committed_at", "pr", "file", "symbol", "change", "old", "new")
CHANGES = ("added", "changed", "removed")
BATCH_EVENTS = 5_000


@dataclass(frozen=True)
class Edit:
    """One move of one literal: the columns of the CSV, and the author's hash where it is known."""

    commit: str
    committed_at: str
    pr: int | None
    file: str
    literal: str
    change: str
    old: str
    new: str
    author_hash: str | None = None


@command("threshold-history")
@click.argument("csv_file", metavar="[FILE]", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--repo",
    metavar="PATH",
    type=click.Path(exists=True, file_okay=False),
    help="Walk this git repository's history instead of reading FILE.",
)
@click.option("--paths", metavar="GLOB", multiple=True, help="With --repo: which files hold thresholds (repeatable).")
@click.option("--since", metavar="REV", help="With --repo: only commits after this one.")
def threshold_history(
    app: App, csv_file: str | None, repo: str | None, paths: tuple[str, ...], since: str | None
) -> None:
    """Turn every known move of a threshold literal into a dated event.

    FILE is a CSV with the columns commit, committed_at, pr, file, symbol, change (added, changed, removed), old, new.
    Directions come from the names: see `perfledger sql 'FROM threshold_changes'`.
    """
    if bool(csv_file) == bool(repo):
        raise BadInput(
            "give either a CSV file or --repo PATH", code="usage", hint="perfledger import threshold-history --help"
        )
    edits: Iterator[Edit] | list[Edit]
    if repo:
        edits, source = _walk(Path(repo), paths, since), Path(repo).resolve().name
    else:
        assert csv_file is not None
        edits, source = read_csv(Path(csv_file)), Path(csv_file).name
    ledger = app.ledger()
    counts: collections.Counter[str] = collections.Counter()
    new_events = list(_events(edits, source))
    with app.progress(range(0, len(new_events), BATCH_EVENTS), label="importing") as starts:
        for start in starts:
            for item, receipt in zip(
                new_events[start : start + BATCH_EVENTS],
                ledger.append(new_events[start : start + BATCH_EVENTS]),
                strict=True,
            ):
                payload = item.payload
                assert isinstance(payload, ThresholdEdited)
                counts["known" if receipt.duplicate else "recorded"] += 1
                counts[payload.change] += 1
                if payload.change == "changed":
                    counts[payload.direction or "unknown"] += 1
    document = {
        name: counts[name] for name in ("recorded", "known", *CHANGES, "loosens", "tightens", "equal", "unknown")
    }
    app.emit({"source": source, **document}, lambda: _text(source, document))


def _text(source: str, n: dict[str, int]) -> str:
    return (
        f"{n['recorded']} edits recorded from {source}, {n['known']} known already: {n['added']} added, "
        f"{n['changed']} changed, {n['removed']} removed\n"
        f"of the changed: {n['loosens']} loosen, {n['tightens']} tighten, {n['equal']} equal, "
        f"{n['unknown']} whose name does not tell\n"
        "next: perfledger sql --name what-loosened"
    )


def read_csv(path: Path) -> list[Edit]:
    """Read a threshold history. Raises `BadInput` naming the file, line and column; nothing is recorded then."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [c for c in COLUMNS if c not in (reader.fieldnames or [])]
            if missing:
                raise BadInput(
                    f"{path}: missing column(s) {', '.join(missing)}",
                    code="bad_csv",
                    hint=f"the first line must be {','.join(COLUMNS)}",
                    file=str(path),
                    field=missing[0],
                )
            return [_edit(path, reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: not a CSV file in UTF-8: {error}", code="bad_csv", file=str(path)) from None


def _edit(path: Path, line: int, row: dict[str, str]) -> Edit:
    def bad(field: str, why: str) -> BadInput:
        return BadInput(
            f"{path}, line {line}, {field}: {why}",
            code="bad_csv",
            hint="correct that line and import again",
            file=str(path),
            line=line,
            field=field,
        )

    if None in row.values() or None in row:
        raise bad("row", f"has not exactly {len(COLUMNS)} columns")
    if row["change"] not in CHANGES:
        raise bad("change", f"is {row['change']!r}, not one of {', '.join(CHANGES)}")
    for field in ("commit", "file", "symbol"):
        if not row[field].strip():
            raise bad(field, "is empty")
    from ledger.identifiers import format_time, parse_time

    try:
        when = format_time(parse_time(row["committed_at"]))
    except BadInput:
        raise bad("committed_at", f"is not a time: {row['committed_at']!r}") from None
    pr = row["pr"].strip()
    if pr and not (pr.isascii() and pr.isdigit() and len(pr) < 19):
        raise bad("pr", f"is not a number: {pr!r}")
    for field in ("old", "new"):
        value = _number(row[field].strip())
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise bad(field, f"has {len(row[field].strip())} digits, more than 64 bits hold")
    return Edit(
        row["commit"],
        when,
        int(pr) if pr else None,
        row["file"],
        row["symbol"],
        row["change"],
        row["old"].strip(),
        row["new"].strip(),
    )


def _walk(repo: Path, paths: tuple[str, ...], since: str | None) -> Iterator[Edit]:
    from commands.literals.archaeology import walk_history
    from ledger.identifiers import format_time, parse_time

    for found in walk_history(repo, paths=list(paths), since=since):
        literal = found.symbol if found.subkey is None else f"{found.symbol}['{found.subkey}']"
        yield Edit(
            found.commit,
            format_time(parse_time(found.committed_at)),
            found.pr,
            found.file,
            getattr(found, "literal", None) or literal,
            found.change,
            found.old or "",
            found.new or "",
            found.author_hash,
        )


def _events(edits: Iterator[Edit] | list[Edit], source: str) -> Iterator[NewEvent]:
    seen: collections.Counter[Edit] = collections.Counter()
    for edit in edits:
        seen[edit] += 1
        name = parse_literal(edit.literal)
        old, new, bound = _number(edit.old), _number(edit.new), bound_of(name)
        key = f"threshold/{edit.commit}/{edit.file}/{edit.literal}/{edit.change}/{edit.old}/{edit.new}/{seen[edit]}"
        yield NewEvent(
            stream=f"thresholds/{edit.file}",
            key=key,
            git_sha=edit.commit,
            payload=ThresholdEdited(
                file=edit.file,
                symbol=name.symbol,
                subkey=name.subkey,
                literal=edit.literal,
                change=edit.change,
                old=old,
                new=new,
                old_text=edit.old,
                new_text=edit.new,
                worst_op=bound,
                direction=direction_of(bound, old, new),
                percent=percent_of(old, new),
                group=group_of(name),
                commit=edit.commit,
                committed_at=edit.committed_at,
                source=source,
                pr=edit.pr,
                author_hash=edit.author_hash,
            ),
        )


def _number(text: str) -> Number | None:
    """Return the value of a literal's text; None for what is no finite number."""
    import math

    try:
        return int(text.replace("_", ""))
    except ValueError:
        pass
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
