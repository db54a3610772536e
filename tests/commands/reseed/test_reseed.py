"""A reseed from plan to clean-up, against a real Hub server, with everything that may go wrong on the way."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands.reseed.world import DATASET, GPU, MODEL, World, kill_at, path_of, record
from tests.conftest import PERFLEDGER, clean_env
from tests.hub_server import Fault, HubServer


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture
def world(tmp_path: Path, hub: HubServer) -> World:
    made = World.make(tmp_path, hub, [record(day, 28.0 + day / 10) for day in range(1, 8)])
    for day in (20, 21, 22):
        made.source(record(day, 33.0 + day / 100, commit=f"{day:040x}", success=False, comparison_status="REGRESSION"))
    return made


def planned(world: World) -> dict[str, Any]:
    plan: dict[str, Any] = world.plan().json
    return plan


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


def test_the_medians_move_exactly_as_planned_and_the_bytes_are_those_prepared(world: World) -> None:
    plan = planned(world)
    done = world.all_of_it(plan["id"])
    assert {m: v for m, v in world.medians().items() if v} == {m: v for m, v in plan["candidate"].items() if v}
    assert done["as_planned"] is True
    assert done["uploaded"] == plan["destination"]
    staging = world.folder / "staging" / plan["id"]
    for path in plan["destination"]:
        assert world.repo.files()[path] == (staging / path).read_bytes()
    assert len(world.repo.commits) == 3, "the empty one, the history, and one commit for all seeds"
    shown = world.run("baseline", "show", f"{MODEL}@{GPU}", "--json", code=0).out
    assert "33.2" in shown, "this ledger's own baseline moved too"


def test_a_seed_is_a_new_record_with_provenance_and_a_fresh_time(world: World) -> None:
    plan = planned(world)
    world.all_of_it(plan["id"])
    seeds = world.seeds()
    assert [s["baseline_reseed_batch_index"] for s in seeds] == [1, 2, 3]
    times = [s["timestamp"] for s in seeds]
    assert times == sorted(set(times))
    assert min(times) > "2026-06-22"
    for seed in seeds:
        assert seed["success"] is True
        assert seed["baseline_reseed"] is True
        assert seed["baseline_reseed_reason"] == "torch 2.9 needs more"
        assert seed["baseline_reseed_source_success"] is False
        assert seed["baseline_reseed_batch_size"] == 3
        assert seed["baseline_reseed_operator"] == "tester@example.org"
        assert seed["baseline_reseed_source_timestamp"].startswith("2026-06-2")
        assert "comparison_status" not in seed, "no record of the target has that field"


def test_every_gate_wants_its_exact_phrase(world: World) -> None:
    plan = planned(world)
    for phrase in ("", "yes", "Confirm performance reseed", "confirm performance reseed "):
        assert world.run("reseed", "approve", plan["id"], "--confirm", phrase).code == 2
    assert "no terminal" in world.run("reseed", "approve", plan["id"], code=2).err
    world.approve(plan["id"], code=0)
    world.run("reseed", "prepare", plan["id"], code=0)
    for phrase in ("Upload", "yes", "upload!"):
        assert world.run("reseed", "upload", plan["id"], "--confirm", phrase).code == 2
    assert not world.seeds()
    world.upload(plan["id"], code=0)
    assert world.run("reseed", "cleanup", plan["id"], "--confirm", "cleanup").code == 2
    assert Path(plan["backup"]).exists()


def test_steps_come_in_order_and_each_refusal_names_the_next(world: World) -> None:
    plan = planned(world)
    assert "reseed approve" in world.run("reseed", "prepare", plan["id"], code=1).err
    assert "reseed approve" in world.upload(plan["id"], code=1).json["error"]["hint"]
    assert world.run("reseed", "cleanup", plan["id"], "--confirm", "cleanup reseed temp").code == 1
    assert world.run("reseed", "approve", "20200101-000000-0000", code=2).err.startswith("perfledger: no reseed")
    world.all_of_it(plan["id"])
    assert world.upload(plan["id"]).code == 1
    assert world.run("reseed", "abort", plan["id"]).code == 1


def test_a_dry_run_writes_nothing(world: World) -> None:
    plan = planned(world)
    world.approve(plan["id"], code=0)
    world.run("reseed", "prepare", plan["id"], code=0)
    shown = world.run("reseed", "upload", plan["id"], "--dry-run", "--json", code=0).json
    assert sorted(shown["files"]) == sorted(plan["destination"])
    assert not world.seeds()


def test_without_a_token_nothing_is_sent(world: World) -> None:
    plan = planned(world)
    world.approve(plan["id"], code=0)
    world.run("reseed", "prepare", plan["id"], code=0)
    done = world.run("reseed", "upload", plan["id"], "--confirm", "upload", env={"HF_TOKEN": ""})
    assert done.code == 4
    assert "HF_TOKEN" in done.err
    assert not world.seeds()


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


def test_a_baseline_that_moved_since_the_plan_is_a_conflict(world: World) -> None:
    plan = planned(world)
    world.approve(plan["id"], code=0)
    world.run("reseed", "prepare", plan["id"], code=0)
    late = record(9, 29.9)
    world.repo.commit("somebody", {path_of(late): world.hub.blob(path_of(late), json.dumps(late).encode())})
    error = world.upload(plan["id"], code=3).json["error"]
    assert error["code"] == "baseline_moved"
    assert error["details"]["new"] == [path_of(late)]
    assert not world.seeds()


def test_another_targets_record_does_not_stop_an_approved_seed(world: World) -> None:
    plan = planned(world)
    world.approve(plan["id"], code=0)
    world.run("reseed", "prepare", plan["id"], code=0)
    other = {**record(9, 29.9), "model_id": "another-model"}
    world.repo.commit("somebody", {path_of(other): world.hub.blob(path_of(other), json.dumps(other).encode())})
    world.upload(plan["id"], code=0)
    assert len(world.seeds()) == 3


def test_prepared_files_that_were_touched_are_not_uploaded(world: World) -> None:
    plan = planned(world)
    world.approve(plan["id"], code=0)
    world.run("reseed", "prepare", plan["id"], code=0)
    path = world.folder / "staging" / plan["id"] / plan["destination"][0]
    path.write_bytes(path.read_bytes().replace(b"33.2", b"99.9"))
    assert world.upload(plan["id"], code=3).json["error"]["code"] == "prepared_changed"
    path.unlink()
    assert world.upload(plan["id"], code=3).json["error"]["code"] == "prepared_changed"
    assert not world.seeds()
    world.run("reseed", "prepare", plan["id"], code=0)
    world.upload(plan["id"], code=0)


def test_two_distinct_approvers_when_the_policy_says_so(world: World) -> None:
    world.run("reseed", "policy", "--approvals", "2", "--reason", "four eyes", code=0)
    assert world.run("reseed", "policy", "--json", code=0).json["approvals"] == 2
    assert world.run("reseed", "policy", "--as-of", "1@ops", "--json", code=0).json["approvals"] == 1
    world.run("reseed", "policy", "--approvals", "1", "--as-of", "1@ops", code=2)
    plan = planned(world)
    assert world.approve(plan["id"], actor="ann@x.org", code=0).json["step"] == "planned"
    assert world.approve(plan["id"], actor="ann@x.org", code=1).json["error"]["code"] == "approved_already"
    assert world.run("reseed", "prepare", plan["id"]).code == 1
    assert world.approve(plan["id"], actor="bob@x.org", code=0).json["approvers"] == ["ann@x.org", "bob@x.org"]
    world.run("reseed", "prepare", plan["id"], code=0)
    world.upload(plan["id"], code=0)


def test_approvals_must_carry_a_listed_persons_signature_over_this_very_plan(world: World) -> None:
    keys = {}
    for name in ("ann", "eve"):
        keys[name] = world.folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", keys[name]], check=True)
    public = keys["ann"].with_suffix(".pub").read_text(encoding="utf-8").split()[:2]
    signers = world.folder / "allowed_signers"
    signers.write_text(f"ann@x.org {' '.join(public)}\n", encoding="utf-8")
    world.run("reseed", "policy", "--allowed-signers", signers, code=0)
    plan = planned(world)

    def attempt(actor: str, *more: Any) -> dict[str, Any]:
        done = world.run(
            "reseed", "approve", plan["id"], "--confirm", "confirm performance reseed", "--json", *more, actor=actor
        )
        found: dict[str, Any] = done.json
        return found

    assert attempt("ann@x.org")["error"]["code"] == "signature_missing"
    assert attempt("ann@x.org", "--sign-key", keys["eve"])["error"]["code"] == "signature_wrong"
    assert attempt("eve@x.org", "--sign-key", keys["eve"])["error"]["code"] == "signature_wrong"
    assert attempt("ann@x.org", "--sign-key", keys["ann"])["step"] == "approved"
    world.run("reseed", "prepare", plan["id"], code=0)
    world.upload(plan["id"], code=0)


def test_a_forged_approval_event_does_not_pass_the_upload(world: World) -> None:
    """Whoever can write the folder can append an event; without the key it opens nothing."""
    from ledger.event import NewEvent
    from ledger.events.reseeds import RecordsPrepared, ReseedApproved
    from ledger.ledger import Ledger

    signers = world.folder / "allowed_signers"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", world.folder / "k"], check=True)
    public = (world.folder / "k.pub").read_text(encoding="utf-8").split()[:2]
    signers.write_text(f"ann@x.org {' '.join(public)}\n", encoding="utf-8")
    world.run("reseed", "policy", "--allowed-signers", signers, code=0)
    plan = planned(world)
    ledger = Ledger.open(world.folder, actor="ann@x.org")
    folder = world.folder / "forged"
    for seed in plan["prepared"]:
        (folder / seed["path"]).parent.mkdir(parents=True, exist_ok=True)
        (folder / seed["path"]).write_bytes(ledger.evidence.get(seed["sha256"]))
    ledger.append(
        [
            NewEvent(
                stream=f"reseed/{plan['id']}",
                payload=ReseedApproved(
                    reseed=plan["id"], digest=plan["digest"], approver="ann@x.org", signature="forged"
                ),
            ),
            NewEvent(
                stream=f"reseed/{plan['id']}",
                payload=RecordsPrepared(
                    reseed=plan["id"], digest=plan["digest"], folder=str(folder), paths=plan["destination"]
                ),
            ),
        ]
    )
    assert world.upload(plan["id"], code=1).json["error"]["code"] == "signature_wrong"
    assert not world.seeds()


def test_cleanup_removes_only_what_this_reseed_created(world: World) -> None:
    plan = planned(world)
    neighbour = world.folder / "backups" / "somebody-elses"
    neighbour.mkdir()
    world.all_of_it(plan["id"])
    mark = Path(plan["backup"]) / ".perfledger-reseed"
    kept = mark.read_bytes()
    mark.write_text("another", encoding="utf-8")
    done = world.run("reseed", "cleanup", plan["id"], "--confirm", "cleanup reseed temp", code=1)
    assert "nothing was removed" in done.err
    assert Path(plan["backup"]).exists()
    mark.write_bytes(kept)
    (Path(plan["backup"]) / "link").symlink_to(neighbour)
    world.run("reseed", "cleanup", plan["id"], "--confirm", "cleanup reseed temp", code=0)
    assert not Path(plan["backup"]).exists()
    assert neighbour.exists()
    assert list((world.folder / "staging").iterdir()) == []


def test_a_folder_replaced_by_a_link_is_refused(world: World) -> None:
    plan = planned(world)
    world.run("reseed", "abort", plan["id"], "--reason", "wrong sources", code=0)
    backup = Path(plan["backup"])
    precious = world.folder / "precious"
    backup.rename(precious)
    backup.symlink_to(precious)
    assert world.run("reseed", "cleanup", plan["id"], "--confirm", "cleanup reseed temp").code == 1
    assert (precious / "PROVENANCE.txt").exists()


def test_an_aborted_reseed_leaves_everything_and_says_where(world: World) -> None:
    plan = planned(world)
    world.approve(plan["id"], code=0)
    world.run("reseed", "prepare", plan["id"], code=0)
    said = world.run("reseed", "abort", plan["id"], "--json", code=0).json
    assert plan["backup"] in said["left"]
    assert all(Path(p).exists() for p in said["left"])
    assert world.upload(plan["id"]).code == 1
    assert not world.seeds()


def test_superseding_a_bad_seed_brings_the_medians_back_and_keeps_history(world: World) -> None:
    before = world.medians()
    plan = planned(world)
    world.all_of_it(plan["id"])
    assert world.medians()["latency"] != before["latency"]
    fix = world.run("reseed", "supersede", plan["id"], "--reason", "seeded from a throttled GPU", "--json", code=0).json
    assert fix["kind"] == "corrective"
    world.all_of_it(fix["id"])
    assert world.medians()["latency"] == before["latency"]
    assert len(world.seeds()) == 3 + 5, "nothing was removed"
    assert world.run("reseed", "show", plan["id"], "--json", code=0).json["step"] == "superseded"
    rows = world.run(
        "sql", "SELECT id, step, superseded_by FROM reseeds ORDER BY planned_at", "--format", "json", code=0
    ).json
    assert [r["step"] for r in rows] == ["superseded", "uploaded"]
    assert rows[0]["superseded_by"] == fix["id"]
    counted = world.run(
        "sql",
        "SELECT count(*) AS n FROM results WHERE counted AND path LIKE '%_reseed_%' AND latency > 33",
        "--format",
        "json",
        code=0,
    ).json
    assert counted[0]["n"] == 0, "this ledger no longer counts the bad seeds"


def test_who_approved_what_is_one_query(world: World) -> None:
    plan = planned(world)
    world.approve(plan["id"], actor="ann@x.org", code=0)
    rows = world.run("sql", "SELECT approver, of_this_plan, target FROM approvals", "--format", "json", code=0).json
    assert rows == [{"approver": "ann@x.org", "of_this_plan": True, "target": f"{MODEL}@{GPU}"}]
    listed = world.run("reseed", "list", "--json", code=0).json
    assert listed[0]["step"] == "approved"
    then = world.run("reseed", "list", "--json", "--as-of", "1@ops", code=0).json
    assert then == []


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


def test_run_walks_through_all_of_it_and_resumes(world: World) -> None:
    named = [a for s in world.sources for a in ("--source", s)]
    first = world.run(
        "reseed",
        "run",
        "--model",
        MODEL,
        "--gpu",
        GPU,
        *named,
        "--reason",
        "r",
        "--confirm",
        "confirm performance reseed",
        "--confirm",
        "no",
    )
    assert first.code == 2
    reseed = world.run("reseed", "list", "--json", code=0).json[0]["id"]
    assert not world.seeds()
    last = world.run(
        "reseed", "run", "--resume", reseed, "--confirm", "upload", "--confirm", "cleanup reseed temp", "--json", code=0
    ).json
    assert last["step"] == "cleaned up"
    assert last["as_planned"] is True
    assert len(world.seeds()) == 3


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST */commit/*", kind="race"),
        Fault("POST */commit/*", kind="status_after", status=503),
        Fault("POST */commit/*", kind="drop_after"),
        Fault("POST */commit/*", kind="status", status=429, retry_after="0"),
    ],
)
def test_faults_at_the_commit_never_double_a_seed(world: World, fault: Fault) -> None:
    plan = planned(world)
    world.approve(plan["id"], code=0)
    world.run("reseed", "prepare", plan["id"], code=0)
    world.hub.faults.append(fault)
    world.upload(plan["id"], code=0)
    assert len(world.seeds()) == 3
    assert sorted(p for p in world.repo.files() if "_reseed_" in p) == sorted(plan["destination"])


def test_killed_at_any_request_and_resumed_the_dataset_has_each_seed_once(world: World) -> None:
    plan = planned(world)
    world.approve(plan["id"], code=0)
    world.run("reseed", "prepare", plan["id"], code=0)

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PERFLEDGER, "reseed", "upload", plan["id"], "--confirm", "upload"],
            cwd=world.folder,
            env={**clean_env(), **world.env()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    kills = 0
    for index in range(1, 30):
        for when in ("before", "after"):
            if world.run("reseed", "show", plan["id"], "--json", code=0).json["step"] == "uploaded":
                break
            if kill_at(world.hub, index, when, start) == -9:
                kills += 1
            assert len(world.seeds()) in (0, 3), "one commit: all or none"
    assert kills >= 4
    if world.run("reseed", "show", plan["id"], "--json", code=0).json["step"] != "uploaded":
        world.upload(plan["id"], code=0)
    assert sorted(p for p in world.repo.files() if "_reseed_" in p) == sorted(plan["destination"])
    assert {m: v for m, v in world.medians().items() if v} == {m: v for m, v in plan["candidate"].items() if v}
    assert world.run("verify", code=0)


def test_a_plan_killed_at_any_request_leaves_no_reseed_and_the_next_plan_is_whole(world: World) -> None:
    named = [a for s in world.sources for a in ("--source", s)]

    def start() -> subprocess.Popen[str]:
        args = ["reseed", "plan", "--model", MODEL, "--gpu", GPU, *named, "--reason", "r"]
        return subprocess.Popen(
            [PERFLEDGER, *args],
            cwd=world.folder,
            env={**clean_env(), **world.env()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    for index in (1, 2, 4):
        assert kill_at(world.hub, index, "before", start) == -9
        assert world.run("reseed", "list", "--json", code=0).json == []
    assert planned(world)["old"]["latency"] == 28.5
    world.run("verify", code=0)


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
    calibration = {
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
