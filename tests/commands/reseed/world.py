"""A dataset on a real Hub server, a ledger beside it, and the installed command working on both."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.conftest import PERFLEDGER, Result, clean_env
from tests.hub_repo import Repo
from tests.hub_server import WRITE_TOKEN, HubServer

MODEL, GPU = "wan-t2v-1.3b-2gpu", "NVIDIA L40S"
DATASET = "team/performance"
METRICS = ("latency", "throughput", "memory", "text_encoder_time_s", "dit_time_s", "vae_decode_time_s")


def record(day: int, latency: float, *, commit: str | None = None, **more: Any) -> dict[str, Any]:
    """A legacy record of June 2026."""
    return {
        "model_id": MODEL,
        "timestamp": f"2026-06-{day:02d}T10:00:00+00:00",
        "commit_sha": commit or f"{day:040x}",
        "gpu_type": GPU,
        "latency": latency,
        "throughput": round(45 / latency, 3),
        "memory": 10_800.0 + latency,
        "success": True,
        **more,
    }


def path_of(rec: dict[str, Any]) -> str:
    """Where the dataset keeps a record."""
    stamp = "".join(c if c.isalnum() or c in "._-" else "_" for c in rec["timestamp"])
    return f"{rec['model_id']}/{stamp}_{rec['commit_sha']}.json"


@dataclass
class World:
    """One ledger working on one dataset."""

    folder: Path
    hub: HubServer
    repo: Repo
    sources: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path, hub: HubServer, records: list[dict[str, Any]]) -> World:
        files = {path_of(r): json.dumps(r).encode() for r in records} | {"README.md": b"# data\n"}
        world = cls(folder, hub, hub.create(DATASET, files=files))
        world.run("init", "--origin", "ops", code=0)
        return world

    def env(self, **extra: str) -> dict[str, str]:
        """The variables a person would have set."""
        return {
            **self.hub.env(),
            "HF_REPO_ID": DATASET,
            "PERFORMANCE_RESEED_BACKUP_ROOT": str(self.folder / "backups"),
            "PERFORMANCE_RESEED_STAGING_ROOT": str(self.folder / "staging"),
            **extra,
        }

    def run(
        self, *args: Any, code: int | None = None, env: dict[str, str] | None = None, actor: str | None = None
    ) -> Result:
        """Run the installed command."""
        more = {**self.env(), **(env or {}), **({"PERFLEDGER_ACTOR": actor} if actor else {})}
        variables = {**clean_env(), **more}
        done = subprocess.run(
            [PERFLEDGER, *map(str, args)],
            cwd=self.folder,
            env=variables,
            input="",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert WRITE_TOKEN not in done.stdout + done.stderr
        if code is not None:
            assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *args: Any) -> subprocess.Popen[str]:
        """Start the installed command and leave it running."""
        return subprocess.Popen(
            [PERFLEDGER, *map(str, args)],
            cwd=self.folder,
            env={**clean_env(), **self.env()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def source(self, rec: dict[str, Any], name: str | None = None) -> str:
        """Write a source file as the CI artifact it would be."""
        path = self.folder / (name or f"normalized_perf_{len(self.sources)}.json")
        path.write_text(json.dumps(rec), encoding="utf-8")
        self.sources.append(str(path))
        return str(path)

    def plan(
        self, *more: Any, code: int = 0, sources: list[str] | None = None, reason: str = "torch 2.9 needs more"
    ) -> Result:
        """Plan a reseed from the sources written so far."""
        named = [arg for s in (self.sources if sources is None else sources) for arg in ("--source", s)]
        return self.run(
            "reseed", "plan", "--model", MODEL, "--gpu", GPU, *named, "--reason", reason, "--json", *more, code=code
        )

    def approve(self, reseed: str, **kw: Any) -> Result:
        """Approve with the phrase that is asked for."""
        return self.run("reseed", "approve", reseed, "--confirm", "confirm performance reseed", "--json", **kw)

    def upload(self, reseed: str, **kw: Any) -> Result:
        """Upload with the phrase that is asked for."""
        return self.run("reseed", "upload", reseed, "--confirm", "upload", "--json", **kw)

    def approve_and_prepare(self, reseed: str) -> None:
        """Go as far as the last step before the upload."""
        self.approve(reseed, code=0)
        self.run("reseed", "prepare", reseed, code=0)

    def all_of_it(self, reseed: str) -> dict[str, Any]:
        """Approve, prepare and upload."""
        self.approve_and_prepare(reseed)
        done: dict[str, Any] = self.upload(reseed, code=0).json
        return done

    def medians(self) -> dict[str, float | None]:
        """What an independent reader of the dataset gets, written from the dataset's own rules (section 4.4 of the
        existing tool's description): all JSON files, successful ones of the model's folder and GPU, ordered by
        (instant, path), the last five, the median of what each metric has."""
        found = []
        for path, data in self.repo.files().items():
            if not path.endswith(".json") or path.split("/")[0] != MODEL:
                continue
            rec = json.loads(data)
            if rec["gpu_type"] != GPU or not rec.get("success", True):
                continue
            found.append((datetime.fromisoformat(rec["timestamp"]).astimezone(UTC), path, rec))
        window = [rec for _, _, rec in sorted(found, key=lambda f: f[:2])][-5:]
        medians: dict[str, float | None] = {}
        for metric in METRICS:
            values = [r[metric] for r in window if r.get(metric) is not None]
            medians[metric] = statistics.median(values) if values else None
        return medians

    def seeds(self) -> list[dict[str, Any]]:
        """The seed records of the dataset, in path order."""
        return [json.loads(d) for p, d in sorted(self.repo.files().items()) if "_reseed_" in p or "_seed" in p]


def planned(world: World) -> dict[str, Any]:
    """Plan a reseed from the sources written so far; return the plan."""
    plan: dict[str, Any] = world.plan().json
    return plan


def kill_at(hub: HubServer, index: int, when: str, victim: Callable[[], subprocess.Popen[str]]) -> int:
    """Run a command and kill it with SIGKILL at request `index`, before or after the server acts on it.

    Returns the exit code: -9, or what the command ended with when it never got that far.
    """
    box: list[subprocess.Popen[str]] = []

    def hook(number: int, moment: str, line: str) -> None:
        del line
        if number == index and moment == when and box:
            box[0].kill()

    hub.requests.clear()
    hub.hook = hook
    box.append(victim())
    try:
        box[0].communicate(timeout=60)
    finally:
        hub.hook = None
    return box[0].returncode
