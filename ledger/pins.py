"""What `ledger.toml` pins: files named with their digest, trusted because they are local and not pulled.

[approval_policy]
file = "approval-policy.json"      # relative to the ledger's folder, or absolute
sha256 = "..."
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ledger import disk
from ledger.errors import BadInput, Refused

APPROVAL_POLICY = "approval_policy"


@dataclass(frozen=True)
class Pin:
    """A file and the SHA-256 of its bytes. `file` is as written, relative to the ledger's folder or absolute."""

    file: str
    sha256: str


def read_pin(folder: Path, name: str) -> Pin | None:
    """Return a pin of `ledger.toml`, None without one. Raises `BadInput` for one that is not whole."""
    description = folder / "ledger.toml"
    table = tomllib.loads(description.read_text(encoding="utf-8")).get(name)
    if table is None:
        return None
    file, digest = (table.get("file"), table.get("sha256")) if isinstance(table, dict) else (None, None)
    if not isinstance(file, str) or not file or not re.fullmatch("[0-9a-f]{64}", str(digest)):
        raise BadInput(
            f"{description}: [{name}] does not name a file with its sha256",
            code="bad_pin",
            hint="perfledger reseed policy --pin FILE writes it",
        )
    return Pin(file, str(digest))


def pinned_bytes(folder: Path, pin: Pin) -> bytes:
    """Return the bytes of a pinned file. Raises `Refused` when it is missing or is not what was pinned."""
    path = folder / pin.file
    hint = "put the file back as it was, or pin another on purpose: perfledger reseed policy --pin FILE"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refused(
            f"{path}, pinned in ledger.toml, cannot be read: {error.strerror}", code="pinned_file_missing", hint=hint
        ) from None
    found = sha256(data).hexdigest()
    if found != pin.sha256:
        raise Refused(
            f"{path} is not the file that ledger.toml pins: it has {found[:12]}, pinned is {pin.sha256[:12]}",
            code="pinned_file_changed",
            hint=hint,
        )
    return data


def write_pin(folder: Path, name: str, pin: Pin) -> None:
    """Name a file with its digest in `ledger.toml`, in place of what was pinned under this name."""
    description = folder / "ledger.toml"
    text = description.read_text(encoding="utf-8")
    without = re.sub(rf"(?ms)^\[{name}\]\n.*?(?=^\[|\Z)", "", text).rstrip("\n")
    # a JSON string without control characters is a TOML basic string
    table = f'[{name}]\nfile = {json.dumps(pin.file, ensure_ascii=False)}\nsha256 = "{pin.sha256}"\n'
    disk.overwrite(description, f"{without}\n\n{table}".encode())
    assert read_pin(folder, name) == pin
