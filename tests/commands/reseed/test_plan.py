"""Planning a reseed: what a plan says, which sources belong, and what stops it before anything is recorded."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.commands.reseed.world import DATASET, GPU, MODEL, World, planned, record
from tests.hub_server import Fault, HubServer


def test_a_plan_says_what_would_move_and_changes_nothing_outside(world: World) -> None:
    before = dict(world.repo.files())
    plan = planned(world)
    assert world.repo.files() == before
    assert plan["target"] == f"{MODEL}@{GPU}"
    assert plan["old"]["latency"] == world.medians()["latency"] == 28.5
    assert plan["batch"]["latency"] == pytest.approx(33.21)
    assert plan["candidate"]["latency"] == pytest.approx(33.2)
    assert plan["will_move_median"]["1"]["latency"] == pytest.approx(28.6)
    assert plan["will_move_median"]["2"]["latency"] == pytest.approx(28.7)
    assert plan["will_move_median"]["3"]["latency"] == pytest.approx(33.2)
    assert plan["will_move_median"]["4"]["latency"] == pytest.approx(33.21), "a fourth like these"
    assert list(plan["will_move_median"]) == ["1", "2", "3", "4", "5"]
    assert plan["old_count"] == 7
    assert [s["verdict"] for s in plan["sources"]] == ["REGRESSION"] * 3
    assert len(plan["digest"]) == 64
    assert plan["spread"]["latency"] == pytest.approx(0.01 / 33.21)
    backup = Path(plan["backup"])
    assert {str(p.relative_to(backup)) for p in backup.rglob("*.json")} == {p for p in before if p.endswith(".json")}
    provenance = (backup / "PROVENANCE.txt").read_text(encoding="utf-8")
    for word in (f"model_id: {MODEL}", f"gpu_type: {GPU}", "reseed_record_count: 3", "reason: torch 2.9 needs more"):
        assert word in provenance


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"gpu_type": "NVIDIA H100"}, "gpu_type"),
        ({"model_id": "other"}, "model_id"),
        ({"latency": "fast"}, "latency"),
        ({"latency": -1.0}, "latency"),
        ({"memory": 0}, "memory"),
        ({"latency": True}, "latency"),
        ({"throughput": float("nan")}, "throughput"),
        ({"latency": float("inf")}, "latency"),
        ({"latency": None, "throughput": None, "memory": None}, "nothing was measured"),
    ],
)
def test_a_source_that_does_not_belong_is_refused_by_field(world: World, change: dict[str, Any], says: str) -> None:
    bad = world.source({**record(23, 33.3), **change})
    error = world.plan(code=2).json["error"]
    assert says in error["message"]
    assert bad in error["message"]
    assert world.run("reseed", "list", "--json", code=0).json == []
    assert not (world.folder / "backups").exists()


def test_raw_results_markdown_and_duplicates_are_refused(world: World) -> None:
    raw = world.folder / "perf_x.json"
    raw.write_text(json.dumps({"benchmark_id": MODEL, "device": GPU, "avg_generation_time_s": 30.0}), encoding="utf-8")
    markdown = world.folder / "perf.md"
    markdown.write_text("## Performance", encoding="utf-8")
    broken = world.folder / "broken.json"
    broken.write_text("{", encoding="utf-8")
    first = world.sources[0]
    same = world.source(json.loads(Path(first).read_text(encoding="utf-8")), "copy.json")
    for sources, says in (
        ([str(raw)], "raw result"),
        ([str(markdown)], "Markdown"),
        ([str(broken)], "JSON"),
        ([first, first], "twice"),
        ([first, same], "same content"),
        ([], "--source"),
    ):
        assert says in world.plan(sources=sources, code=2).json["error"]["message"]
    assert world.plan(sources=[first], reason=" ", code=2).json["error"]["code"] == "usage"
    assert world.plan(sources=["nowhere.json"], code=2)


def test_sources_that_disagree_stop_the_plan_and_an_outlier_is_dropped_only_on_the_record(world: World) -> None:
    outlier = world.source(record(23, 40.0))
    error = world.plan(code=1).json["error"]
    assert error["code"] == "batch_inconsistent"
    row = next(r for r in error["details"]["table"] if r["metric"] == "latency")
    assert 40.0 in row["values"]
    assert row["worst"] == pytest.approx((40 - 33.215) / 33.215)
    assert world.plan("--drop", outlier, code=2).json["error"]["message"].startswith("--drop needs --drop-reason")
    plan = world.plan("--drop", outlier, "--drop-reason", "thermal throttling, see telemetry").json
    assert len(plan["sources"]) == 3
    events = world.run("events", "list", "--type", "SourceDropped", "--json", code=0).out
    assert json.loads(events)["payload"]["reason"] == "thermal throttling, see telemetry"
    assert world.plan("--max-intra-batch-regression", "0.3").json["tolerance"] == 0.3


def test_the_tolerance_comes_from_the_environment_when_not_given(world: World) -> None:
    world.source(record(23, 35.0))
    assert world.plan(code=1)
    named = [a for s in world.sources for a in ("--source", s)]
    args = ["reseed", "plan", "--model", MODEL, "--gpu", GPU, *named, "--reason", "r"]
    world.run(*args, env={"PERF_MAX_REGRESSION": "0.2"}, code=0)
    assert "PERF_MAX_REGRESSION" in world.run(*args, env={"PERF_MAX_REGRESSION": "lots"}, code=2).err


def test_sources_are_ordered_by_time_and_one_without_a_time_comes_last_with_a_warning(world: World) -> None:
    undated = world.source({**record(1, 33.2), "timestamp": "yesterday"})
    early = world.source(record(19, 33.1))
    plan = planned(world)
    assert plan["sources"][0]["path"] == early
    assert plan["sources"][-1]["path"] == undated
    assert any("yesterday" in w for w in plan["warnings"])


def test_a_first_seed_is_said_clearly_and_is_no_error(tmp_path: Path, hub: HubServer) -> None:
    world = World.make(tmp_path, hub, [])
    world.source(record(20, 30.0))
    plan = planned(world)
    assert plan["kind"] == "first_seed"
    assert plan["backup"] == ""
    assert plan["old"]["latency"] is None
    assert "first seed" in world.run("reseed", "show", plan["id"], code=0).out
    world.all_of_it(plan["id"])
    assert world.medians()["latency"] == 30.0


class _Artifacts(http.server.BaseHTTPRequestHandler):
    """A CI service's artifact store: one public file, one behind a login, one endless."""

    content = b""

    def do_GET(self) -> None:
        if self.path == "/ok.json":
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(self.content)
        elif self.path == "/login":
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>sign in</html>")
        elif self.path == "/huge":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(64):
                    self.wfile.write(b"x" * 65536)
            except OSError:
                pass
        else:
            self.send_response(int(self.path.strip("/")))
            self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def test_artifact_urls_are_fetched_with_limits_and_a_login_is_explained(world: World) -> None:
    _Artifacts.content = json.dumps(record(24, 33.2)).encode()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Artifacts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        plan = world.plan(sources=[f"{base}/ok.json"]).json
        assert plan["sources"][0]["path"] == f"{base}/ok.json"
        for place, code, says in (
            ("login", 2, "needs a login"),
            ("401", 2, "needs a login"),
            ("huge", 2, "MiB"),
            ("500", 4, "HTTP 500"),
        ):
            error = world.plan(sources=[f"{base}/{place}"], code=code).json["error"]
            assert says in error["message"]
    finally:
        server.shutdown()
        server.server_close()


def test_a_failed_sync_stops_the_plan_before_anything_is_recorded(world: World) -> None:
    world.hub.faults.append(Fault("GET *", kind="status", status=403, times=100))
    assert world.plan(code=4).json["error"]["hint"]
    world.hub.faults.clear()
    assert world.run("reseed", "list", "--json", code=0).json == []


def test_the_identity_of_newer_records_is_the_target(tmp_path: Path, hub: HubServer) -> None:
    identity = {
        "result_schema_version": 2,
        "workload_id": "wan-t2v",
        "variant_id": "1.3b",
        "benchmark_version": 3,
        "recipe_fingerprint": "ec" * 32,
        "hardware_profile_id": "hw-3dc7f1d8fc58debd",
        "software_profile_id": "sw-fbe0146609c2e645",
    }
    calibration: dict[str, Any] = {
        **identity,
        "comparison_status": "CALIBRATION_NEEDED",
        "baseline_eligible": False,
        "run_source": "scheduled_main",
        "branch": "main",
        "test_scope": "full",
        "pr_number": "",
    }
    world = World.make(tmp_path, hub, [])
    world.source(record(20, 30.0, **calibration, job_id="j1"))
    bad = record(21, 30.1, **calibration, job_id="j2")
    for field, value in (
        ("run_source", "pr"),
        ("success", "true"),
        ("baseline_eligible", None),
        ("branch", "dev"),
        ("result_schema_version", "2"),
        ("pr_number", "7"),
        ("job_id", "j1"),
    ):
        error = world.plan(sources=[*world.sources[:1], world.source({**bad, field: value})], code=2).json["error"]
        assert field in error["message"], error
    other = world.source({**bad, "software_profile_id": "sw-other"})
    assert "software_profile_id" in world.plan(sources=[world.sources[0], other], code=2).json["error"]["message"]
    good = world.source(bad)
    plan = world.plan(sources=[world.sources[0], good]).json
    assert plan["kind"] == "first_seed"
    assert plan["target"].startswith("identity:")
    assert plan["destination"][0].endswith("_seed_01.json")
    world.all_of_it(plan["id"])
    seeds = world.seeds()
    assert [s["baseline_seed_batch_index"] for s in seeds] == [1, 2]
    assert all(s["baseline_eligible"] is True and s["comparison_status"] == "PASS" for s in seeds)
    assert seeds[0]["baseline_seed_source_status"] == "CALIBRATION_NEEDED"
    again = world.plan(sources=[world.source(record(23, 30.2, **calibration, job_id="j9"))]).json
    assert again["kind"] == "reseed"
    assert again["old"]["latency"] == pytest.approx(30.05)
    assert DATASET in again["dataset"]
