"""What finding and rewriting literals costs, and walking a history, each against its floor.

Floors measured in the same run: libcst parsing the same file (nothing can be rewritten byte for byte
without a lossless parse), and `git log --raw` over the same history plus Python parsing every version.
"""

from __future__ import annotations

import ast
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.start import print_rows, row
from benchmarks.timing import best

FUNCTIONS, CONSTANTS = 60, 40
COMMITS, FILES = 120, 12
FIND_LIMIT = 2.5
WALK_LIMIT = 2.5


def main() -> list[dict[str, Any]]:
    """Measure and return the rows."""
    return [*_files(), *_history()]


def _source() -> str:
    """A test file of common size: many constants, two tables, sixty functions."""
    lines = ['"""A test file."""', "", "CONCURRENCY = 16"]
    lines += [f"CASE_{n}_LATENCY_MEAN_MAX_S: float = {n}.5  # measured" for n in range(CONSTANTS)]
    for name in ("_A_P95", "_B_P95"):
        rows = ", ".join(f'"metric_{n}": {n}.25' for n in range(12))
        lines.append(f"{name} = {{8: {{{rows}}}, 16: {{{rows}}}}}")
    for n in range(FUNCTIONS):
        lines += ["", "", f"def test_case_{n}(tmp_path, server):", f"    folder = tmp_path / 'case_{n}'"]
        lines += [f"    value_{k} = run(server, folder, max_samples=10, index={k})" for k in range(8)]
        limit = f"CASE_{n % CONSTANTS}_LATENCY_MEAN_MAX_S"
        lines += ["    for value in (value_0, value_1):", f"        assert value < {limit}"]
    return "\n".join(lines) + "\n"


def _files() -> list[dict[str, Any]]:
    """Finding and rewriting every literal of one file, against parsing it."""
    import libcst

    from commands.literals.finder import find_constants
    from commands.literals.rewriter import Edit, rewrite
    from commands.literals.source import read_source

    text = _source()
    source = read_source(text.encode(), Path("test_x.py"))
    constants = find_constants(source)
    sites = [site for binding in constants.bindings for site in binding.sites]
    edits = [Edit(site, "0.125") for site in sites]
    parse_s = best(lambda: libcst.parse_module(text))
    find_s = best(lambda: find_constants(source))
    rewrite_s = best(lambda: rewrite(constants, edits))
    against = f"libcst.parse_module alone ({parse_s * 1000:.0f} ms)"
    shape = f"{len(text.splitlines())} lines"
    return [
        row(f"find {len(sites)} literals in {shape}", find_s, peer=parse_s, against=against, limit=FIND_LIMIT),
        row(f"rewrite them and check the result, {shape}", rewrite_s, peer=parse_s, against=against, limit=FIND_LIMIT),
    ]


def _history() -> list[dict[str, Any]]:
    """Walking a history, against git and the parser alone."""
    from commands.literals.archaeology import walk_history

    with tempfile.TemporaryDirectory() as folder:
        repo = Path(folder)
        _commits(repo)

        def floor() -> int:
            """Ask git for the same list, read every blob, parse each version once."""
            log = _git(repo, "log", "--first-parent", "-m", "--raw", "--no-abbrev", "--format=%H", "--reverse", "HEAD")
            blobs = dict.fromkeys(line.split()[3] for line in log.decode().splitlines() if line.startswith(":"))
            out = _git(repo, "cat-file", "--batch", stdin="\n".join(blobs).encode() + b"\n")
            at = 0
            for _ in blobs:
                end = out.index(b"\n", at)
                size = int(out[at:end].split()[2])
                ast.parse(out[end + 1 : end + 1 + size])
                at = end + size + 2
            return len(blobs)

        edits = sum(1 for _ in walk_history(repo, paths=[], since=None))
        floor_s = best(floor, 3)
        walk_s = best(lambda: sum(1 for _ in walk_history(repo, paths=[], since=None)), 3)
    return [
        row(
            f"walk {COMMITS} commits, {edits} threshold edits",
            walk_s,
            peer=floor_s,
            against=f"git and ast.parse alone ({floor_s * 1000:.0f} ms)",
            limit=WALK_LIMIT,
        )
    ]


def _commits(repo: Path) -> None:
    """A history in which every commit moves a few thresholds of one file; written by fast-import."""
    base = _source()
    stream = []
    for number in range(COMMITS):
        text = base.replace("0.5  # measured", f"0.{number + 1}  # measured", 1).replace("1.25", f"1.{number + 30}")
        data = text.encode()
        stamp = 1_780_000_000 + number
        message = f"Move it (#{number})".encode()
        stream += [
            b"commit refs/heads/main\n",
            f"committer n <n@example.org> {stamp} +0000\n".encode(),
            f"data {len(message)}\n".encode(),
            message,
            b"\n",
            f"M 100644 inline test_{number % FILES}.py\ndata {len(data)}\n".encode(),
            data,
            b"\n",
        ]
    _git(repo, "init", "-q", "-b", "main")
    _git(repo, "fast-import", "--quiet", stdin=b"".join(stream))


def _git(repo: Path, *args: str, stdin: bytes = b"") -> bytes:
    """Run git there and return what it printed."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(["git", *args], cwd=repo, input=stdin, capture_output=True, check=True, env=env).stdout


if __name__ == "__main__":
    print_rows(main())
