"""What sharing costs: requests and time of pushes, pulls and uploads, against the usual tool on the same server.

The server is the test Hub in this process, over real HTTP on loopback, so requests count exactly and times compare
only with each other. The peer is `huggingface_hub` as people call it: `upload_file`, `create_commit`,
`snapshot_download`.

    python -m benchmarks.sync
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.start import print_rows

SEGMENTS = 1_000
EVENTS_FEW, EVENTS_MANY = 100, 10_000
RECORDS = 100
URL = "hf://datasets/org/perf/ledger"

Row = dict[str, Any]


@contextmanager
def hub() -> Iterator[Any]:
    """A Hub in this process, and the environment pointed at it."""
    from tests.hub_server import HubServer

    with HubServer() as server:
        server.create("org/perf")
        os.environ.update(server.env(), HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
        yield server


def pin(number: int) -> Any:
    """A small event."""
    from ledger.event import NewEvent
    from ledger.events.baselines import BaselinePinned

    return NewEvent(
        stream=f"target/{number % 50}",
        payload=BaselinePinned(
            target="m@g",
            name=f"pin {number}",
            medians={"latency": 20.0 + number % 17},
            result_event_ids=[],
            reason="bench",
        ),
    )


def counted(server: Any, action: Callable[[], object]) -> tuple[int, float]:
    """Run an action; return how many requests it made and how long it took."""
    before, begun = len(server.requests), time.perf_counter()
    action()
    return len(server.requests) - before, time.perf_counter() - begun


def row(name: str, value: float, unit: str, peer: float, against: str, limit: float) -> Row:
    """One line of the table. The ratio is `value` to `peer`."""
    ratio = value / peer if peer else float("inf")
    return {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "ratio": round(ratio, 4),
        "against": against,
        "limit": limit,
        "ok": ratio <= limit,
    }


def pushes(folder: Path) -> list[Row]:
    """A push of many events against one of few, and against the same bytes in one plain commit."""
    rows: list[Row] = []
    # the LFS protocol itself makes two requests per new file (PUT, verify); a segment is some 7,000 events
    for lfs, store, limit in ((False, "regular files", 1.0), (True, "large file storage", 1.5)):
        with hub() as server:
            server.lfs = lfs
            few, many, plain, commits = one_push(server, folder / store)
        rows += [
            row(
                f"sync: requests of a push of {EVENTS_MANY:,} events, {store}",
                many[0],
                "requests",
                few[0],
                f"a push of {EVENTS_FEW} events ({few[0]})",
                limit,
            ),
            row(
                f"sync: commits of a push of {EVENTS_MANY:,} events, {store}", commits, "commits", 1, "one commit", 1.0
            ),
            row(
                f"sync: time of a push of {EVENTS_MANY:,} events, {store}",
                many[1],
                "s",
                plain,
                f"encoding them as Parquet and one plain commit ({plain:.3f} s)",
                5.0,
            ),
        ]
    return rows


def one_push(server: Any, folder: Path) -> tuple[tuple[int, float], tuple[int, float], float, int]:
    """Push few events, then many; return requests and seconds of both, the peer's seconds, and the commits of many."""
    from huggingface_hub import CommitOperationAdd, HfApi

    from ledger.ledger import Ledger
    from ledger.log import segment
    from ledger.remotes.open import open_remote
    from ledger.sync.push import push

    ledger = Ledger.create(folder, origin="bench", actor="bench@example.org")
    push(ledger, open_remote(URL))
    found = []
    for events in (EVENTS_FEW, EVENTS_MANY):
        for start in range(0, events, 100):
            ledger.append([pin(number) for number in range(start, start + 100)])
        before, known = len(server.repos["org/perf"].commits), set(ledger.log.segment_paths()[:2])
        found.append(counted(server, lambda: push(ledger, open_remote(URL))))
    commits = len(server.repos["org/perf"].commits) - before
    api = HfApi(endpoint=server.endpoint, token=os.environ["HF_TOKEN"])
    batches = [segment.read(path) for path in ledger.log.segment_paths() if path not in known]

    def plainly() -> None:
        api.create_commit(
            "org/perf",
            [
                CommitOperationAdd(f"plain/{number}.parquet", segment.encode(events))
                for number, events in enumerate(batches)
            ],
            commit_message="plain",
            repo_type="dataset",
        )

    return found[0], found[1], counted(server, plainly)[1], commits


def pulls(folder: Path) -> list[Row]:
    """A pull of one new segment among a thousand known ones, against a snapshot of the same repository."""
    from huggingface_hub import snapshot_download

    from ledger.ledger import Ledger
    from ledger.remotes.open import open_remote
    from ledger.sync.pull import pull
    from ledger.sync.push import push

    with hub() as server:
        writer = Ledger.create(folder / "writer", origin="writer", actor="bench@example.org")
        reader = Ledger.create(folder / "reader", origin="reader", actor="bench@example.org")
        for number in range(SEGMENTS):
            writer.append([pin(number)])
            writer.log.seal()
        push(writer, open_remote(URL))
        pull(reader, open_remote(URL))
        mirror = folder / "mirror"
        snapshot_download("org/perf", repo_type="dataset", local_dir=mirror, endpoint=server.endpoint)
        writer.append([pin(SEGMENTS)])
        push(writer, open_remote(URL))
        requests, seconds = counted(server, lambda: pull(reader, open_remote(URL)))
        peer_requests, peer_seconds = counted(
            server,
            lambda: snapshot_download("org/perf", repo_type="dataset", local_dir=mirror, endpoint=server.endpoint),
        )
        again, _ = counted(server, lambda: pull(reader, open_remote(URL)))
    peer = f"snapshot_download into a folder that has the rest ({peer_requests:,})"
    return [
        row(f"sync: requests to pull 1 new of {SEGMENTS:,} segments", requests, "requests", peer_requests, peer, 0.1),
        row(
            f"sync: requests per known segment, {SEGMENTS:,} known",
            (requests - again) / SEGMENTS,
            "requests",
            1,
            "one request per known segment",
            0.01,
        ),
        row(
            f"sync: time to pull 1 new of {SEGMENTS:,} segments",
            seconds,
            "s",
            peer_seconds,
            f"snapshot_download ({peer_seconds:.2f} s)",
            1.0,
        ),
    ]


def uploads(folder: Path) -> list[Row]:
    """An upload of a hundred records against a hundred single uploads, which is what the usual tool makes."""
    from huggingface_hub import HfApi

    from ledger.ledger import Ledger
    from ledger.sync.uploads import RecordFile, queue, send_waiting

    with hub() as server:
        ledger = Ledger.create(folder / "uploads", origin="bench", actor="bench@example.org")
        repo = server.repos["org/perf"]
        files = [RecordFile(f"model/{number}.json", b'{"latency": %d}' % number, "m@g") for number in range(RECORDS)]

        def ours() -> None:
            queue(ledger, "hf://datasets/org/perf", files, message="Perf: 100 records")
            assert send_waiting(ledger)[0].state == "uploaded"

        def theirs() -> None:
            api = HfApi(endpoint=server.endpoint, token=os.environ["HF_TOKEN"])
            for number in range(RECORDS):
                api.upload_file(
                    path_or_fileobj=b'{"latency": %d}' % number,
                    path_in_repo=f"peer/{number}.json",
                    repo_id="org/perf",
                    repo_type="dataset",
                )

        before = len(repo.commits)
        requests, seconds = counted(server, ours)
        commits = len(repo.commits) - before
        peer_requests, peer_seconds = counted(server, theirs)
        peer_commits = len(repo.commits) - before - commits
    return [
        row(
            f"sync: commits of an upload of {RECORDS} records",
            commits,
            "commits",
            peer_commits,
            f"upload_file per record ({peer_commits})",
            0.01,
        ),
        row(
            f"sync: requests of an upload of {RECORDS} records",
            requests,
            "requests",
            peer_requests,
            f"upload_file per record ({peer_requests})",
            0.05,
        ),
        row(
            f"sync: time of an upload of {RECORDS} records",
            seconds,
            "s",
            peer_seconds,
            f"upload_file per record ({peer_seconds:.2f} s)",
            0.5,
        ),
    ]


def main() -> list[Row]:
    """Measure; return rows for the benchmark table."""
    # read when the library is imported: the loopback Hub has no chunk store
    os.environ["HF_HUB_DISABLE_XET"] = "1"
    folder = Path(tempfile.mkdtemp())
    try:
        return [*pushes(folder), *pulls(folder), *uploads(folder)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    print_rows(main())
