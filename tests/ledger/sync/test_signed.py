"""Signed checkpoints travel with a push where there is a key, and a pull keeps them where the log is their own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ledger.errors import Conflict
from ledger.ledger import Ledger
from ledger.proofs import checkpoints, keys, making, notes, proof
from ledger.proofs.checkpoints import NAME, WITNESSED
from ledger.remotes.open import open_remote
from ledger.sync.pull import pull
from ledger.sync.push import push
from tests.hub_server import HubServer
from tests.ledger.sync.conftest import QUICK
from tests.ledger.sync.samples import HUB_URL, do_pull, do_push, write

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def two(tmp_path: Path) -> tuple[Ledger, Ledger]:
    """Two machines' ledgers; the first has a key."""
    first = Ledger.create(tmp_path / "first", origin="first", actor="first@example.org")
    keys.ready(first)
    return first, Ledger.create(tmp_path / "second", origin="second", actor="second@example.org")


def place(tmp_path: Path) -> str:
    """A shared folder."""
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder.as_uri()


def pulled(ledger: Ledger, url: str) -> list[str]:
    """Pull, and return what was said beside."""
    said: list[str] = []
    pull(ledger, open_remote(url, policy=QUICK), say=said.append)
    return said


@pytest.mark.parametrize("where", ["hub", "folder"])
def test_a_push_signs_what_it_sends_and_whoever_pulls_can_prove_it(where: str, tmp_path: Path, hub: HubServer) -> None:
    url = HUB_URL if where == "hub" else place(tmp_path)
    first, second = two(tmp_path)
    for names in (("one", "two"), ("three",)):
        write(first, *names)
        do_push(first, url)
        do_pull(second, url)
        kept = checkpoints.read(second, "first")
        assert kept is not None and kept.size == second.head("first").position
        assert kept.note == notes.parse_note(checkpoints.path_of(first, "first").read_bytes())
        event = second.event(f"{kept.size - 1}@first")
        made = making.prove(second, event, key=lambda: keys.ready(second))
        shown = proof.check(proof.parse(made.encode()), proof.Trust(keys.known(second, "first")))
        assert shown.event == event
    assert not keys.default_path(second).exists(), "a proof of another origin's event needs no key of ours"
    assert checkpoints.read(second, "second") is None


def test_a_ledger_without_a_key_sends_none_and_gets_none_by_pushing(tmp_path: Path) -> None:
    url = place(tmp_path)
    _, second = two(tmp_path)
    write(second, "one")
    do_push(second, url)
    assert not keys.default_path(second).exists()
    assert not list((tmp_path / "shared").rglob(f"{NAME}*"))


def test_a_private_key_is_never_pushed(tmp_path: Path) -> None:
    url = place(tmp_path)
    first, _ = two(tmp_path)
    write(first, "one")
    do_push(first, url)
    seed = keys.default_path(first).read_text().strip().split("+", 4)[4].encode()
    files = [path for path in (tmp_path / "shared").rglob("*") if path.is_file()]
    assert any(path.name == NAME for path in files)
    assert not any(seed in path.read_bytes() or path.name == keys.FILE_NAME for path in files)


def test_a_cosignature_travels_to_the_log_and_from_there_to_everybody(tmp_path: Path) -> None:
    url = place(tmp_path)
    first, second = two(tmp_path)
    write(first, "one")
    do_push(first, url)
    do_pull(second, url)
    witness = keys.ready(second)
    note = checkpoints.path_of(second, "first").read_bytes()
    answer = checkpoints.cosign(second, witness, "first", note, time=77).encode()
    checkpoints.witnessed(first, "first", answer, [witness.verifier])
    write(first, "two")
    do_push(first, url)
    third = Ledger.create(tmp_path / "third", origin="third", actor="third@example.org")
    do_pull(third, url)
    kept, newest = checkpoints.read(third, "first", WITNESSED), checkpoints.read(third, "first")
    assert kept is not None and newest is not None and kept.size < newest.size
    assert [one.time for one in kept.note.signed_by([witness.verifier.as_witness()])] == [77]


def test_an_older_reader_of_the_remote_finds_what_it_knows(tmp_path: Path) -> None:
    """Format 1: HEAD.json and segments by their names; other files in the folder are no segments and no origin."""
    url = place(tmp_path)
    first, second = two(tmp_path)
    write(first, "one")
    do_push(first, url)
    folder = tmp_path / "shared" / "log" / "first"
    for name in (NAME, WITNESSED):
        (folder / name).unlink(missing_ok=True)
    do_pull(second, url)
    assert second.head("first").position > 2
    assert checkpoints.read(second, "first") is None


@pytest.mark.parametrize("damage", ["rubbish", "another key", "another log", "huge"])
def test_a_checkpoint_that_is_not_the_logs_is_said_and_left_and_the_events_count(damage: str, tmp_path: Path) -> None:
    url = place(tmp_path)
    first, second = two(tmp_path)
    write(first, "one")
    do_push(first, url)
    path = tmp_path / "shared" / "log" / "first" / NAME
    text = notes.parse_note(path.read_bytes()).text
    stranger = keys.ready(Ledger.create(tmp_path / "stranger" / "x", origin="first", actor="x"))
    if damage == "another log":
        text = text.replace(b"/first\n", b"/other\n")
    forged = notes.Note(text, (notes.sign(text, stranger.private, stranger.name),)).encode()
    path.write_bytes({"rubbish": b"rubbish", "huge": bytes(70_000)}.get(damage, forged))
    [said] = pulled(second, url)
    assert "was not kept" in said
    assert checkpoints.read(second, "first") is None
    assert second.head("first").position == 4, "all that was pushed was taken in"


def test_a_checkpoint_of_another_history_under_the_logs_own_key_is_a_conflict(tmp_path: Path) -> None:
    """Whoever has the key signed two logs: the one that is here, and another."""
    url = place(tmp_path)
    first, second = two(tmp_path)
    write(first, "one")
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    write(first, "two")
    do_push(first, url)
    copy = Ledger.open(tmp_path / "copy")
    write(copy, "other")
    size = notes.parse_checkpoint(
        notes.parse_note((tmp_path / "shared" / "log" / "first" / NAME).read_bytes()).text
    ).size
    while copy.head().position < size:
        write(copy, "more")
    other = checkpoints.sign(copy, keys.ready(copy), size=size)
    (tmp_path / "shared" / "log" / "first" / NAME).write_bytes(other.note.encode())
    with pytest.raises(Conflict) as refused:
        do_pull(second, url)
    assert refused.value.code == "checkpoint_contradicted"
    assert checkpoints.read(second, "first") is None


def test_a_checkpoint_that_is_ahead_of_the_log_waits_for_the_next_pull(tmp_path: Path) -> None:
    """In a folder files go one by one; a writer may push between the listing and the read."""
    url = place(tmp_path)
    first, second = two(tmp_path)
    write(first, "one")
    do_push(first, url)
    write(first, "two")
    ahead = checkpoints.sign(first, keys.ready(first))
    (tmp_path / "shared" / "log" / "first" / NAME).write_bytes(ahead.note.encode())
    assert pulled(second, url) == []
    assert checkpoints.read(second, "first") is None


def test_a_key_that_cannot_be_used_stops_no_push(tmp_path: Path) -> None:
    url = place(tmp_path)
    first, _ = two(tmp_path)
    write(first, "one")
    keys.default_path(first).chmod(0o644)
    said: list[str] = []
    push(first, open_remote(url, policy=QUICK), say=said.append)
    assert any("may be read by others" in line for line in said)
    assert not (tmp_path / "shared" / "log" / "first" / NAME).exists()


def test_a_log_that_was_rewritten_is_not_pushed_under_its_old_signature(tmp_path: Path) -> None:
    first, _ = two(tmp_path)
    write(first, "one", "two")
    checkpoints.sign(first, keys.ready(first))
    kept = checkpoints.path_of(first, "first").read_bytes()
    rewritten = Ledger.create(tmp_path / "again", origin="first", actor="first@example.org")
    shutil.copy(keys.default_path(first), keys.default_path(rewritten))
    write(rewritten, "other", "than", "before", "more", "and more")
    checkpoints.path_of(rewritten, "first").write_bytes(kept)
    with pytest.raises(Conflict) as refused:
        do_push(rewritten, place(tmp_path))
    assert refused.value.code == "checkpoint_contradicted"
