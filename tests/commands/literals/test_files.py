"""Files are replaced whole, keep their mode, and survive a kill at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands.literals.files import replace_file


def test_bytes_are_replaced_and_mode_and_links_are_kept(tmp_path: Path) -> None:
    real = tmp_path / "real.py"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link = tmp_path / "link.py"
    link.symlink_to(real)
    replace_file(link, b"new")
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.py", "real.py"]


def test_a_new_file_gets_the_mode_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "new.py", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "new.py").stat().st_mode & 0o777 == 0o640


def test_a_failure_leaves_the_old_bytes_and_no_litter(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        replace_file(tmp_path / "taken", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


WRITER = """
import sys
from pathlib import Path
from commands.literals.files import replace_file
path = Path(sys.argv[1])
print("ready", flush=True)
while True:
    for letter in (b"a", b"b"):
        replace_file(path, letter * 200_000)
"""


def test_a_kill_at_any_moment_leaves_old_or_new_bytes_never_half(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_bytes(b"a" * 200_000)
    for attempt in range(6):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.011 * (attempt + 1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        data = path.read_bytes()
        assert len(data) == 200_000
        assert data in (b"a" * 200_000, b"b" * 200_000)
