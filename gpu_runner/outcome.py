"""How an attempt ended, in the words of the record, and whether it is worth another attempt.

`assertion` is the one kind of failure that is an observation: the test measured, and disliked what it saw.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

from gpu_runner.watchdog import Findings, Stop

RETRIED_KINDS = frozenset({"oom", "crash", "timeout", "infrastructure"})
WATCHDOG_RC = -1  # what the record calls the exit code of a run we ended ourselves

USAGE_EXITS = {
    2: "pytest was interrupted or could not collect the test",
    4: "pytest refused its command line",
    5: "pytest collected no test",
    126: "the interpreter could not be executed",
    127: "the interpreter was not found",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """text: `passed`, `exit 1`, `OOM`, `exit 137 (killed)`, ...; kind as in `Attempt`; cause: the line or sentence."""

    text: str
    kind: str
    cause: str = ""

    @property
    def retried(self) -> bool:
        """Whether another attempt may end differently for no reason of the code under test."""
        return self.kind in RETRIED_KINDS


def classify(
    exit_code: int | None, findings: Findings, *, stop: Stop | None = None, complete: bool, keeper_lost: bool = False
) -> Outcome:
    """Name the end of an attempt.

    exit_code: as waitpid gives it (negative for a signal). complete: every configured metric was read, so the
    test got through its measurement. The order is from the surest to the vaguest evidence.
    """
    if stop is not None:
        return Outcome(stop.outcome, stop.kind, stop.cause)
    if exit_code is None:
        what = "the process that keeps the repeat was killed" if keeper_lost else "the run ended without an exit code"
        return Outcome("infrastructure (keeper lost)", "infrastructure", what)
    if exit_code == 0:
        return Outcome("passed", "passed")
    measured = complete and exit_code == 1
    memory = findings.error_out_of_memory or (None if measured else findings.out_of_memory)
    if memory:
        return Outcome("OOM", "oom", memory)
    if exit_code < 0 or exit_code > 128:
        return _signalled(-exit_code if exit_code < 0 else exit_code - 128)
    late = findings.error_timed_out or (None if measured else findings.timed_out)
    if late:
        return Outcome("TimeoutExpired", "timeout", late)
    if exit_code in USAGE_EXITS:
        return Outcome(f"exit {exit_code}", "usage", findings.error_line or USAGE_EXITS[exit_code])
    if not complete and findings.error_infrastructure:
        return Outcome(f"infrastructure (exit {exit_code})", "infrastructure", findings.error_infrastructure)
    if exit_code == 3:
        return Outcome("exit 3", "infrastructure", findings.error_line or "pytest had an internal error")
    return Outcome(f"exit {exit_code}", "assertion", findings.error_line or "")


def _signalled(signum: int) -> Outcome:
    """Death by signal; shells and containers report 128 + n, the kernel reports n: the same thing."""
    words: dict[int, str] = {
        signal.SIGKILL: "killed",
        signal.SIGSEGV: "segfault",
        signal.SIGABRT: "abort",
        signal.SIGTERM: "terminated",
    }
    try:
        known = signal.Signals(signum)
    except ValueError:
        return Outcome(f"exit {128 + signum}", "crash", f"exit status {128 + signum}")
    cause = {
        signal.SIGKILL: "killed by SIGKILL from outside, most often the kernel's out-of-memory killer (see dmesg)",
        signal.SIGTERM: "terminated from outside",
    }.get(known, f"died by {known.name}")
    return Outcome(f"exit {128 + signum} ({words.get(known, known.name)})", "crash", cause)
