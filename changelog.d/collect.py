"""Gather the fragments of `changelog.d/` into CHANGELOG.md: `python changelog.d/collect.py [--release VERSION]`.

A fragment is `changelog.d/<slug>.<kind>.md`: what changes for a user, in a sentence or a few, as a line of the list.
Without `--release` what is gathered is printed. With it the section "Unreleased" becomes that version's, the fragments
are in it, and their files are removed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import re
import sys
import textwrap
from pathlib import Path

FOLDER = Path(__file__).parent
KINDS = {"safety": "Safety", "formats": "Formats", "features": "Features", "changes": "Changes"}
NAME = re.compile(rf"[a-z0-9-]+\.({'|'.join(KINDS)})\.md")
WIDTH = 120


def fragments(folder: Path) -> dict[str, list[Path]]:
    """Return the fragments of each kind, by name. Raises `ValueError` for a file that is none."""
    found: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    for path in sorted(folder.glob("*.md")):
        match = NAME.fullmatch(path.name)
        if match is None:
            raise ValueError(f"{path.name}: a fragment is named <slug>.<kind>.md, kind one of {', '.join(KINDS)}")
        if not path.read_text(encoding="utf-8").strip():
            raise ValueError(f"{path.name} is empty; say what changes for a user")
        found[match[1]].append(path)
    return found


def item(path: Path) -> str:
    """Return a fragment as an item of a list, its lines wrapped."""
    text = " ".join(path.read_text(encoding="utf-8").split())
    return textwrap.fill(text, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)


def section(before: str, found: dict[str, list[Path]]) -> str:
    """Return the body of a version's section: what it says already, the fragments added to each kind."""
    parts = re.split(r"^### (.+)\n", before, flags=re.MULTILINE)
    written = {title: body.strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}
    blocks = [parts[0].strip()] if parts[0].strip() else []
    for kind, title in KINDS.items():
        items = [*filter(None, [written.pop(title, "")]), *map(item, found[kind])]
        if items:
            blocks.append(f"### {title}\n\n" + "\n".join(items))
    if written:
        raise ValueError(f"CHANGELOG.md: no kind of fragment is called {', '.join(written)}")
    return "\n\n".join(blocks)


def released(changelog: str, found: dict[str, list[Path]], version: str, date: str) -> str:
    """Return the changelog with "Unreleased" made the section of a version. Raises `ValueError` when it has one."""
    if f"\n## {version} " in changelog:
        raise ValueError(f"CHANGELOG.md has a section {version} already")
    head, _, rest = changelog.partition("## Unreleased\n")
    body, mark, older = rest.partition("\n## ")
    made = section(body, found)
    return f"{head}## Unreleased\n\n## {version} ({date})\n\n{made}\n{mark}{older}"


def main() -> int:
    """Print what is gathered, or write the section of a version. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python changelog.d/collect.py")
    parser.add_argument("--release", metavar="VERSION", help="make Unreleased the section of VERSION")
    parser.add_argument("--date", default=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"), help="of the release")
    given = parser.parse_args()
    changelog = FOLDER.parent / "CHANGELOG.md"
    try:
        found = fragments(FOLDER)
        text = changelog.read_text(encoding="utf-8")
        made = released(text, found, given.release, given.date) if given.release else section("", found)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if not given.release:
        sys.stdout.write(made + "\n")
        return 0
    changelog.write_text(made, encoding="utf-8")
    for path in (path for paths in found.values() for path in paths):
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
