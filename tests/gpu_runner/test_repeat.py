"""One repeat end to end: real pytest, real result files, real crashes. No GPU is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu_runner import processes
from gpu_runner.repeat import Limits, RepeatObserved, StageSpec, ValueSource
from gpu_runner.request import RepeatRequest
from ledger.errors import BadInput
from ledger.event import NewEvent, encode_payload
from ledger.ledger import Ledger
from tests.gpu_runner.machine import Sleeper
from tests.gpu_runner.repeats import PASSES, QPS, SPEED, WRITES, Bench

COUNTING = (
    WRITES
    + """
    import pathlib
    def attempt():
        counter = pathlib.Path(os.environ["COUNTER"])
        number = int(counter.read_text()) + 1 if counter.exists() else 1
        counter.write_text(str(number))
        return number
"""
)


def counting(bench: Bench) -> dict[str, dict[str, str]]:
    return {"stage_env": {"COUNTER": str(bench.root / "counter")}}


def test_a_passing_test_is_one_observation_with_everything_that_explains_it(bench: Bench) -> None:
    counts = {"total": ValueSource(json_file="test_it0/r.json", json_path="speed.qps"), "ok": None}
    seen = bench.run(
        PASSES,
        stages=(StageSpec(key="it_speed", metrics={"throughput_qps": QPS}, sample_counts=counts),),
        log_patterns={"passed": "PASSED", "graphs": "cuda graph: True"},
        seed=7,
    )
    (stage,) = seen.stages
    assert (stage.status, stage.reason, stage.metrics) == ("ok", "", {"throughput_qps": 17.5})
    assert (seen.pytest_rc, seen.attempts, seen.halt, seen.seed) == (0, 1, None, 7)
    assert seen.log_found["graphs"] is None and "PASSED" in str(seen.log_found["passed"])
    (attempt,) = seen.attempt_history
    assert (attempt.outcome, attempt.kind, attempt.gpu_indices) == ("passed", "passed", [])
    assert b"1 passed" in bench.store.kept[str(seen.log_sha256)]
    assert bench.store.kept[seen.results["test_it0/r.json"]] == b'{"speed": {"qps": 17.5}}'
    names = [type(event).__name__ for event in bench.events]
    assert names == ["EnvironmentSeen", "RepeatStarted", "RepeatObserved"]
    assert bench.events[0].digest == seen.environment  # type: ignore[attr-defined]
    for payload in bench.events:
        assert encode_payload(payload), NewEvent(stream="calibration/x", payload=payload)


def test_every_event_of_a_repeat_reads_back_from_a_real_ledger(bench: Bench, ledger: Ledger) -> None:
    bench.run(
        PASSES,
        evidence=ledger.evidence,
        emit=lambda p: ledger.append([NewEvent(stream="calibration/s", payload=p)]),
    )
    events = ledger.read_stream("calibration/s")
    observed = events[-1].typed()
    assert isinstance(observed, RepeatObserved) and observed.stages[0].metrics == {"throughput_qps": 17.5}
    assert observed.log_sha256 is not None and ledger.evidence.has(observed.log_sha256)


def test_a_missed_threshold_is_an_observation_and_the_tests_after_it_run(bench: Bench) -> None:
    """Never -x, also when the project's own addopts ask for it: a miss must not cost the metrics behind it."""
    bench.write("[pytest]\naddopts = -x\n", "pytest.ini")
    seen = bench.run(
        WRITES
        + """
    def test_a_threshold():
        assert 17.1 >= 17.5
    def test_it(tmp_path):
        measured(tmp_path)
    """
    )
    (stage,) = seen.stages
    assert (stage.status, stage.reason) == ("ok", "threshold_assertion (exit 1)")
    assert stage.metrics == {"throughput_qps": 17.5} and seen.attempts == 1
    assert "17.1 >= 17.5" in seen.attempt_history[0].cause


def test_a_pass_without_its_metric_halts_with_the_cause(bench: Bench) -> None:
    seen = bench.run("def test_it(tmp_path): (tmp_path / 'r.json').write_text('{}')")
    assert seen.halt == "it_speed.throughput_qps: read failed at test_it0/r.json::speed.qps — no key 'speed'"
    assert seen.stages[0].status == "failed" and seen.stages[0].metrics == {"throughput_qps": None}


@pytest.mark.parametrize(
    ("failure", "outcome", "rc"),
    [
        ("raise RuntimeError('CUDA out of memory. Tried to allocate 20 GiB')", "OOM", 1),
        ("os.kill(os.getpid(), 9)", "exit 137 (killed)", -9),
        ("os._exit(137)", "exit 137 (killed)", 137),
        ("import ctypes; ctypes.string_at(0)", "exit 139 (segfault)", -11),
        ("raise __import__('subprocess').TimeoutExpired('serve', 600)", "TimeoutExpired", 1),
        ("raise ConnectionError('Connection refused')", "infrastructure (exit 1)", 1),
    ],
)
def test_what_is_no_fault_of_the_code_is_tried_again_and_both_attempts_are_kept(
    bench: Bench, failure: str, outcome: str, rc: int
) -> None:
    seen = bench.run(
        COUNTING
        + f"""
    def test_it(tmp_path):
        if attempt() == 1:
            {failure}
        measured(tmp_path)
    """,
        **counting(bench),
    )
    first, second = seen.attempt_history
    assert (first.outcome, first.pytest_rc, first.retried) == (outcome, rc, True)
    assert first.cause and second.outcome == "passed" and seen.stages[0].status == "ok"
    assert first.log_sha256 != second.log_sha256 and first.log_sha256 in bench.store.kept
    assert len(bench.named("RepeatStarted")) == 2
    assert {event.repeat_id for event in bench.named("RepeatStarted")}.__len__() == 2


def test_four_attempts_are_the_end_and_the_last_cause_stays(bench: Bench) -> None:
    seen = bench.run("import os\ndef test_it(): os.kill(os.getpid(), 11)")
    assert [a.outcome for a in seen.attempt_history] == ["exit 139 (segfault)"] * 4
    assert [a.retried for a in seen.attempt_history] == [True, True, True, False]
    assert seen.stages[0].reason == "incomplete_metrics_extraction (exit 139 (segfault))"
    logs = sorted(path.name for path in (bench.root / "run").glob("*.log"))
    assert logs == ["run1.1.log", "run1.2.log", "run1.3.log", "run1.log"], "no log is ever overwritten"


def test_results_of_an_earlier_attempt_are_never_read(bench: Bench) -> None:
    """The first attempt measures and then dies; the second dies before it measures."""
    seen = bench.run(
        COUNTING
        + """
    def test_it(tmp_path):
        if attempt() == 1:
            measured(tmp_path, qps=999.0)
        os.kill(os.getpid(), 9)
    """,
        **counting(bench),
        limits=Limits(attempts=2, poll_s=0.05),
    )
    assert seen.attempts == 2
    assert seen.stages[0].metrics == {"throughput_qps": None}
    assert "file missing" in seen.stages[0].problems["throughput_qps"]


def test_a_basetemp_full_of_old_results_is_emptied_first(bench: Bench) -> None:
    old = bench.root / "run" / "basetemp_run1" / "test_it0"
    old.mkdir(parents=True)
    (old / "r.json").write_text('{"speed": {"qps": 999.0}}')
    old.chmod(0o500)
    seen = bench.run("import os\ndef test_it(): os._exit(4)")
    assert seen.stages[0].metrics == {"throughput_qps": None} and seen.attempt_history[0].kind == "usage"


def test_a_relative_run_directory_works_from_anywhere(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = bench.root.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    seen = bench.run(PASSES, basetemp=Path("out/basetemp_run1"), log=Path("out/run1.log"))
    assert seen.stages[0].metrics == {"throughput_qps": 17.5}
    assert seen.basetemp == str(elsewhere / "out/basetemp_run1") and Path(seen.log).exists()
    assert not (bench.root / "out").exists()


def test_the_environment_is_composed_as_the_contract_says(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_PROCESS", "process")
    monkeypatch.setenv("OVERRIDDEN", "process")
    monkeypatch.setenv("no_proxy", "example.org")
    monkeypatch.setenv("PYTHONPATH", "/already/there")
    monkeypatch.delenv("NO_PROXY", raising=False)
    names = (
        "FROM_PROCESS OVERRIDDEN STAGE no_proxy NO_PROXY PYTHONPATH PATH CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER "
        "PERFLEDGER_REPEAT_ID"
    )
    bench.run(
        WRITES
        + f"""
    def test_it(tmp_path):
        measured(tmp_path)
        print()
        for name in {names.split()!r}:
            print("ENV", name, os.environ[name])
    """,
        env={"OVERRIDDEN": "model", "STAGE": "model", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stage_env={"STAGE": "stage"},
    )
    lines = (bench.root / "run" / "run1.log").read_text().splitlines()
    said = [line.removeprefix("ENV ").partition(" ") for line in lines if line.startswith("ENV ")]
    env = {name: value for name, _, value in said}
    assert (env["FROM_PROCESS"], env["OVERRIDDEN"], env["STAGE"]) == ("process", "model", "stage")
    assert env["no_proxy"] == "localhost,127.0.0.1,::1,example.org" and env["NO_PROXY"] == "localhost,127.0.0.1,::1"
    assert env["PYTHONPATH"] == f"{bench.root}:/already/there"
    assert env["PATH"].split(":")[0] == str(Path(sys.executable).parent)
    assert env["CUDA_VISIBLE_DEVICES"] == "", "a CPU test sees no GPU"
    assert env["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID", "CUDA would count the fastest first, NVML counts by bus"
    assert env["PERFLEDGER_REPEAT_ID"] == bench.named("RepeatStarted")[0].repeat_id


def test_credentials_reach_the_test_but_neither_events_nor_evidence(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret-value-of-a-token")
    seen = bench.run(
        """
        import os
        def test_it():
            print("token is", os.environ["HF_TOKEN"])
            raise AssertionError("401 for " + os.environ["HF_TOKEN"])
    """,
        log_patterns={"token": "token is"},
    )
    stored = b"".join(bench.store.kept.values()) + b"".join(encode_payload(event) for event in bench.events)
    assert b"secret-value" not in stored
    assert b"token is ***" in bench.store.kept[str(seen.log_sha256)] and "401 for ***" in seen.attempt_history[0].cause


def test_a_silent_run_is_ended_and_its_server_with_it(bench: Bench, sleeper: Sleeper) -> None:
    innocent = sleeper.start("serve")
    seen = bench.run(
        WRITES
        + """
    import subprocess, sys, time
    def test_it(tmp_path):
        server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "serve"],
                                  start_new_session=True)
        print("SERVER", server.pid, flush=True)
        time.sleep(600)
    """,
        limits=Limits(attempts=1, stall_s=4.0, poll_s=0.05, term_grace_s=0.5),
    )
    (attempt,) = seen.attempt_history
    assert (attempt.outcome, attempt.kind, attempt.pytest_rc) == ("timeout (no output for 4 s)", "timeout", -1)
    log = (bench.root / "run" / "run1.log").read_text()
    assert processes.read(int(log.split("SERVER ")[1].split()[0])) is None
    assert innocent.poll() is None and not processes.marked(seen.repeat_id)


def test_a_crash_in_the_log_ends_a_run_that_would_wait_for_ever(bench: Bench) -> None:
    from gpu_runner.signatures import CrashSignature

    seen = bench.run(
        """
        import time
        def test_it():
            print("\\nscheduler: Child process died", flush=True)
            time.sleep(600)
    """,
        limits=Limits(attempts=1, poll_s=0.05, term_grace_s=0.5),
        crash_signatures=(CrashSignature(name="Child process died", pattern="Child process died", confirm_s=0.2),),
    )
    assert seen.attempt_history[0].outcome == "crashed (Child process died)"
    assert seen.attempt_history[0].cause == "scheduler: Child process died" and seen.pytest_rc == -1


def test_a_refused_connection_that_was_retried_is_no_crash(bench: Bench) -> None:
    seen = bench.run(
        WRITES
        + """
    import socket, time
    def test_it(tmp_path):
        for _ in range(3):
            try:
                socket.create_connection(("127.0.0.1", 1), timeout=1)
            except OSError as error:
                print("server not up:", error, "Connection refused", flush=True)
                time.sleep(0.1)
        measured(tmp_path)
    """
    )
    assert seen.attempts == 1 and seen.attempt_history[0].outcome == "passed"


def test_caches_are_wiped_before_each_attempt_and_only_caches(bench: Bench) -> None:
    cache = bench.root / "caches" / "flashinfer"
    cache.mkdir(parents=True)
    (cache / "old.so").write_text("")
    seen = bench.run(
        COUNTING
        + f"""
    def test_it(tmp_path):
        assert not pathlib.Path({str(cache)!r}).exists()
        pathlib.Path({str(cache)!r}).mkdir()
        if attempt() == 1:
            os._exit(137)
        measured(tmp_path)
    """,
        **counting(bench),
        cache_dirs=(cache,),
    )
    assert [a.outcome for a in seen.attempt_history] == ["exit 137 (killed)", "passed"]
    for wrong in (Path("/"), Path.home(), bench.root, Path("relative")):
        with pytest.raises(BadInput, match="will not be wiped"):
            bench.run(cache_dirs=(wrong,))
    assert bench.root.exists()


def test_commit_dirty_state_and_diff_are_part_of_the_observation(bench: Bench) -> None:
    bench.write(PASSES)
    git = ["git", "-C", str(bench.root), "-c", "user.email=t@example.org", "-c", "user.name=t"]
    for args in (["init", "-q"], ["add", "test_it.py"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *args], check=True)
    sha = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    bench.write(PASSES + "\n    # edited\n")
    seen = bench.run()
    assert (seen.git_sha, seen.git_sha_start, seen.dirty) == (sha, sha, True)
    assert b"+    # edited" in bench.store.kept[str(seen.diff_sha256)].replace(b"+# edited", b"+    # edited")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extra_args": ("-x",)}, "-x is not allowed"),
        ({"extra_args": ("-vx",)}, "-vx is not allowed"),
        ({"extra_args": ("--basetemp=/b",)}, "--basetemp=/b is not allowed"),
        ({"env": {"CUDA_VISIBLE_DEVICES": "3"}}, "the environment sets CUDA_VISIBLE_DEVICES"),
        ({"stage_env": {"CUDA_VISIBLE_DEVICES": "3"}}, "the environment sets CUDA_VISIBLE_DEVICES"),
        ({"test": "test_other.py"}, "no test file"),
        ({"python": "/nonexistent/python"}, "the interpreter /nonexistent/python is missing"),
        ({"basetemp": Path("/")}, "holds the repository"),
    ],
)
def test_a_request_that_cannot_be_run_is_refused_before_anything_starts(
    bench: Bench, changes: dict[str, Any], message: str
) -> None:
    bench.write(PASSES)
    with pytest.raises(BadInput, match=message):
        bench.run(**changes)
    assert bench.events == [] and not (bench.root / "run").exists()


def test_a_request_holds_its_own_limits() -> None:
    with pytest.raises(AssertionError):
        Limits(attempts=5)
    assert RepeatRequest.__dataclass_fields__["gpus"].default == 0 and SPEED.key and os.name == "posix"
