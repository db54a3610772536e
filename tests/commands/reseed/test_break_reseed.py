"""What tried to break a reseed: two machines, hostile sources, full disks, interrupted steps, moments before it."""

from __future__ import annotations

import http.server
import json
import resource
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.commands.reseed.world import World, kill_at, path_of, record
from tests.conftest import NO_BYTE_CODE, PERFLEDGER, clean_env
from tests.hub_server import HubServer


def test_a_second_approver_on_another_machine_lets_the_first_go_on(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other", world.hub, world.repo)
    other.folder.mkdir()
    other.run("init", "--origin", "other", code=0)
    remote = f"file://{tmp_path}/shared"
    world.run("reseed", "policy", "--approvals", 2, "--reason", "four eyes", code=0)
    plan = world.plan().json["id"]
    world.approve(plan, code=0, actor="ada@example.org")
    world.run("sync", "push", "--remote", remote, "--create", code=0)
    other.run("sync", "pull", "--remote", remote, code=0)
    assert other.approve(plan, code=0, actor="bob@example.org").json["step"] == "approved"
    other.run("sync", "push", "--remote", remote, code=0)
    world.run("sync", "pull", code=0)
    world.run("reseed", "prepare", plan, code=0)
    world.upload(plan, code=0)
    assert len(world.seeds()) == 3


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('"deep": {"x": [1, NaN]}', "deep.x[1]"),
        ('"count": 99999999999999999999999', "count"),
        ('"note": "\\ud800"', "note"),
        ('"gpu_clock_mhz": Infinity', "gpu_clock_mhz"),
    ],
)
def test_what_no_record_may_hold_is_refused_by_field_wherever_it_is(text: str, field: str, world: World) -> None:
    path = Path(world.source(record(24, 33.0)))
    path.write_text(path.read_text().rstrip("}") + ", " + text + "}")
    error = world.plan(code=2).json["error"]
    assert error["details"]["field"] == field and str(path) in error["message"]


class _Artifact(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        data = json.dumps(record(24, 33.2)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


def test_a_token_in_a_source_url_is_kept_nowhere(world: World) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Artifact)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_address[1]}"
    try:
        done = world.plan(sources=[f"http://user:hunter2@{host}/a.json?token=hunter2#hunter2"])
    finally:
        server.shutdown()
        server.server_close()
    assert done.json["sources"][0]["path"] == f"http://{host}/a.json"
    kept = [p for p in world.folder.rglob("*") if p.is_file()]
    assert [p for p in kept if b"hunter2" in p.read_bytes()] == []


@pytest.mark.parametrize("url", ["http://[::1", "https://"])
def test_a_url_that_is_none_is_bad_input(url: str, world: World) -> None:
    assert world.plan(sources=[url], code=2).json["error"]["code"] == "bad_url"


@pytest.mark.parametrize("reason", ["two\nlines", "\x1b[2Jx", "  "])
def test_a_reason_is_one_printable_line(reason: str, world: World) -> None:
    assert "--reason" in world.plan(reason=reason, code=2).json["error"]["message"]
    plan = world.plan().json["id"]
    world.all_of_it(plan)
    refused = world.run("reseed", "supersede", plan, "--reason", reason, "--json", code=2)
    assert "--reason" in refused.json["error"]["message"]


def test_a_wrong_drop_is_wrong_usage(world: World) -> None:
    unknown = world.plan("--drop", "nothing.json", "--drop-reason", "x", code=2).json["error"]
    assert unknown["message"].startswith("--drop nothing.json is not a source of this plan")
    every = world.plan(*[a for s in world.sources for a in ("--drop", s)], "--drop-reason", "x", code=2).json["error"]
    assert every["code"] == "nothing_left"


def test_corrective_sources_given_by_hand_have_to_agree_too(world: World) -> None:
    plan = world.plan().json["id"]
    world.all_of_it(plan)
    good, bad = world.source(record(25, 28.0)), world.source(record(26, 40.0))
    error = world.run(
        "reseed", "supersede", plan, "--reason", "wrong GPU", "--source", good, "--source", bad, "--json", code=1
    ).json["error"]
    assert error["code"] == "batch_inconsistent"


def test_a_median_of_nothing_is_no_measure_of_agreement(tmp_path: Path, hub: HubServer) -> None:
    world = World.make(tmp_path, hub, [record(1, 28.0)])
    for day, seconds in ((20, 0.0), (21, 0.0), (22, 9.0)):
        world.source(record(day, 33.0, commit=f"{day:040x}", dit_time_s=seconds))
    error = world.plan(code=1).json["error"]
    assert error["code"] == "batch_inconsistent" and error["details"]["metric"] == "dit_time_s"


def test_show_keeps_to_the_moment_asked_for(world: World) -> None:
    plan = world.plan().json["id"]
    world.approve(plan, code=0)
    steps = world.run("reseed", "show", plan, "--json", code=0).json["steps"]
    event = next(s for s in steps if s["event"] == "ReseedPlanned")["event_id"]
    assert world.run("reseed", "show", plan, "--as-of", event, "--json", code=0).json["step"] == "planned"
    refused = world.run("reseed", "show", plan, "--as-of", "2001-01-01", "--json", code=2)
    assert refused.json["error"]["code"] == "not_known_then"


def test_a_backup_that_does_not_fit_leaves_no_half_folder(world: World) -> None:
    """A limit on file sizes stands for the full disk: the backup of one large record passes it."""
    big = record(9, 29.0, notes="x" * 300_000)
    path, data = path_of(big), json.dumps(big).encode()
    world.repo.commit("big", {path: world.hub.blob(path, data)})
    world.plan(code=0)  # the mirror has it now
    before = sorted((world.folder / "backups").iterdir())
    command = [
        PERFLEDGER,
        "reseed",
        "plan",
        "--model",
        big["model_id"],
        "--gpu",
        big["gpu_type"],
        "--reason",
        "x",
        *(a for s in world.sources for a in ("--source", s)),
        "--json",
    ]
    done = subprocess.run(
        command,
        cwd=world.folder,
        env={**clean_env(**NO_BYTE_CODE), **world.env()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert sorted((world.folder / "backups").iterdir()) == before


def test_an_upload_that_never_landed_can_be_given_up_and_one_that_did_cannot(world: World, hub: HubServer) -> None:
    plan = world.plan().json["id"]
    world.approve_and_prepare(plan)

    def upload() -> Any:
        return subprocess.Popen(
            [PERFLEDGER, "reseed", "upload", plan, "--confirm", "upload"],
            cwd=world.folder,
            env={**clean_env(), **world.env()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def step() -> str:
        return str(world.run("reseed", "show", plan, "--json", code=0).json["step"])

    index = 0
    while step() == "prepared":
        index += 1
        assert kill_at(hub, index, "before", upload) == -9
    assert step() == "uploading" and world.seeds() == []
    world.run("reseed", "abort", plan, code=0)
    assert step() == "aborted"

    plan = world.plan().json["id"]
    world.approve_and_prepare(plan)
    while not world.seeds():
        assert kill_at(hub, index, "after", upload) == -9
        index += 1
    assert step() == "uploading" and len(world.seeds()) == 3
    error = world.run("reseed", "abort", plan, "--json", code=1).json["error"]
    assert error["code"] == "reseed_landed" and "reseed upload" in error["hint"]
    world.upload(plan, code=0)
    assert len(world.seeds()) == 3
