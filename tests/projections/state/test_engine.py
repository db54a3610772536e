"""One module speaks to DuckDB (projections/state/engine.py): what it raises there is ours everywhere else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from projections.state import engine
from tests.conftest import NO_BYTE_CODE, clean_env
from tests.house.sources import ROOMS, TOP, sources


def test_no_other_module_imports_the_engine() -> None:
    importing = [file.path for file in sources(TOP, *ROOMS) if any(n.split(".")[0] == "duckdb" for n in file.imports)]
    assert importing == ["projections/state/engine.py"]


def test_only_the_console_s_process_takes_the_raw_connection() -> None:
    taking = [file.path for file in sources(TOP, *ROOMS) if ".connection.raw" in file.text]
    assert taking == ["projections/console/child.py"]


def test_a_statement_that_is_refused_raises_ours_with_the_engine_s_first_line() -> None:
    connection = engine.connect()
    with pytest.raises(engine.EngineFailed, match="nowhere") as caught:
        connection.execute("FROM nowhere")
    assert not isinstance(caught.value, engine.EngineOutside)


def test_an_error_that_comes_with_a_row_is_ours_too() -> None:
    with pytest.raises(engine.EngineFailed, match="late"):
        connection = engine.connect()
        connection.execute("SELECT CASE WHEN range > 9999 THEN error('late') ELSE 1 END FROM range(20000)").fetchall()


def test_memory_that_runs_out_is_outside() -> None:
    connection = engine.connect(memory_limit="16MiB", temp_directory="")
    with pytest.raises(engine.EngineOutside):
        connection.execute("SELECT list(range::VARCHAR || 'x' ORDER BY hash(range)) FROM range(10000000)").fetchall()


def test_a_disk_that_takes_no_more_is_outside(tmp_path: Path) -> None:
    """A process of its own: the limit on the size of files stands for the full disk."""
    program = (
        "import resource, signal, sys; from pathlib import Path; from projections.state import engine\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))\n"
        "try:\n"
        "    connection = engine.connect(Path(sys.argv[1]))\n"
        "    connection.execute('CREATE TABLE t AS SELECT hash(range) AS h FROM range(5000000)')\n"
        "    connection.execute('CHECKPOINT')\n"
        "except engine.EngineOutside:\n"
        "    print('outside')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "t.db")],
        cwd=TOP,
        env=clean_env(**NO_BYTE_CODE),
        capture_output=True,
        text=True,
    )
    assert done.stdout == "outside\n", done.stderr


@pytest.mark.parametrize(
    "raised", [RuntimeError("Query interrupted"), duckdb.InterruptException("INTERRUPT Error: Interrupted!")]
)
def test_an_interrupt_is_keyboard_interrupt(raised: Exception) -> None:
    """The engine takes Ctrl-C itself while it computes, when it looks, and raises one of these."""
    with pytest.raises(KeyboardInterrupt), engine._ours():
        raise raised


def test_any_other_error_of_the_runtime_is_passed_on() -> None:
    with pytest.raises(RuntimeError, match="of ours"), engine._ours():
        raise RuntimeError("a bug of ours")
