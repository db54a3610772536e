"""The versions that everything is installed in: what `constraints.txt` says, and what pyproject.toml allows.

    python -m tests.versions write REPORT    constraints.txt from the report of a resolver (`make constraints`)

The report is that of `pip install --dry-run --report`: the newest versions that fit together, whatever is installed.
"""

from __future__ import annotations

import json
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parents[1]
CONSTRAINTS = TOP / "constraints.txt"
OWN = "perfledger"
HEADER = (
    "# What `make` installs: every package of the development set-up, in one version. Made by `make constraints`.\n"
)


def constraints(text: str) -> dict[str, str]:
    """Return the versions in the text of a constraints file, by canonical name."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


def resolved(report: str) -> dict[str, str]:
    """Return what a resolver chose, by canonical name; not this project itself."""
    chosen = (row["metadata"] for row in json.loads(report)["install"])
    return {canonicalize_name(one["name"]): one["version"] for one in chosen if one["name"] != OWN}


def render(versions: dict[str, str]) -> str:
    """Return the text of a constraints file: `name==version` lines in name order; no index, no digest, no address."""
    return HEADER + "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))


def direct() -> list[Requirement]:
    """Return every requirement that pyproject.toml states, those of the extras too."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    rows = [*project["dependencies"], *(row for extra in project["optional-dependencies"].values() for row in extra)]
    found = (Requirement(row) for row in rows)
    return [requirement for requirement in found if requirement.name != OWN]


def installed_closure() -> dict[str, str]:
    """Return what is installed of the packages that this project's development set-up needs, directly or not."""
    found: dict[str, str] = {}
    waiting = [Requirement(f"{OWN}[dev]")]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        extras = requirement.extras or {""}
        for extra in extras | {""}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            distribution = metadata.distribution(name)
            found[name] = distribution.version
            for row in distribution.requires or ():
                needed = Requirement(row)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    waiting.append(needed)
    del found[OWN]
    return found


def main() -> int:
    """Write constraints.txt from a resolver's report."""
    if len(sys.argv) != 3 or sys.argv[1] != "write":
        print(__doc__, file=sys.stderr)
        return 2
    CONSTRAINTS.write_text(render(resolved(Path(sys.argv[2]).read_text(encoding="utf-8"))), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
