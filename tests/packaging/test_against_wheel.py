"""A part of the suite against the installed wheel; `make wheel-test` runs all of it."""

from __future__ import annotations

from pathlib import Path

from tests.packaging.against_wheel import rewritten, run
from tests.packaging.conftest import Built

# One of each room, the console and the keeper as processes, and what a command imports.
SHORT = (
    "tests/ledger/test_identifiers.py",
    "tests/projections/state/test_state.py::test_a_state_of_another_shape_or_engine_is_built_again",
    "tests/projections/console/test_query.py::test_the_process_of_a_query_has_nothing_of_the_callers",
    "tests/projections/console/test_query.py::test_the_query_dies_with_the_process_that_asked",
    "tests/gpu_runner/test_beside_and_after.py",
    "tests/commands/explain",
    "tests/e2e/test_start.py",
)


def test_a_part_of_the_suite_passes_against_the_wheel(built: Built, tmp_path: Path) -> None:
    done = run(tmp_path, built.wheel, "-q", "-p", "no:cacheprovider", *SHORT)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout and " failed" not in done.stdout


def test_imports_in_code_that_a_string_holds_are_rewritten_too() -> None:
    source = 'from ledger import disk\nCODE = """\nfrom gpu_runner.keeper import main\n"""\nNAME = "ledger.event"\n'
    wanted = (
        "from perfledger.ledger import disk\n"
        'CODE = """\nfrom perfledger.gpu_runner.keeper import main\n"""\nNAME = "perfledger.ledger.event"\n'
    )
    assert rewritten(source.encode(), "tests/x.py").decode() == wanted
