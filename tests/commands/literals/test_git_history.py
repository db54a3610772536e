"""What is read out of git: the pull request of a subject, blobs byte for byte, and what git lacks by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.literals.git_history import BlobReader, Commit, mainline
from ledger.errors import BadInput, Unavailable
from tests.commands.literals.test_archaeology import AUTHOR, Repo


@pytest.mark.parametrize(
    ("subject", "number"),
    [
        ("Change a bound (#123)", 123),
        ("Change a bound (#123) ", 123),
        ("Merge pull request #7 from o/branch", 7),
        ("Revert (#12) because of (#13)", 13),
        ("See (#12) for more", None),
        ("Fix #12", None),
        ("Later merge pull request #7", None),
        ("Merge pull request #7x", None),
        ("(#)", None),
        ("", None),
    ],
)
def test_a_subject_names_its_pull_request_at_its_end_or_as_a_merge(subject: str, number: int | None) -> None:
    assert Commit("a", "t", "e", subject, ()).pull_request == number


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")


def test_commits_come_oldest_first_with_what_each_changed(repo: Repo) -> None:
    first = repo.commit("one", a="x = 1\n")
    second = repo.commit("two (#2)", a="x = 2\n", b="y\n")
    third = repo.commit("three", b=None)
    found = list(mainline(repo.root, [], None))
    assert [commit.id for commit in found] == [first, second, third]
    assert [(c.author_email, c.pull_request) for c in found] == [(AUTHOR, None), (AUTHOR, 2), (AUTHOR, None)]
    changed = [[(f.path, f.old_blob is None, f.new_blob is None) for f in commit.changes] for commit in found]
    assert changed == [
        [("a.py", True, False)],
        [("a.py", False, False), ("b.py", True, False)],
        [("b.py", False, True)],
    ]


def test_a_subject_with_the_separators_of_the_listing_stays_one_subject(repo: Repo) -> None:
    repo.commit("odd \x1f: subject (#4)", a="x\n")
    (commit,) = mainline(repo.root, [], None)
    assert commit.subject == "odd \x1f: subject (#4)" and commit.pull_request == 4


def test_a_rename_is_a_removal_and_an_addition_of_the_same_blob(repo: Repo) -> None:
    repo.commit("one", a="x = 1\n" * 30)
    repo.git("mv", "a.py", "b.py")
    repo.commit("two")
    removed, added = list(mainline(repo.root, [], None))[-1].changes
    assert (removed.path, added.path) == ("a.py", "b.py")
    assert removed.new_blob is None and added.new_blob == removed.old_blob


def test_the_revision_to_start_from_is_left_out(repo: Repo) -> None:
    first = repo.commit("one", a="x = 1\n")
    second = repo.commit("two", a="x = 2\n")
    assert [commit.id for commit in mainline(repo.root, [], first)] == [second]
    assert list(mainline(repo.root, [], second)) == []


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"a\0b\nc", b"\xff" * 70_000, b"blob 3\nabc\n"],
    ids=["empty", "a line end", "a NUL", "large", "like a header"],  # an id is in the environment of every child
)
def test_a_blob_is_read_byte_for_byte_and_the_next_one_after_it(repo: Repo, data: bytes) -> None:
    (repo.root / "data").write_bytes(data)
    repo.commit("one", a="x = 1\n")
    blob, other = repo.git("rev-parse", "HEAD:data"), repo.git("rev-parse", "HEAD:a.py")
    with BlobReader(repo.root) as reader:
        assert reader.read(blob) == data
        assert reader.read(other) == b"x = 1\n"
        assert reader.read(blob) == data


def test_a_blob_that_is_not_there_is_named_with_the_way_to_get_it(repo: Repo) -> None:
    repo.commit("one", a="x = 1\n")
    with BlobReader(repo.root) as reader:
        with pytest.raises(Unavailable, match="0" * 40) as refused:
            reader.read("0" * 40)
        assert "unshallow" in refused.value.hint and refused.value.exit_code == 4
        assert reader.read(repo.git("rev-parse", "HEAD:a.py")) == b"x = 1\n"


def test_an_unknown_revision_and_a_repository_without_a_commit_are_bad_input(repo: Repo) -> None:
    with pytest.raises(BadInput, match="no revision 'HEAD'"):
        list(mainline(repo.root, [], None))
    repo.commit("one", a="x\n")
    with pytest.raises(BadInput, match="no revision 'nowhere'"):
        list(mainline(repo.root, [], "nowhere"))
