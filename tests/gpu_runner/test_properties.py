"""Rules that hold for every log and every result file, not only for the ones somebody thought of."""

from __future__ import annotations

import itertools
import json
import math
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_runner.extract import ResultFiles, extract
from gpu_runner.outcome import classify
from gpu_runner.request import Limits, StageSpec, ValueSource
from gpu_runner.signatures import DEFAULT_CRASHES, DEFAULT_ENVIRONMENT
from gpu_runner.watchdog import Findings, LogWatch

LINES = st.sampled_from(
    [
        "Fatal Python error: Aborted",
        "Child process died",
        "Application startup complete.",
        "Connection refused",
        "worker crashed, retrying",
        "E   torch.OutOfMemoryError: CUDA out of memory",
        "server ready after 75 s",
        "E   requests.ConnectionError: Connection refused",
        "FAILED test_it.py::test_it - TimeoutExpired",
        "",
        "ordinary",
        "No space left on device",
        "All workers failed",
        "cuda graph: True",
        "\x00\udcff",
        "x" * 40_000,
    ]
)


def watched(lines: list[str], cuts: list[int]) -> tuple[Findings, str | None]:
    """Read the lines as a log that grew in pieces cut anywhere."""
    data = "\n".join(lines).encode("utf-8", "surrogateescape")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        watch = LogWatch(
            log,
            Limits(stall_s=None, wall_s=None),
            now=0.0,
            crashes=DEFAULT_CRASHES,
            environment=DEFAULT_ENVIRONMENT,
            patterns={"graphs": "cuda graph: True"},
        )
        edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
        for begin, end in itertools.pairwise(edges):
            with log.open("ab") as file:
                file.write(data[begin:end])
            watch.look(0.0)
        return watch.finish(0.0), watch.suspected()


@settings(max_examples=60, deadline=None)
@given(st.lists(LINES, max_size=12), st.lists(st.integers(0, 10**6), max_size=5))
def test_a_log_means_the_same_however_it_arrived(lines: list[str], cuts: list[int]) -> None:
    assert watched(lines, cuts) == watched(lines, [])


@settings(max_examples=60, deadline=None)
@given(st.lists(LINES, max_size=12), st.one_of(st.none(), st.integers(-64, 255)), st.booleans())
def test_every_end_has_a_name_and_only_a_zero_exit_passes(lines: list[str], code: int | None, complete: bool) -> None:
    outcome = classify(code, watched(lines, [])[0], complete=complete)
    assert outcome.text and (outcome.kind == "passed") is (code == 0)
    assert outcome.kind in ("passed", "assertion", "oom", "crash", "timeout", "infrastructure", "usage")
    if complete and code == 1 and not any(line.startswith(("E ", "FAILED")) for line in lines):
        assert outcome.kind == "assertion" and not outcome.retried


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True, allow_infinity=True) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "__len__"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON, st.lists(st.sampled_from(["a", "b", "__len__", ""]), min_size=1, max_size=4))
def test_what_is_read_is_a_finite_number_or_null_with_a_reason(document: Any, path: list[str]) -> None:
    source = ValueSource(json_file="r.json", json_path=".".join(path))
    stage = StageSpec(key="s", metrics={"m": source}, sample_counts={"total": source})
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "r.json").write_text(json.dumps(document))
        values = extract(stage, ResultFiles(Path(folder)))
    value, count = values.metrics["m"], values.sample_counts["total"]
    assert value is None or (isinstance(value, float) and math.isfinite(value))
    assert (value is None) is ("m" in values.problems) is values.misread
    assert count is None or count == value
