"""Which literals an apply writes: pure decisions from the plan, the mode and the user's answers."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

from commands.calibrate.applying.plan import ApplyPlan, MetricPlan
from commands.calibrate.applying.write_value import is_stricter
from commands.literals.rewriter import number_text
from ledger.errors import BadInput, Refused

Mode = Literal["report", "smart", "full"]
Action = Literal["write", "keep", "equal", "ask", "skip"]
WRITE_VALUE = "write_value"
# keys that may name nothing: once everything is written, nothing loosens any more
DIRECTIONS = ("tightens", "loosens", "equal", "unknown", "fixed")

# asks the user about one metric: answers keep, write_value, or a number
Ask = Callable[[MetricPlan], str]


class Decision(msgspec.Struct, frozen=True):
    """What happens to one metric's literal. `text` is the new literal when `action` is `write`."""

    metric: MetricPlan
    action: Action
    why: str
    text: str | None = None

    @property
    def value(self) -> int | float | None:
        """The number that is written."""
        return None if self.text is None else _number(self.text)


class Answers(msgspec.Struct, frozen=True):
    """What the user said on the command line: `--keep KEY` and `--set KEY=VALUE`."""

    keep: tuple[str, ...] = ()
    set: tuple[tuple[str, str], ...] = ()


def parse_answers(keep: Iterable[str], assignments: Iterable[str]) -> Answers:
    """Read the options. Raises `BadInput` for a `--set` that is not `KEY=VALUE` with a number."""
    pairs = []
    for assignment in assignments:
        key, separator, text = assignment.rpartition("=")
        key, text = key.strip(), text.strip()
        if not separator or not key or (text != WRITE_VALUE and _number(text) is None):
            raise BadInput(
                f"--set {assignment!r} is not KEY=VALUE with a number",
                code="bad_set",
                hint=f"--set mmsu_speed.throughput_qps=44.1, or =`{WRITE_VALUE}` for the planned one",
            )
        pairs.append((key, text))
    return Answers(tuple(keep), tuple(pairs))


def decide(
    plan: ApplyPlan, mode: Mode, answers: Answers, ask: Ask | None = None, *, leave_open: bool = False
) -> list[Decision]:
    """Decide every metric, in plan order; `leave_open` keeps questions as decisions to `ask`.

    `full` writes every literal it knows; `smart` writes what its group allows unasked and asks about
    the rest; `report` writes nothing. An explicit answer wins over the mode. Raises `BadInput` for an
    answer that names nothing and for questions without a terminal to answer at, `Refused` for a pinned symbol, an
    ambiguous literal, a value stricter than what was measured, and two values for one literal.
    """
    _check_answers(plan, answers)
    decisions = [_decide_one(plan, metric, mode, answers) for metric in plan.metrics]
    decisions = [_asked(decision, ask) if decision.action == "ask" else decision for decision in decisions]
    open_questions = [decision for decision in decisions if decision.action == "ask"]
    if open_questions and not leave_open:
        raise _unanswered(open_questions)
    _refuse_two_values(decisions)
    return decisions


def _decide_one(plan: ApplyPlan, metric: MetricPlan, mode: Mode, answers: Answers) -> Decision:
    if any(key in names_of(metric) for key in answers.keep):
        return Decision(metric, "keep", "kept on request")
    for key, text in answers.set:
        if key in names_of(metric):
            return _set(metric, text)
    if mode == "report":
        return Decision(metric, "keep", "report writes nothing")
    if metric.direction == "fixed":
        return Decision(metric, "skip", "pinned by hand")
    if metric.site is None:
        if "ambiguous" in metric.problem_code:
            raise _ambiguous(metric)
        return Decision(metric, "skip", metric.problem)
    if metric.write is None:
        return Decision(metric, "skip", "nothing was measured")
    if metric.direction == "equal":
        return Decision(metric, "equal", "the file says so already")
    if mode == "full":
        return _write(metric, "full")
    smart = plan.registry.group(metric.stage.group).smart
    if smart == "always" and metric.direction != "unknown":
        return _write(metric, f"{metric.stage.group} is always written")
    if smart == "tightens" and metric.direction == "tightens":
        return _write(metric, f"{metric.stage.group} that tightens is written")
    return Decision(metric, "ask", f"{metric.stage.group} that {metric.direction} is asked about")


def names_of(metric: MetricPlan) -> set[str]:
    """Every way an option may name a metric: exactly, by literal, stage, group, or direction."""
    return {
        metric.name,
        f"{metric.stage.key}/{metric.metric.key}",
        metric.literal,
        metric.metric.source,
        metric.symbol,
        metric.stage.key,
        metric.metric.key,
        f"@{metric.stage.group}",
        metric.direction,
    }


def _write(metric: MetricPlan, why: str) -> Decision:
    assert metric.write is not None
    return Decision(metric, "write", why, number_text(metric.write))


def _set(metric: MetricPlan, text: str) -> Decision:
    if metric.direction == "fixed":
        raise Refused(
            f"{metric.symbol} is pinned by hand and never written",
            code="fixed_symbol",
            hint="change it by hand, in a commit that says why",
            symbol=metric.symbol,
        )
    if metric.site is None:
        raise _ambiguous(metric)
    if text == WRITE_VALUE:
        return _write(metric, "asked for") if metric.write is not None else _nothing_measured(metric)
    value = _number(text)
    assert value is not None, text
    if metric.worst is not None and is_stricter(value, than=metric.worst, worst_op=metric.worst_op):
        bound = "above" if metric.worst_op == "min" else "below"
        raise Refused(
            f"{metric.name}: {text} is {bound} the worst measured value {metric.worst!r}, "
            "so the measured runs themselves would fail",
            code="stricter_than_measured",
            hint=f"--set {metric.name}={WRITE_VALUE}, or measure again",
            metric=metric.name,
            worst=metric.worst,
        )
    if value == metric.current:
        return Decision(metric, "equal", "the file says so already")
    return Decision(metric, "write", "set by the user", text)


def _nothing_measured(metric: MetricPlan) -> Decision:
    return Decision(metric, "skip", "nothing was measured")


def _asked(decision: Decision, ask: Ask | None) -> Decision:
    if ask is None:
        return decision
    answer = ask(decision.metric)
    if answer == "keep":
        return Decision(decision.metric, "keep", "kept on request")
    return _set(decision.metric, answer)


def _check_answers(plan: ApplyPlan, answers: Answers) -> None:
    for key in answers.keep:
        if key not in DIRECTIONS and not any(key in names_of(metric) for metric in plan.metrics):
            raise _names_nothing(plan, "--keep", key)
    for key, text in answers.set:
        named = [metric for metric in plan.metrics if key in names_of(metric)]
        if not named and key not in DIRECTIONS:
            raise _names_nothing(plan, "--set", key)
        literals = {(metric.file, metric.literal) for metric in named}
        if len(literals) > 1 and text != WRITE_VALUE:
            raise BadInput(
                f"--set {key} names {len(literals)} literals; name one",
                code="ambiguous_key",
                hint="one of: " + ", ".join(metric.name for metric in named),
                key=key,
            )


def _names_nothing(plan: ApplyPlan, option: str, key: str) -> BadInput:
    return BadInput(
        f"{option} {key} names no metric of this calibration",
        code="unknown_metric",
        hint="one of: " + ", ".join(metric.name for metric in plan.metrics),
        key=key,
    )


def _unanswered(open_questions: Sequence[Decision]) -> BadInput:
    names = [decision.metric.name for decision in open_questions]
    lines = [
        f"  {each.metric.name}: {each.metric.current!r} -> {each.metric.write!r} ({each.metric.direction})"
        for each in open_questions
    ]
    return BadInput(
        f"{len(names)} metric(s) need an answer and there is no terminal to ask at; nothing was written\n"
        + "\n".join(lines),
        code="answers_missing",
        hint=f"for each: --keep KEY, --set KEY={WRITE_VALUE} or --set KEY=NUMBER; or --mode full",
        metrics=names,
    )


def _ambiguous(metric: MetricPlan) -> Refused:
    return Refused(
        metric.problem or f"{metric.name} has no literal to write",
        code=metric.problem_code or "no_literal",
        hint=f"make it one plain number at the top level of the file, or --keep {metric.name}",
        metric=metric.name,
    )


def _refuse_two_values(decisions: Sequence[Decision]) -> None:
    """Two stages may share a literal only when both leave it at the same number."""
    by_literal: dict[tuple[str, str], list[Decision]] = {}
    for decision in decisions:
        if decision.action in ("write", "equal"):
            where = (str(decision.metric.file), decision.metric.literal)
            by_literal.setdefault(where, []).append(decision)
    for (file, literal), several in by_literal.items():
        values = {each.value if each.action == "write" else each.metric.current for each in several}
        if len(values) > 1:
            said = ", ".join(f"{each.metric.name}={each.metric.write!r}" for each in several)
            raise Refused(
                f"{file}: {literal} is shared by stages that want different values ({said})",
                code="shared_literal",
                hint=f"--set '{literal}=NUMBER' for all of them, or --keep '{literal}'",
                literal=literal,
            )


def _number(text: str) -> int | float | None:
    """The value of a Python number literal; None for anything else, and for what is not finite."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value
