"""Writing so that it is there after a power cut: names are given once, nothing stays behind, failures are passed on."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from ledger import disk
from tests.conftest import NO_BYTE_CODE, clean_env


def test_of_many_who_give_one_name_exactly_one_is_told_that_it_was_free(tmp_path: Path) -> None:
    target = tmp_path / "segment"
    told: dict[int, bool] = {}
    start = threading.Barrier(8)

    def give(number: int) -> None:
        start.wait()
        told[number] = disk.put_if_absent(target, b"%d" % number)

    threads = [threading.Thread(target=give, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (first,) = [number for number, free in told.items() if free]
    assert target.read_bytes() == b"%d" % first
    assert [path.name for path in tmp_path.iterdir()] == ["segment"], "no temporary file stays"


def test_a_name_that_a_folder_or_a_dangling_link_has_is_taken(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("folder", "link"):
        assert disk.put_if_absent(tmp_path / name, b"x") is False
    assert not (tmp_path / "nowhere").exists(), "a link is a name, and nothing is written through it"


def test_a_content_is_replaced_as_a_whole_and_an_open_reader_keeps_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint"
    disk.overwrite(target, b"old" * 1000)
    with target.open("rb") as reader:
        disk.overwrite(target, b"new")
        assert reader.read() == b"old" * 1000
    assert target.read_bytes() == b"new" and [p.name for p in tmp_path.iterdir()] == ["checkpoint"]


def test_a_temporary_file_is_only_published_beside_its_name(tmp_path: Path) -> None:
    """A rename from elsewhere would need that directory synced too: after a power cut both names could be there."""
    (tmp_path / "elsewhere").mkdir()
    temporary = disk.write_aside(tmp_path / "elsewhere", b"x")
    for place in (disk.publish, disk.replace):
        with pytest.raises(AssertionError):
            place(temporary, tmp_path / "target")
        with pytest.raises(AssertionError):
            place(temporary, temporary)
    assert temporary.read_bytes() == b"x"


FULL = """
    import errno, resource, sys
    from pathlib import Path
    from ledger import disk
    folder = Path(sys.argv[1])
    disk.overwrite(folder / "kept", b"k" * 100)
    import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    for write in (disk.put_if_absent, disk.overwrite):
        for name in ("new", "kept"):
            try:
                write(folder / name, b"x" * 10_000)
            except OSError as error:
                print(write.__name__, name, errno.errorcode[error.errno])
"""


def test_on_a_full_disk_the_old_content_stays_and_no_temporary_file_does(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=clean_env(**NO_BYTE_CODE),
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.split("\n")[:-1] == [
        f"{write} {name} EFBIG" for write in ("put_if_absent", "overwrite") for name in ("new", "kept")
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_bytes() == b"k" * 100


def test_a_pipe_that_takes_little_at_a_time_gets_every_byte() -> None:
    data = os.urandom(400_000)  # more than a pipe holds, so that the kernel takes a part
    reader, writer = os.pipe()
    got = bytearray()

    def read() -> None:
        while piece := os.read(reader, 10_000):
            got.extend(piece)

    thread = threading.Thread(target=read)
    thread.start()
    disk.write_all(writer, data)
    os.close(writer)
    thread.join()
    os.close(reader)
    assert bytes(got) == data


def test_a_write_in_the_middle_leaves_the_rest_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"." * 20)
    fd = os.open(tmp_path / "file", os.O_RDWR)
    try:
        disk.write_all_at(fd, b"abc", 5)
        disk.write_all_at(fd, b"", 3)
    finally:
        os.close(fd)
    assert (tmp_path / "file").read_bytes() == b"....." + b"abc" + b"." * 12


def test_a_device_that_is_full_says_so() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="No space left") as caught:
            disk.write_all(fd, b"x")
        assert caught.value.errno == errno.ENOSPC
    finally:
        os.close(fd)


def test_folders_are_made_with_all_that_are_missing_and_again_is_no_error(tmp_path: Path) -> None:
    for _ in range(2):
        disk.make_directory(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


@pytest.mark.parametrize("below", ["", "inner"])
def test_a_file_where_a_folder_should_be_is_an_error_and_stays(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        disk.make_directory(tmp_path / "file" / below)
    assert (tmp_path / "file").read_text() == "mine"


def test_syncing_a_file_that_a_seal_has_removed_is_no_error(tmp_path: Path) -> None:
    disk.fsync_file(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        disk.fsync_directory(tmp_path / "gone")
