"""A Python file as bytes and as text, with nothing lost between the two."""

from __future__ import annotations

import codecs
import io
import tokenize
from pathlib import Path

import msgspec

from ledger.errors import BadInput


class Source(msgspec.Struct, frozen=True):
    """The text of a Python file and how its bytes are made from it.

    `encoding` comes from the byte order mark or the coding cookie, else UTF-8 (PEP 263). Line ends
    are kept as they are.
    """

    path: Path
    text: str
    encoding: str
    bom: bytes = b""

    def to_bytes(self, text: str | None = None) -> bytes:
        """Return the bytes of `text` (default: the unchanged file)."""
        return self.bom + (self.text if text is None else text).encode(self.encoding)


def read_source(data: bytes, path: Path) -> Source:
    """Decode a Python file. Raises `BadInput` when its text does not encode to exactly its bytes."""
    try:
        name, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except SyntaxError as error:
        raise _unreadable(path, str(error)) from None
    bom = codecs.BOM_UTF8 if name == "utf-8-sig" else b""
    encoding = "utf-8" if bom else name
    try:
        text = data[len(bom) :].decode(encoding)
        same = bom + text.encode(encoding) == data
    except UnicodeError as error:
        raise _unreadable(path, str(error)) from None
    if not same:
        raise _unreadable(path, f"its bytes do not survive {encoding}")
    return Source(path, text, encoding, bom)


def _unreadable(path: Path, why: str) -> BadInput:
    return BadInput(
        f"{path} cannot be read as Python source: {why}",
        code="unreadable_source",
        hint="correct the file or its coding cookie",
        file=str(path),
    )
