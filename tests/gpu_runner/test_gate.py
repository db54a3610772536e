"""When a GPU is free, which ones are picked, and that nobody else picks the same."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gpu_runner.gate import NotGranted, acquire, survey, wait_released
from gpu_runner.launch import Attended, Launch
from gpu_runner.locks import GpuLock, lock_dir, try_lock
from gpu_runner.nvml import Nvml
from gpu_runner.request import GatePolicy
from ledger.errors import Unavailable
from tests.gpu_runner.machine import Machine, Sleeper


def policy(**changes: Any) -> GatePolicy:
    return GatePolicy(**{"wait_s": 0.0, "poll_s": 0.05, "settle_s": 0.0, "progress_s": 0.1, **changes})


def reasons(**changes: Any) -> dict[str, str]:
    with Nvml() as nvml:
        return {s.gpu.label: s.reason for s in survey(nvml, policy(**changes))}


@pytest.mark.parametrize(("used", "free"), [(0, True), (2048, True), (2049, False), (17000, False)])
def test_a_gpu_is_free_up_to_2048_mib(machine: Machine, used: int, free: bool) -> None:
    machine.say(f"gpu 0 used {used}")
    assert (reasons()["0"] == "") is free


def test_a_gpu_with_a_compute_process_is_busy_however_little_it_holds(machine: Machine, sleeper: Sleeper) -> None:
    pid = sleeper.start("--hf-token", "hf_secret_on_the_command_line").pid
    machine.say(f"gpu 0 proc {pid} 1")
    reason = reasons()["0"]
    assert f"in use by pid {pid} (python" in reason and "1 MiB" in reason
    assert "secret" not in reason, "a command line may hold a token, and reasons become events"


def test_memory_without_a_process_is_called_ghost_memory(machine: Machine, sleeper: Sleeper) -> None:
    machine.say(f"gpu 1 hidden {sleeper.start().pid} 17000")
    assert reasons()["1"].startswith("ghost memory: 17004 MiB in use and no compute process is listed")


def test_a_driver_that_does_not_tell_the_memory_never_makes_a_gpu_free(machine: Machine) -> None:
    machine.forget("gpu 0 total ")
    assert "does not say how much memory" in reasons()["0"]


def test_a_driver_without_process_lists_leaves_the_memory_to_decide(machine: Machine) -> None:
    machine.say("error nvmlDeviceGetComputeRunningProcesses_v3 3", "error nvmlDeviceGetComputeRunningProcesses_v2 3")
    machine.say("gpu 1 used 5000")
    found = reasons()
    assert found["0"] == "" and found["1"].startswith("ghost memory")


def test_a_lying_driver_that_lists_a_process_but_no_memory_is_still_busy(machine: Machine, sleeper: Sleeper) -> None:
    machine.say("gpu 0 used 0", f"gpu 0 proc {sleeper.start().pid} 0")
    assert "in use by" in reasons()["0"]


@pytest.mark.parametrize(
    ("changes", "environ", "left"),
    [
        ({"exclude": ("0",)}, {}, ["1", "2"]),
        ({"include": ("1", "GPU-c")}, {}, ["1", "2"]),
        ({"include": ("0", "1"), "exclude": ("GPU-a",)}, {}, ["1"]),
        ({}, {"TUNE_GPU_EXCLUDE": "0, 2"}, ["1"]),
        ({"include": ("0", "1")}, {"TUNE_GPU_INCLUDE": "1,2"}, ["1"]),
        ({}, {"CUDA_VISIBLE_DEVICES": "2"}, ["2"]),
        ({}, {"CUDA_VISIBLE_DEVICES": "GPU-b"}, ["1"]),
        ({}, {"CUDA_VISIBLE_DEVICES": ""}, []),
    ],
)
def test_lists_of_the_policy_and_the_environment_narrow_the_choice(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, changes: Any, environ: dict[str, str], left: list[str]
) -> None:
    machine.add("GPU-c")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert list(reasons(**changes)) == left


def test_the_lowest_free_gpus_are_picked(machine: Machine) -> None:
    machine.add("GPU-c")
    machine.say("gpu 0 used 9000")
    with Nvml() as nvml:
        grant = acquire(nvml, 2, policy())
        assert [gpu.label for gpu in grant.gpus] == ["1", "2"] and grant.visible == "1,2"
        assert grant.used_mib == {"GPU-b": 4, "GPU-c": 4}
        grant.release()


def test_the_wait_ends_when_a_process_lets_go(machine: Machine, sleeper: Sleeper) -> None:
    holder = sleeper.start()
    machine.say(f"gpu 0 proc {holder.pid} 30000", f"gpu 1 proc {holder.pid} 30000")
    words: list[str] = []

    def say(line: str) -> None:
        words.append(line)
        holder.kill()
        holder.wait()  # a killed process that nobody collected still counts for the driver

    with Nvml() as nvml:
        grant = acquire(nvml, 2, policy(wait_s=20.0), say=say)
        grant.release()
    assert words[0].startswith("waiting for 2 free GPU(s), 0 s of 20 s: GPU 0 in use by")
    assert set(grant.reasons) == {"0", "1"} and 0 < grant.waited_s < 20


def test_a_wait_that_ends_without_gpus_says_why_for_each(machine: Machine, sleeper: Sleeper) -> None:
    machine.say(f"gpu 0 proc {sleeper.start().pid} 30000", "gpu 1 used 4000")
    with Nvml() as nvml, pytest.raises(NotGranted) as refused:
        acquire(nvml, 1, policy(wait_s=0.2))
    assert refused.value.exit_code == 4 and set(refused.value.reasons) == {"0", "1"}
    assert "each <= 2048 MiB" in refused.value.message and "ready after 0 s: none" in refused.value.message


def test_more_gpus_than_there_are_is_refused_without_waiting(machine: Machine) -> None:
    started = time.monotonic()
    sentence = r"need 3 GPU\(s\), but only 1 can be used here \(exclude=0\)"
    with Nvml() as nvml, pytest.raises(Unavailable, match=sentence):
        acquire(nvml, 3, policy(wait_s=600.0, exclude=("0",)))
    assert time.monotonic() - started < 300


def test_a_job_that_was_just_starting_is_seen_by_the_second_look(machine: Machine, sleeper: Sleeper) -> None:
    machine.later(0.2, f"gpu 0 proc {sleeper.start().pid} 30000")
    with Nvml() as nvml:
        grant = acquire(nvml, 1, policy(wait_s=30.0, settle_s=0.6))
        assert [gpu.label for gpu in grant.gpus] == ["1"] and "in use by" in grant.reasons["0"]
        grant.release()


def test_a_gpu_that_vanishes_between_the_looks_is_not_used(machine: Machine) -> None:
    machine.later(0.2, "gpu 0 error * 15")
    with Nvml() as nvml:
        grant = acquire(nvml, 1, policy(wait_s=30.0, settle_s=0.6))
        assert [gpu.uuid for gpu in grant.gpus] == ["GPU-b"]
        assert grant.reasons["0"].startswith("gone")
        grant.release()


def test_a_gpu_another_runner_locked_is_passed_over_and_named(machine: Machine) -> None:
    taken = try_lock(lock_dir(), "GPU-a")
    assert isinstance(taken, GpuLock)
    with Nvml() as nvml:
        grant = acquire(nvml, 1, policy())
        assert grant.visible == "1"
        with pytest.raises(NotGranted, match=rf"GPU 0: taken by another runner \(pid {os.getpid()}\)"):
            acquire(nvml, 1, policy())
        grant.release()
        taken.release()
        assert acquire(nvml, 1, policy()).visible == "0"


RACER = """
import json, sys, time
from gpu_runner.gate import acquire
from gpu_runner.nvml import Nvml
from gpu_runner.request import GatePolicy
needed = int(sys.argv[1])
with Nvml() as nvml:
    for _ in range(8):
        grant = acquire(nvml, needed, GatePolicy(wait_s=60, poll_s=0.01, settle_s=0))
        began = time.monotonic()
        time.sleep(0.01)
        print(json.dumps([[gpu.uuid for gpu in grant.gpus], began, time.monotonic()]), flush=True)
        grant.release()
"""


@pytest.mark.parametrize(("gpus", "needed"), [(2, 1), (2, 2), (4, 2)])
def test_runners_that_race_never_hold_the_same_gpu_at_the_same_time(machine: Machine, gpus: int, needed: int) -> None:
    for number in range(gpus - 2):
        machine.add(f"GPU-{number}")
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(needed)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **machine.env},
        )
        for _ in range(4)
    ]
    holds = [json.loads(line) for racer in racers for line in racer.communicate(timeout=120)[0].splitlines()]
    assert all(racer.returncode == 0 for racer in racers)
    assert len(holds) == 4 * 8 and all(len(uuids) == needed for uuids, _, _ in holds)
    for uuid in {uuid for uuids, _, _ in holds for uuid in uuids}:
        spans = sorted((began, ended) for uuids, began, ended in holds if uuid in uuids)
        assert all(ended <= began for (_, ended), (began, _) in itertools.pairwise(spans)), uuid


def test_a_lock_is_held_until_the_last_process_of_the_repeat_is_gone(machine: Machine, tmp_path: Path) -> None:
    """The runner may be killed first; until its keeper has ended the tree, the GPU is not free."""
    lock = try_lock(lock_dir(), "GPU-a")
    assert isinstance(lock, GpuLock)
    ignore = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    log = tmp_path / "log"
    with Attended(
        Launch([sys.executable, "-c", ignore], tmp_path, dict(os.environ), log),
        repeat_id="r",
        hold_fds=[lock.fd],
        grace_s=0.3,
    ) as running:
        while b"up" not in log.read_bytes():
            time.sleep(0.02)
        lock.release()
        assert "taken by another runner" in str(try_lock(lock_dir(), "GPU-a"))
        assert not running.wait(0)
    again = try_lock(lock_dir(), "GPU-a")
    assert isinstance(again, GpuLock)
    again.release()


def test_a_link_in_the_place_of_a_lock_is_refused_and_what_it_points_to_untouched(tmp_path: Path) -> None:
    """The folder is writable for everybody: nobody may use it to reach files of ours."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    folder = lock_dir(tmp_path / "locks")
    (folder / "GPU-a.lock").symlink_to(secret)
    with pytest.raises(Unavailable, match="cannot keep GPU locks"):
        try_lock(folder, "GPU-a")
    assert secret.stat().st_mode & 0o777 == 0o600 and secret.read_text() == "x"


def test_every_users_runner_can_take_part(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        lock = try_lock(lock_dir(tmp_path / "locks"), "GPU-a")
    finally:
        os.umask(before)
    assert isinstance(lock, GpuLock)
    assert (tmp_path / "locks").stat().st_mode & 0o7777 == 0o1777
    assert (tmp_path / "locks" / "GPU-a.lock").stat().st_mode & 0o777 == 0o666
    lock.release()


def test_a_folder_for_locks_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"cannot keep GPU locks in .*/file/locks") as refused:
        lock_dir(tmp_path / "file" / "locks")
    assert "PERFLEDGER_GPU_LOCK_DIR" in refused.value.hint


def test_memory_that_comes_back_late_is_waited_for_and_ghost_memory_is_told(machine: Machine) -> None:
    with Nvml() as nvml:
        gpus = nvml.gpus()
        machine.say("gpu 0 used 9000")
        machine.later(0.5, "gpu 0 used 4")
        assert wait_released(nvml, gpus, policy(release_wait_s=30.0)) == []
        machine.say("gpu 1 used 9000")
        (held,) = wait_released(nvml, gpus, policy(release_wait_s=0.3))
    assert held.gpu.label == "1" and held.ghost
