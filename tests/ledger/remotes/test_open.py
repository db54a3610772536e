"""Which URLs name a remote: their form is checked before anything is contacted or created."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import BadInput, PerfledgerError
from ledger.remotes.hub import DatasetUrl
from ledger.remotes.open import check_url, open_remote


@pytest.mark.parametrize(
    ("url", "remembered"),
    [
        ("hf://datasets/org/perf", "hf://datasets/org/perf"),
        ("hf://datasets/org/perf/", "hf://datasets/org/perf"),
        ("hf://datasets/org/perf/team/a/", "hf://datasets/org/perf/team/a"),
        (" hf://datasets/org/perf ", "hf://datasets/org/perf"),
        ("hf://datasets/o/n.v-1_2", "hf://datasets/o/n.v-1_2"),
        ("s3://bucket/prefix/", "s3://bucket/prefix"),
        ("s3a://bucket/prefix", "s3a://bucket/prefix"),
        ("gs://bucket", "gs://bucket"),
        ("az://account/container/prefix", "az://account/container/prefix"),
        ("file:///shared/ledger/", "file:///shared/ledger"),
    ],
)
def test_a_url_is_remembered_without_the_slashes_and_spaces_around_it(url: str, remembered: str) -> None:
    """Events name a remote by this text: two spellings of one place must not be two remotes."""
    assert check_url(url.strip() if url.startswith(" ") else url) == remembered
    assert check_url(remembered) == remembered


@pytest.mark.parametrize(
    "url",
    [
        "",
        "perf",
        "org/perf",
        "http://example.org/x",
        "https://huggingface.co/datasets/org/perf",
        "ftp://host/x",
        "hf://org/perf",
        "hf://models/org/perf",
        "hf://datasets/org",
        "hf://datasets/org/",
        "hf://datasets//perf",
        "hf://datasets/org/perf@main",
        "hf://datasets/org/perf.git",
        "hf://datasets/-org/perf",
        "hf://datasets/org/a--b",
        "hf://datasets/org/a..b",
        f"hf://datasets/org/{'n' * 93}",
        "hf://datasets/org/perf/../other",
        "hf://datasets/org/perf/a//b",
        "hf://datasets/org/perf/./a",
        "S3://bucket/prefix",
        "s3:/bucket",
        "s3://",
        "file://",
    ],
)
def test_a_url_that_names_no_remote_is_refused_with_an_example(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        check_url(url)
    assert caught.value.code == "bad_remote_url" and "://" in caught.value.hint
    with pytest.raises(BadInput):
        open_remote(url, create=True)
    assert list(tmp_path.iterdir()) == []


def test_a_name_at_the_hubs_limit_is_taken_and_one_more_letter_is_not() -> None:
    longest = "n" * (96 - len("org/"))
    assert DatasetUrl.parse(f"hf://datasets/org/{longest}").repo_id == f"org/{longest}"
    with pytest.raises(BadInput):
        DatasetUrl.parse(f"hf://datasets/org/{longest}n")


def test_a_shared_folder_that_is_missing_is_made_only_when_that_is_asked_for(tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'shared' / 'ledger'}"
    with pytest.raises(PerfledgerError) as caught:
        open_remote(url)
    assert str(tmp_path / "shared") in caught.value.message and not (tmp_path / "shared").exists()
    open_remote(url, create=True)
    assert (tmp_path / "shared" / "ledger").is_dir()


def test_a_file_in_the_place_of_a_shared_folder_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("mine")
    for create in (False, True):
        with pytest.raises(PerfledgerError) as caught:
            open_remote(f"file://{tmp_path / 'shared'}", create=create)
        assert str(tmp_path / "shared") in caught.value.message
    assert (tmp_path / "shared").read_text() == "mine"
