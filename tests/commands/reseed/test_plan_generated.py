"""The medians of a reseed plan, over histories and sources made up at random: a second computation says the same.

design, cli.md, "Reseed", and section 7.2 of the description of the performance CI: old medians (the last five), those
of the batch, those after appending it, and after 1 to 5 seeds.
"""

from __future__ import annotations

import json
import random
import statistics
from pathlib import Path
from typing import Any

import pytest

from tests.commands.hardship import refusal
from tests.commands.reseed.world import METRICS, World, record
from tests.hub_server import HubServer

Values = list[float]
Records = list[dict[str, Any]]


def medians(window: Records) -> dict[str, float | None]:
    """The median of what a window has of each metric."""
    values: dict[str, Values] = {m: [r[m] for r in window if r.get(m) is not None] for m in METRICS}
    return {m: statistics.median(v) if v else None for m, v in values.items()}


def worst_share(metric: str, batch: Records) -> float | None:
    """How much worse than the batch's median its worst value is, as a fraction; throughput is worse when lower.

    None where fewer than two were measured: they cannot disagree (section 7.1).
    """
    values: Values = [r[metric] for r in batch if r.get(metric) is not None]
    if len(values) < 2:
        return None
    middle = statistics.median(values)
    return max((middle - v if metric == "throughput" else v - middle) / middle for v in values)


def equal(found: dict[str, Any], wanted: dict[str, float | None]) -> bool:
    """The same metrics with the same medians, up to the last digits of a double."""
    return all(
        found.get(m) is None if value is None else found[m] == pytest.approx(value) for m, value in wanted.items()
    )


@pytest.mark.parametrize("seed", range(2))
def test_every_median_of_a_plan_is_what_a_second_computation_says(seed: int, tmp_path: Path, hub: HubServer) -> None:
    chance = random.Random(seed)
    old = [
        record(day, round(chance.uniform(25, 30), 3), success=chance.random() < 0.8)
        for day in range(1, chance.randrange(5, 12))
    ]
    for rec in old:
        if chance.random() < 0.3:
            del rec["throughput"]
        if chance.random() < 0.5:
            rec["dit_time_s"] = round(chance.uniform(5, 9), 3)
    world = World.make(tmp_path, hub, old)
    base = chance.uniform(30, 35)
    days = chance.sample(range(15, 29), chance.randrange(1, 5))
    batch = [record(day, round(base * chance.uniform(1, 1.03), 3), success=False) for day in days]
    for rec in batch:
        world.source(rec)
    plan = world.plan().json
    window = [rec for rec in old if rec["success"]]
    ordered = sorted(batch, key=lambda rec: str(rec["timestamp"]))
    assert [s["timestamp"] for s in plan["sources"]] == [rec["timestamp"] for rec in ordered]
    assert equal(plan["old"], medians(window[-5:])) and equal(plan["old"], world.medians())
    assert equal(plan["batch"], medians(batch))
    assert equal(plan["candidate"], medians([*window, *ordered][-5:]))
    for metric, share in plan["spread"].items():
        wanted = worst_share(metric, batch)
        assert share is None if wanted is None else share == pytest.approx(wanted, abs=1e-12), metric
    more = [*ordered, *[medians(batch)] * 5]  # seeds beyond the sources are like these
    for count in range(1, 6):
        assert equal(plan["will_move_median"][str(count)], medians([*window, *more[:count]][-5:])), count
    shown = world.run("reseed", "show", plan["id"], "--json", code=0).json
    assert shown["plan"]["digest"] == plan["digest"] and shown["plan"]["old"] == plan["old"]


def test_a_batch_is_refused_exactly_beyond_its_tolerance_and_a_fast_outlier_passes(
    tmp_path: Path, hub: HubServer
) -> None:
    """Section 7.1: each value against the batch's median, strictly beyond, on the worse side only."""
    world = World.make(tmp_path, hub, [record(day, 28.0) for day in range(1, 7)])
    tolerance = 0.02
    option = ("--max-intra-batch-regression", tolerance)
    cases = [(-0.5, True), (tolerance - 0.001, True), (tolerance + 0.001, False)]
    for n, (share, fits) in enumerate(cases):
        latencies = [100.0, 100.0, round(100.0 * (1 + share), 4)]
        sources = [
            world.source(record(20 + k, value, throughput=1.5), f"case{n}_{k}.json")
            for k, value in enumerate(latencies)
        ]
        for k, path in enumerate(sources):  # only the latency is to differ
            rec = json.loads(Path(path).read_text()) | {"memory": 10_000.0, "commit_sha": f"{n}{k}".ljust(40, "0")}
            Path(path).write_text(json.dumps(rec))
        done = world.plan(*option, sources=sources, code=0 if fits else 1)
        if not fits:
            error = refusal(done, 1)
            assert error["code"] == "batch_inconsistent" and "latency" in json.dumps(error["details"])
