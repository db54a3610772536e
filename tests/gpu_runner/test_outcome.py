"""How an attempt ended, and whether it is worth another: the rules of the calibration contract, line by line."""

from __future__ import annotations

import pytest

from gpu_runner.outcome import Outcome, classify
from gpu_runner.watchdog import Findings, Stop

OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"


def end(code: int | None, *, complete: bool = False, **found: str) -> Outcome:
    return classify(code, Findings(**found), complete=complete)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-9, "exit 137 (killed)"),
        (137, "exit 137 (killed)"),
        (-11, "exit 139 (segfault)"),
        (139, "exit 139 (segfault)"),
        (-6, "exit 134 (abort)"),
        (-15, "exit 143 (terminated)"),
        (134, "exit 134 (abort)"),
        (-7, "exit 135 (SIGBUS)"),
    ],
)
def test_death_by_signal_has_one_name_however_it_is_reported_and_is_retried(code: int, text: str) -> None:
    outcome = end(code)
    assert (outcome.text, outcome.kind, outcome.retried) == (text, "crash", True)
    assert outcome.cause


def test_a_status_above_128_that_is_no_signal_is_a_crash_without_a_name() -> None:
    assert end(255).text == "exit 255" and end(255).retried


def test_a_threshold_assertion_is_an_observation_and_never_retried() -> None:
    outcome = end(1, complete=True, error_line="E   assert 17.1 >= 17.5")
    assert (outcome.text, outcome.kind, outcome.retried) == ("exit 1", "assertion", False)
    assert outcome.cause == "E   assert 17.1 >= 17.5"


def test_running_out_of_memory_is_retried() -> None:
    assert end(1, out_of_memory=OOM) == Outcome("OOM", "oom", OOM)
    assert end(1, complete=True, out_of_memory=OOM, error_out_of_memory="E   " + OOM).text == "OOM"
    assert end(-9, out_of_memory=OOM).text == "OOM", "what the log says is surer than the signal that followed"


def test_an_oom_that_the_program_handled_does_not_make_a_measurement_an_oom() -> None:
    """A warm-up may try a batch that is too large, catch the error and go on."""
    assert end(1, complete=True, out_of_memory="WARNING CUDA out of memory, halving the batch").text == "exit 1"
    assert end(0, complete=True, out_of_memory="WARNING CUDA out of memory, halving the batch").kind == "passed"


def test_an_expired_timeout_is_retried_unless_the_test_still_measured() -> None:
    assert end(1, timed_out="subprocess.TimeoutExpired: Command ...").text == "TimeoutExpired"
    assert end(1, error_timed_out="E   subprocess.TimeoutExpired").retried
    assert end(1, complete=True, timed_out="TimeoutExpired once, asked again").kind == "assertion"


def test_surroundings_that_failed_are_infrastructure_only_when_nothing_was_measured() -> None:
    line = "E   requests.ConnectionError: Connection refused"
    assert end(1, error_infrastructure=line) == Outcome("infrastructure (exit 1)", "infrastructure", line)
    assert end(1, complete=True, error_infrastructure=line).kind == "assertion"


@pytest.mark.parametrize(
    ("code", "word"),
    [(2, "collect"), (4, "command line"), (5, "collected no test"), (127, "not found")],
)
def test_a_test_that_cannot_run_is_not_run_four_times(code: int, word: str) -> None:
    outcome = end(code)
    assert (outcome.text, outcome.kind, outcome.retried) == (f"exit {code}", "usage", False)
    assert word in outcome.cause


def test_a_lost_keeper_is_infrastructure() -> None:
    outcome = classify(None, Findings(), complete=False, keeper_lost=True)
    assert outcome.kind == "infrastructure" and outcome.retried


def test_what_the_watchdog_decided_stands_whatever_the_log_says() -> None:
    stop = Stop("timeout", "timeout (no output for 1800 s)", "last line: x")
    assert classify(-9, Findings(out_of_memory=OOM), stop=stop, complete=True).text == stop.outcome
