"""The suite against the installed wheel: `python -m tests.packaging.against_wheel [PYTEST ARGUMENTS]`.

An editable install is not quite what users have. This builds the wheel, installs it into an environment of its own, and
runs the tests in a copy of the checkout where every import of a room, also in code that a string holds, goes below
`perfledger`, as `hatch_build.py` does it in the wheel. The rooms are in the copy to be read, and fail when imported.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hatch_build import NAME, ROOMS, module_of_a_room, places
from tests.conftest import clean_env
from tests.packaging.conftest import ROOT, Environment, build

# Tests of the checkout itself: of its sources, of its build, of the pages made from it.
OF_THE_CHECKOUT = ("tests/packaging", "tests/house", "tests/e2e/test_contributing.py")
LOUD = 'raise ImportError(f"{__name__} of the sources was imported where the wheel is tested")\n'
CODE = re.compile(rf"\b(from|import) (?=({'|'.join(ROOMS)})\b)".encode())


def rewritten(source: bytes, where: str) -> bytes:
    """Return a test's source with its imports of rooms below `NAME`, those in strings too; lines keep their numbers."""
    tree = ast.parse(source)
    lines = source.splitlines(keepends=True)
    for line, column, _ in sorted(places(tree, where), reverse=True):
        lines[line - 1] = lines[line - 1][:column] + f"{NAME}.".encode() + lines[line - 1][column:]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant | ast.JoinedStr):
            continue
        text = node.value if isinstance(node, ast.Constant) else ""
        if not isinstance(text, str):
            continue
        last = node.end_lineno or node.lineno
        for number in range(node.lineno - 1, last):
            lines[number] = CODE.sub(rf"\1 {NAME}.".encode(), lines[number])
        if text and module_of_a_room(ROOT, text):
            quoted = re.compile(rf"(?<=[\"']){re.escape(text)}".encode())
            lines[last - 1] = quoted.sub(f"{NAME}.{text}".encode(), lines[last - 1])
    return b"".join(lines)


def copied(target: Path) -> None:
    """Write the checkout's files into `target`: the tests rewritten, the rooms not importable."""
    for name in _listed():
        path, data = target / name, (ROOT / name).read_bytes()
        if name.split("/")[0] in (NAME, "hatch_build.py"):
            continue  # the wheel has it, and nothing in the working directory may stand in for it
        if name in {f"{room}/__init__.py" for room in ROOMS}:
            data = LOUD.encode()
        elif name.endswith(".py") and name.split("/")[0] in ("tests", "benchmarks", "examples"):
            data = rewritten(data, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod((ROOT / name).stat().st_mode & 0o777)
    for words in (("init", "-q"), ("add", "-A")):  # some tests ask git what is in the checkout
        subprocess.run(["git", *words], cwd=target, check=True, capture_output=True)


def _listed() -> Iterator[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return (name for name in done.stdout.split("\0") if name and (ROOT / name).is_file())


def run(folder: Path, wheel: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Install the wheel and run pytest with these arguments in a copy of the checkout, both below `folder`."""
    environment = Environment(folder / "environment")
    environment.install(wheel)
    copied(folder / "checkout")
    left_out = [f"--ignore={name}" for name in OF_THE_CHECKOUT]
    return subprocess.run(
        [str(environment.python), "-m", "pytest", *left_out, *arguments],
        cwd=folder / "checkout",
        env=clean_env(),
        text=True,
        stdout=None if __name__ == "__main__" else subprocess.PIPE,
        check=False,
    )


def main() -> int:
    """Build, install, run; return pytest's exit code."""
    with tempfile.TemporaryDirectory() as name:
        build(ROOT, Path(name, "built"), "wheel")
        (wheel,) = Path(name, "built").iterdir()
        return run(Path(name), wheel, *sys.argv[1:]).returncode


if __name__ == "__main__":
    sys.exit(main())
