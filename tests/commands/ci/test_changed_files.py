"""The changed files a command works on: one way to name them, and nothing of a name is lost."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from commands.ci.changed import Changed, collect, diff_names, head_sha, required, tracked_names
from ledger.errors import BadInput
from ledger.ledger import Ledger
from tests.conftest import Result


def asked(
    *names: str, more: tuple[str, ...] = (), changed_from: str | None = None, base: str | None = None, repo: str = "."
) -> Changed:
    """What the options say."""
    return Changed(changed=names, more=more, changed_from=changed_from, base=base, repo_dir=repo)


def git(repo: Path, *arguments: str) -> None:
    """Run git as one author, whatever the machine's settings."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(repo), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A main branch with `kernel/a.cu` and `old.py`, and a checked-out branch `work` that left it."""
    root = tmp_path / "repo"
    (root / "kernel").mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    (root / "kernel" / "a.cu").write_text("one\n" * 20)
    (root / "old.py").write_text("x = 1\n" * 20)
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    git(root, "checkout", "-qb", "work")
    return root


@pytest.mark.parametrize(
    ("given", "files"),
    [
        (asked(), None),
        (asked("b", "a", "b"), ["a", "b"]),
        (asked("b", more=("a", "c")), ["a", "b", "c"]),
        (asked("./a", "a"), ["a"]),
        (asked(".github/x", "..a"), ["..a", ".github/x"]),
        (asked(""), []),
    ],
)
def test_named_files_are_each_once_in_order_and_nobody_naming_any_is_not_none_changed(
    given: Changed, files: list[str] | None
) -> None:
    assert collect(given) == files


@pytest.mark.parametrize(
    "given", [asked("a", base="main"), asked("a", changed_from="f"), asked(base="main", changed_from="f")]
)
def test_two_ways_to_name_the_files_are_refused(given: Changed) -> None:
    with pytest.raises(BadInput, match="exclude each other"):
        collect(given)


def test_a_name_without_the_option_before_it_is_refused() -> None:
    with pytest.raises(BadInput, match="unexpected argument 'a'"):
        collect(asked(more=("a",)))


def test_a_command_that_needs_the_files_says_the_three_ways() -> None:
    with pytest.raises(BadInput) as refused:
        required(None)
    assert all(way in str(refused.value.hint) for way in ("--changed", "--changed-from", "--base"))
    assert required([]) == []


@pytest.mark.parametrize(
    ("data", "files"),
    [
        (b"b\na\n", ["a", "b"]),
        (b"b\r\na\r\n", ["a", "b"]),
        (b"a\0b\nc\0", ["a", "b\nc"]),
        (b"a b\n\n", ["a b"]),
        (b"", []),
        ("\u00e4\n".encode(), ["\u00e4"]),
    ],
)
def test_a_list_has_a_name_a_line_or_a_name_between_nul_bytes(tmp_path: Path, data: bytes, files: list[str]) -> None:
    path = tmp_path / "names"
    path.write_bytes(data)
    assert collect(asked(changed_from=str(path))) == files


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"b\na\n")))
    assert collect(asked(changed_from="-")) == ["a", "b"]


@pytest.mark.parametrize("way", ["named", "a file", "standard input"])
def test_bytes_that_are_no_unicode_are_the_same_name_however_they_are_given(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As git's names are read: the bytes are shown as such, and the folder before them still counts."""
    name = b"docs/caf\xe9.md"
    (tmp_path / "names").write_bytes(name)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(name)))
    given = {
        "named": asked(os.fsdecode(name)),
        "a file": asked(changed_from=str(tmp_path / "names")),
        "standard input": asked(changed_from="-"),
    }
    assert collect(given[way]) == ["docs/caf\ufffd.md"]


def test_git_tells_what_the_branch_changed_and_not_what_its_base_did_since(repo: Path) -> None:
    (repo / "new file \u00e4.py").write_text("n")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "mine")
    git(repo, "checkout", "-q", "main")
    (repo / "theirs.py").write_text("t")
    git(repo, "add", ".")
    git(repo, "commit", "-qm", "theirs")
    git(repo, "checkout", "-q", "work")
    assert collect(asked(base="main", repo=str(repo))) == ["new file \u00e4.py"]


def test_a_file_taken_out_of_a_folder_is_a_change_of_that_folder(repo: Path) -> None:
    (repo / "elsewhere").mkdir()
    git(repo, "mv", "kernel/a.cu", "elsewhere/a.cu")
    git(repo, "commit", "-qm", "moved")
    assert diff_names("main", str(repo)) == ["elsewhere/a.cu", "kernel/a.cu"]


@pytest.mark.parametrize("base", ["nowhere", "--output=x", "-h"])
def test_a_base_that_is_no_ref_is_refused_and_never_taken_for_an_option(repo: Path, base: str) -> None:
    before = sorted(path.name for path in repo.iterdir())
    with pytest.raises(BadInput) as refused:
        diff_names(base, str(repo))
    assert refused.value.exit_code == 2 and "\n" not in refused.value.message
    assert sorted(path.name for path in repo.iterdir()) == before


def test_tracked_names_are_those_git_knows_and_the_head_is_a_whole_sha(repo: Path) -> None:
    (repo / "untracked").write_text("u")
    assert tracked_names(str(repo)) == ["kernel/a.cu", "old.py"]
    assert len(head_sha(str(repo))) == 40


def test_a_folder_without_a_repository_is_said_in_gits_words(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"git: .*not a git repository"):
        tracked_names(str(tmp_path))


def test_a_list_that_is_not_there_ends_with_2_and_its_name(
    in_process: Callable[..., Result], ledger: Ledger, tmp_path: Path
) -> None:
    found = in_process("ci", "lanes", "--changed-from", tmp_path / "none.txt", "--json", code=2)
    assert "none.txt" in found.json["error"]["message"]
