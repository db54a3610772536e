"""Signed notes, checkpoints and co-signatures: as C2SP publishes them, held against published bytes."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.errors import BadInput, Refused
from ledger.proofs import notes
from ledger.proofs.notes import COSIGNATURE, NOTE, Checkpoint, Note, VerifierKey
from tests.ledger.proofs.vectors import (
    C2SP_COSIGNED,
    C2SP_NOTE,
    NEUMANN_KEY,
    NEUMANN_NOTE,
    NEUMANN_PRIVATE,
    NO_KEYS,
    OTHERS_KEY,
    OTHERS_LINE,
    OTHERS_SEED,
    OTHERS_TIME,
    WRITTEN_KEYS,
)

SEED = notes.unbase64(NEUMANN_PRIVATE.split("+", 4)[4])[1:]
NEUMANN = Ed25519PrivateKey.from_private_bytes(SEED)
CHECKPOINT = Checkpoint("example.com/perf/bed", 7, bytes(range(32)))


def witness(name: str = "witness.example/w1") -> tuple[VerifierKey, Ed25519PrivateKey]:
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    return VerifierKey(name, COSIGNATURE, private.public_key().public_bytes_raw()), private


def test_a_note_of_gos_sumdb_is_read_checked_and_signed_again_to_the_byte() -> None:
    """golang.org/x/mod/sumdb/note: the same key signs the same text with the same line, Ed25519 being deterministic."""
    note = notes.parse_note(NEUMANN_NOTE)
    key = VerifierKey.parse(NEUMANN_KEY)
    assert notes.names(note.signed_by([key])) == ["PeterNeumann"]
    assert Note(note.text, (notes.sign(note.text, NEUMANN, "PeterNeumann"),)).encode() == NEUMANN_NOTE
    assert str(key) == NEUMANN_KEY


def test_the_examples_of_c2sp_are_read_and_written_again_to_the_byte() -> None:
    """signed-note.md and tlog-cosignature.md; their keys are not published, so the lines are of unknown keys."""
    for data in (C2SP_NOTE, C2SP_COSIGNED):
        note = notes.parse_note(data)
        assert note.encode() == data
        assert note.signed_by([VerifierKey.parse(NEUMANN_KEY)]) == []
    note = notes.parse_note(C2SP_COSIGNED)
    checkpoint = notes.parse_checkpoint(note.text)
    assert (checkpoint.log, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text() == note.text
    line = note.signatures[1]
    assert (line.name, int.from_bytes(line.data[:8], "big"), len(line.data)) == (
        "witness.example.com/w1",
        1679315147,
        72,
    )


@pytest.mark.parametrize("text", WRITTEN_KEYS)
def test_a_public_key_is_written_as_it_was_read(text: str) -> None:
    assert str(VerifierKey.parse(f" {text}\n")) == text


@pytest.mark.parametrize("text", [*NO_KEYS, "", "a b+12345678+AQ==", NEUMANN_KEY[:-1]])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        VerifierKey.parse(text)
    assert refused.value.code == "bad_verifier_key"


def test_a_cosignature_covers_the_time_and_every_line_of_the_checkpoint() -> None:
    """tlog-cosignature.md: the message is `cosignature/v1`, `time N`, then the whole note text."""
    key, private = witness()
    text = Checkpoint(CHECKPOINT.log, CHECKPOINT.size, CHECKPOINT.root, ("an extension",)).text()
    line = notes.cosign(text, private, key.name, time=1679315147)
    private.public_key().verify(line.data[8:], b"cosignature/v1\ntime 1679315147\n" + text)
    [signed] = Note(text, (line,)).signed_by([key])
    assert (signed.key, signed.time) == (key, 1679315147)
    later = notes.Signature(line.name, line.key_id, (1679315148).to_bytes(8, "big") + line.data[8:])
    for changed in (Note(text, (later,)), Note(text.replace(b"an ext", b"no ext"), (line,))):
        with pytest.raises(Refused, match=r"signature of witness\.example/w1"):
            changed.signed_by([key])


def test_a_cosignature_is_to_the_byte_the_one_that_another_implementation_makes() -> None:
    private = Ed25519PrivateKey.from_private_bytes(OTHERS_SEED)
    key = VerifierKey.parse(OTHERS_KEY)
    line = notes.cosign(CHECKPOINT.text(), private, key.name, time=OTHERS_TIME)
    assert str(line) == OTHERS_LINE
    assert [one.time for one in Note(CHECKPOINT.text(), (line,)).signed_by([key])] == [OTHERS_TIME]


def test_one_key_has_another_id_as_a_witness_than_as_a_log() -> None:
    """signed-note.md: the type is a part of the id, so a signature of one kind is never taken for the other."""
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    log = VerifierKey("a", NOTE, private.public_key().public_bytes_raw())
    assert log.as_witness().key_id != log.key_id
    text = CHECKPOINT.text()
    plain, cosigned = notes.sign(text, private, "a"), notes.cosign(text, private, "a", time=1)
    assert [s.time for s in Note(text, (plain, cosigned)).signed_by([log])] == [None]
    assert [s.time for s in Note(text, (plain, cosigned)).signed_by([log.as_witness()])] == [1]


def test_signatures_of_unknown_keys_are_passed_over_and_a_wrong_one_of_a_known_key_is_refused() -> None:
    """signed-note.md: verifiers MUST ignore unknown keys, also with a known name or id, and verify known ones."""
    text = CHECKPOINT.text()
    key = VerifierKey.parse(NEUMANN_KEY)
    good = notes.sign(text, NEUMANN, key.name)
    other_name = notes.Signature("Somebody", good.key_id, good.data)
    other_id = notes.Signature(key.name, b"\x00\x01\x02\x03", good.data)
    assert len(Note(text, (other_name, other_id, good)).signed_by([key])) == 1
    wrong = notes.Signature(key.name, good.key_id, good.data[:-1] + b"\x00")
    with pytest.raises(Refused) as refused:
        Note(text, (good, wrong)).signed_by([key])
    assert refused.value.code == "note_signature_wrong"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\nno signature line\n",
        b"text\n\n\xe2\x80\x94 name AAAAAAAA",
        b"text\n\n\xe2\x80\x94 name \n",
        b"text\n\n\xe2\x80\x94 name AAAA\n",  # no more than a key id would be
        b"text\n\n\xe2\x80\x94 a+b AAAAAAAA\n",
        b"text\n\n\xe2\x80\x94 name AAAAAAB=\n",  # base64 with bits that stand for nothing
        b"te\txt\n\n\xe2\x80\x94 name AAAAAAAA\n",
        b"te\xffxt\n\n\xe2\x80\x94 name AAAAAAAA\n",
        b"x" * 70_000 + b"\n\n\xe2\x80\x94 name AAAAAAAA\n",
        b"text\n\n" + b"\xe2\x80\x94 name AAAAAAAA\n" * 101,
    ],
)
def test_what_is_no_signed_note_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput) as refused:
        notes.parse_note(data)
    assert refused.value.code == "bad_note"


def test_sixteen_signatures_are_read() -> None:
    """signed-note.md: at least up to 16 MUST be accepted."""
    lines = [notes.Signature(f"w{n}", bytes(4), bytes(72)) for n in range(16)]
    assert len(notes.parse_note(Note(b"text\n", tuple(lines)).encode()).signatures) == 16


@pytest.mark.parametrize(
    "text", ["a\n1\n", "a\n01\nAAAA\n", "a\n-1\nAAAA\n", "a\n1\nAAAA\n", "\n1\nAAAA\n", "a\n1_0\nAAAA\n"]
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    root = notes.encoded(bytes(32))
    with pytest.raises(BadInput):
        notes.parse_checkpoint(text.replace("AAAA", root if text != "a\n1\nAAAA\n" else "AAAA").encode())


def test_a_newer_cosignature_takes_the_place_of_an_older_one_of_the_same_witness() -> None:
    key, private = witness()
    text = CHECKPOINT.text()
    note = Note(text, (notes.sign(text, NEUMANN, "PeterNeumann"), notes.cosign(text, private, key.name, time=1)))
    again = note.with_signatures([notes.cosign(text, private, key.name, time=2)])
    assert [line.name for line in again.signatures] == ["PeterNeumann", key.name]
    assert [signed.time for signed in again.signed_by([key])] == [2]
