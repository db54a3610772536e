"""Which folders may be wiped before an attempt, and which never are, whatever a configuration says."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gpu_runner import caches
from ledger.errors import BadInput


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of the test's own, with a file in it."""
    place = tmp_path / "users" / "ada"
    place.mkdir(parents=True)
    (place / "thesis").write_text("only copy")
    monkeypatch.setenv("HOME", str(place))
    return place


@pytest.mark.parametrize("cache", ["/", "/tmp", "/home/ada", "/usr/lib", "/tmp/x/..", "/a/../b/../c/d"])
def test_a_folder_near_the_root_is_never_a_cache(home: Path, cache: str) -> None:
    with pytest.raises(BadInput, match="too close to the root") as caught:
        caches.wipe([Path(cache)])
    assert (caught.value.code, caught.value.details["field"]) == ("bad_cache_dir", "cache_dirs")


def test_neither_the_home_directory_nor_a_folder_around_it_is_ever_wiped(home: Path) -> None:
    for cache in (home, home.parent, home / "x" / ".."):
        with pytest.raises(BadInput, match="will not be wiped"):
            caches.wipe([cache])
    assert (home / "thesis").read_text() == "only copy"


def test_a_relative_path_and_a_link_are_refused(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(home)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="not an absolute path"):
        caches.wipe([Path("users/ada")])
    with pytest.raises(BadInput, match="a symbolic link"):
        caches.wipe([tmp_path / "link"])
    assert (home / "thesis").exists()


def test_a_way_through_a_link_counts_by_where_it_leads(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(home.parent)
    with pytest.raises(BadInput, match="the home directory is inside it"):
        caches.wipe([tmp_path / "link" / "ada"])
    (home / ".triton" / "cache").mkdir(parents=True)
    assert caches.wipe([tmp_path / "link" / "ada" / ".triton" / "cache"]) != []
    assert (home / "thesis").exists() and not (home / ".triton" / "cache").exists()


def test_a_cache_that_holds_the_repository_or_the_run_directory_is_refused(home: Path, tmp_path: Path) -> None:
    repository = tmp_path / "work" / "cache" / "repository"
    repository.mkdir(parents=True)
    for cache in (repository, repository.parent):
        with pytest.raises(BadInput, match="the repository or the run directory is inside it"):
            caches.wipe([cache], keep=[repository])
    assert repository.is_dir()
    (repository / ".cache" / "triton").mkdir(parents=True)
    assert caches.wipe([repository / ".cache" / "triton"], keep=[repository]) == [repository / ".cache" / "triton"]


def test_one_bad_path_keeps_every_cache(home: Path, tmp_path: Path) -> None:
    """Whatever comes first: either all that was named is wiped, or nothing."""
    good = home / ".cache" / "flashinfer"
    good.mkdir(parents=True)
    for order in ([good, home], [home, good]):
        with pytest.raises(BadInput):
            caches.wipe(order)
        assert good.is_dir()
    assert caches.wipe([good, home / ".cache" / "not-there"]) == [good]


def test_a_link_inside_a_cache_is_removed_and_what_it_leads_to_is_not(home: Path) -> None:
    cache = home / ".cache" / "vllm"
    cache.mkdir(parents=True)
    (cache / "home").symlink_to(home)
    assert caches.wipe([cache]) == [cache]
    assert (home / "thesis").read_text() == "only copy"


@pytest.mark.parametrize("cache", caches.KNOWN, ids=lambda cache: cache.tool)
def test_every_known_cache_is_missed_when_a_variable_moved_it_and_it_was_written_all_the_same(
    home: Path, tmp_path: Path, cache: caches.KnownCache
) -> None:
    env = {"HOME": str(home), "USER": "nobody-of-this-test"}
    place = Path(cache.default.format(home=home, user=env["USER"]))
    try:
        place.mkdir(parents=True)
        written = place.stat().st_mtime
        assert caches.strays(env, written) == [], "nothing says that it should be elsewhere"
        for variable in cache.variables:
            moved = env | {variable: str(tmp_path / "scratch")}
            (told,) = [line for line in caches.strays(moved, written) if f"the {cache.tool} cache" in line]
            assert str(place) in told and variable in told
            assert [n for n in caches.strays(moved, written + 60) if cache.tool in n] == [], "an old cache is no news"
            below = env | {variable: str(place.parent)}
            assert [n for n in caches.strays(below, written) if f"the {cache.tool} cache" in n] == []
    finally:
        if not place.is_relative_to(tmp_path):
            place.rmdir()


def test_a_file_written_into_an_old_folder_counts_as_well(home: Path, tmp_path: Path) -> None:
    place = home / ".triton" / "cache"
    place.mkdir(parents=True)
    (place / "kernel").write_text("x")
    old = time.time() - 3600
    os.utime(place, (old, old))
    found = caches.strays({"HOME": str(home), "TRITON_CACHE_DIR": str(tmp_path / "scratch")}, old + 60)
    assert len(found) == 1 and "Triton" in found[0]
