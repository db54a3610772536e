"""What a lane's tests import, against what Python itself loads, over generated packages."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from commands.ci.work.imports import _closure, _module, unwatched_imports
from ledger.errors import BadInput
from tests.projections.ci.conftest import shipped

PACKAGES = ["pkg", "pkg/a", "pkg/b", "pkg/a/deep"]


def package(root: Path, chance: random.Random) -> list[str]:
    """Write packages whose modules import each other in every spelling; return the tracked names."""
    names = [f"{folder}/__init__.py" for folder in PACKAGES]
    modules = [f"{chance.choice(PACKAGES)}/m{number}.py" for number in range(9)]
    earlier: list[str] = []
    for name in [*names, *modules]:
        lines = []
        if name in modules:
            for other in chance.sample(earlier, min(len(earlier), chance.randrange(3))):
                lines.append(spelled(chance, _module(name), _module(other)))
            earlier.append(name)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    return [*names, *modules]


def spelled(chance: random.Random, here: str, other: str) -> str:
    """One of the ways in which a module imports another."""
    folder, _, last = other.rpartition(".")
    ways = [
        f"import {other}",
        f"import {other} as x",
        f"from {folder} import {last}",
        f"from {other} import __name__ as n",
    ]
    mine = here.rpartition(".")[0]
    if folder == mine:
        ways += [f"from . import {last}", f"from .{last} import __name__ as n"]
    elif folder == mine.rpartition(".")[0]:
        ways += [f"from .. import {last}", f"from ..{last} import __name__ as n"]
    return chance.choice(ways)


ASK = """
import importlib, json, os, sys
root = sys.argv[1]
sys.path.insert(0, root)
sys.dont_write_bytecode = True
found = {}
for name in json.loads(sys.argv[2]):
    for loaded in [one for one in sys.modules if one.split(".")[0] == "pkg"]:
        del sys.modules[loaded]
    importlib.import_module(name)
    files = [m.__file__ for n, m in sys.modules.items() if n.split(".")[0] == "pkg"]
    found[name] = sorted(os.path.relpath(file, root) for file in files)
print(json.dumps(found))
"""


@pytest.mark.parametrize("seed", range(6))
def test_a_lanes_tests_reach_the_files_that_python_loads_for_them(tmp_path: Path, seed: int) -> None:
    tracked = package(tmp_path, random.Random(f"imports/{seed}"))
    modules = {_module(name): name for name in tracked}
    asked = [module for module, name in modules.items() if not name.endswith("__init__.py")]
    done = subprocess.run(
        [sys.executable, "-I", "-c", ASK, str(tmp_path), json.dumps(asked)], capture_output=True, text=True, check=True
    )
    for module, loaded in json.loads(done.stdout).items():
        own = {modules[module]}
        parents = {f"{folder}/__init__.py" for folder in PACKAGES if modules[module].startswith(f"{folder}/")}
        reached = _closure(tmp_path, modules, [modules[module]])
        assert own <= reached
        assert reached | parents == set(loaded), module


@pytest.mark.parametrize("text", ["import (", "\0", "x = '\ud800'", "def f(:\n", "\xff"])
def test_a_file_that_this_python_cannot_read_stops_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.py").write_bytes(text.encode("utf-8", "surrogatepass") if text != "\xff" else b"\xff\xfe\x00")
    assert _closure(tmp_path, {"a": "a.py", "b": "b.py"}, ["a.py"]) == {"a.py"}
    assert _closure(tmp_path, {"b": "b.py"}, ["b.py"]) == {"b.py"}, "and one that is not there neither"


@pytest.mark.parametrize("asked", ["nothing=x", "performance", "=x", "performance=nothing/**"])
def test_a_lane_or_a_pattern_that_names_nothing_is_refused(tmp_path: Path, asked: str) -> None:
    (tmp_path / "a.py").write_text("")
    with pytest.raises(BadInput) as refused:
        unwatched_imports(shipped("fastvideo-page"), str(tmp_path), ["a.py"], [asked])
    assert asked.partition("=")[0] in refused.value.message and refused.value.hint


def test_what_is_imported_and_not_watched_is_named_with_an_example(tmp_path: Path) -> None:
    for name, text in {
        "fastvideo/__init__.py": "",
        "fastvideo/tests/performance/test_x.py": "import fastvideo.odd.part\nimport fastvideo.layers.a\n",
        "fastvideo/odd/part.py": "from .. import hidden\n",
        "fastvideo/odd/__init__.py": "",
        "fastvideo/hidden.py": "",
        "fastvideo/layers/__init__.py": "",
        "fastvideo/layers/a.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    tracked = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.py")]
    asked = ["performance=fastvideo/tests/performance/**"]
    found = unwatched_imports(shipped("fastvideo-page"), str(tmp_path), tracked, asked)
    examples = {one.folder: one.example for one in found}
    assert "fastvideo/odd" in examples and all("layers" not in folder for folder in examples)
    assert {one.why for one in found} == {"imports"}
