"""A process of ours runs our code (trust rule T14): nothing of the repository that it works on, and no `-c`."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gpu_runner import fingerprint
from gpu_runner.launch import Attended, Launch
from hatch_build import NAME, ROOMS, listed
from ledger import children
from tests.conftest import clean_env
from tests.e2e.tiny_project import git, make
from tests.packaging.conftest import ROOT, Built, Environment

TOKEN = "hf_" + "t" * 34
# Says which process ran it, and whether it could have read the token.
WITNESS = """
import json, os, sys
with open({file!r}, "a") as seen:
    seen.write(json.dumps({{"file": __file__, "argv": sys.orig_argv, "token": os.environ.get("HF_TOKEN")}}) + "\\n")
"""
# The interpreter that measures is told to read sitecustomize and conftest of the repository: pytest does.
ASKED_FOR = {"sitecustomize.py", "conftest.py"}


class Repository:
    """A repository to measure whose files witness every process that runs them."""

    def __init__(self, folder: Path) -> None:
        self.path = make(folder)
        self.seen = folder.parent / "seen.jsonl"
        self.seen.touch()
        text = WITNESS.format(file=str(self.seen))
        for name in (NAME, *ROOMS):
            (self.path / name).mkdir()
            (self.path / name / "__init__.py").write_text(text)
        for name in ("sitecustomize.py", "usercustomize.py", "conftest.py", "json.py", "click.py", "duckdb.py"):
            # what pytest itself imports by these names has to work
            own = "" if name not in ("json.py", "click.py", "duckdb.py") else "raise RuntimeError(__file__)\n"
            if name != "json.py":
                (self.path / name).write_text(text + own)
        git(self.path, "add", "-A")
        git(self.path, "commit", "-qm", "hostile")

    def witnesses(self) -> list[dict[str, Any]]:
        """What was run, by whom."""
        return [json.loads(line) for line in self.seen.read_text().splitlines()]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def is_pytest(witness: dict[str, Any]) -> bool:
    """Whether a process is the one that measures: `python -m pytest TEST ...`."""
    argv: list[str] = witness["argv"]
    return argv[1:3] == ["-m", "pytest"]


def test_in_a_hostile_repository_only_pytest_runs_its_files(
    installed: Environment, repository: Repository, tmp_path: Path
) -> None:
    """The row of T14: `calibrate run` ran a repository's commands/ 11 times, with the tokens."""
    assert repository.witnesses() == []
    shared = tmp_path / "shared"
    shared.mkdir()
    env = {"PERFLEDGER_REMOTE": f"file://{shared}", "HF_TOKEN": TOKEN}

    def run(*words: object) -> str:
        return installed.run(repository.path, "perfledger", *words, env=env)

    run("init")
    run("calibrate", "run", "--model", "tiny", "--stages", "slow_speed", "--repeats", "2", "--output-dir", "runs/a")
    assert list(shared.rglob("*.parquet")), "the push beside it went through"
    assert "pushed to file://" in (repository.path / "runs" / "a" / "sync.log").read_text()
    assert json.loads(run("sql", "--json", "SELECT count(*) AS n FROM observations")) == [{"n": 2}]
    run("sync", "push")
    serve_once(installed, repository.path, env)

    ran = repository.witnesses()
    assert {Path(witness["file"]).name for witness in ran} == ASKED_FOR, "pytest reads both, and nothing reads more"
    assert [witness for witness in ran if not is_pytest(witness)] == []


def serve_once(installed: Environment, folder: Path, env: dict[str, str]) -> None:
    """Start the service in a folder, ask it for its health, interrupt it."""
    command = [str(installed.bin / "perfledger"), "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=folder, env=clean_env(**env), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = server.stdout.readline()
            assert line, "the service says where it listens"
            text += line
        url = json.loads(text)["listening"]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if httpx2.get(f"{url}/healthz").status_code == 200:
                    break
            except httpx2.TransportError:
                time.sleep(0.05)
        else:
            raise AssertionError("the service did not become healthy")
        server.send_signal(signal.SIGINT)
        assert server.wait(60) in (0, 130)


def test_the_interpreter_of_the_tests_is_asked_without_the_working_directory_and_without_tokens(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint.interpreter.cache_clear()
    monkeypatch.chdir(repository.path)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert "pytest" in fingerprint.interpreter(sys.executable)["packages"]
    assert repository.witnesses() == []
    # Where the test's own PYTHONPATH names the repository, its sitecustomize is a part of that interpreter.
    assert "pytest" in fingerprint.interpreter(sys.executable, str(repository.path))["packages"]
    (witness,) = repository.witnesses()
    assert Path(witness["file"]).name == "sitecustomize.py" and witness["token"] is None
    fingerprint.interpreter.cache_clear()


def test_an_installation_that_only_pythonpath_finds_is_told_what_it_lacks(built: Built, tmp_path: Path) -> None:
    """`pip install --target DIR` with PYTHONPATH=DIR: our own processes do not get that variable."""
    environment = Environment(tmp_path / "venv")
    environment.pip("install", "--no-deps", "--no-index", "--target", tmp_path / "target", built.wheel)
    env = {"PYTHONPATH": str(tmp_path / "target")}
    environment.run(tmp_path, "python", "-P", "-m", "perfledger", "init", env=env)
    said = environment.run(tmp_path, "python", "-P", "-m", "perfledger", "doctor", "--fast", code=1, env=env)
    assert "gets no PYTHONPATH" in said and "No module named perfledger" in said
    environment.run(tmp_path, "python", "-P", "-m", "perfledger", "sql", "SELECT 1", code=4, env=env)


def test_nothing_that_says_what_python_imports_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "PYTHONINSPECT", "PYTHON_ANYTHING"):
        monkeypatch.setenv(name, "/hostile")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_HOME", "/models")
    everything = children.environment("*")
    assert {name for name in everything if name.startswith("PYTHON")} <= {"PYTHONUSERBASE"}
    assert everything["HF_HOME"] == "/models"
    assert set(children.environment("HF_HOME", LANG="C")) - {"PYTHONUSERBASE", "LD_LIBRARY_PATH"} == {"HF_HOME", "LANG"}


def test_the_keeper_has_only_its_own_variables_and_the_command_all_of_its(tmp_path: Path) -> None:
    env = {**os.environ, "HF_TOKEN": TOKEN, "PYTHONPATH": "/hostile", "ODD": "a=b\nc\udcff", "EMPTY": ""}
    code = "import os, time; print(dict(os.environ), flush=True); time.sleep(600)"
    log = tmp_path / "log"
    launch = Launch([sys.executable, "-c", code], tmp_path, env, log)
    with Attended(launch, repeat_id="variables") as running:
        while not log.read_text(errors="surrogateescape").endswith("\n"):
            assert not running.wait(0.05)
        keeper = running._keeper.pid
        own = dict(item.partition(b"=")[::2] for item in Path(f"/proc/{keeper}/environ").read_bytes().split(b"\0"))
        assert own[b"PERFLEDGER_REPEAT_ID"] == b"variables"
        assert not {b"HF_TOKEN", b"PYTHONPATH", b"ODD"} & set(own)
    seen = ast.literal_eval(log.read_text(errors="surrogateescape"))
    assert {**env, "PERFLEDGER_REPEAT_ID": "variables"}.items() <= seen.items()


def python_sources() -> list[tuple[str, ast.Module]]:
    """Every Python file that is shipped, parsed."""
    return [(name, ast.parse((ROOT / name).read_bytes())) for name in listed(ROOT) if name.endswith(".py")]


def test_one_module_starts_our_python_and_none_passes_code_on_a_command_line() -> None:
    """`git -c` sets an option and runs no code. doctor prints the path; a calibration takes this Python by default."""
    naming, passing = set(), set()
    for name, tree in python_sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == "executable":
                naming.add(name)
            if isinstance(node, ast.List | ast.Tuple):
                words = [item.value for item in node.elts if isinstance(item, ast.Constant)]
                if "-c" in words and words[0] != "git":
                    passing.add(name)
    assert naming == {
        "ledger/children.py",
        "commands/calibrate/config/interpreter.py",
        "commands/ledger_commands/doctor.py",
    }
    assert passing == set()
