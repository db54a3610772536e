"""`perfledger calibrate`: measure thresholds N times, audit the repeats, write the worst back.

The sub-commands are listed in the order of the work; each is imported only when it runs.
"""

from __future__ import annotations

import click

from commands.cli.app import LazyGroup, global_options

_HERE = "calibrate"

COMMANDS = {
    "models": (f"{_HERE}.models:models", "List the models that can be calibrated."),
    "hosts": (f"{_HERE}.hosts:hosts", "List the host profiles, and which one is this machine."),
    "stages": (f"{_HERE}.stages:stages", "List a model's stages, bases and groups."),
    "discover": (f"{_HERE}.discover:discover", "Write stages.yaml from config and test files."),
    "precheck": (f"{_HERE}.precheck:precheck", "Check interpreter, pins, assets and GPUs."),
    "run": (f"{_HERE}.run:run", "Measure the selected stages N times."),
    "status": (f"{_HERE}.status:status", "How far a calibration is, as JSON."),
    "audit": (f"{_HERE}.audit:audit", "Strict cells per stage and repeat, and git provenance."),
    "report": (f"{_HERE}.report:report", "Write the Markdown and HTML report."),
    "watch": (f"{_HERE}.watch:watch", "Follow the repeat that is running now."),
    "purge": (f"{_HERE}.purge:purge", "Set repeats aside so that they run again."),
    "merge": (f"{_HERE}.merge:merge", "Join strict-ready runs of disjoint stages."),
    "plan-apply": (f"{_HERE}.plan_apply:plan_apply", "What apply would write, beside the current value."),
    "apply": (f"{_HERE}.apply:apply", "Write thresholds into the test files."),
    "import": (f"{_HERE}.import_run:import_run", "Turn a run directory into events."),
    "pr-body": (f"{_HERE}.pr_body:pr_body", "Write the pull request text of a calibration."),
    "compare": (f"{_HERE}.compare:compare", "What moved between two calibrations."),
}


@click.group("calibrate", cls=LazyGroup, lazy=COMMANDS)
@global_options
def calibrate() -> None:
    """Measure thresholds N times, audit the repeats strictly, write the worst back."""
