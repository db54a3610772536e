"""Pull: other origins' segments and evidence, staged aside and verified before they count."""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path

from ledger import disk
from ledger.adoption import adopt
from ledger.errors import Conflict, Damaged, PerfledgerError
from ledger.evidence.pieces import Problem, check_pack, refuse_bomb
from ledger.layout import ORIGIN_PATTERN
from ledger.ledger import Ledger
from ledger.log import lock, segment
from ledger.log.parquet_pages import TooMuch
from ledger.remotes.remote import Remote, Snapshot
from ledger.remotes.retry import asking
from ledger.sync import checkpoint, outbox, signed

DOWNLOADS_AT_ONCE = 4
PACK_DIGEST_LENGTH = 32  # a pack of small evidence is named by the first half of its SHA-256


@dataclass(frozen=True)
class PulledOrigin:
    """What became known of one origin: positions `first`..`last`."""

    origin: str
    first: int
    last: int
    segments: int


@dataclass
class PullReport:
    """What a pull did."""

    remote: str
    revision: str | None
    origins: list[PulledOrigin] = field(default_factory=list)
    evidence: int = 0

    @property
    def events(self) -> int:
        """How many events became known."""
        return sum(found.last - found.first + 1 for found in self.origins)


def pull(ledger: Ledger, remote: Remote, *, say: Callable[[str], None] = lambda _: None) -> PullReport:
    """Take in what a remote has of other origins. Only files this ledger lacks are requested.

    An origin that does not verify, or that forked, is left out; the others are taken in, and then its error is
    raised: `Damaged` (also when its log was cut off behind its own checkpoint) or `Conflict` (`forked_origin`).
    """
    with lock.exclusive(ledger.path / "sync.lock"):
        snapshot = asking(remote.snapshot, remote.policy, name=remote.url)
        report = PullReport(remote.url, snapshot.revision)
        problems: list[PerfledgerError] = []
        with _staging(ledger) as staging:
            bad = _pull_evidence(ledger, remote, snapshot, staging, report)
            problems += bad.values()
            for origin in _origins(snapshot):
                if origin in bad:
                    continue
                try:
                    if origin == ledger.origin:
                        _check_own(ledger, remote, snapshot)
                    else:
                        _pull_origin(ledger, remote, snapshot, origin, staging, report)
                        signed.pull(ledger, remote, snapshot, origin, say=say)
                except (Damaged, Conflict) as error:
                    problems.append(error)
        for another in problems[1:]:
            say(another.message)
        if problems:
            raise problems[0]
        return report


def _origins(snapshot: Snapshot) -> list[str]:
    """Return the origins a remote has, in name order."""
    names = {path.split("/")[1] for path in snapshot.files if path.startswith("log/") and path.count("/") == 2}
    return sorted(name for name in names if ORIGIN_PATTERN.fullmatch(name))


def _segments(snapshot: Snapshot, origin: str) -> list[str]:
    """Return the paths of an origin's segments at a remote, in position order."""
    folder = f"log/{origin}/"
    names = (path[len(folder) :] for path in snapshot.files if path.startswith(folder))
    return sorted(folder + name for name in names if segment.first_of(name) is not None)


def _pull_origin(
    ledger: Ledger, remote: Remote, snapshot: Snapshot, origin: str, staging: Path, report: PullReport
) -> None:
    held = {path.name: path for path in ledger.log_of(origin).segment_paths()}
    there = _segments(snapshot, origin)
    common = [path for path in there if path.rpartition("/")[2] in held]
    if common:
        _same_history(remote, snapshot, common[-1], held[common[-1].rpartition("/")[2]], staging)
    known = set(common)
    fresh = [path for path in there if path not in known]
    if not fresh and _announced(ledger, origin):
        _check_reach(ledger, remote, snapshot, origin)
        return
    folder = staging / origin
    folder.mkdir()
    with _downloads(remote, snapshot, fresh) as files:
        pulled = adopt(ledger, origin, _stage(files, folder), remote=remote.url, address=remote.address)
    shutil.rmtree(folder)
    if pulled is not None:
        report.origins.append(PulledOrigin(origin, pulled.first, pulled.last, len(fresh)))
    _check_reach(ledger, remote, snapshot, origin)


def _stage(files: Iterable[tuple[str, bytes]], folder: Path) -> Iterator[Path]:
    """Put files aside one by one, as they are asked for."""
    for path, data in files:
        target = folder / path.rpartition("/")[2]
        target.write_bytes(data)
        yield target


def _announced(ledger: Ledger, origin: str) -> bool:
    """Whether a pull has noted all we hold of an origin; one that was killed may have left segments it did not."""
    paths = ledger.log_of(origin).segment_paths()
    note = outbox.newest(ledger, {"EventsPulled"}, stream=f"origin/{origin}") if paths else None
    return not paths or (note is not None and note.body()["last"] == segment.info(paths[-1]).last)


def _same_history(remote: Remote, snapshot: Snapshot, path: str, held: Path, staging: Path) -> None:
    """Compare the last segment both sides have: it chains to all before it, so its content speaks for them.

    Other bytes are looked at before they are called a fork: a Parquet file has bytes that no event is made of.
    """
    if snapshot.files[path].is_content(held.read_bytes()):
        return
    theirs = staging / held.name
    with _downloads(remote, snapshot, [path]) as files:
        [(_, data)] = files
    theirs.write_bytes(data)
    ours, other = segment.info(held), segment.info(theirs)
    if (ours.first, ours.last, ours.head_hash) != (other.first, other.last, other.head_hash):
        raise checkpoint.forked(ours.origin, remote.url, own=False, position=ours.first)


def _check_reach(ledger: Ledger, remote: Remote, snapshot: Snapshot, origin: str) -> None:
    """Hold an origin's log against its checkpoint: a cut-off log verifies, only the checkpoint tells."""
    paths = ledger.log_of(origin).segment_paths()
    ours = segment.info(paths[-1]) if paths else None
    found = asking(lambda: checkpoint.read(remote, snapshot, origin, expected=ours), remote.policy, name=remote.url)
    if found is None:
        return
    here = checkpoint.hash_here(ledger, origin, found.position)
    if here is None:
        reach = ledger.head(origin).position
        if snapshot.revision is None and _grew(remote, origin, reach):
            return  # its writer pushed since our listing; the next pull takes that in
        raise Damaged(
            f"the log of {origin} at {remote.url} ends at position {reach:,}, but it had reached {found.position:,}: "
            "its end was cut off there",
            code="remote_cut_off",
            origin=origin,
            position=reach + 1,
            remote=remote.url,
            hint=f"`perfledger sync push` on the machine of {origin} puts the missing segments back",
        )
    if here != found.hash:
        raise checkpoint.forked(origin, remote.url, own=False, position=found.position)


def _grew(remote: Remote, origin: str, reach: int) -> bool:
    """Whether a new listing has segments after a position. They are put before the checkpoint that names them."""
    newer = asking(remote.snapshot, remote.policy, name=remote.url)
    return any((segment.first_of(path.rpartition("/")[2]) or 0) > reach for path in _segments(newer, origin))


def _check_own(ledger: Ledger, remote: Remote, snapshot: Snapshot) -> None:
    """Warn when another ledger writes under this origin's name; a push would be refused."""
    held = {path.name: path for path in ledger.log.segment_paths()}
    for path in _segments(snapshot, ledger.origin):
        name = path.rpartition("/")[2]
        if name not in held or not snapshot.files[path].size == held[name].stat().st_size:
            raise checkpoint.forked(ledger.origin, remote.url, own=True, position=segment.first_of(name) or 0)


def _pull_evidence(
    ledger: Ledger, remote: Remote, snapshot: Snapshot, staging: Path, report: PullReport
) -> dict[str, PerfledgerError]:
    """Take in evidence files this ledger lacks, each one read to the last row first: what it claims must be so.

    Returns what is wrong, by the folder it is in: an origin's name, or `sha256` for large pieces. Of an origin with a
    bad pack nothing is taken in.
    """
    held = {f"evidence/{relative.as_posix()}" for relative in ledger.evidence.files()}
    own = f"evidence/{ledger.origin}/"
    fresh = [
        path
        for path in sorted(snapshot.files)
        if path.startswith("evidence/") and path not in held and not path.startswith(own) and _is_evidence(path)
    ]
    bad: dict[str, PerfledgerError] = {}
    for path in fresh:
        if (error := _too_large(remote, snapshot, path)) is not None:
            bad.setdefault(path.split("/")[1], error)
    fresh = [path for path in fresh if _too_large(remote, snapshot, path) is None]
    good: list[tuple[str, Path]] = []
    with _downloads(remote, snapshot, fresh) as files:
        for path, data in files:
            staged = staging / path
            staged.parent.mkdir(parents=True, exist_ok=True)
            staged.write_bytes(data)
            wrong = _wrong_evidence(staged, path)
            if wrong is None:
                good.append((path, staged))
            else:
                bad.setdefault(path.split("/")[1], _evidence_refused(remote, path, wrong))
    for path, staged in good:
        if path.split("/")[1] not in bad or path.startswith("evidence/sha256/"):
            target = ledger.path / path
            disk.make_directory(target.parent)
            disk.put_file_if_absent(target, staged)
            report.evidence += 1
    return bad


def _wrong_evidence(staged: Path, path: str) -> str | None:
    """Return what is wrong with an evidence file, or None. Every row of a pack has the digest it claims."""
    if path.startswith("evidence/sha256/"):
        with staged.open("rb") as file:
            return None if file_digest(file, "sha256").hexdigest() == staged.name else "it is not what its name says"
    if len(staged.stem) != PACK_DIGEST_LENGTH:
        return "it is not named by its content"
    try:
        refuse_bomb(staged)
    except TooMuch as error:
        return str(error)
    problem = next((found for found in check_pack(staged, path) if isinstance(found, Problem)), None)
    return f"{problem.digest[:12]} {problem.reason}".strip() if problem else None


def _evidence_refused(remote: Remote, path: str, wrong: str) -> Damaged:
    return Damaged(
        f"{remote.url}/{path} was not taken: {wrong}",
        code="evidence_damaged",
        hint="delete it there; the next push of the machine that wrote it puts it back",
        rule="evidence-changed",
        file=path,
    )


def _is_evidence(path: str) -> bool:
    parts = path.split("/")
    if len(parts) == 4 and parts[1] == "sha256":
        return len(parts[3]) == 64 and parts[3].startswith(parts[2])
    return len(parts) == 3 and parts[2].endswith(".parquet") and bool(ORIGIN_PATTERN.fullmatch(parts[1]))


@contextmanager
def _downloads(remote: Remote, snapshot: Snapshot, paths: list[str]) -> Iterator[Iterator[tuple[str, bytes]]]:
    """Give (path, bytes) in the order of `paths`, a few requests at a time and never much more than memory is for.

    Raises `Damaged` (`remote_file_too_large`) for a file that is listed with a size that none of ours has.
    """
    pool = ThreadPoolExecutor(DOWNLOADS_AT_ONCE)
    try:
        yield _arriving(pool, remote, snapshot, paths)
    finally:
        # Here, and not when the iterator is collected: the collector may run in a thread that is just starting, and
        # whoever starts it holds the lock that a shutdown takes.
        pool.shutdown(cancel_futures=True)


def _arriving(
    pool: ThreadPoolExecutor, remote: Remote, snapshot: Snapshot, paths: list[str]
) -> Iterator[tuple[str, bytes]]:
    def get(path: str) -> bytes:
        return asking(lambda: remote.read(snapshot, path), remote.policy, name=remote.url)

    limits = remote.limits
    waiting: deque[tuple[str, int, Future[bytes]]] = deque()
    for path in paths:
        size = snapshot.files[path].size
        if (error := _too_large(remote, snapshot, path)) is not None:
            raise error
        while waiting and (
            len(waiting) >= DOWNLOADS_AT_ONCE * 4 or sum(one[1] for one in waiting) + size > limits.in_flight_bytes
        ):
            first, _, data = waiting.popleft()
            yield first, data.result()
        waiting.append((path, size, pool.submit(get, path)))
    while waiting:
        first, _, data = waiting.popleft()
        yield first, data.result()


def _too_large(remote: Remote, snapshot: Snapshot, path: str) -> Damaged | None:
    """Return the refusal of a file by its listed size, or None."""
    size, limits = snapshot.files[path].size, remote.limits
    most = limits.large_file_bytes if path.startswith("evidence/sha256/") else limits.file_bytes
    if 0 <= size <= most:
        return None
    return Damaged(
        f"{remote.url}/{path} is listed with {size:,} bytes, at most {most:,} are taken; it was not fetched",
        code="remote_file_too_large",
        hint="such a file is never written by this program: find out what put it there, and delete it",
        rule="too-large",
        file=path,
    )


class _staging:  # noqa: N801  (used as a context manager only)
    """A folder on the ledger's own file system that is gone afterwards, whatever happened."""

    def __init__(self, ledger: Ledger) -> None:
        self._parent = ledger.path / "incoming"

    def __enter__(self) -> Path:
        # what a killed pull left: nothing in there was ever taken in, and the sync lock is ours
        shutil.rmtree(self._parent, ignore_errors=True)
        disk.make_directory(self._parent)
        return Path(tempfile.mkdtemp(dir=self._parent))

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._parent, ignore_errors=True)
