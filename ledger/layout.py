"""Where things are in a ledger folder, and the ledger's own description file.

.perfledger/
  ledger.toml                        format version, origin, created
  log/<origin>/journal.jsonl         the tail: chained canonical JSON, one line per append, then empty lines
  log/<origin>/<first position>.parquet   sealed segments, never changed
  log/<origin>/head                  what was acknowledged last; found at once when the log is cut
  log/<origin>/heads.sqlite          derived index; may be deleted
  log/<origin>/walk                  of another origin: where the checks of the next pull go on; may be deleted
  log/<origin>/checkpoint            the newest signed checkpoint; checkpoint.witnessed, the newest co-signed one
  log/<origin>/tree                  cache of the Merkle tree; may be deleted
  log/<origin>/torn/                 bytes of writes that were never acknowledged, kept for a person to see
  evidence/<origin>/                 small evidence: a tail and sealed packs
  evidence/sha256/ab/<digest>        large evidence
  signing-key                        private key of checkpoints, where one was made; only its owner may read it
  state.duckdb, state-recent.duckdb  projections; may be deleted
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import BadInput

FORMAT_VERSION = 1
FOLDER_NAME = ".perfledger"
ORIGIN_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True)
class Description:
    """What `ledger.toml` says."""

    format: int
    origin: str
    created: str


def find(given: str | os.PathLike[str] | None) -> Path:
    """Return the ledger folder: the given one, or the nearest `.perfledger/` from here upward.

    `given` may be the folder itself or one that contains it. Raises `BadInput` (exit 2) when there is none.
    """
    if given is not None:
        path = Path(given)
        check_name(path)
        for candidate in (path, path / FOLDER_NAME):
            if (candidate / "ledger.toml").is_file():
                return candidate
        raise BadInput(f"no ledger at {path}", code="no_ledger", hint=f"perfledger init {path}")
    here = Path.cwd()
    check_name(here)
    for folder in (here, *here.parents):
        if (folder / FOLDER_NAME / "ledger.toml").is_file():
            return folder / FOLDER_NAME
    raise BadInput("no ledger here; run `perfledger init`", code="no_ledger", hint="perfledger init")


def check_name(path: Path) -> None:
    """Raise `BadInput` for a folder whose name no engine and no library takes, before anything is written there."""
    if any("\udc80" <= sign <= "\udcff" for sign in str(path)):
        raise BadInput(
            f"the folder {str(path)!a} has a name that is not UTF-8, and no ledger can be there",
            code="folder_not_utf8",
            hint="rename the folder, or give another with --ledger DIR",
        )


def read_description(path: Path) -> Description:
    """Read `ledger.toml`. Raises `BadInput` when it is unreadable or of a newer format."""
    file = path / "ledger.toml"
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
        if type(raw["format"]) is not int or raw["format"] < 1:
            raise ValueError(f"format {raw['format']!r} is no number of a format")
        found = Description(raw["format"], str(raw["origin"]), str(raw["created"]))
    except (KeyError, ValueError, RecursionError) as error:  # TOML and Unicode errors are ValueErrors
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise BadInput(
            f"{file} is not a ledger description: {why}",
            code="bad_ledger_toml",
            hint="restore ledger.toml from a copy; the log itself is in log/",
        ) from None
    if found.format > FORMAT_VERSION:
        raise BadInput(
            f"{file} has ledger format {found.format}, this version reads up to {FORMAT_VERSION}; nothing was touched",
            code="newer_format",
            hint="upgrade perfledger",
        )
    check_origin(found.origin)
    return found


def check_origin(origin: str) -> str:
    """Return a valid origin name or raise `BadInput`: it is a folder name and part of every event."""
    if not ORIGIN_PATTERN.fullmatch(origin):
        raise BadInput(
            f"origin {origin!r} is not a name: lower-case letters, digits, dot, dash, underscore, at most 63",
            code="bad_origin",
            hint="perfledger init --origin NAME",
        )
    return origin


def outside_ledger(path: str | os.PathLike[str], open_ledger: Path | None = None) -> Path:
    """Return where an output goes. Raises `BadInput` when that is inside a ledger, where only the ledger writes.

    Any folder that holds a ledger is one, also for commands that open none. `open_ledger` is the open one's folder.
    """
    target = Path(os.path.realpath(path))  # unlike resolve(), accepts a link that leads to itself
    inside = open_ledger is not None and target.is_relative_to(open_ledger.resolve())
    if inside or any((p / "ledger.toml").is_file() and (p / "log").is_dir() for p in (target, *target.parents)):
        raise BadInput(
            f"{path} is inside the ledger, where only the ledger itself writes; nothing was written",
            code="output_in_ledger",
            hint="name a file elsewhere",
        )
    return target
