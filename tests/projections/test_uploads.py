"""The view `uploads`: every record file that was to leave, whoever sent it, as of any moment."""

from __future__ import annotations

from ledger.event import NewEvent
from ledger.events.reseeds import ReseedUploaded, ReseedUploadStarted
from ledger.events.uploads import RecordsUploaded, UploadRefused, UploadStarted
from ledger.ledger import Ledger
from ledger.sync.uploads import RecordFile, queue
from projections.state.state import State

DATASET = "hf://datasets/org/perf"
FILES = [RecordFile("m/1.json", b"{}\n", "m@g"), RecordFile("m/2.json", b"[]\n", "m@g")]


def states(ledger: Ledger, as_of: str | None = None) -> dict[str, str]:
    """Path to state."""
    with State.open(ledger, as_of=as_of) as state:
        return {row["path"]: row["state"] for row in state.rows("SELECT * FROM uploads ORDER BY path")}


def at(ledger: Ledger) -> str:
    """This moment, as --as-of names it."""
    return f"{ledger.head().position}@{ledger.origin}"


def test_an_upload_is_followed_step_by_step_and_each_moment_can_be_asked_again(ledger: Ledger) -> None:
    upload = f"upload/{queue(ledger, DATASET, FILES, message='Perf: m at 0123456')}"
    moments = [at(ledger)]
    for payload in (
        UploadStarted(parent="a" * 40, paths=["m/1.json", "m/2.json"]),
        RecordsUploaded(revision="b" * 40, parent="a" * 40, written=["m/1.json", "m/2.json"], already=[]),
    ):
        ledger.append([NewEvent(stream=upload, payload=payload)])
        moments.append(at(ledger))
    seen = [set(states(ledger, moment).values()) for moment in moments]
    assert seen == [{"queued"}, {"started"}, {"uploaded"}]
    with State.open(ledger) as state:
        row = state.rows("SELECT * FROM uploads WHERE path = 'm/2.json'")[0]
    assert (row["dataset"], row["target"], row["size"], row["revision"]) == (DATASET, "m@g", 3, "b" * 40)
    assert row["ended_at"] is not None


def test_the_same_files_for_the_same_place_are_queued_once(ledger: Ledger) -> None:
    first = queue(ledger, DATASET, FILES, message="one")
    assert queue(ledger, DATASET, FILES, message="another message") == first
    assert queue(ledger, f"{DATASET}/elsewhere", FILES, message="one") != first
    assert len(states(ledger)) == 2 and len(list(ledger.read(types=["UploadQueued"]))) == 2


def test_a_refused_upload_says_why(ledger: Ledger) -> None:
    upload = f"upload/{queue(ledger, DATASET, FILES, message='m')}"
    ledger.append([NewEvent(stream=upload, payload=UploadRefused(code="upload_path_taken", message="it exists"))])
    with State.open(ledger) as state:
        rows = state.rows("SELECT state, code, message FROM uploads")
    assert rows == [{"state": "refused", "code": "upload_path_taken", "message": "it exists"}] * 2


def test_the_seeds_of_a_reseed_are_uploads_too(ledger: Ledger) -> None:
    paths = ["m/1_reseed_01.json", "m/2_reseed_02.json"]
    for _ in range(2):  # the first try found the Hub moved
        ledger.append(
            [
                NewEvent(
                    stream="reseed/r1",
                    payload=ReseedUploadStarted(reseed="r1", dataset=DATASET, parent="a" * 40, paths=paths),
                )
            ]
        )
    assert states(ledger) == dict.fromkeys(paths, "started")
    ledger.append(
        [
            NewEvent(
                stream="reseed/r1",
                payload=ReseedUploaded(
                    reseed="r1",
                    dataset=DATASET,
                    revision="b" * 40,
                    parent="a" * 40,
                    written=paths[:1],
                    already=paths[1:],
                    medians={},
                ),
            )
        ]
    )
    assert states(ledger) == dict.fromkeys(paths, "uploaded")
    with State.open(ledger) as live, State.from_log(ledger) as replayed:
        assert live.export() == replayed.export()
        assert {row["upload_id"] for row in live.rows("SELECT upload_id FROM uploads")} == {"r1"}
