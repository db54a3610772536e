"""The built wheel and sdist, and an environment that has the wheel installed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import clean_env

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Built:
    """The two files of a release."""

    wheel: Path
    sdist: Path


def build(source: Path, target: Path, *kinds: str) -> None:
    """Run the build backend in `source` for `wheel` or `sdist`, as pip and build do, without fetching anything."""
    options = [word for kind in kinds for word in ("-t", kind)]
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(target), *options]
    done = subprocess.run(command, cwd=source, env=clean_env(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build wheel and sdist of this checkout."""
    target = tmp_path_factory.mktemp("built")
    build(ROOT, target, "wheel", "sdist")
    return Built(next(target.glob("*.whl")), next(target.glob("*.tar.gz")))


class Environment:
    """A virtual environment of its own, in which wheels are installed.

    What the packages need comes from the environment of the tests: a .pth names its folder, of which no .pth is read,
    so the editable install of this checkout is not seen.
    """

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, capture_output=True)
        self.python = folder / "bin" / "python"
        self.bin = folder / "bin"
        self.packages = next((folder / "lib").glob("python3*")) / "site-packages"
        needed = [path for path in sys.path if path.endswith("site-packages")]
        (self.packages / "needed.pth").write_text("".join(f"{path}\n" for path in needed))

    def pip(self, *words: object) -> None:
        """Run pip for this environment; nothing is fetched."""
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "--disable-pip-version-check", "--quiet"]
        done = subprocess.run(
            [*command, *map(str, words)], env=clean_env(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def install(self, wheel: Path) -> None:
        """Install one wheel, and nothing that it needs."""
        self.pip("install", "--no-deps", "--no-index", wheel)

    def run(self, cwd: Path, *command: object, code: int = 0, env: dict[str, str] | None = None) -> str:
        """Run a command of this environment in `cwd`; assert its exit code, return what it printed."""
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [str(self.bin / str(command[0])), *map(str, command[1:])],
            cwd=cwd,
            env=clean_env(PATH=path, **(env or {})),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with the wheel."""
    environment = Environment(tmp_path_factory.mktemp("environment") / "venv")
    environment.install(built.wheel)
    return environment
