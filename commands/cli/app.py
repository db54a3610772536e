"""What every command shares: global options, the application object, exit codes, error output."""

from __future__ import annotations

import errno
import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from commands.cli import streams
from ledger.errors import BadInput, PerfledgerError, Unavailable
from ledger.outside import shown

if TYPE_CHECKING:
    from ledger.ledger import Ledger
    from projections.state.state import State

Function = TypeVar("Function", bound=Callable[..., Any])
ROOM = __package__.rpartition(".")[0]  # `commands`, or `perfledger.commands` where the wheel is installed


def load(where: str) -> Any:
    """Import `module:attribute`, the module named as seen from this room, and return the attribute."""
    module, attribute = where.split(":")
    return getattr(importlib.import_module(f"{ROOM}.{module}"), attribute)


class LazyGroup(click.Group):
    """A group whose sub-commands are imported when they run.

    `lazy` maps a name to ("module:attribute", "one-line help"), the module as `load` takes it; the help line stands
    here so that `--help` imports nothing.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order they were declared, which follows the work."""
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module now."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        return cast(click.Command, load(self.lazy[cmd_name][0]))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their declared help lines, importing none."""
        rows = [(name, line) for name, (_, line) in self.lazy.items()]
        rows += [(name, self.commands[name].get_short_help_str()) for name in super().list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def global_options(function: Function, *, actor: bool = True) -> Function:
    """Add the options every command takes, before or after the sub-command's name.

    They are not passed on: they fill the `App` object of the invocation. `actor` is off where --actor filters.
    """
    options = [
        click.option(
            "--ledger",
            "ledger_dir",
            metavar="DIR",
            envvar="PERFLEDGER_DIR",
            expose_value=False,
            callback=_remember,
            help="The ledger folder. Default: the nearest .perfledger/ upward.",
        ),
        click.option(
            "--actor",
            metavar="NAME",
            envvar="PERFLEDGER_ACTOR",
            expose_value=False,
            callback=_remember,
            help="Who acts. Default: git's user.email, else user@host.",
        ),
        click.option(
            "--json",
            "as_json",
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="One JSON document on stdout (JSON lines for streams).",
        ),
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="No progress and no notes on stderr.",
        ),
        click.option(
            "--no-color",
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="Plain text. NO_COLOR does the same.",
        ),
    ]
    for option in reversed(options if actor else [options[0], *options[2:]]):
        function = option(function)
    return function


def refuse_empty(_ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Return an option's value, refusing an empty text, which would be taken for one that is left out."""
    if value == "":
        raise BadInput(
            f"{param.opts[0]} is empty",
            code="usage",
            hint="leave it out for the default: an empty variable of the shell may be behind it",
        )
    return value


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    app = ctx.ensure_object(App)
    from_environment = ctx.get_parameter_source(str(param.name)) is click.core.ParameterSource.ENVIRONMENT
    if from_environment and getattr(app, str(param.name)) is not None:
        return value  # `perfledger --ledger DIR sql` asks the environment again for `sql`; what was typed counts more
    refuse_empty(ctx, param, value)
    if value not in (None, False):
        setattr(app, str(param.name), value)
        if param.name == "no_color":
            os.environ["NO_COLOR"] = "1"  # what draws tables and charts asks the environment
    return value


def _refuse_past(instead: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def refuse(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value is not None:
            raise BadInput(
                f"{ctx.command_path} follows the present; {param.opts[0]} names a moment it cannot follow",
                code="follows_the_present",
                hint=f"perfledger {instead} {param.opts[0]} {value}",
            )

    return refuse


def command(
    name: str,
    *,
    asks: type[Any] | None = None,
    reads: bool = False,
    acts: bool = True,
    follows: str = "",
    **attrs: Any,
) -> Callable[[Callable[..., Any]], click.Command]:
    """Declare a click command that gets the `App` first, then its options.

    `asks` is a dataclass with a field for each option: the command gets one of it, not a long list of parameters.
    `reads` adds --as-of and --as-recorded; `acts` off leaves --actor to the command. A command that follows the
    present cannot answer for a moment: `follows` names the one that can, and both options are refused with it.
    """

    def declare(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        @click.pass_obj
        def call(app: App, /, *args: Any, **kwargs: Any) -> Any:
            if asks is not None:
                args, kwargs = (asks(**kwargs),), {}
            try:
                return function(app, *args, **kwargs)
            except BrokenPipeError as error:
                raise _BrokenPipe from error

        # wraps() copied the parameters that @click.option left on the function; click reads them off `call`
        wrapped: Any = global_options(call, actor=acts)
        if reads:
            wrapped = click.option(
                "--as-recorded",
                metavar="TIME",
                expose_value=False,
                callback=_remember,
                help="Only what had happened by TIME, as known now.",
            )(wrapped)
            wrapped = click.option(
                "--as-of",
                metavar="WHEN",
                expose_value=False,
                callback=_remember,
                help="As this ledger knew it: a time (ISO 8601), position@origin or event id.",
            )(wrapped)
        for option in ("--as-recorded", "--as-of") if follows else ():
            wrapped = click.option(
                option,
                metavar="WHEN",
                expose_value=False,
                callback=_refuse_past(follows),
                help=f"Refused: this follows the present. See {follows}.",
            )(wrapped)
        decorate: Callable[[Any], click.Command] = click.command(name, **attrs)
        return decorate(wrapped)

    return declare


class App:
    """One invocation: its global options, the ledger it works on, and how it speaks."""

    def __init__(self) -> None:
        self.ledger_dir: str | None = None
        self.actor: str | None = None
        self.as_json = False
        self.quiet = False
        self.no_color = bool(os.environ.get("NO_COLOR"))
        self.as_of: str | None = None
        self.as_recorded: str | None = None

    def ledger(self) -> Ledger:
        """Open the ledger. Raises `BadInput` (exit 2) when there is none."""
        from ledger.ledger import Ledger

        return Ledger.open(self.ledger_dir, actor=self.actor)

    def state(self, ledger: Ledger) -> State:
        """Open the projections, caught up with the log, at the moment --as-of names."""
        from projections.state.state import State

        return State.open(ledger, as_of=self.as_of, as_recorded=self.as_recorded)

    def emit(self, document: Any, text: str | Callable[[], str] = "") -> None:
        """Print the result: the document with --json, else the text (computed only when needed)."""
        if self.as_json:
            from commands.cli.output import to_json

            streams.say(to_json(document))
        else:
            streams.say(text() if callable(text) else text)

    def note(self, message: str) -> None:
        """Say something on stderr that is not the result. Silent with -q."""
        if not self.quiet:
            streams.note(message)

    def progress(self, items: Iterable[Any], *, label: str, length: int | None = None) -> Any:
        """A progress bar on stderr, only on a terminal; use as a context manager that yields the items."""
        hidden = self.quiet or self.as_json or not sys.stderr.isatty()
        return click.progressbar(items, label=shown.terminal(label), length=length, file=sys.stderr, hidden=hidden)

    def confirm(self, phrase: str, *, given: str | None, question: str) -> None:
        """Require the exact phrase, typed or given with --confirm. Raises `BadInput` when it does not come."""
        if given is None:
            if not sys.stdin.isatty():
                raise BadInput(
                    f'this needs the exact phrase "{phrase}" and there is no terminal to ask at; nothing was done',
                    code="confirmation_missing",
                    hint=f'--confirm "{phrase}"',
                )
            streams.note(question)
            given = click.prompt(f'Type "{phrase}" to go on', default="", show_default=False, err=True)
        if given != phrase:
            raise BadInput(
                f'the phrase "{phrase}" was not given exactly; nothing was done',
                code="confirmation_wrong",
                hint=f'--confirm "{phrase}"',
            )


class _Interrupted(PerfledgerError):
    exit_code = 130


class _BrokenPipe(Exception):
    """A pipe broke, ours or another: click would make an exit 1 of it that does not say which."""


class _Bug(PerfledgerError):
    exit_code = 70  # EX_SOFTWARE, so that no contract code is borrowed for it


def run(group: click.Command, args: list[str]) -> int:
    """Run a command line and return its exit code; every failure becomes one sentence, never a traceback."""
    streams.prepare()
    try:
        code = group.main(args, prog_name="perfledger", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        if "--json" not in args:
            streams.note(error.format_message())
            return BadInput.exit_code
        told = _told(click.UsageError("Missing command.", error.ctx))
    except (Exception, KeyboardInterrupt) as stopped:
        cause = (stopped.__cause__ or stopped) if isinstance(stopped, _BrokenPipe) else stopped
        if isinstance(cause, BrokenPipeError) and streams.reader_gone():
            return 0  # the reader of our output went away (`| head`): not an error, and nothing more can be said
        told = _told(cause)
        if isinstance(told, _Bug) and os.environ.get("PERFLEDGER_TRACEBACK"):
            raise
    finally:
        streams.close()
    streams.report(told, as_json="--json" in args)
    return told.exit_code


def _told(error: BaseException) -> PerfledgerError:
    """Return what the user is told of an error."""
    if isinstance(error, PerfledgerError):
        return error
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return _Interrupted("interrupted; everything acknowledged is kept", code="interrupted")
    if isinstance(error, click.UsageError):
        hint = f"{error.ctx.command_path} --help" if error.ctx else "perfledger --help"
        return BadInput(error.format_message(), code="usage", hint=hint)
    if isinstance(error, click.ClickException):
        return BadInput(error.format_message(), code="bad_input")
    if isinstance(error, OSError):
        return _from_os(error)
    return _Bug(
        f"internal error: {type(error).__name__}: {error}",
        code="internal_error",
        hint="this is a bug: set PERFLEDGER_TRACEBACK=1 to see where, and report it",
    )


def _hint_for(path: str) -> str:
    """What to do about a file that does not open: for one of the ledger's own, the user has named no path to check."""
    own = Path(path)
    try:
        if not any((parent / "ledger.toml").is_file() for parent in own.parents) or not own.is_dir():
            return "check the path"
    except OSError:
        return "check the path"  # a name too long to be looked at is none of the ledger's own
    if own.name == "journal.jsonl":
        return "there is a folder where the ledger keeps its newest events; put the file back from a copy"
    return "there is a folder where the ledger keeps a file; move it away, the file is made again"


def _from_os(error: OSError) -> PerfledgerError:
    where = f" {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG):
        return BadInput(f"cannot open{where}: {reason}", code="file_not_found", hint=_hint_for(where.strip()))
    hint = {
        errno.ENOSPC: "free some space and run it again",
        errno.EDQUOT: "free some space and run it again",
        errno.EFBIG: "raise the limit on the size of files (ulimit -f) and run it again",
        errno.EROFS: "the file system is read-only; point --ledger at a writable folder",
        errno.EACCES: "check the permissions of that path",
        errno.EPERM: "check the permissions of that path",
    }.get(error.errno or 0, "run it again")
    return Unavailable(f"cannot write or read{where}: {reason}", code="os_error", hint=hint, errno=error.errno)
