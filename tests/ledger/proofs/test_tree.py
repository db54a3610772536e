"""The tree over a log: its leaves are the events' hashes, and its cache can be anything without changing an answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import Conflict, Damaged
from ledger.ledger import Ledger
from ledger.log import segment
from ledger.proofs import tree
from ledger.proofs.tree import TILE, Tree, open_tree
from tests.ledger.proofs import rfc6962
from tests.ledger.proofs.logs import add, grown, root_of, signed

SIZES = (1, 2, 255, 256, 257, 299, 300, 511, 512, 513, 600)


def cache_of(ledger: Ledger) -> Path:
    return ledger.log.folder / tree.NAME


def test_the_tree_is_the_rfcs_over_the_hashes_of_the_events(tmp_path: Path) -> None:
    """Leaf i is the 32-byte hash of the event at position i + 1, whether sealed or in the journal."""
    ledger = grown(tmp_path)
    hashes = [bytes.fromhex(event.hash) for event in ledger.read(origin=ledger.origin)]
    whole = open_tree(ledger.log, 600, None)
    for size in SIZES:
        assert whole.root(size) == rfc6962.mth(hashes[:size])
        assert open_tree(ledger.log, size, None).root() == rfc6962.mth(hashes[:size])
        for position in (p for p in SIZES if p <= size):
            assert whole.inclusion(position, size) == rfc6962.path(position - 1, hashes[:size])
            assert whole.consistency(position, size) == rfc6962.proof(position, hashes[:size])


def test_sealing_changes_no_root(tmp_path: Path) -> None:
    ledger = grown(tmp_path)
    before = open_tree(ledger.log, 600, None).root()
    ledger.seal()
    assert Tree(ledger.log, 600, []).root() == before


LIES: dict[str, Callable[[bytes], bytes]] = {
    "deleted": lambda data: b"",
    "cut in the middle of a hash": lambda data: data[:40],
    "older": lambda data: data[:32],
    "newer, with what is not in the log": lambda data: data + bytes(range(64)),
    "rubbish": lambda data: b"rubbish" * 100,
    "first hash wrong": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "last hash wrong": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "of another log, whole": lambda data: bytes(32) * (len(data) // 32),
    "swapped": lambda data: data[32:64] + data[:32],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_cache_that_says_something_else_changes_nothing(lie: str, tmp_path: Path) -> None:
    """It is used only as far as it leads to what was signed; the next checkpoint is right whatever it says."""
    ledger = grown(tmp_path, 600)
    first = signed(ledger)
    path = cache_of(ledger)
    kept = path.read_bytes()
    assert len(kept) == 600 // TILE * 32
    path.write_bytes(LIES[lie](kept))
    if lie == "deleted":
        path.unlink()
    add(ledger, 200)
    second = signed(ledger)
    assert (first.checkpoint.root, second.checkpoint.root) == (root_of(ledger, 600), root_of(ledger, 800))
    assert path.read_bytes()[: len(kept)] == kept, "it was made again"
    opened = open_tree(ledger.log, 800, second.checkpoint)
    hashes = [bytes.fromhex(event.hash) for event in ledger.read(origin=ledger.origin)]
    assert opened.inclusion(3) == rfc6962.path(2, hashes)
    assert opened.consistency(600) == rfc6962.proof(600, hashes)


def test_a_cache_beyond_what_was_signed_is_not_believed(tmp_path: Path) -> None:
    """One written by a process that died before its checkpoint was kept, or by somebody else."""
    ledger = grown(tmp_path, 300)
    signed(ledger)
    add(ledger, 500)
    cache_of(ledger).write_bytes(cache_of(ledger).read_bytes() + bytes(64))
    assert signed(ledger).checkpoint.root == root_of(ledger, 800)


def test_without_a_checkpoint_the_whole_tree_is_made_from_the_log(tmp_path: Path) -> None:
    ledger = grown(tmp_path)
    cache_of(ledger).write_bytes(bytes(64))
    assert open_tree(ledger.log, 600, None).root() == root_of(ledger, 600)


def test_a_folder_that_may_not_be_written_can_be_proved_from(tmp_path: Path) -> None:
    ledger = grown(tmp_path)
    cache_of(ledger).mkdir()  # in the place of the cache, so that it can neither be read nor written
    assert open_tree(ledger.log, 600, None).root() == root_of(ledger, 600)


@pytest.mark.parametrize("position", [3, 299, 301, 600])
def test_a_log_that_was_rewritten_since_it_was_signed_is_refused(position: int, tmp_path: Path) -> None:
    """A history made again from one event on, every later hash with it: the chain is whole, the tree is another."""
    ledger = grown(tmp_path / "first")
    kept = signed(ledger).checkpoint
    other = Ledger.create(tmp_path / "second", origin=ledger.origin, actor="tester@example.org")
    add(other, 600)
    for name in ("journal.jsonl", "00000000000000000001.parquet"):
        (ledger.log.folder / name).unlink(missing_ok=True)
    shutil.copy(other.log.folder / "journal.jsonl", ledger.log.folder)
    for cached in (True, False):
        if not cached:
            cache_of(ledger).unlink()
        with pytest.raises(Conflict) as refused:
            open_tree(Ledger.open(tmp_path / "first").log, 601, kept).inclusion(position)
        assert refused.value.code == "checkpoint_contradicted"


def test_a_gap_or_a_broken_link_in_the_log_is_damage(tmp_path: Path) -> None:
    ledger = grown(tmp_path)
    ledger.seal()
    add(ledger, 300)
    first, second = ledger.log.segment_paths()
    ledger.seal()
    missing = segment.first_of(second.name)
    second.unlink()
    with pytest.raises(Damaged) as refused:
        open_tree(ledger.log, 900, None)
    assert refused.value.details["position"] == missing
    first.unlink()
    with pytest.raises(Damaged):
        open_tree(ledger.log, 900, None)
