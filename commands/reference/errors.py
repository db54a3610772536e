"""Every stable error code in the source, with its exit code, its messages and its hints. Read from the AST."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger import errors

ROOMS = ("perfledger", "ledger", "projections", "gpu_runner", "commands")
EXIT_CODES = {
    name: kind.exit_code
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.PerfledgerError)
}
MEANINGS = {
    1: "a rule says no",
    2: "wrong usage or bad input",
    3: "someone else was first",
    4: "the outside world failed; run it again",
    5: "nothing measured, or too little to judge",
    6: "a write may or may not have happened",
    7: "the ledger does not verify",
    70: "an internal error",
    130: "interrupted",
}


@dataclass(frozen=True)
class Raised:
    """One place that makes an error: its code, exit code, message and hint (parts that vary are in <>)."""

    code: str
    exit_code: int
    message: str
    hint: str
    file: str
    line: int


def raised(root: Path) -> list[Raised]:
    """Return every place below `root` that makes an error, by code, file and line."""
    found: list[Raised] = []
    for path in sorted(path for room in ROOMS for path in (root / room).rglob("*.py")):
        found += _File(str(path.relative_to(root)), ast.parse(path.read_text(encoding="utf-8"))).raised()
    return sorted(found, key=lambda each: (each.code, each.file, each.line))


class _File:
    """One file: which of its classes are errors, which of its functions make one from a code they are given."""

    def __init__(self, name: str, tree: ast.Module) -> None:
        self.name = name
        self.tree = tree
        self.exits = dict(EXIT_CODES)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                self._learn_class(node)

    def _learn_class(self, node: ast.ClassDef) -> None:
        bases = [self.exits[_last(base)] for base in node.bases if _last(base) in self.exits]
        for line in node.body:
            if isinstance(line, ast.Assign) and _last(line.targets[0]) == "exit_code":
                bases.insert(0, ast.literal_eval(line.value))
        if bases:
            self.exits[node.name] = bases[0]

    def raised(self) -> Iterator[Raised]:
        """Yield the errors of this file."""
        for scope, call in _calls(self.tree, None):
            exit_code = self._exit_code(scope, call)
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            if exit_code is None or "code" not in given:
                continue
            for code in self._codes(scope, given["code"]):
                message = _text(call.args[0]) if call.args else ""
                hint = _text(given["hint"]) if "hint" in given else ""
                yield Raised(code, exit_code, message, hint, self.name, call.lineno)

    def _exit_code(self, scope: ast.AST | None, call: ast.Call) -> int | None:
        if ast.unparse(call.func) == "super().__init__":
            classes = [node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)]
            owners = [node for node in classes if any(child is scope for child in ast.walk(node))]
            return self.exits.get(owners[-1].name) if owners else None
        return self.exits.get(_last(call.func))

    def _codes(self, scope: ast.AST | None, value: ast.expr) -> set[str]:
        """Return the codes an expression may be: constants in it, or what the callers of this function give."""
        written = {node.value for node in ast.walk(value) if isinstance(node, ast.Constant)}
        if not isinstance(value, ast.Name) or not isinstance(scope, ast.FunctionDef):
            return {code for code in written if isinstance(code, str)}
        parameters = [each.arg for each in (*scope.args.args, *scope.args.kwonlyargs)]
        if value.id in parameters:
            return set(self._given_by_callers(scope.name, value.id, parameters.index(value.id)))
        return set(self._from_tables(scope, value.id))

    def _given_by_callers(self, function: str, parameter: str, place: int) -> Iterator[str]:
        for _, call in _calls(self.tree, None):
            if _last(call.func) != function:
                continue
            named = [keyword.value for keyword in call.keywords if keyword.arg == parameter]
            for value in named or call.args[place : place + 1]:
                if isinstance(value, ast.Constant):
                    yield str(value.value)

    def _from_tables(self, scope: ast.FunctionDef, name: str) -> Iterator[str]:
        """Yield the first texts of the pairs that `name, hint = TABLE.get(key, (default, hint))` may take."""
        for line in ast.walk(scope):
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Tuple):
                if [_last(target) for target in line.targets[0].elts][:1] != [name]:
                    continue
                used = {node.id for node in ast.walk(line.value) if isinstance(node, ast.Name)}
                tables = [
                    each.value
                    for each in self.tree.body
                    if isinstance(each, ast.Assign) and _last(each.targets[0]) in used
                ]
                for pair in (node for table in (line.value, *tables) for node in ast.walk(table)):
                    if isinstance(pair, ast.Tuple) and isinstance(pair.elts[0], ast.Constant):
                        yield str(pair.elts[0].value)


def _calls(node: ast.AST, scope: ast.AST | None) -> Iterator[tuple[ast.AST | None, ast.Call]]:
    """Yield every call with the function that contains it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield scope, child
        yield from _calls(child, child if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else scope)


def _last(node: ast.AST) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _text(node: ast.expr) -> str:
    """Return an expression as people see it, parts that vary as <name>."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value)
    if isinstance(node, ast.IfExp):
        return " or ".join(filter(None, (_text(node.body), _text(node.orelse))))
    if isinstance(node, ast.Attribute | ast.Name):
        return f"<{_last(node).strip('_')}>"
    return "<...>"


def page(root: Path) -> str:
    """Return docs/errors.md."""
    places = raised(root)
    by_code: dict[str, list[Raised]] = {}
    for each in places:
        by_code.setdefault(each.code, []).append(each)
    lines = [
        "# Errors",
        "",
        'Made by `make docs` from the source. With `--json` an error is `{"error": {"code", "message", "hint", '
        '"details"}}`; scripts match on `code`, which keeps its meaning and its exit code. What varies is in <>.',
        "",
        f"{len(by_code)} codes.",
    ]
    for exit_code in sorted({each.exit_code for each in places}):
        lines += [
            "",
            f"## Exit {exit_code}: {MEANINGS[exit_code]}",
            "",
            "| code | message | what to do |",
            "|---|---|---|",
        ]
        for code, group in by_code.items():
            if group[0].exit_code == exit_code:
                lines.append(f"| `{code}` | {_cell(x.message for x in group)} | {_cell(x.hint for x in group)} |")
    return "\n".join(lines) + "\n"


def _cell(texts: Iterator[str]) -> str:
    """Return different texts as lines of one cell, as they stand."""
    shown = dict.fromkeys(" ".join(text.split()) for text in texts if text)
    return "<br>".join(_escaped(text) for text in shown)


def _escaped(text: str) -> str:
    for sign in ("\\", "|", "*", "_", "`", "[", "<"):
        text = text.replace(sign, "&lt;" if sign == "<" else "\\" + sign)
    return text
