"""`perfledger calibrate status`: how far a calibration is, in the fields watchers read today."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from commands.calibrate.config.stamps import utc_stamp
from commands.calibrate.measuring.active import active_repeats
from commands.calibrate.session_options import Opened, open_session, run_dir_options
from commands.cli.app import App, command
from commands.cli.output import to_json
from ledger.errors import Unavailable
from projections.calibration.audit import Readiness, readiness

MISSING_SHOWN = 30
LOG_TAIL_LINES = 15
POLL_INTERVAL_S = 120
MEMORY_LIMIT_MIB = 2048
UNKNOWN_MIB = 2**31


@command("status", reads=True)
@run_dir_options
def status(app: App, run_dir: Path, stages_yaml: Path | None, repo_root: Path | None) -> int:
    """Print the state of a calibration as JSON, with or without --json.

    Exit 0 only when the session is ready by the rule that audit, report and apply ask too.
    """
    opened = open_session(app, run_dir, stages_yaml=stages_yaml, repo_root=repo_root)
    result = readiness(opened.session)
    document = status_document(opened, result)
    app.emit(document, lambda: to_json(document))
    return 0 if result.ready else 1


def status_document(opened: Opened, result: Readiness) -> dict[str, Any]:
    """The status object, the existing tool's fields first and in its order."""
    session, directory = opened.session, opened.directory
    running = active_repeats(directory.path) if directory else []
    missing = [{"stage_key": m.stage_key, "run": m.run, "reason": m.reason} for m in result.missing[:MISSING_SHOWN]]
    return {
        "run_dir": str(opened.named),
        "model": session.plan.model,
        "repeats": session.plan.repeats,
        "complete": result.complete,
        "ok": result.ok,
        "total": result.total,
        "missing_count": len(result.missing),
        "missing": missing,
        **_gpus(),
        "gpu_mem_limit_mib": MEMORY_LIMIT_MIB,
        "pytest_active": bool(running),
        "run_log_tail": _tail(directory.log_path) if directory else [],
        "agent_poll_interval_s": POLL_INTERVAL_S,
        "strict_ready": result.strict_ratio,
        "strict_complete": result.strict_complete,
        "timestamp": utc_stamp(),
        "session": session.id,
        "ready": result.ready,
        "reasons": list(result.reasons),
        "provenance": result.provenance.as_json(),
        "active": [{"pid": a.pid, "unit": a.unit, "repeat": a.repeat} for a in running],
        "halted": session.halted.cause if session.halted else None,
    }


def _tail(log: Path) -> list[str]:
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            return [line.rstrip("\n") for line in deque(lines, LOG_TAIL_LINES)]
    except FileNotFoundError:
        return []


def _gpus() -> dict[str, Any]:
    """Memory of each GPU from NVML; all empty, and launching not allowed, where there is none."""
    memory = gpu_memory()
    ready = {i: mib for i, (mib, busy) in memory.items() if mib <= MEMORY_LIMIT_MIB and not busy}
    return {
        "gpu_memory_mib": {str(i): mib for i, (mib, _) in memory.items()},
        "gpu_busy": [i for i, (_, busy) in memory.items() if busy],
        "gpu_ready": len(ready),
        "gpus_under_2gb_mib": {str(i): mib for i, mib in ready.items()},
        "launch_allowed": bool(memory) and len(ready) == len(memory),
    }


def gpu_memory() -> dict[int, tuple[int, bool]]:
    """GPU index to (MiB in use, has a compute process); empty without a driver.

    A GPU whose memory the driver does not tell counts as full.
    """
    from gpu_runner.nvml import Nvml

    try:
        with Nvml() as nvml:
            loads = [(gpu.index, nvml.load(gpu)) for gpu in nvml.gpus()]
    except Unavailable:
        return {}
    return {
        index: (UNKNOWN_MIB if load.used_mib is None else load.used_mib, bool(load.processes)) for index, load in loads
    }
