"""The root command. Sub-commands are imported only when used, so that every start stays fast."""

from __future__ import annotations

import atexit
import os
import sys

import click

from commands.cli import streams
from commands.cli.app import LazyGroup, global_options, run

COMMANDS = {
    "init": ("ledger_commands.init:init", "Create a ledger."),
    "import": ("imports.group:imports", "Import an existing history."),
    "record": ("results.record:record", "Record results as events, without judging them."),
    "check": ("results.check:check", "Judge results against their rolling baseline."),
    "baseline": ("results.baseline:baseline", "List, show, plot and pin baselines."),
    "policy": ("results.policy:policy", "Show, check and adopt the metric policy."),
    "reseed": ("reseed:reseed", "Move a baseline on purpose, approved and reversible."),
    "calibrate": ("calibrate:calibrate", "Measure, audit and apply worst-of-N thresholds."),
    "gpu": ("gpu:gpu", "List GPUs, wait for free ones, sample telemetry."),
    "ci": ("ci:ci", "Lanes, labels, statuses and the merge gate."),
    "events": ("ledger_commands.events:events", "The log itself: list, show, tail, types, export."),
    "sql": ("ledger_commands.sql:sql", "Ask the ledger in read-only SQL."),
    "explain": ("explain.command:explain", "The exact events and values behind a decision."),
    "backtest": ("results.backtest:backtest", "Which past verdicts another policy would flip."),
    "replay": ("ledger_commands.replay:replay", "Rebuild every projection from the log."),
    "verify": ("ledger_commands.verify:verify", "Check chains, segments and evidence."),
    "prove": ("ledger_commands.prove:prove", "Show offline, to anybody, that an event is in the log."),
    "checkpoint": ("ledger_commands.checkpoint:checkpoint", "Sign the log as it is; co-signatures of witnesses."),
    "sync": ("ledger_commands.sync:sync", "Share the ledger through a Hub dataset or bucket."),
    "serve": ("service.serve:serve", "Webhooks and the JSON API."),
    "doctor": ("ledger_commands.doctor:doctor", "What is wrong with this setup, and how to fix it."),
}

EPILOG = """\b
Exit codes: 0 done or yes, 1 a domain "no", 2 wrong usage or bad input, 3 conflict,
4 the outside world failed, 5 inconclusive, 6 outcome unknown, 7 damaged ledger,
130 interrupted."""


@click.group(
    "perfledger",
    cls=LazyGroup,
    lazy=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@global_options
@click.version_option(package_name="perfledger", message="%(prog)s %(version)s")
def root() -> None:
    """The event-sourced ledger for performance and quality baselines of GPU software."""


def main() -> None:
    """Console entry point."""
    code = run(root, sys.argv[1:])
    threads = "threading" in sys.modules and sys.modules["threading"].active_count() > 1
    if threads or sys.getprofile() or sys.gettrace():
        sys.exit(code)  # the usual way waits for threads, and lets a profiler or debugger tell what it saw
    # Taking the interpreter down object by object costs 20 ms with DuckDB loaded, and frees what ends anyway.
    atexit._run_exitfuncs()
    streams.close()
    os._exit(code)
