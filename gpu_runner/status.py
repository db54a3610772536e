"""The status and reason of each stage of a repeat: one table, in the words the run directory uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gpu_runner.extract import Extracted, misread_causes
from gpu_runner.outcome import Outcome
from gpu_runner.request import StageSpec
from ledger.events.observations import StageObservation


def observe(stage: StageSpec, values: Extracted, outcome: Outcome) -> StageObservation:
    """Judge one stage.

    | pytest    | configured metrics | status | reason                                    |
    |-----------|--------------------|--------|-------------------------------------------|
    | passed    | all read           | ok     |                                           |
    | otherwise | all read           | ok     | threshold_assertion (<outcome>)           |
    | any       | one missing        | failed | incomplete_metrics_extraction (<outcome>) |
    | any       | none in the schema | by exit| the outcome                               |

    A stage with a validity source must have it true; one with an allowed-failure source may only fail
    when that is true.
    """
    status, reason = "ok", "" if outcome.kind == "passed" else f"threshold_assertion ({outcome.text})"
    if not stage.metrics:
        status = "ok" if outcome.kind == "passed" else "failed"
        reason = "" if outcome.kind == "passed" else outcome.text
    elif values.misread:
        status, reason = "failed", f"incomplete_metrics_extraction ({_why(values, outcome)})"
    elif stage.validity is not None and values.valid is not True:
        status = "observation_validity_missing" if values.valid is None else "observation_validity_failed"
        reason = reason or status
    elif stage.allowed_failure is not None and outcome.kind != "passed" and values.allowed_failure is not True:
        status = f"unexpected_pytest_failure ({outcome.text})"
    return StageObservation(
        stage=stage.key,
        status=status,
        reason=reason,
        metrics=values.metrics,
        sample_counts=values.sample_counts,
        problems=values.problems,
        observation_valid=values.valid,
        allowed_pytest_failure=values.allowed_failure,
    )


def halt_cause(outcome: Outcome, extracted: Mapping[str, Extracted]) -> str | None:
    """Why the whole run has to stop: pytest passed, but a configured metric could not be read."""
    if outcome.kind != "passed":
        return None
    return "; ".join(misread_causes(extracted)) or None


def is_complete(stages: Sequence[StageSpec], extracted: Mapping[str, Extracted]) -> bool:
    """The test got through its measurement: there are metrics, and every configured one was read."""
    return any(stage.metrics for stage in stages) and all(values.complete for values in extracted.values())


def _why(values: Extracted, outcome: Outcome) -> str:
    if outcome.kind != "passed":
        return outcome.text
    return next(why for name, why in values.problems.items() if name in values.metrics)
