"""Small pieces of evidence on disk: lines of a tail, rows of a pack. One form each, so that every byte is verified."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from ledger.limits import PARQUET
from ledger.log import parquet_pages

_DIGEST = re.compile("[0-9a-f]{64}")
MISMATCH = "its bytes do not match its digest"


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One small piece of evidence as a line of the tail."""

    data: str
    encoding: str
    sha256: str

    def content(self) -> bytes:
        """Return the original bytes."""
        return self.data.encode() if self.encoding == "utf8" else base64.b64decode(self.data)


@dataclass(frozen=True)
class Problem:
    """A piece of evidence that is not what its name says."""

    place: str
    digest: str
    reason: str


def is_digest(text: object) -> bool:
    """Whether something is a SHA-256 in hex, as a pack or an index of unknown make may claim to hold one."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def is_content(data: bytes, digest: str) -> bool:
    """Whether bytes have this SHA-256."""
    return sha256(data).hexdigest() == digest


def piece_of(digest: str, data: bytes) -> Piece:
    """Return the one way to write a piece in the tail: as text when it is UTF-8, else in base64."""
    try:
        return Piece(data=data.decode(), encoding="utf8", sha256=digest)
    except UnicodeDecodeError:
        return Piece(data=base64.b64encode(data).decode(), encoding="base64", sha256=digest)


def whole_lines(path: Path) -> list[bytes]:
    """Return the complete lines of a tail. What follows them is an unfinished write, never acknowledged."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []


def read_tail(path: Path) -> Iterator[Piece]:
    """Yield the pieces of a tail that can be read; what cannot is for `verify` to name."""
    for line in whole_lines(path):
        with contextlib.suppress(msgspec.MsgspecError, UnicodeError):
            yield msgspec.json.decode(line, type=Piece)


def parse(line: bytes) -> tuple[str, bytes] | None:
    """Return (digest, content) of a tail line, or None when it is not to the byte what a put wrote."""
    try:
        piece = msgspec.json.decode(line, type=Piece)
        content = piece.content()
    except (msgspec.MsgspecError, ValueError):
        return None
    whole = is_content(content, piece.sha256) and msgspec.json.encode(piece_of(piece.sha256, content)) == line
    return (piece.sha256, content) if whole else None


def digest_in(line: bytes) -> str:
    """Return the digest a damaged line names, as far as it can be read."""
    try:
        return msgspec.json.decode(line, type=Piece).sha256
    except (msgspec.MsgspecError, UnicodeError):
        _, _, rest = line.rpartition(b'"sha256":"')
        text = rest[:64].decode(errors="replace")
        return text if len(text) == 64 and all(c in "0123456789abcdef" for c in text) else ""


def check_pack(path: Path, place: str) -> Iterator[Problem | str]:
    """Yield the digest of each good piece of a pack and a `Problem` for what is bad. Its name is its digest."""
    import pyarrow as pa

    whole = sha256(path.read_bytes()).hexdigest()[:32] == path.stem
    try:
        rows = list(read_pack(path))
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        yield Problem(place, "", f"unreadable pack: {str(error).splitlines()[0]}")
        return
    bad = [Problem(place, digest, MISMATCH) for digest, data in rows if not is_content(data, digest)]
    if not (whole or bad):
        bad = [Problem(place, "", "its bytes do not match its name")]
    yield from bad
    yield from (digest for digest, data in rows if is_content(data, digest))


@dataclass
class Found:
    """What a file has of some wanted pieces: `good` bytes by digest, and which of them it has other bytes under."""

    good: dict[str, bytes] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    unreadable: bool = False


def read_small(path: Path, wanted: Collection[str]) -> Found:
    """Read pieces from a tail or a pack; each one that is returned was hashed. A file that is gone has none."""
    found = Found()
    try:
        for digest, data in _small(path, wanted):
            if digest not in wanted:
                continue
            if is_content(data, digest):
                found.good[digest] = data
            else:
                found.wrong.add(digest)
    except _errors() as error:
        found.unreadable = not isinstance(error, FileNotFoundError)
    return found


def _small(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    if path.suffix == ".parquet":
        yield from read_pack(path, next(iter(wanted)) if len(wanted) == 1 else None)
        return
    for piece in read_tail(path):
        if piece.sha256 in wanted:
            with contextlib.suppress(ValueError):
                yield piece.sha256, piece.content()


def _errors() -> tuple[type[Exception], ...]:
    import sys

    arrow = sys.modules.get("pyarrow")  # a tail is read without it
    return (OSError, KeyError, TypeError, ValueError, *((arrow.ArrowException,) if arrow else ()))


def refuse_bomb(path: Path) -> None:
    """Refuse a pack of unknown make that takes more to read than one of ours. Raises `parquet_pages.TooMuch`."""
    import pyarrow as pa

    shape = pa.schema([("sha256", pa.string()), ("size", pa.int64()), ("data", pa.binary())])
    parquet_pages.check(path, shape, shape.names, replace(PARQUET, columns=3))


def pack_digests(path: Path) -> list[str]:
    """Return the digests of a pack's pieces."""
    import pyarrow.parquet as pq

    digests = pq.read_table(path, columns=["sha256"], partitioning=None).column(0).to_pylist()
    return [digest for digest in digests if is_digest(digest)]


def read_pack(path: Path, digest: str | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield (digest, content) of a pack's pieces, or of one. Raises Arrow's errors when it is not a pack."""
    import pyarrow.parquet as pq

    filters: Any = [("sha256", "==", digest)] if digest else None
    table = pq.read_table(
        path, columns=["sha256", "data"], filters=filters, page_checksum_verification=True, partitioning=None
    )
    for name, data in zip(table.column("sha256").to_pylist(), table.column("data").to_pylist(), strict=True):
        if not is_digest(name) or not isinstance(data, bytes):
            raise ValueError("a row is not a digest with its bytes")
        yield name, data
