"""Run directories made up at random, and what the specification says of them, worked out without the source."""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.commands.calibrate.published import METRICS

COMMIT, OTHER = "a5abacd5334c743c81fcd0426628876333bd10f0", "b" * 40
STAMP = "2026-06-27T11:51:30Z"
BY_KEY = {row[0]: (label, *row[1:]) for label, row in METRICS.items()}
GROUPS: dict[str, list[str]] = {}
for _key, (_label, _group, *_rest) in BY_KEY.items():
    GROUPS.setdefault(_group, []).append(_key)


@dataclass
class GeneratedStage:
    """One stage of a schema: which metrics, how many samples, whether they are counted."""

    key: str
    test: str
    group: str
    metrics: list[str]
    expected: int | None
    counted: bool

    def schema(self) -> list[str]:
        """The stage in the form of the generated stages.yaml (specification, 2.5)."""
        lines = [
            f"{self.key}:",
            f"  test: tests/{self.test}.py",
            f'  title: "{self.key.upper()}"',
            f"  group: {self.group}",
            "  extra_env: {}",
            "  context_vars: []",
            f"  test_file_sha256: {'0' * 64}",
            f"  last_discovered_at: {STAMP}",
        ]
        if self.expected is not None:
            lines.append(f"  expected_samples: {self.expected}")
        lines.append("  sample_counts:")
        for which in ("total", "ok"):
            place = ('"r.json"', f'"n.{which}"') if self.counted else ("null", "null")
            lines += [f"    {which}:", f"      json_file: {place[0]}", f"      json_path: {place[1]}"]
        lines.append("  metrics:")
        for metric in self.metrics:
            label, _, bound, scale, digits = BY_KEY[metric]
            lines += [
                f"    {metric}:",
                f'      source: "{metric.upper()}"',
                '      json_file: "r.json"',
                f'      json_path: "m.{metric}"',
                f"      worst: {bound}",
                "      display:",
                f'        label: "{label}"',
                f"        scale: {scale}",
                f"        digits: {digits}",
                "      status: OK",
            ]
        return lines


@dataclass
class GeneratedRun:
    """A run directory: its stages, its planned repeats, the run files as documents (None: bytes that are no JSON)."""

    repeats: int
    stages: list[GeneratedStage]
    files: dict[tuple[str, int], dict[str, Any] | None] = field(default_factory=dict)
    commit: str = COMMIT

    def write(self, folder: Path) -> Path:
        """Write it as the existing tool lays it out, with its schema beside it."""
        folder.mkdir()
        schema = folder.parent / f"{folder.name}.stages.yaml"
        schema.write_text("\n".join(line for stage in self.stages for line in stage.schema()) + "\n", encoding="utf-8")
        plan = {
            "model": "m",
            "stages": [stage.key for stage in self.stages],
            "repeats": self.repeats,
            "timestamp": STAMP,
            "calibration_started_at": STAMP,
            "calibration_git_sha": self.commit,
            "git_sha": self.commit,
            "git_branch": "main",
            "dirty": False,
            "venv_python": "/p",
            "venv_source": "flag",
            "tune_version": "0.6.0",
            "stages_yaml": str(schema),
        }
        (folder / "plan.json").write_text(json.dumps(plan, indent=2))
        for (stage, repeat), document in self.files.items():
            path = folder / stage / f"run{repeat}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text("{" if document is None else json.dumps(document))
        return folder

    def cell(self, stage: GeneratedStage, repeat: int) -> str:
        """The sign of one stage and repeat (specification, section 10; `D` and the status from section 15)."""
        if (stage.key, repeat) not in self.files:
            return "—"
        document = self.files[stage.key, repeat]
        if document is None:
            return "✗"
        if document.get("destructive") or document.get("block_discarded"):
            return "D"
        values = document["metrics"]
        if not values or set(stage.metrics) - set(values):
            return "✗"
        if any(type(v) not in (int, float) or not math.isfinite(v) for v in values.values()):
            return "✗"
        total, ok = document["sample_counts"]["total"], document["sample_counts"]["ok"]
        if stage.counted and (total is None or ok is None):
            return "✗"
        if total is not None and ok is not None:
            if total != ok:
                return "△"
            if stage.expected is not None and total != stage.expected:
                return "✗"
        return "✓" if document["status"] == "ok" else "✗"

    def cells(self, stage: GeneratedStage) -> str:
        """All cells of a stage: those planned, and any further round that is there."""
        last = max([self.repeats, *(k for key, k in self.files if key == stage.key)])
        return "".join(self.cell(stage, k) for k in range(1, last + 1))

    def foreign(self) -> tuple[list[str], list[str]]:
        """(mismatches, without a commit), by the names and words of the specification's section 10."""
        mismatches, missing = [], []
        for stage in self.stages:
            for key, repeat in sorted(self.files):
                if key != stage.key:
                    continue
                name, document = f"{key}/run{repeat}", self.files[key, repeat]
                if document is None:
                    mismatches.append(f"{name}: corrupt json")
                elif not document.get("git_sha"):
                    missing.append(name)
                elif document["git_sha"] != self.commit:
                    mismatches.append(f"{name}: artifact {document['git_sha'][:8]} != calibration {self.commit[:8]}")
        return mismatches, missing


def value_of(chance: random.Random, metric: str) -> float:
    """A plausible raw value of a metric."""
    digits = BY_KEY[metric][4]
    return float(chance.randrange(0, 9)) if digits == 0 else round(chance.uniform(0.01, 0.99), chance.randrange(1, 9))


def good_file(chance: random.Random, stage: GeneratedStage) -> dict[str, Any]:
    """A run file that is strict."""
    total = stage.expected if stage.expected is not None else chance.randrange(1, 2000)
    return {
        "status": "ok",
        "reason": "",
        "metrics": {metric: value_of(chance, metric) for metric in stage.metrics},
        "sample_counts": {"total": total, "ok": total} if stage.counted else {"total": None, "ok": None},
        "duration_s": 1.5,
        "attempts": 1,
        "git_sha": COMMIT,
        "recorded_at": STAMP,
        "pytest_log": "",
        "basetemp": "",
        "pytest_rc": 0,
    }


def spoil(chance: random.Random, document: dict[str, Any]) -> dict[str, Any] | None:
    """Make one thing wrong with a run file, out of everything that happens to them."""
    kind = chance.randrange(12)
    metric = chance.choice(list(document["metrics"]))
    counts = document["sample_counts"]
    if kind == 0:
        return None
    if kind in (1, 2, 3, 4):
        wrong = (None, math.nan, math.inf, chance.choice(["12.5", True]))[kind - 1]
        return document | {"metrics": document["metrics"] | {metric: wrong}}
    if kind == 5:
        return document | {"metrics": {k: v for k, v in document["metrics"].items() if k != metric}}
    if kind == 6:
        return document | {"sample_counts": counts | {chance.choice(["total", "ok"]): None}}
    if kind == 7:
        return document | {"sample_counts": counts | {"ok": (counts["ok"] or 1) - 1}}
    if kind == 8:
        total = (counts["total"] or 7) + 1
        return document | {"sample_counts": {"total": total, "ok": total}}
    if kind == 9:
        return document | {"status": "failed", "reason": "crashed (watchdog)"}
    if kind == 10:
        return document | {"git_sha": chance.choice(["", OTHER])}
    return document | {"destructive": True}


def generate(seed: int, *, spoiled: float = 0.3, absent: float = 0.15) -> GeneratedRun:
    """A run directory of one to four stages over two test files, with these shares of its files spoiled and absent."""
    chance = random.Random(seed)
    stages = []
    for index in range(chance.randrange(1, 5)):
        group = chance.choice(sorted(GROUPS))
        expected = chance.choice([None, 10, 1088])
        stages.append(
            GeneratedStage(
                key=f"s{index}_{group}",
                test=chance.choice(["test_a_ci", "test_b_ci"]),
                group=group,
                metrics=chance.sample(GROUPS[group], chance.randrange(1, len(GROUPS[group]) + 1)),
                expected=expected,
                counted=expected is not None or chance.random() < 0.7,
            )
        )
    run = GeneratedRun(repeats=chance.randrange(1, 6), stages=stages)
    for stage in stages:
        for repeat in range(1, run.repeats + 1 + (chance.random() < 0.2)):
            if chance.random() >= absent:
                document = good_file(chance, stage)
                run.files[stage.key, repeat] = spoil(chance, document) if chance.random() < spoiled else document
    return run
