"""What a test file says about itself: scope variables, imports, and where it writes its results."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import msgspec

from commands.calibrate.config.metrics import Registry
from commands.calibrate.config.sources import Routing
from commands.literals.finder import CONSTANT_NAME
from commands.literals.syntax import parse_python
from ledger.errors import BadInput

CONTEXT_KEYWORDS = ("max_samples", "max_tokens", "max_new_tokens", "max_concurrency")
FIXED_SAMPLE_CONSTANTS = frozenset(
    {
        "SEEDTTS_EN_FULLSET_SAMPLES",
        "TTS_SIMILARITY_MAX_SAMPLES",
        "STREAMING_BENCHMARK_MAX_SAMPLES",
    }
)
# pytest cuts a test's name to this length when it names the test's tmp_path
TMP_PATH_NAME_MAX = 30


class ContextVariable(msgspec.Struct, frozen=True):
    """A constant passed as one of the scope keywords somewhere in the file."""

    name: str
    keyword: str


class SourceFacts(msgspec.Struct, frozen=True):
    """One parsed test file; `path` is relative to the repository root."""

    path: str
    tree: ast.Module

    def context_variables(self) -> list[ContextVariable]:
        """Constants given as `max_samples=`, `max_tokens=`, ... anywhere, breadth first, each once.

        The three sample constants that every calibration leaves alone are not among them.
        """
        found: dict[str, ContextVariable] = {}
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.keyword) or node.arg not in CONTEXT_KEYWORDS:
                continue
            if not isinstance(node.value, ast.Name):
                continue
            name = node.value.id
            if CONSTANT_NAME.match(name) and name not in FIXED_SAMPLE_CONSTANTS:
                found.setdefault(name, ContextVariable(name, node.arg))
        return list(found.values())

    def imports(self, module: str) -> bool:
        """Whether the file imports a module or something out of it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and not node.level:
                package = node.module or ""
                names = {package} | {f"{package}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            else:
                continue
            if module in names:
                return True
        return False

    def result_file(self) -> str | None:
        """The result file by convention: of the first top-level test that writes `tmp_path / "x"`.

        pytest names the folder after the first 30 characters of the function, and the tests name
        the file after the folder: `<function>0/<x>/<x without _audio>_results.json`.
        """
        for function in self.tree.body:
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            positional = [*function.args.posonlyargs, *function.args.args]
            if not any(argument.arg == "tmp_path" for argument in positional):
                continue
            for name in _folders_below_tmp_path(function):
                file = f"{name.removesuffix('_audio')}_results.json"
                return f"{function.name[:TMP_PATH_NAME_MAX]}0/{name}/{file}"
        return None

    def inferred(self, registry: Registry) -> Routing | None:
        """Where the numbers lie by convention, or None when the file follows none."""
        file = self.result_file()
        if file is None:
            return None
        for convention in registry.conventions:
            if convention.imports is None or self.imports(convention.imports):
                return Routing(
                    json_file=file,
                    paths=dict(convention.paths),
                    sample_counts=dict(convention.sample_counts),
                )
        return None


def parse_test(text: str, path: str, file: Path) -> SourceFacts:
    """Parse a test file. Raises `BadInput` naming file and line when it is not valid Python."""
    try:
        return SourceFacts(path, parse_python(text))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise BadInput(
            f"{file}{f' line {line}' if line else ''} is not valid Python: {error}",
            code="not_python",
            hint="correct the file",
            file=str(file),
        ) from None


def _folders_below_tmp_path(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Div)
            and isinstance(node.left, ast.Name)
            and node.left.id == "tmp_path"
            and isinstance(node.right, ast.Constant)
            and isinstance(node.right.value, str)
        ):
            yield node.right.value
