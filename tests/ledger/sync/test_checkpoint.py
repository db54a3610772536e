"""The checkpoint of an origin at a remote: what it says is believed only in its one form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import Conflict, Damaged, PerfledgerError
from ledger.ledger import Ledger
from ledger.remotes.open import open_remote
from ledger.remotes.retry import RetryPolicy
from ledger.sync import checkpoint
from ledger.sync.pull import pull
from ledger.sync.push import push
from ledger.verification.walk import verify
from tests.ledger.samples import result

HASH = "a" * 64
QUICK = RetryPolicy(tries_max=2, wait_s=0)


@pytest.fixture
def shared(tmp_path: Path, ledger: Ledger) -> Path:
    """A shared folder that holds what `ledger` has pushed."""
    folder = tmp_path / "shared"
    folder.mkdir()
    ledger.append([result(1), result(2)])
    push(ledger, open_remote(f"file://{folder}", policy=QUICK))
    return folder


def head_of(shared: Path, origin: str = "testbed") -> Path:
    return shared / checkpoint.path_of(origin)


def reader(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "reader", origin="reader", actor="x")


def test_it_says_where_the_last_segment_ends(shared: Path, ledger: Ledger) -> None:
    found = json.loads(head_of(shared).read_text())
    (last,) = ledger.segments()[-1:]
    assert found == {"format": 1, "hash": last.head_hash, "origin": "testbed", "position": last.last}
    assert checkpoint.heads(open_remote(f"file://{shared}"))["testbed"].position == last.last


def said(digest: str, position: object) -> bytes:
    return json.dumps({"format": 1, "hash": digest, "origin": "testbed", "position": position}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'{"format":1}',
        *(said(HASH, position) for position in (-1, 0, 1.5, "3", None, 2**63, 10**30)),
        *(said(digest, 3) for digest in ("", HASH[:-1], HASH + "a", HASH.upper(), "g" * 64)),
    ],
)
def test_what_is_no_checkpoint_is_damage_that_names_the_file_for_its_writer_and_its_readers(
    shared: Path, ledger: Ledger, tmp_path: Path, data: bytes
) -> None:
    head_of(shared).write_bytes(data)
    ledger.append([result(3)])
    other = reader(tmp_path)
    remote = open_remote(f"file://{shared}", policy=QUICK)
    for step in (lambda: push(ledger, remote), lambda: pull(other, remote)):
        with pytest.raises(Damaged) as caught:
            step()
        assert caught.value.code == "checkpoint_unreadable" and "HEAD.json" in caught.value.message
        assert "delete it there" in caught.value.hint
    assert head_of(shared).read_bytes() == data, "nobody writes over what nobody understands"
    assert verify(other).ok
    head_of(shared).unlink()
    push(ledger, remote)
    assert json.loads(head_of(shared).read_text())["position"] == ledger.segments()[-1].last, "the hint's way out works"


@pytest.mark.parametrize("change", [{"origin": "other"}, {"format": 2}, {"format": 2, "new_field": 1}])
def test_a_checkpoint_of_another_origin_or_a_newer_format_is_told_apart(
    shared: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    head_of(shared).write_text(json.dumps(json.loads(head_of(shared).read_text()) | change))
    with pytest.raises(Damaged) as caught:
        pull(reader(tmp_path), open_remote(f"file://{shared}", policy=QUICK))
    assert caught.value.code == "checkpoint_foreign" and "upgrade" in caught.value.hint


@pytest.mark.parametrize("position", [10**6, 2**63 - 1])
def test_a_checkpoint_that_is_ahead_of_every_file_stops_its_own_writer_and_its_readers(
    shared: Path, ledger: Ledger, tmp_path: Path, position: int
) -> None:
    """Whoever wrote it had more events than are there: they were lost, or this ledger is an old copy of that one."""
    found = json.loads(head_of(shared).read_text())
    head_of(shared).write_text(json.dumps(found | {"position": position, "hash": HASH}))
    ledger.append([result(3)])
    before = sorted(p.name for p in shared.rglob("*.parquet"))
    with pytest.raises(Conflict):
        push(ledger, open_remote(f"file://{shared}", policy=QUICK))
    assert sorted(p.name for p in shared.rglob("*.parquet")) == before
    with pytest.raises(PerfledgerError):
        pull(reader(tmp_path), open_remote(f"file://{shared}", policy=QUICK))


def test_another_hash_at_a_position_we_have_is_a_fork(shared: Path, ledger: Ledger) -> None:
    found = json.loads(head_of(shared).read_text())
    head_of(shared).write_text(json.dumps(found | {"hash": HASH}))
    ledger.append([result(3)])
    with pytest.raises(Conflict) as caught:
        push(ledger, open_remote(f"file://{shared}", policy=QUICK))
    assert (caught.value.code, caught.value.details["position"]) == ("forked_origin", found["position"])


def test_a_name_that_is_no_origin_has_no_checkpoint(shared: Path) -> None:
    for name in ("Not-An-Origin", "a/b", "..x"):
        place = shared / "log" / name
        place.mkdir(parents=True, exist_ok=True)
        (place / checkpoint.NAME).write_text("{}")
    assert set(checkpoint.heads(open_remote(f"file://{shared}"))) == {"testbed"}
