"""The evidence store: content-addressed copies of what was judged, named by SHA-256.

Small pieces (a record's original bytes) go line by line into the origin's evidence tail and are sealed, many
to a Parquet pack; large ones (logs, telemetry, backups) are files of their own. A put returns after the bytes are
durable, and the event that cites the digest is appended after that. The index is derived and may be deleted.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from ledger import disk
from ledger.errors import BadInput, Damaged
from ledger.evidence.index import TAIL_NAME, PieceIndex
from ledger.evidence.pieces import (
    MISMATCH,
    Problem,
    check_pack,
    digest_in,
    is_content,
    is_digest,
    parse,
    piece_of,
    read_small,
    whole_lines,
)
from ledger.log import lock

SMALL_BYTES_MAX = 64 * 1024
TAIL_BYTES_MAX = 8 * 2**20
PACK_BATCH_BYTES = 2 * 2**20  # a put of more than this at once becomes a pack directly


class EvidenceStore:
    """The evidence of a ledger: `put` writes under this ledger's origin, `get` finds any origin's."""

    def __init__(self, root: Path, origin: str) -> None:
        self.root = root
        self.folder = root / origin
        self.large = root / "sha256"
        self._index = PieceIndex(root, origin)

    # ---------------------------------------------------------------- writing

    def put(self, data: bytes, media_type: str = "application/octet-stream") -> str:
        """Store bytes durably and return their SHA-256 hex. Storing the same bytes again is free."""
        del media_type  # the event that cites the digest says what it is
        return self.put_many([data])[0]

    def put_file(self, path: str | os.PathLike[str]) -> str:
        """Store a file's bytes durably and return their SHA-256 hex."""
        return self.put(Path(path).read_bytes())

    def put_many(self, items: Sequence[bytes]) -> list[str]:
        """Store many pieces with one sync. Returns their digests in order."""
        digests = [sha256(data).hexdigest() for data in items]
        small: dict[str, bytes] = {}
        for digest, data in zip(digests, items, strict=True):
            if len(data) > SMALL_BYTES_MAX:
                self._put_large(digest, data)
            else:
                small.setdefault(digest, data)
        if small:
            disk.make_directory(self.folder)
            with lock.exclusive(self.folder / "lock"):
                self._put_small(small)
        return digests

    def _put_large(self, digest: str, data: bytes) -> None:
        target = self.large / digest[:2] / digest
        disk.make_directory(target.parent)
        if not target.exists() and disk.put_if_absent(target, data):
            return
        if is_content(target.read_bytes(), digest):
            disk.fsync_directory(target.parent)  # whoever linked it may have died before its name was durable
        else:
            disk.overwrite(target, data)  # damaged since, or cut short: a name alone keeps no bytes

    def _put_small(self, items: dict[str, bytes]) -> None:
        known = self._known(list(items))
        fresh = {d: b for d, b in items.items() if d not in known}
        if len(fresh) < len(items):
            self._sync()
        if not fresh:
            return
        if sum(map(len, fresh.values())) > PACK_BATCH_BYTES:
            self._pack(fresh)
            return
        tail = self.folder / TAIL_NAME
        data = b"".join(msgspec.json.encode(piece_of(d, b)) + b"\n" for d, b in fresh.items())
        fd = os.open(tail, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            size = self._set_aside(fd)
            if size == 0:
                disk.fsync_directory(self.folder)  # whoever created the file may have died before its name was durable
            try:
                disk.write_all(fd, data)
                os.fdatasync(fd)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(fd, size)
                raise
        finally:
            os.close(fd)
        self._index.remember(fresh, f"{self.folder.name}/{TAIL_NAME}")
        if size + len(data) > TAIL_BYTES_MAX:
            with contextlib.suppress(OSError, Damaged):  # the pieces are durable; packing them can wait
                self._seal()

    def _sync(self) -> None:
        """Make durable what is there already: a process that wrote it may have died before it was."""
        disk.fsync_file(self.folder / TAIL_NAME)
        disk.fsync_directory(self.folder)

    def _set_aside(self, fd: int) -> int:
        """Keep the bytes of an unfinished write for a person to see and cut them off. Return the tail's size."""
        size = os.fstat(fd).st_size
        if size == 0 or os.pread(fd, 1, size - 1) == b"\n":
            return size
        data = os.pread(fd, size, 0)
        whole = data.rfind(b"\n") + 1
        folder = self.folder / "torn"
        disk.make_directory(folder)
        disk.put_if_absent(folder / f"{os.fstat(fd).st_ino}-{whole}", data[whole:])
        os.ftruncate(fd, whole)
        return whole

    def seal(self) -> None:
        """Move the tail's pieces into a pack."""
        if (self.folder / TAIL_NAME).exists():
            with lock.exclusive(self.folder / "lock"):
                self._seal()

    def _seal(self) -> None:
        tail = self.folder / TAIL_NAME
        pieces: dict[str, bytes] = {}
        for line in whole_lines(tail):
            piece = parse(line)
            if piece is None:
                raise Damaged(
                    f"{tail} holds a piece of evidence that is not what it was; nothing was moved",
                    code="evidence_damaged",
                    hint="perfledger verify",
                    file=str(tail),
                )
            pieces[piece[0]] = piece[1]
        if pieces:
            self._pack(pieces)
        if tail.exists():
            disk.overwrite(tail, b"")

    def _pack(self, items: dict[str, bytes]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        digests = sorted(items)
        table = pa.table(
            {
                "sha256": digests,
                "size": [len(items[d]) for d in digests],
                "data": pa.array([items[d] for d in digests], type=pa.binary()),
            }
        )
        sink = io.BytesIO()
        pq.write_table(
            table,
            sink,
            compression="zstd",
            version="2.6",
            row_group_size=2_000,
            store_schema=False,
            write_page_checksum=True,
        )
        body = sink.getvalue()
        # named by its own content: packs of a crash-repeated seal are the same file
        name = f"{sha256(body).hexdigest()[:32]}.parquet"
        if not disk.put_if_absent(self.folder / name, body) and (self.folder / name).read_bytes() != body:
            disk.overwrite(self.folder / name, body)  # damaged since: what it held is given again
        self._index.remember(items, f"{self.folder.name}/{name}")

    # ---------------------------------------------------------------- reading

    def has(self, digest: str) -> bool:
        """Whether the store holds these bytes, whole."""
        return self._find(digest)[0] is not None

    def get(self, digest: str) -> bytes:
        """Return the bytes of a digest. Raises `BadInput` when unknown, `Damaged` when they are not what they were."""
        data, wrong = self._find(digest)
        if data is not None:
            return data
        if wrong:
            raise Damaged(
                f"evidence {digest} is not what it was: {wrong}", code="evidence_damaged", hint="perfledger verify"
            )
        raise BadInput(
            f"no evidence {digest}", code="no_such_evidence", hint="perfledger sync pull brings other machines'"
        )

    def _find(self, digest: str) -> tuple[bytes | None, str]:
        """Return the bytes of a digest, or None and which file has other bytes under it.

        A file that claims a piece and has another is passed over for one that has it: a pack may claim anything.
        """
        wrong = ""
        large = self.large / digest[:2] / digest
        with contextlib.suppress(FileNotFoundError):
            data = large.read_bytes()
            if is_content(data, digest):
                return data, ""
            wrong = str(large)
        if not self.root.is_dir() or not is_digest(digest):
            return None, wrong
        hinted = self._index.places([digest])[digest]
        # all files after the hinted ones: a seal may have moved it and could not say so
        for place in dict.fromkeys([*hinted, *self._index.everywhere()]):
            found = read_small(self.root / place, {digest})
            if digest in found.good:
                return found.good[digest], ""
            if found.wrong or (place in hinted and found.unreadable):
                wrong = wrong or str(self.root / place)
        return None, wrong

    def _known(self, digests: Sequence[str]) -> set[str]:
        """Return which of these pieces this ledger's own files hold. They are read and hashed here and now.

        Neither an index nor another machine's pack makes a write unnecessary: what they claim may never have been.
        """
        claimed: dict[str, set[str]] = {}
        for digest, places in self._index.places(digests).items():
            for place in filter(self._index.is_own, places):
                claimed.setdefault(place, set()).add(digest)
        return {digest for place, wanted in claimed.items() for digest in read_small(self.root / place, wanted).good}

    def files(self) -> list[Path]:
        """Return the sealed files, relative to the evidence folder: packs of every origin and large pieces."""
        packs = self.root.glob("*/*.parquet")
        large = self.large.glob("??/*")
        return sorted(p.relative_to(self.root) for p in (*packs, *large) if not p.name.startswith(".tmp-"))

    def check(self) -> Iterator[Problem | str]:
        """Read everything: yield the digest of each good piece and a `Problem` for each bad one.

        A pack or a large file is named by its digest and a line of the tail has one form only, so every byte counts.
        The tails are read before the packs are listed: a seal in between shows its pieces in both, never in none.
        """
        lines = [
            (str(tail.relative_to(self.root)), line, parse(line))
            for tail in sorted(self.root.glob(f"*/{TAIL_NAME}"))
            for line in whole_lines(tail)
        ]
        for relative in self.files():
            path = self.root / relative
            if relative.parts[0] == "sha256":
                good = is_content(path.read_bytes(), path.name)
                yield path.name if good else Problem(str(relative), path.name, "its bytes do not match its name")
            else:
                yield from check_pack(path, str(relative))
        for place, line, piece in lines:
            yield piece[0] if piece else Problem(place, digest_in(line), MISMATCH)

    def remembered(self) -> dict[str, str]:
        """Return the digests the derived index has acknowledged, with the file each was put in. Never leads the files:
        what it names and no file holds is gone."""
        return self._index.remembered()
