"""Which lines of a log end a run, which name a broken environment, and which only look as if."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu_runner.request import Limits
from gpu_runner.signatures import DEFAULT_CRASHES, DEFAULT_ENVIRONMENT, CrashSignature, EnvironmentSignature
from gpu_runner.watchdog import Findings, LogWatch, Stop
from ledger.errors import BadInput

PATIENT = Limits(stall_s=None, wall_s=None)


def watch(tmp_path: Path, limits: Limits = PATIENT, **more: object) -> LogWatch:
    return LogWatch(tmp_path / "log", limits, now=0.0, crashes=DEFAULT_CRASHES, environment=DEFAULT_ENVIRONMENT, **more)  # type: ignore[arg-type]


def write(tmp_path: Path, text: str) -> None:
    with (tmp_path / "log").open("a") as log:
        log.write(text)


def judged(tmp_path: Path, text: str, after_s: float = 1000.0) -> Stop | None:
    looking = watch(tmp_path)
    write(tmp_path, text)
    return looking.look(1.0) or looking.look(after_s)


def findings(tmp_path: Path, text: str) -> Findings:
    looking = watch(tmp_path)
    write(tmp_path, text)
    return looking.finish(1.0)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Fatal Python error: Segmentation fault", "Fatal Python error"),
        ("tests/test_tts_ci.py::test_tts Fatal Python error: Aborted", "Fatal Python error"),
        ("(worker-0) Fatal Python error: Aborted", "Fatal Python error"),
        ("/bin/sh: line 1: 4711 Segmentation fault (core dumped) python -m x", "Segmentation fault"),
        ("RuntimeError: CUDA error: an illegal memory access was encountered", "CUDA error: an illegal memory access"),
        ("Child process died", "Child process died"),
        ("[2026-06-27] ERROR All workers failed, shutting down", "All workers failed"),
        ("Router failed to start within 60 s", "Router failed to start"),
        ("Server process exited with code 1", "Server process exited"),
        ("tp worker crashed: see above", "worker crashed"),
    ],
)
def test_a_crash_that_nothing_heals_ends_the_run_and_keeps_its_line(tmp_path: Path, line: str, name: str) -> None:
    stop = judged(tmp_path, f"collecting\n{line}\nwaiting for the server\n")
    assert stop == Stop("crash", f"crashed ({name})", line)


@pytest.mark.parametrize(
    "line",
    [
        "requests.exceptions.ConnectionError: [Errno 111] Connection refused",
        "health check failed: Connection refused, retrying in 1 s",
        "OSError: [Errno 98] Address already in use",
        "AssertionError: server said 503, worker 0 not healthy",
        "E   assert router.health() == 200",
        "Router failed to start, retrying (attempt 1/3)",
        "worker crashed, will try again on port 30001",
        "Server process exited with code 1 (retry 2)",
        "test_segfault_is_reported PASSED",
        "my doc says: a Fatal Python error: is printed like this",
    ],
)
def test_what_is_tried_again_or_only_talked_about_is_no_crash(tmp_path: Path, line: str) -> None:
    assert judged(tmp_path, line + "\n") is None


def test_a_worker_that_its_supervisor_restarted_is_no_crash(tmp_path: Path) -> None:
    looking = watch(tmp_path)
    write(tmp_path, "Child process died\n")
    assert looking.look(1.0) is None and looking.suspected() == "Child process died"
    write(tmp_path, "INFO: Application startup complete.\n")
    assert looking.look(2.0) is None and looking.look(5000.0) is None and looking.suspected() is None
    write(tmp_path, "Child process died\n")
    assert looking.look(5001.0) is None, "a crash is confirmed by time, each anew"
    assert looking.look(5062.0) is not None


def test_a_crash_is_only_believed_after_its_confirmation_time(tmp_path: Path) -> None:
    looking = watch(tmp_path)
    write(tmp_path, "Fatal Python error: Aborted\n")
    assert looking.look(10.0) is None and looking.look(29.9) is None
    assert looking.look(30.0) == Stop("crash", "crashed (Fatal Python error)", "Fatal Python error: Aborted")


def test_lines_that_arrive_in_pieces_are_read_as_one(tmp_path: Path) -> None:
    looking = watch(tmp_path)
    write(tmp_path, "Fatal Pyth")
    assert looking.look(1.0) is None
    write(tmp_path, "on error: x\nnext")
    looking.look(2.0)
    assert looking.suspected() == "Fatal Python error: x"


def test_a_last_line_without_an_end_and_bytes_that_are_no_text_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xff\xfe\x00 progress\rbar\nE   torch.OutOfMemoryError: CUDA out of memory")
    found = watch(tmp_path).finish(1.0)
    assert found.error_out_of_memory == "E   torch.OutOfMemoryError: CUDA out of memory"


def test_a_line_of_many_megabytes_neither_hangs_nor_hides_the_next(tmp_path: Path) -> None:
    looking = watch(tmp_path)
    write(tmp_path, "x" * 5_000_000 + "\nFatal Python error: y\n")
    looking.finish(1.0)
    assert looking.suspected() == "Fatal Python error: y"


def test_silence_longer_than_the_limit_is_a_stall_and_any_output_resets_it(tmp_path: Path) -> None:
    looking = watch(tmp_path, Limits(stall_s=100.0, wall_s=None))
    write(tmp_path, "loading weights\n")
    assert looking.look(50.0) is None and looking.look(149.0) is None and looking.silent_s(149.0) == 99.0
    write(tmp_path, "loaded 1 of 9\n")
    assert looking.look(151.0) is None
    stop = looking.look(251.0)
    assert stop == Stop("timeout", "timeout (no output for 100 s)", "last line: loaded 1 of 9")


def test_a_run_that_never_wrote_anything_stalls_as_well(tmp_path: Path) -> None:
    looking = watch(tmp_path, Limits(stall_s=10.0, wall_s=None))
    (tmp_path / "log").write_text("")
    stop = looking.look(10.0)
    assert stop and stop.cause == "the log stayed empty"


def test_the_wall_clock_limit_holds_however_busy_the_log_is(tmp_path: Path) -> None:
    looking = watch(tmp_path, Limits(stall_s=10.0, wall_s=60.0))
    for second in range(0, 60, 5):
        write(tmp_path, f"{second}\n")
        assert looking.look(float(second)) is None
    stop = looking.look(60.0)
    assert stop and (stop.kind, stop.outcome) == ("timeout", "timeout (60 s limit)")


def test_a_server_that_took_more_than_60_s_is_an_environment_problem_with_a_way_out(tmp_path: Path) -> None:
    found = findings(tmp_path, "INFO server ready after 59.9 s\nINFO router started in 312.4s\n").environment
    assert len(found) == 1
    assert found[0].startswith("slow server start: a server took 312.4 s") and "calibrate precheck" in found[0]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("flashinfer JIT cache dir /root/.cache/flashinfer: Permission denied", "JIT cache in the wrong place"),
        ("RuntimeError: Ninja is required to load C++ extensions", "JIT compiler missing"),
        ("sh: 1: nvcc: command not found", "JIT compiler missing"),
        ("CUDA driver version is insufficient for CUDA runtime version", "driver and library differ"),
        ("OSError: [Errno 28] No space left on device", "disk full"),
    ],
)
def test_known_broken_environments_are_named(tmp_path: Path, line: str, name: str) -> None:
    (sentence,) = findings(tmp_path, line + "\n" + line + "\n").environment
    assert sentence.startswith(name + ": ")


def test_proof_patterns_keep_the_first_line_that_matched(tmp_path: Path) -> None:
    looking = watch(tmp_path, patterns={"graphs": r"cuda graph: True", "fp8": r"kv_cache_dtype=fp8"})
    write(tmp_path, "cuda graph: False\nINFO cuda graph: True (bs 1)\ncuda graph: True (bs 2)\n")
    assert looking.finish(1.0).patterns == {"graphs": "INFO cuda graph: True (bs 1)", "fp8": None}


def test_configured_signatures_may_use_groups_and_references(tmp_path: Path) -> None:
    own = CrashSignature(name="twice", pattern=r"(\w+) failed and \1 failed again", confirm_s=0.0)
    looking = LogWatch(tmp_path / "log", PATIENT, now=0.0, crashes=(own,))
    write(tmp_path, "disk failed and disk failed again\n")
    assert looking.look(1.0) == Stop("crash", "crashed (twice)", "disk failed and disk failed again")
    named = EnvironmentSignature(
        name="slow disk", pattern=r"(?P<what>\w+) took (?P<seconds>\d+) s", over_s=9, explanation="{what} is slow"
    )
    assert named.explain("fsync took 10 s") == "slow disk: fsync is slow" and named.explain("fsync took 9 s") is None


def test_a_signature_that_is_no_expression_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="signature 'mine': pattern is not a regular expression"):
        CrashSignature(name="mine", pattern="(")
