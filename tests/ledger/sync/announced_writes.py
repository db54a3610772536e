"""The six announced writes, each made by the command that makes it, at a place of its own that can be looked at."""

from __future__ import annotations

import copy
import fnmatch
import os
import shutil
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger.event import NewEvent
from ledger.events.checks import PullRequestObserved
from ledger.ledger import Ledger
from ledger.sync.uploads import RecordFile, queue
from tests.commands.calibrate.measured_project import MeasuredProject
from tests.commands.ci.github_server import FakeGitHub
from tests.commands.reseed.world import DATASET, World, planned, record
from tests.conftest import NO_BYTE_CODE, PERFLEDGER, clean_env
from tests.hub_repo import Repo
from tests.hub_server import HubServer
from tests.ledger.sync import dying
from tests.waiting import HANGS_S, until

ARRIVED, DONE = "arrived", "done"  # the place has the request; it has carried it out and not answered


class Write(ABC):
    """One of them: prepared once, and put back to where it was for every test."""

    plan_type: str
    settle_types: tuple[str, ...]
    at_rest: int  # the exit code of the command when nothing is left to do

    def __init__(self, folder: Path, hub: HubServer) -> None:
        self.folder = folder
        self.saved = folder.with_name(folder.name + ".saved")
        self.hub = hub
        folder.mkdir()
        self.build()
        shutil.copytree(folder, self.saved, symlinks=True)

    def restore(self) -> None:
        """Put everything back to the moment before the write."""
        shutil.rmtree(self.folder)
        shutil.copytree(self.saved, self.folder, symlinks=True)
        self.hub.hook = None
        self.hub.faults.clear()

    @abstractmethod
    def build(self) -> None:
        """Make the ledger and the place, up to the moment before the write."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command that makes the write, and that carries on with one that was cut off."""

    @abstractmethod
    def written(self) -> int:
        """How many times the write is at its place."""

    @abstractmethod
    def run_killed_there(self, when: str) -> int:
        """Run the command and kill it when the place has the request (`arrived`), or has carried it out (`done`).

        Return its exit code. Places that are servers can strike otherwise than to kill.
        """

    def lose_the_answer(self) -> None:
        """Make the place carry the next request out and never answer."""
        raise NotImplementedError

    def env(self) -> dict[str, str]:
        return {"PERFLEDGER_REMOTE_WAIT": "5"}

    @property
    def ledger(self) -> Ledger:
        return Ledger.open(self.folder / ".perfledger", actor="x")

    def run(self, code: int | None = None) -> subprocess.CompletedProcess[str]:
        """Run the installed command to its end."""
        done = subprocess.run(
            [PERFLEDGER, *self.command()],
            cwd=self.folder,
            env=clean_env(**NO_BYTE_CODE, **self.env()),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert code in (None, done.returncode), f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def run_dying(self, step: str) -> int:
        """Run the command so that it kills itself at a step that nobody outside can see; return its exit code."""
        return self._popen([sys.executable, "-P", str(Path(dying.__file__)), step, *self.command()]).wait(HANGS_S)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the installed command."""
        return self._popen([PERFLEDGER, *self.command()])

    def events(self) -> list[str]:
        """The types of its events, in order."""
        return [event.type for event in self.ledger.read(types=[self.plan_type, *self.settle_types])]

    def _popen(self, command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=clean_env(**NO_BYTE_CODE, **self.env()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process as a power cut would."""
    process.send_signal(signal.SIGKILL)
    process.wait(HANGS_S)


Strike = Callable[[subprocess.Popen[bytes]], None]


class Striker:
    """Does something to a process from a server's thread, as soon as it is known which."""

    def __init__(self, strike: Strike) -> None:
        self._strike = strike
        self._process: list[subprocess.Popen[bytes]] = []

    def strike(self) -> None:
        until(lambda: bool(self._process))
        self._strike(self._process[0])

    def watch(self, process: subprocess.Popen[bytes]) -> int:
        self._process.append(process)
        return process.wait(HANGS_S)


class _HubWrite(Write):
    """A write that is one commit of a dataset."""

    repo_id = "org/perf"
    before: Repo  # the dataset at the moment before the write

    def restore(self) -> None:
        super().restore()
        self.hub.repos[self.repo_id] = copy.deepcopy(self.before)

    @property
    def repo(self) -> Repo:
        return self.hub.repos[self.repo_id]

    def written(self) -> int:
        return len(self.repo.commits) - len(self.before.commits)

    def env(self) -> dict[str, str]:
        return {**super().env(), **self.hub.env()}

    def run_killed_there(self, when: str, strike: Strike = kill) -> int:
        striker = Striker(strike)

        def hook(_: int, at: str, line: str) -> None:
            if fnmatch.fnmatchcase(line, "POST */commit/*") and at == ("before" if when == ARRIVED else "after"):
                striker.strike()

        self.hub.hook = hook
        code = striker.watch(self.start())
        until(lambda: self.written() == 1)  # the server carries on with what it has received
        self.hub.hook = None
        return code

    def lose_the_answer(self) -> None:
        from tests.hub_server import Fault

        self.hub.faults.append(Fault("POST */commit/*", "drop_after"))


class Push(_HubWrite):
    plan_type, settle_types, at_rest = "PushStarted", ("PushFinished",), 0

    def build(self) -> None:
        Ledger.create(self.folder, origin="alpha", actor="x")
        self.before = copy.deepcopy(self.hub.create(self.repo_id))

    def command(self) -> list[str]:
        return ["sync", "push", "--remote", f"hf://datasets/{self.repo_id}/ledger"]


class Records(_HubWrite):
    plan_type, settle_types, at_rest = "UploadStarted", ("RecordsUploaded", "UploadRefused"), 2

    def build(self) -> None:
        ledger = Ledger.create(self.folder, origin="alpha", actor="x")
        self.before = copy.deepcopy(self.hub.create(self.repo_id))
        saved = {name: os.environ.get(name) for name in ("HF_ENDPOINT", "HF_TOKEN")}
        os.environ.update({name: self.hub.env()[name] for name in saved})  # a queued upload remembers its Hub
        try:
            files = [RecordFile(f"m/{n}.json", b'{"latency": %d}\n' % n, "m@g") for n in (1, 2)]
            queue(ledger, f"hf://datasets/{self.repo_id}", files, message="Perf: m at 0123456")
        finally:
            for name, value in saved.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value

    def command(self) -> list[str]:
        return ["sync", "push"]


class Reseed(_HubWrite):
    plan_type, settle_types, at_rest = "ReseedUploadStarted", ("ReseedUploaded",), 1
    repo_id = DATASET

    def build(self) -> None:
        world = World.make(self.folder, self.hub, [record(day, 28.0 + day / 10) for day in range(1, 8)])
        world.source(record(20, 33.2, success=False, comparison_status="REGRESSION"))
        self.reseed = planned(world)["id"]
        self.world = world
        world.approve_and_prepare(self.reseed)
        self.before = copy.deepcopy(world.repo)

    def command(self) -> list[str]:
        return ["reseed", "upload", self.reseed, "--confirm", "upload"]

    def env(self) -> dict[str, str]:
        return {**super().env(), **self.world.env()}


class Comment(Write):
    """A comment at GitHub."""

    plan_type, settle_types, at_rest = "PublishPlanned", ("Published", "PublishFailed"), 0
    github: FakeGitHub | None = None

    def build(self) -> None:
        ledger = Ledger.create(self.folder, origin="alpha", actor="x")
        self.observe(ledger, "A title")

    @staticmethod
    def observe(ledger: Ledger, title: str) -> None:
        """Let the gate's comment depend on a title."""
        payload = PullRequestObserved(repository="o/r", number=5, title=title, state="open", head_sha="a" * 40)
        ledger.append([NewEvent(stream="pull/o/r/5", payload=payload)])

    def restore(self) -> None:
        super().restore()
        self.close()
        self.github = FakeGitHub()

    def close(self) -> None:
        if self.github is not None:
            self.github.close()
            self.github = None

    @property
    def server(self) -> FakeGitHub:
        assert self.github is not None
        return self.github

    def command(self) -> list[str]:
        where = ["--repository", "o/r", "--api-url", self.server.url, "--max-wait", "5"]
        return ["ci", "publish", "--comment", "5", *where]

    def env(self) -> dict[str, str]:
        return {**super().env(), "GITHUB_TOKEN": "a-token"}

    def written(self) -> int:
        return len(self.server.comments.get("5", []))

    def run_killed_there(self, when: str, strike: Strike = kill) -> int:
        striker = Striker(strike)
        self.server.hook = lambda at: striker.strike() if at == ("before" if when == ARRIVED else "after") else None
        code = striker.watch(self.start())
        until(lambda: self.written() == 1)
        self.server.hook = lambda _: None
        return code

    def lose_the_answer(self) -> None:
        self.server.faults.append("drop")


class _Calibrated(Write):
    """A measured project beside a ledger."""

    files = 3

    def build(self) -> None:
        Ledger.create(self.folder, origin="alpha", actor="x")
        self.project = MeasuredProject(self.folder / "repo")
        for name, value in (("user.email", "t@example.org"), ("user.name", "t")):
            self.project.git("config", name, value)
        for number in range(self.files):
            self.project.file(f"tests/test_x{number}_ci.py", "X_MIN_ACCURACY = 0.5\n")
        self.project.measure({f"x{number}_accuracy": {"accuracy": [0.75]} for number in range(self.files)})

    def texts(self) -> list[str]:
        return [path.read_text() for path in sorted((self.folder / "repo/tests").glob("test_x*_ci.py"))]


class Apply(_Calibrated):
    plan_type, settle_types, at_rest = "ThresholdApplyPlanned", ("ThresholdApplyFinished",), 0

    def command(self) -> list[str]:
        return ["calibrate", "apply", "run", "--mode", "full", "--confirm", "apply thresholds"]

    def written(self) -> int:
        """1 when every file has its new bytes; each literal must have been recorded once for that."""
        assert set(self.texts()) <= {"X_MIN_ACCURACY = 0.5\n", "X_MIN_ACCURACY = 0.75\n"}, "never half a file"
        return int(set(self.texts()) == {"X_MIN_ACCURACY = 0.75\n"})

    def run_killed_there(self, when: str) -> int:
        """The file system tells nobody: the process ends itself around the first file."""
        return self.run_dying(dying.REPLACING if when == ARRIVED else dying.REPLACED)


class Commit(_Calibrated):
    """The commit of a pull request, in a real repository whose hooks kill."""

    plan_type, settle_types, at_rest = "PullRequestCommitIntended", ("PullRequestCommitted",), 2

    def build(self) -> None:
        super().build()
        done = subprocess.run(
            [PERFLEDGER, *Apply.command(self)],  # type: ignore[arg-type]
            cwd=self.folder,
            env=clean_env(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def command(self) -> list[str]:
        return ["calibrate", "pr-body", "run", "--commit"]

    def written(self) -> int:
        return int(self.project.git("rev-list", "--count", "HEAD")) - 1

    def hook(self, name: str, line: str) -> None:
        """Install a git hook: a shell line in which $OURS is our process and $GIT the git it started."""
        path = self.folder / "repo/.git/hooks" / name
        path.parent.mkdir(exist_ok=True)
        ours = "OURS=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$PPID/status)"
        path.write_text(f"#!/bin/sh\nGIT=$PPID\n{ours}\n{line}\n")
        path.chmod(0o755)

    def run_killed_there(self, when: str) -> int:
        self.hook("pre-commit" if when == ARRIVED else "post-commit", "kill -9 $OURS")
        code = self.start().wait(HANGS_S)
        # git is a process of its own, and carries on
        until(lambda: self.written() == 1 and not (self.folder / "repo/.git/index.lock").exists())
        for name in ("pre-commit", "post-commit"):
            (self.folder / "repo/.git/hooks" / name).unlink(missing_ok=True)
        return code

    def lose_the_answer(self) -> None:
        self.hook("post-commit", "kill -9 $GIT")


WRITES: dict[str, type[Write]] = {
    "push": Push,
    "record upload": Records,
    "reseed upload": Reseed,
    "comment": Comment,
    "apply": Apply,
    "pull request commit": Commit,
}


def make(name: str, folder: Path, hub: HubServer) -> Any:
    """Build one of them below a folder."""
    return WRITES[name](folder / name.replace(" ", "-"), hub)
