"""Checkpoints: never two that contradict each other; keys that only their owner reads; co-signatures that are kept."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.adoption import adopt
from ledger.errors import BadInput, Conflict, Damaged, PerfledgerError, Refused
from ledger.ledger import Ledger
from ledger.proofs import checkpoints, keys, notes
from ledger.proofs.checkpoints import NAME, WITNESSED
from ledger.proofs.notes import COSIGNATURE, Note, VerifierKey
from tests.ledger.proofs.logs import ORIGIN, add, grown, root_of, signed

OUTSIDER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OUTSIDE = VerifierKey("witness.example/w1", COSIGNATURE, OUTSIDER.public_key().public_bytes_raw())


def cosigned(note: Note, *, time: int = 1_790_000_000) -> bytes:
    """A note with the co-signature of a witness that is no ledger."""
    return note.with_signatures([notes.cosign(note.text, OUTSIDER, OUTSIDE.name, time=time)]).encode()


def witness_of(ledger: Ledger, path: Path) -> Ledger:
    """Another machine's ledger that has pulled this one's log."""
    other = Ledger.create(path, origin="friend", actor="friend@example.org")
    ledger.seal()
    adopt(other, ledger.origin, ledger.log.segment_paths(), remote="file:///there")
    return other


class TestKeys:
    def test_a_key_is_made_once_for_its_owner_alone_and_named_in_the_log(self, tmp_path: Path) -> None:
        ledger = Ledger.create(tmp_path, origin=ORIGIN, actor="a")
        first, second = keys.ready(ledger), keys.ready(Ledger.open(tmp_path))
        path = keys.default_path(ledger)
        assert first.verifier == second.verifier
        assert path.stat().st_mode & 0o777 == 0o600
        assert [str(key) for key in keys.known(ledger, ORIGIN)] == [str(first.verifier)]
        assert first.name == f"perfledger/{ORIGIN}"

    def test_a_key_that_others_may_read_is_not_used(self, tmp_path: Path) -> None:
        ledger = Ledger.create(tmp_path, origin=ORIGIN, actor="a")
        keys.ready(ledger)
        for mode in (0o640, 0o604, 0o620, 0o644):
            keys.default_path(ledger).chmod(mode)
            with pytest.raises(BadInput) as refused:
                keys.ready(ledger)
            assert refused.value.code == "signing_key_open"

    def test_a_key_of_the_users_own_may_be_named(self, tmp_path: Path) -> None:
        """As Go's sumdb/note writes one; the name chooses the first line of the checkpoints."""
        made = grown(tmp_path / "made").path / keys.FILE_NAME
        mine = tmp_path / "mine"
        shutil.copy(made, mine)
        ledger = Ledger.create(tmp_path / "other", origin=ORIGIN, actor="a")
        key = keys.ready(ledger, given=str(mine))
        assert not keys.default_path(ledger).exists()
        assert checkpoints.sign(ledger, key).checkpoint.log == f"perfledger/{ORIGIN}"

    @pytest.mark.parametrize("name", ["perfledger/other", "a b/bed", "a+b/bed", "", "xbed", "bed/"])
    def test_a_name_that_is_not_this_origins_is_refused(self, name: str, tmp_path: Path) -> None:
        ledger = Ledger.create(tmp_path, origin=ORIGIN, actor="a")
        with pytest.raises(BadInput):
            keys.ready(ledger, name=name or " ")
        assert not keys.default_path(ledger).exists()

    @pytest.mark.parametrize("name", [ORIGIN, f"example.com/perf/{ORIGIN}"])
    def test_a_name_ends_with_the_origin(self, name: str, tmp_path: Path) -> None:
        ledger = Ledger.create(tmp_path, origin=ORIGIN, actor="a")
        assert keys.ready(ledger, name=name).name == name
        with pytest.raises(BadInput, match="has the name"):
            keys.ready(ledger, name=f"another/{ORIGIN}")

    @pytest.mark.parametrize("text", ["", "PRIVATE+KEY+", "rubbish\n" * 9, "PRIVATE+KEY+bed+00000000+AQ==", "\xff"])
    def test_what_is_no_key_is_refused(self, text: str, tmp_path: Path) -> None:
        ledger = Ledger.create(tmp_path, origin=ORIGIN, actor="a")
        file = tmp_path / "key"
        file.write_bytes(text.encode("latin-1"))
        file.chmod(0o600)
        with pytest.raises(BadInput) as refused:
            keys.ready(ledger, given=str(file))
        assert refused.value.code == "bad_signing_key"

    def test_a_key_whose_id_was_changed_is_refused(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path, 10)
        path = keys.default_path(ledger)
        name, _, rest = path.read_text().removeprefix("PRIVATE+KEY+").partition("+")
        changed = "0" if rest[0] != "0" else "1"
        path.write_text(f"PRIVATE+KEY+{name}+{changed}{rest[1:]}")
        with pytest.raises(BadInput, match="not that of its name and seed"):
            keys.ready(ledger)

    def test_a_replaced_key_goes_on_where_the_old_one_ended(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path, 300)
        old = signed(ledger)
        keys.default_path(ledger).unlink()
        new = signed(ledger)
        assert new.size == 301, "the event that names the new key"
        known = keys.known(ledger, ORIGIN)
        assert [s.key for s in (*old.signed, *new.signed)] == known
        assert new.checkpoint.root == root_of(ledger, 301)


class TestSigning:
    def test_a_checkpoint_is_of_the_log_as_it_is_and_kept(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path)
        found = signed(ledger)
        assert (found.size, found.checkpoint.root) == (600, root_of(ledger, 600))
        kept = checkpoints.read(ledger, ORIGIN)
        assert kept is not None and kept.note == found.note
        assert signed(ledger) == kept, "nothing new to sign"

    def test_it_can_be_of_less_than_the_log_and_then_the_newer_one_stays(self, tmp_path: Path) -> None:
        """A push signs what it has sent."""
        ledger = grown(tmp_path)
        signed(ledger)
        found = checkpoints.sign(ledger, keys.ready(ledger), size=300)
        assert (found.size, found.checkpoint.root) == (300, root_of(ledger, 300))
        kept = checkpoints.read(ledger, ORIGIN)
        assert kept is not None and kept.size == 600

    def test_a_log_that_was_cut_or_rewritten_is_never_signed_again(self, tmp_path: Path) -> None:
        """tlog-checkpoint: a log MUST NOT sign what is inconsistent with what it signed before."""
        ledger = grown(tmp_path / "a", 300)
        early = tmp_path / "early"
        shutil.copytree(ledger.path, early)
        add(ledger, 10)
        signed(ledger)
        for name in (NAME, keys.FILE_NAME):
            kept = ledger.log.folder / name if name == NAME else ledger.path / name
            shutil.copy(kept, (early / "log" / ORIGIN if name == NAME else early) / name)
        copy = Ledger.open(early)
        with pytest.raises(Conflict) as refused:
            signed(copy)  # ends before what was signed
        assert refused.value.code == "checkpoint_contradicted"
        add(copy, 20)
        with pytest.raises(Conflict) as refused:
            signed(copy)  # as long, with other events
        assert refused.value.code == "checkpoint_contradicted"

    def test_a_kept_checkpoint_that_was_changed_is_damage_and_nothing_is_signed_on_it(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path, 300)
        signed(ledger)
        path = checkpoints.path_of(ledger, ORIGIN)
        path.write_bytes(path.read_bytes().replace(b"\n300\n", b"\n299\n"))
        add(ledger, 1)
        with pytest.raises(Damaged) as refused:
            signed(ledger)
        assert refused.value.code == "kept_checkpoint_damaged"
        path.unlink()
        assert signed(ledger).checkpoint.root == root_of(ledger, 301)

    def test_what_is_signed_is_on_the_disk(self, tmp_path: Path) -> None:
        """Of a line whose writer died before it was told "ok" the sync may be missing: the signer makes up for it."""
        ledger = grown(tmp_path, 20)
        path = ledger.log.folder / "head"
        mark = path.read_bytes()
        add(ledger, 1)
        path.write_bytes(mark)  # as if its writer had died between the line and the mark
        other = Ledger.open(tmp_path)
        assert checkpoints.sign(other, keys.ready(other)).size == 21
        after = other.log.acknowledged()
        assert after is not None and after.position == 21


class TestWitnesses:
    def test_a_cosignature_is_kept_and_stays_when_the_log_goes_on(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path, 300)
        first = signed(ledger)
        [kept] = checkpoints.witnessed(ledger, ORIGIN, cosigned(first.note), [OUTSIDE])
        assert (kept.key, kept.time) == (OUTSIDE, 1_790_000_000)
        add(ledger, 5)
        signed(ledger)
        found = checkpoints.read(ledger, ORIGIN, WITNESSED)
        assert found is not None and found.size == 300
        assert found.note.signed_by([OUTSIDE]) == [kept]

    def test_signature_lines_alone_are_taken_as_a_witness_answers_them(self, tmp_path: Path) -> None:
        """tlog-witness: the response body is signature lines."""
        ledger = grown(tmp_path, 300)
        note = signed(ledger).note
        line = notes.cosign(note.text, OUTSIDER, OUTSIDE.name, time=5)
        assert checkpoints.witnessed(ledger, ORIGIN, f"{line}\n".encode(), [OUTSIDE])
        newest = checkpoints.read(ledger, ORIGIN)
        assert newest is not None and newest.note.signatures[1:] == (line,)

    def test_two_witnesses_come_together(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path, 300)
        note = signed(ledger).note
        second = Ed25519PrivateKey.from_private_bytes(bytes(32))
        key = VerifierKey("w2", COSIGNATURE, second.public_key().public_bytes_raw())
        checkpoints.witnessed(ledger, ORIGIN, cosigned(note), [OUTSIDE])
        line = notes.cosign(note.text, second, "w2", time=9)
        checkpoints.witnessed(ledger, ORIGIN, f"{line}\n".encode(), [key])
        found = checkpoints.read(ledger, ORIGIN, WITNESSED)
        assert found is not None and notes.names(found.note.signed_by([OUTSIDE, key])) == [OUTSIDE.name, "w2"]

    def test_lines_of_keys_that_were_not_named_are_not_kept(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path, 300)
        note = signed(ledger).note
        stranger = notes.Signature("stranger", bytes(4), bytes(72))
        data = notes.parse_note(cosigned(note)).with_signatures([stranger]).encode()
        checkpoints.witnessed(ledger, ORIGIN, data, [OUTSIDE])
        found = checkpoints.read(ledger, ORIGIN, WITNESSED)
        assert found is not None and [line.name for line in found.note.signatures] == [
            f"perfledger/{ORIGIN}",
            OUTSIDE.name,
        ]

    def test_a_wrong_or_missing_cosignature_is_refused(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path, 300)
        note = signed(ledger).note
        with pytest.raises(Refused) as refused:
            checkpoints.witnessed(ledger, ORIGIN, note.encode(), [OUTSIDE])
        assert refused.value.code == "not_cosigned"
        line = notes.cosign(b"another text\n", OUTSIDER, OUTSIDE.name, time=5)
        with pytest.raises(Refused) as refused:
            checkpoints.witnessed(ledger, ORIGIN, note.with_signatures([line]).encode(), [OUTSIDE])
        assert refused.value.code == "note_signature_wrong"
        assert checkpoints.read(ledger, ORIGIN, WITNESSED) is None

    def test_another_ledger_is_a_witness_of_a_log_it_has(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path / "a", 300)
        note = signed(ledger).note
        friend = witness_of(ledger, tmp_path / "b")
        key = keys.ready(friend)
        data = checkpoints.cosign(friend, key, ORIGIN, note.encode(), time=77).encode()
        [kept] = checkpoints.witnessed(ledger, ORIGIN, data, [key.verifier])
        assert (kept.key.name, kept.time) == ("perfledger/friend", 77)

    def test_a_witness_refuses_a_log_that_is_not_the_one_it_has(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path / "a", 300)
        shutil.copytree(tmp_path / "a", tmp_path / "copy")
        friend = witness_of(ledger, tmp_path / "b")
        fork = Ledger.open(tmp_path / "copy")
        add(fork, 10)
        add(ledger, 5)
        with pytest.raises(PerfledgerError) as refused:
            checkpoints.cosign(friend, keys.ready(friend), ORIGIN, signed(fork).note.encode(), time=1)
        assert refused.value.code == "checkpoint_ahead"
        ledger.seal()
        adopt(friend, ORIGIN, ledger.log.segment_paths(), remote="file:///there")
        add(ledger, 5)
        ledger.seal()
        adopt(friend, ORIGIN, ledger.log.segment_paths(), remote="file:///there")
        with pytest.raises(PerfledgerError) as refused:
            checkpoints.cosign(friend, keys.ready(friend), ORIGIN, signed(fork).note.encode(), time=1)
        assert refused.value.code == "checkpoint_contradicted"

    def test_a_witness_never_goes_back(self, tmp_path: Path) -> None:
        """tlog-cosignature: the largest consistent tree head that the cosigner has observed."""
        ledger = grown(tmp_path / "a", 300)
        small = signed(ledger).note
        add(ledger, 5)
        large = signed(ledger).note
        friend = witness_of(ledger, tmp_path / "b")
        key = keys.ready(friend)
        checkpoints.cosign(friend, key, ORIGIN, large.encode(), time=1)
        checkpoints.cosign(friend, key, ORIGIN, large.encode(), time=2)
        with pytest.raises(Refused) as refused:
            checkpoints.cosign(friend, key, ORIGIN, small.encode(), time=3)
        assert refused.value.code == "cosigned_larger"


class TestFromElsewhere:
    def test_a_checkpoint_of_a_pulled_log_is_kept_where_the_log_is_its_own(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path / "a", 300)
        note = signed(ledger).note
        friend = witness_of(ledger, tmp_path / "b")
        assert checkpoints.take(friend, ORIGIN, note.encode()).size == 300
        kept = checkpoints.read(friend, ORIGIN)
        assert kept is not None and kept.note == note

    def test_one_signed_by_a_key_the_log_does_not_name_is_refused(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path / "a", 300)
        text = signed(ledger).note.text
        friend = witness_of(ledger, tmp_path / "b")
        forged = Note(text, (notes.sign(text, OUTSIDER, f"perfledger/{ORIGIN}"),))
        with pytest.raises(Refused) as refused:
            checkpoints.take(friend, ORIGIN, forged.encode())
        assert refused.value.code == "checkpoint_not_signed"
        with pytest.raises(BadInput) as wrong:
            checkpoints.take(friend, "friend", signed(ledger).note.encode())
        assert wrong.value.code == "checkpoint_of_another_log"

    def test_an_older_one_does_not_take_the_place_of_a_newer(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path / "a", 300)
        old = signed(ledger).note
        add(ledger, 9)
        new = signed(ledger).note
        friend = witness_of(ledger, tmp_path / "b")
        for note in (new, old):
            checkpoints.take(friend, ORIGIN, note.encode())
        kept = checkpoints.read(friend, ORIGIN)
        assert kept is not None and kept.note == new


def test_the_private_key_is_in_no_file_but_its_own(tmp_path: Path) -> None:
    ledger = grown(tmp_path / "a", 300)
    signed(ledger)
    ledger.seal()
    seed = keys.default_path(ledger).read_text().strip().split("+", 4)[4]
    secrets = [seed.encode(), notes.unbase64(seed)[1:], notes.unbase64(seed)[1:].hex().encode()]
    for folder, _, files in os.walk(ledger.path):
        for name in files:
            if name != keys.FILE_NAME:
                data = Path(folder, name).read_bytes()
                assert not any(secret in data for secret in secrets), name
