"""A repeat that is ended from outside, by a signal or by a ledger that cannot be written, leaves no process behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time

import pytest

from gpu_runner import processes
from ledger.event import EventPayload
from tests.gpu_runner.repeats import Bench

RUNNER = """
import json, sys, time
from pathlib import Path
from gpu_runner.repeat import *
from gpu_runner.interrupts import name_of
root = Path(sys.argv[1])
def emit(payload):
    print(type(payload).__name__, getattr(payload, "repeat_id", ""), getattr(payload, "by", ""), flush=True)
try:
    run_repeat(RepeatRequest(
        unit="test_it", repeat=1, python=sys.executable, test="test_it.py", cwd=root, basetemp=root / "run/bt",
        log=root / "run/run1.log", emit=emit, env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        limits=Limits(poll_s=0.05, term_grace_s=0.5), stages=(StageSpec(key="a", metrics={}),)))
except KeyboardInterrupt as interrupt:
    print("INTERRUPTED", name_of(interrupt), flush=True)
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_repeat_is_recorded_and_leaves_no_orphan(bench: Bench, signum: signal.Signals) -> None:
    bench.write("""
        import subprocess, sys, time
        def test_it():
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
            print("UP", flush=True)
            time.sleep(600)
    """)
    runner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUNNER), str(bench.root)], stdout=subprocess.PIPE, text=True
    )
    log = bench.root / "run" / "run1.log"
    deadline = time.monotonic() + 60
    while not (log.exists() and "UP" in log.read_text()):
        assert time.monotonic() < deadline and runner.poll() is None
        time.sleep(0.02)
    runner.send_signal(signum)
    out, _ = runner.communicate(timeout=60)
    lines = out.splitlines()
    repeat_id = lines[1].split()[1]
    assert lines[-2:] == [f"RepeatInterrupted {repeat_id} {signum.name}", f"INTERRUPTED {signum.name}"]
    assert processes.marked(repeat_id) == set() and runner.returncode == 0


def test_an_emit_that_fails_leaves_no_orphan_either(bench: Bench) -> None:
    """The disk of the ledger may be full at any event."""
    bench.write("import time\ndef test_it(): time.sleep(600)")

    def full(payload: EventPayload) -> None:
        bench.events.append(payload)
        if type(payload).__name__ == "RepeatStarted":
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        bench.run(emit=full)
    assert processes.marked(bench.named("RepeatStarted")[0].repeat_id) == set()
