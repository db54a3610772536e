"""`perfledger sql`: ask the ledger in read-only SQL, or run a named audit query."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click

from commands.cli import streams
from commands.cli.app import App, command
from commands.cli.numbers import SECONDS_MAX
from ledger.errors import BadInput
from ledger.layout import outside_ledger
from ledger.outside import shown
from ledger.outside.files import read_bytes

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from projections.console.query import Format, Question, Summary

FORMATS = ("table", "json", "csv", "parquet")
SPOOL_BYTES = 16 * 2**20  # results up to this size never touch a disk on their way to standard output


@dataclass(frozen=True)
class Asked:
    """What the options of `sql` say."""

    query: str | None
    file: str | None
    name: str | None
    list_: bool
    parameters: tuple[str, ...]
    form: str | None
    output: str | None
    timeout_s: float
    memory_mb: int


@command("sql", reads=True, asks=Asked)
@click.argument("query", required=False)
@click.option("-f", "--file", "file", metavar="FILE", help="Read the query from FILE; - is standard input.")
@click.option("--name", metavar="NAME", help="Run a named audit query.")
@click.option("--list", "list_", is_flag=True, help="List the named audit queries and their parameters.")
@click.option("--param", "parameters", multiple=True, metavar="K=V", help="A value for $K in the query; repeatable.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default=None, help="Default: what FILE's name ends in, else table."
)
@click.option("-o", "--output", metavar="FILE", help="Write the result to FILE, atomically.")
@click.option(
    "--timeout",
    "timeout_s",
    type=float,
    default=30.0,
    show_default=True,
    metavar="S",
    help="Stop the query after S seconds.",
)
@click.option(
    "--memory",
    "memory_mb",
    type=click.IntRange(64, 1 << 20),
    default=1024,
    show_default=True,
    metavar="MIB",
    help="Memory the query may use; nothing is ever spilled to disk.",
)
def sql(app: App, asked: Asked) -> int:
    """Ask the ledger in read-only SQL (DuckDB's dialect).

    \b
    perfledger sql "SHOW TABLES"                  the views there are
    perfledger sql "DESCRIBE results"             the columns of one
    perfledger sql "FROM results LIMIT 10"
    perfledger sql "SELECT * FROM thresholds WHERE file = $f" --param f=tests/x.py
    perfledger sql --name who-approved --format csv -o approvals.csv

    A query runs in a process of its own that reaches the views and nothing else: no file, network, setting or
    other database.
    """
    if asked.list_:
        return _list(app)
    if not 0 < asked.timeout_s <= SECONDS_MAX:
        raise BadInput(
            f"--timeout must be a number of seconds above 0, not {asked.timeout_s:g}", code="usage", hint="--timeout 30"
        )
    if [asked.query, asked.file, asked.name].count(None) != 2:
        raise BadInput(
            "give one of: a QUERY, -f FILE, --name NAME",
            code="usage",
            hint='perfledger sql "SHOW TABLES", or perfledger sql --list',
        )
    from projections.console.query import Limits

    ledger = app.ledger()
    target = _output_path(asked.output, ledger)
    question = _question(app, asked.query, asked.file, asked.name, asked.parameters, _format(app, asked.form, target))
    if question.format == "parquet" and target is None and sys.stdout.isatty():
        raise BadInput("a Parquet file is bytes, not for a terminal", code="usage", hint="-o FILE.parquet")
    limits = Limits(timeout_s=asked.timeout_s, memory_mb=asked.memory_mb)
    if target is None:
        _to_standard_output(app, ledger.path, question, limits)
    else:
        _to_file(app, ledger.path, question, limits, target)
    return 0


def _list(app: App) -> int:
    from projections.audits import audits

    known = audits().values()
    document = [
        {
            "name": audit.name,
            "about": audit.about,
            "parameters": [{"name": p.name, "default": p.default, "about": p.about} for p in audit.parameters],
        }
        for audit in known
    ]

    def text() -> str:
        from commands.cli.output import table

        rows = [
            (audit.name, audit.about, "\n".join(f"{p.name}={p.default or '...'}  {p.about}" for p in audit.parameters))
            for audit in known
        ]
        return table(["name", "asks", "parameters"], rows)

    app.emit(document, text)
    return 0


def _format(app: App, form: str | None, target: Path | None) -> Format:
    """The form asked for: --format, else the file's ending, else --json, else a table."""
    if form is None and target is not None and target.suffix.lstrip(".") in FORMATS:
        form = target.suffix.lstrip(".")
    return cast("Format", form or ("json" if app.as_json else "table"))


def _question(
    app: App, query: str | None, file: str | None, name: str | None, parameters: tuple[str, ...], form: Format
) -> Question:
    from projections.console.query import Question

    given = dict(map(_parameter, parameters))
    if name is not None:
        from projections.audits import audit

        chosen = audit(name)
        query, given = chosen.sql, chosen.bind(given)
    elif file is not None:
        query = _read(file)
    assert query is not None
    return Question(query, given, form, as_of=app.as_of, as_recorded=app.as_recorded)


def _parameter(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise BadInput(f"--param {text} is not NAME=VALUE", code="usage", hint="--param since=2026-06-01")
    return name, value


def _read(file: str) -> str:
    data = sys.stdin.buffer.read() if file == "-" else read_bytes(file)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{file} is not UTF-8 text (byte {error.start})", code="file_not_text", hint="save the query as UTF-8"
        ) from None


def _output_path(output: str | None, ledger: Ledger) -> Path | None:
    """Where the result goes; None for standard output. Refuses the ledger's own folder."""
    if output is None or output == "-":
        return None
    path = Path(output)
    if path.exists() and not (path.is_file() or path.is_dir()):
        return path  # a device or a pipe, written as it is
    path = outside_ledger(path, ledger.path)
    if path.is_dir():
        raise BadInput(f"{output} is a folder", code="bad_output", hint=f"-o {output}/result.csv")
    if not path.parent.is_dir():
        raise BadInput(f"the folder of {output} does not exist", code="bad_output", hint=f"mkdir -p {path.parent}")
    return path


def _to_standard_output(app: App, ledger: Path, question: Question, limits: Any) -> None:
    """Print the whole result, or nothing: a query that fails half-way leaves no half document."""
    from projections.console.query import ask

    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
        summary = ask(ledger, question, cast(BinaryIO, spool), limits)
        spool.seek(0)
        if question.format == "table":
            streams.say(_table(spool.read()))
            _say_more(app, summary)
            return
        streams.write(spool)


def _to_file(app: App, ledger: Path, question: Question, limits: Any, target: Path) -> None:
    from projections.console.query import ask

    with _replacing(target) as sink:
        if question.format == "table":
            with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
                summary = ask(ledger, question, cast(BinaryIO, spool), limits)
                spool.seek(0)
                sink.write(shown.plain(_table(spool.read())).encode() + b"\n")
        else:
            summary = ask(ledger, question, sink, limits)
        size = sink.tell() if sink.seekable() else None
    document = {
        "file": str(target),
        "format": question.format,
        "rows": summary.rows,
        "columns": summary.columns,
        "bytes": size,
    }
    if app.as_json:
        app.emit(document)
    else:
        app.note(f"{target}: {summary.rows} rows")
        _say_more(app, summary)


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """A file that takes `target`'s place when the block ends well; a device or pipe is written as it is."""
    if target.exists() and not target.is_file():
        with target.open("wb") as sink:
            yield sink
        return
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as sink:
            yield sink
        mode = target.stat().st_mode if target.exists() else 0o666 & ~_umask()
        Path(temporary).chmod(mode & 0o777)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _table(data: bytes) -> str:
    from commands.cli.output import table

    document = json.loads(data)
    return table(document["columns"], document["rows"], right=document["right"])


def _say_more(app: App, summary: Summary) -> None:
    if summary.more:
        app.note(f"the first {summary.rows} rows are shown; --format csv -o FILE gives all of them")
