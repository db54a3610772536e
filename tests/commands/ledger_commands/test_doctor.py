"""`perfledger doctor`: what is wrong, and the command that fixes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.gpu_runner.conftest import machine, nvml_dir
from tests.gpu_runner.machine import Machine

__all__ = ["machine", "nvml_dir"]
Run = Callable[..., Any]


def by_name(done: Any) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in done.json["checks"]}


def test_a_working_setup_has_nothing_to_mend(cli: Run) -> None:
    cli("init", code=0)
    done = cli("doctor", "--json", code=0)
    checks = by_name(done)
    assert done.json["ok"] is True and done.json["failed"] == 0
    for name in ("python", "packages", "ledger", "verify", "projections", "clock", "own processes", "processes"):
        assert checks[name]["state"] == "ok", checks[name]
    assert "nothing to fix" in cli("doctor", code=0).out


def test_no_ledger_is_mended_by_init_and_the_other_checks_still_run(cli: Run) -> None:
    done = cli("doctor", "--json", code=1)
    checks = by_name(done)
    assert (checks["ledger"]["state"], checks["ledger"]["fix"]) == ("fail", "perfledger init")
    assert "git" in checks and "GPUs" in checks and "verify" not in checks


def test_a_damaged_log_is_found_and_named(cli: Run, tmp_path: Path) -> None:
    cli("init", code=0)
    journal = next((tmp_path / ".perfledger" / "log").glob("*/journal.jsonl"))
    journal.write_bytes(journal.read_bytes().replace(b'"ledger_format":1', b'"ledger_format":2'))
    checks = by_name(cli("doctor", "--json", code=1))
    assert checks["verify"]["state"] == "fail" and checks["verify"]["fix"].startswith("perfledger verify")
    assert by_name(cli("doctor", "--fast", "--json"))["verify"]["state"] == "note"


def test_a_signing_key_that_others_may_read_and_a_changed_checkpoint_are_named(cli: Run, tmp_path: Path) -> None:
    cli("init", "--origin", "bed", code=0)
    assert "signing" not in by_name(cli("doctor", "--fast", "--json"))
    cli("checkpoint", "sign", code=0)
    assert "2 events are signed" in by_name(cli("doctor", "--fast", "--json"))["signing"]["message"]
    key, kept = tmp_path / ".perfledger/signing-key", tmp_path / ".perfledger/log/bed/checkpoint"
    key.chmod(0o644)
    found = by_name(cli("doctor", "--fast", "--json", code=1))["signing"]
    assert found["state"] == "fail" and found["fix"].startswith("chmod 600")
    key.chmod(0o600)
    kept.write_bytes(kept.read_bytes().replace(b"\n2\n", b"\n3\n"))
    found = by_name(cli("doctor", "--fast", "--json", code=1))["signing"]
    assert found["state"] == "fail" and "is not the checkpoint that was kept there" in found["message"]


def test_tokens_are_named_and_never_shown(cli: Run) -> None:
    secret = "hf_" + "x" * 34
    done = cli("doctor", "--json", env={"HF_TOKEN": secret, "GITHUB_TOKEN": "ghp_other"})
    checks = by_name(done)
    assert checks["Hub token"]["message"] == "set in HF_TOKEN"
    assert checks["GitHub token"]["message"] == "set in GITHUB_TOKEN"
    assert secret not in done.out + done.err and "ghp_" not in done.out + done.err
    bad = by_name(cli("doctor", "--json", env={"HF_TOKEN": "two words\n"}))
    assert bad["Hub token"]["state"] == "fail" and "two words" not in str(bad)


def test_gpus_are_counted_and_ghost_memory_and_lost_gpus_named(cli: Run, machine: Machine, tmp_path: Path) -> None:
    cli("init", code=0)
    env = {**machine.env, "PERFLEDGER_GPU_LOCK_DIR": str(tmp_path / "locks")}
    assert by_name(cli("doctor", "--json", env=env, code=0))["GPUs"]["message"] == "2 (NVIDIA H20), driver 570.86.15"
    machine.say("gpu 0 used 17000", "gpu 1 error * 15")
    checks = by_name(cli("doctor", "--json", env=env, code=1))
    assert checks["GPU 0"]["state"] == "warn" and "ghost memory" in checks["GPU 0"]["message"]
    assert checks["GPU 1"]["fix"] == "nvidia-smi --gpu-reset -i 1"


def test_a_lock_folder_that_cannot_be_used_is_named(cli: Run, machine: Machine, tmp_path: Path) -> None:
    cli("init", code=0)
    (tmp_path / "file").write_text("")
    env = {**machine.env, "PERFLEDGER_GPU_LOCK_DIR": str(tmp_path / "file" / "locks")}
    check = by_name(cli("doctor", "--json", env=env, code=1))["GPU locks"]
    assert check["state"] == "fail" and "PERFLEDGER_GPU_LOCK_DIR" in check["fix"]
