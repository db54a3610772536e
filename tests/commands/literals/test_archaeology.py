"""How threshold literals moved, read from real git repositories."""

from __future__ import annotations

import csv
import functools
import hashlib
import itertools
import os
import re
import subprocess
from pathlib import Path

import pytest

from commands.literals.archaeology import ThresholdEdit, threshold_values, walk_history
from ledger.errors import BadInput

AUTHOR = "Someone@Example.org"


class Repo:
    """A git repository in a folder, with commits at fixed times."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = 1_780_000_000
        root.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *args: str) -> str:
        stamp = f"{self.clock} +0200"
        env = {
            **os.environ,
            "GIT_AUTHOR_NAME": "n",
            "GIT_AUTHOR_EMAIL": AUTHOR,
            "GIT_COMMITTER_NAME": "n",
            "GIT_COMMITTER_EMAIL": "c@example.org",
            "GIT_AUTHOR_DATE": stamp,
            "GIT_COMMITTER_DATE": stamp,
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        done = subprocess.run(["git", *args], cwd=self.root, env=env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, message: str, **files: str | None) -> str:
        self.clock += 60
        for name, text in files.items():
            path = self.root / f"{name}.py"
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def walk(self, paths: list[str] | None = None, since: str | None = None) -> list[ThresholdEdit]:
        return list(walk_history(self.root, paths=paths or [], since=since))


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")


def short(edits: list[ThresholdEdit]) -> list[tuple[str, str, str | None, str | None]]:
    return [(edit.literal, edit.change, edit.old, edit.new) for edit in edits]


def test_every_change_is_dated_and_says_who_and_which_pull_request(repo: Repo) -> None:
    repo.commit("Start (#7)", a="A_MIN = 0.5\n")
    second = repo.commit("Loosen it (#12)\n\nbody (#99)", a="A_MIN = 0.4  # flaky\n")
    edit = repo.walk()[-1]
    assert (edit.commit, edit.pr, edit.file, edit.symbol, edit.subkey) == (second, 12, "a.py", "A_MIN", None)
    assert edit.committed_at == "2026-05-28T22:28:40+02:00"
    assert edit.author_hash == hashlib.sha256(b"someone@example.org").hexdigest()
    assert short(repo.walk()) == [("A_MIN", "added", None, "0.5"), ("A_MIN", "changed", "0.5", "0.4")]


def test_nested_annotated_removed_and_renamed_literals(repo: Repo) -> None:
    repo.commit("1", a="C = 16\n_P95 = {C: {'qps': 1.5, 'x': 2}, 8: {'qps': 1}}\nB_MAX: float = 1e-1\n")
    repo.commit("2", a="C = 16\n_P95 = {C: {'qps': 1.6, 'x': 2}, 8: {'qps': 1}}\nB_MAX: float = 0.1\n")
    repo.commit("3", a=None, b="C = 16\n_P95 = {C: {'qps': 1.6}}\n")
    edits = repo.walk()
    assert short(edits)[:4] == [
        ("_P95[16]['qps']", "added", None, "1.5"),
        ("_P95[16]['x']", "added", None, "2"),
        ("_P95[8]['qps']", "added", None, "1"),
        ("B_MAX", "added", None, "0.1"),
    ]
    assert short(edits)[4:5] == [("_P95[16]['qps']", "changed", "1.5", "1.6")], "1e-1 and 0.1 are one number"
    assert {(e.file, *row) for e, row in zip(edits[5:], short(edits)[5:], strict=True)} == {
        ("a.py", "_P95[16]['qps']", "removed", "1.6", None),
        ("a.py", "_P95[16]['x']", "removed", "2", None),
        ("a.py", "_P95[8]['qps']", "removed", "1", None),
        ("a.py", "B_MAX", "removed", "0.1", None),
        ("b.py", "_P95[16]['qps']", "added", None, "1.6"),
    }


def test_only_bounds_are_thresholds(repo: Repo) -> None:
    repo.commit("1", a="A_MIN = 1\nSEED = 7\nb_min = 2\nSLACK_LOWER = 0.9\nC_MIN = f(3)\nCOLORS = {'x': {'y': 1}}\n")
    assert [edit.literal for edit in repo.walk()] == ["A_MIN", "SLACK_LOWER"]


def test_a_version_that_is_not_python_changes_nothing(repo: Repo) -> None:
    repo.commit("1", a="A_MIN = 1\n")
    repo.commit("2", a="A_MIN = = 2\n")
    repo.commit("3", a="A_MIN = 3\n")
    assert short(repo.walk()) == [("A_MIN", "added", None, "1"), ("A_MIN", "changed", "1", "3")]


def test_a_branch_counts_when_it_reaches_the_mainline(repo: Repo) -> None:
    repo.commit("1", a="A_MIN = 1\n")
    repo.git("checkout", "-q", "-b", "work")
    repo.commit("half way", a="A_MIN = 5\n")
    repo.commit("done", a="A_MIN = 2\n")
    repo.git("checkout", "-q", "main")
    repo.commit("elsewhere", b="B_MAX = 1\n")
    repo.clock += 60
    repo.git("merge", "-q", "--no-ff", "-m", "Merge pull request #41 from someone/work", "work")
    last = repo.walk()[-1]
    assert (last.literal, last.old, last.new, last.pr) == ("A_MIN", "1", "2", 41)
    assert len(repo.walk()) == 3


def test_since_and_paths_bound_the_walk(repo: Repo) -> None:
    first = repo.commit("1", a="A_MIN = 1\n", b="B_MIN = 1\n")
    repo.commit("2", a="A_MIN = 2\n", b="B_MIN = 2\n")
    assert short(repo.walk(since=first)) == [
        ("A_MIN", "changed", "1", "2"),
        ("B_MIN", "changed", "1", "2"),
    ]
    assert {edit.file for edit in repo.walk(paths=["b*"])} == {"b.py"}


def test_names_with_quotes_and_spaces_survive(repo: Repo) -> None:
    (repo.root / "é ü").mkdir()
    (repo.root / "é ü" / "a'b.py").write_text("A_MIN = 1\n")
    repo.commit("1")
    assert repo.walk()[0].file == "é ü/a'b.py"


def test_what_is_no_repository_or_revision_is_said(tmp_path: Path, repo: Repo) -> None:
    with pytest.raises(BadInput, match=r"is not a readable git repository .*not a git repository"):
        list(walk_history(tmp_path, paths=[], since=None))
    with pytest.raises(BadInput, match="has no revision 'HEAD'"):
        repo.walk()
    repo.commit("1", a="A_MIN = 1\n")
    with pytest.raises(BadInput, match="has no revision 'v9'"):
        repo.walk(since="v9")


def test_the_last_binding_of_a_name_counts_as_in_python() -> None:
    values = threshold_values(b"A_MIN = 1\nA_MIN = 2\nB_MAX = True\nC_MAX = None\nD_MAX = 1e999\n", Path("x.py"))
    assert values == {("A_MIN", ()): "2"}


REAL = Path(__file__).parents[3] / "examples/data/threshold_history.csv"


def test_a_real_history_written_as_files_is_read_back_row_by_row(tmp_path: Path) -> None:
    """109 commits and 1,782 edits of sgl-project/sglang-omni (Apache-2.0), rebuilt as a repository."""
    with REAL.open(encoding="utf-8") as rows:
        history = list(csv.DictReader(rows))
    files: dict[str, dict[str, str]] = {}
    stream: list[bytes] = []
    expected: list[tuple[str, ...]] = []
    for number, (commit, edits) in enumerate(itertools.groupby(history, key=lambda row: row["commit"])):
        changes = list(edits)
        for row in changes:
            constants = files.setdefault(row["file"], {})
            if row["new"]:
                constants[row["symbol"]] = row["new"]
            else:
                del constants[row["symbol"]]
            expected.append((commit, row["pr"], row["file"], row["symbol"], row["change"], row["old"], row["new"]))
        message = f"{commit} (#{changes[0]['pr']})".encode()
        stamp = 1_780_000_000 + number
        stream += [b"commit refs/heads/main\n", f"committer n <n@example.org> {stamp} +0000\n".encode()]
        stream += [f"data {len(message)}\n".encode(), message, b"\n"]
        for path in {row["file"] for row in changes}:
            data = python_of(files[path]).encode()
            stream.append(f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n")
    repo = Repo(tmp_path / "repo")
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repo.root, input=b"".join(stream), check=True)
    found = [
        (commit, str(e.pr or ""), e.file, e.literal, e.change, e.old or "", e.new or "")
        for e in repo.walk()
        for commit in [subject_of(repo, e.commit)]
    ]
    assert len(found) == len(history) == 1782
    assert sorted(found) == sorted(expected)


@functools.cache
def subject_of(repo: Repo, commit: str) -> str:
    return repo.git("log", "-1", "--format=%s", commit).split()[0]


def python_of(constants: dict[str, str]) -> str:
    """A test file that binds these literals; tables are written by row."""
    tables: dict[str, dict[str, list[str]]] = {}
    lines = []
    for literal, value in constants.items():
        found = re.fullmatch(r"(\w+)\[(\d+)\]\['(\w+)'\]", literal)
        if found:
            tables.setdefault(found[1], {}).setdefault(found[2], []).append(f'"{found[3]}": {value}')
        else:
            lines.append(f"{literal} = {value}")
    for name, rows in tables.items():
        body = ", ".join(f"{row}: {{{', '.join(entries)}}}" for row, entries in rows.items())
        lines.append(f"{name} = {{{body}}}")
    return "\n".join(lines) + "\n"
