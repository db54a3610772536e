"""One attempt's command line, environment and folders, and what is refused before anything starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gpu_runner import compose
from ledger.errors import BadInput
from tests.gpu_runner.repeats import PASSES, Bench

EARLY_OR_ELSEWHERE = [
    "-x", "-vx", "-xv", "-svx", "-lqx", "-xkname", "--exitfirst", "--maxfail", "--maxfail=1", "--maxfail=0",
    "--sw", "--stepwise", "--sw-skip", "--stepwise-skip", "--sw-reset", "--stepwise-reset", "--basetemp",
    "--basetemp=/elsewhere",
]  # fmt: skip
HARMLESS = [
    "-rx", "-rxXs", "-kmax", "-mnot_x", "-pno:xdist", "-cx.ini", "-oxfail_strict=true", "-Wx", "-n2", "-v", "-s",
    "--runxfail", "--maxprocesses=2", "--concurrency", "16", "--timeout=60", "x", "test_x", "-",
]  # fmt: skip


class TestArguments:
    """A repeat always runs to its end: a missed threshold must not cost the metrics that come after it."""

    @pytest.mark.parametrize("argument", EARLY_OR_ELSEWHERE)
    def test_what_would_end_it_early_or_move_its_results_is_refused_by_name(self, bench: Bench, argument: str) -> None:
        bench.write(PASSES)
        with pytest.raises(BadInput, match="is not allowed") as caught:
            compose.check(bench.request(extra_args=("-v", argument)))
        assert argument in caught.value.message and caught.value.details["field"] == "extra_args"

    @pytest.mark.parametrize("argument", HARMLESS)
    def test_an_x_in_the_value_of_another_option_is_none_of_these(self, bench: Bench, argument: str) -> None:
        bench.write(PASSES)
        compose.check(bench.request(extra_args=(argument,)))

    def test_a_run_that_reports_expected_failures_is_a_repeat_like_any_other(self, bench: Bench) -> None:
        observed = bench.run(PASSES, extra_args=("-p", "no:cacheprovider", "-rx"))
        assert observed.stages[0].metrics == {"throughput_qps": 17.5}

    def test_a_projects_own_exitfirst_is_undone(self, bench: Bench) -> None:
        (bench.root / "pytest.ini").write_text("[pytest]\naddopts = -x\n")
        observed = bench.run("def test_a():\n    assert False\n" + PASSES.replace("\n    ", "\n"))
        assert observed.stages[0].metrics == {"throughput_qps": 17.5}, "the test after the failure ran"


class TestCommand:
    """The command is the interpreter's own pytest, with the places and limits of the attempt."""

    def test_our_own_options_surround_the_configured_ones(self, bench: Bench) -> None:
        command = compose.command(bench.request(extra_args=("--concurrency", "16")), bench.root / "bt")
        assert command[:6] == [sys.executable, "-m", "pytest", "test_it.py", "-v", "-s"]
        assert command[6:] == [f"--basetemp={bench.root / 'bt'}", "--concurrency", "16", "--maxfail=0"]

    def test_the_link_of_a_virtual_environment_stays_a_link(self, bench: Bench, tmp_path: Path) -> None:
        """Resolved, it would be the base interpreter, which has none of the packages."""
        (tmp_path / "venv").mkdir()
        (tmp_path / "venv" / "python").symlink_to(sys.executable)
        request = bench.request(python=str(tmp_path / "venv" / "python"))
        assert compose.command(request, bench.root)[0] == str(tmp_path / "venv" / "python")
        path = compose.environment(request, "", {"PATH": "/usr/bin"})["PATH"]
        assert path == f"{tmp_path / 'venv'}{os.pathsep}/usr/bin"

    def test_an_interpreter_without_a_folder_changes_no_path(self, bench: Bench) -> None:
        assert compose.environment(bench.request(python="python3"), "", {"PATH": "/usr/bin"})["PATH"] == "/usr/bin"

    @pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"])
    @pytest.mark.parametrize("place", ["env", "stage_env"])
    def test_nobody_but_the_runner_says_which_gpus_there_are(self, bench: Bench, name: str, place: str) -> None:
        bench.write(PASSES)
        with pytest.raises(BadInput, match=name) as caught:
            compose.check(bench.request(**{place: {name: "0"}}))
        assert caught.value.details["field"] == name

    def test_a_variable_of_the_stage_stands_over_all_others(self, bench: Bench) -> None:
        request = bench.request(env={"A": "model", "B": "model"}, stage_env={"B": "stage", "NO_PROXY": "*"})
        found = compose.environment(request, "1,3", {"A": "outer", "C": "outer", "no_proxy": "example.org"})
        assert (found["A"], found["B"], found["C"]) == ("model", "stage", "outer")
        assert found["CUDA_VISIBLE_DEVICES"] == "1,3" and found["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
        assert found["NO_PROXY"] == "*" and found["no_proxy"] == "localhost,127.0.0.1,::1,example.org"

    def test_a_single_test_of_a_file_is_looked_for_by_its_file(self, bench: Bench) -> None:
        bench.write(PASSES)
        compose.check(bench.request(test="test_it.py::test_it[a::b]"))
        with pytest.raises(BadInput, match=r"no test file .*test_none\.py"):
            compose.check(bench.request(test="test_none.py::test_it"))

    @pytest.mark.parametrize("python", ["/nonexistent/python", "no-such-python", ""])
    def test_an_interpreter_that_cannot_be_run_is_named(self, bench: Bench, python: str) -> None:
        bench.write(PASSES)
        with pytest.raises(BadInput, match="missing or not executable"):
            compose.check(bench.request(python=python))
        (bench.root / "python").write_text("#!/bin/sh\n")
        with pytest.raises(BadInput, match="missing or not executable"):
            compose.check(bench.request(python=str(bench.root / "python")))


class TestFolders:
    """What is emptied is the attempt's own; what was there before is kept where it must be."""

    @pytest.mark.parametrize("above", [".", "..", "../.."])
    def test_a_basetemp_that_holds_the_repository_is_refused(self, bench: Bench, above: str) -> None:
        bench.write(PASSES)
        with pytest.raises(BadInput, match="would be emptied"):
            compose.check(bench.request(basetemp=(bench.root / above).resolve()))
        assert (bench.root / "test_it.py").exists()

    def test_a_link_in_the_place_of_basetemp_is_removed_and_what_it_leads_to_is_not(self, tmp_path: Path) -> None:
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious" / "file").write_text("kept")
        (tmp_path / "bt").symlink_to(tmp_path / "precious")
        compose.empty(tmp_path / "bt")
        assert not (tmp_path / "bt").is_symlink() and (tmp_path / "precious" / "file").read_text() == "kept"

    def test_links_inside_basetemp_are_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious" / "file").write_text("kept")
        (tmp_path / "bt").mkdir()
        (tmp_path / "bt" / "link").symlink_to(tmp_path / "precious")
        compose.empty(tmp_path / "bt")
        assert not (tmp_path / "bt").exists() and (tmp_path / "precious" / "file").read_text() == "kept"

    def test_what_a_test_left_without_permissions_is_removed_all_the_same(self, tmp_path: Path) -> None:
        inner = tmp_path / "bt" / "a" / "b"
        inner.mkdir(parents=True)
        (inner / "file").write_text("x")
        for folder in (inner, inner.parent):
            folder.chmod(0)
        compose.empty(tmp_path / "bt")
        assert not (tmp_path / "bt").exists()

    def test_the_folder_above_a_new_basetemp_is_made(self, tmp_path: Path) -> None:
        compose.empty(tmp_path / "runs" / "a" / "bt")
        assert (tmp_path / "runs" / "a").is_dir() and not (tmp_path / "runs" / "a" / "bt").exists()

    def test_no_log_is_ever_written_over(self, tmp_path: Path) -> None:
        log = tmp_path / "run1.log"
        for text in ("first", "second", "third"):
            compose.put_aside(log)
            log.write_text(text)
        compose.put_aside(log)
        assert not log.exists()
        kept = [(tmp_path / f"run1.{n}.log").read_text() for n in (1, 2, 3)]
        assert kept == ["first", "second", "third"]
