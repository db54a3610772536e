"""Check a proof without perfledger: python verify_proof.py KEY [WITNESS_KEY ...] < FILE. Needs only `cryptography`."""

import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def need(holds: object, why: str) -> None:
    if not holds:
        raise ValueError(why)


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def unbase64(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text, "base64 that is not in its one form")
    return data


def signed(note: bytes, key: str) -> tuple[int, bytes, str]:
    """Return what a note that this key (NAME+ID+KEY) signed says of a log: size, root, name (c2sp.org/signed-note)."""
    text, lines = note[: note.rindex(b"\n\n") + 1], note[note.rindex(b"\n\n") + 2 :].decode().split("\n")
    need(lines.pop() == "" and all(line.startswith("— ") for line in lines), "not a signed note")
    name, key_id, encoded = key.split("+", 2)
    kind, public = unbase64(encoded)[:1], unbase64(encoded)[1:]
    need(kind in (b"\1", b"\4") and sha(name.encode(), b"\n", kind, public)[:4].hex() == key_id, "the key is not whole")
    mine = [unbase64(line.split(" ")[2]) for line in lines if line.split(" ")[1] == name]
    need(key_id in [blob[:4].hex() for blob in mine], f"{name} has not signed")
    for blob in (blob[4:] for blob in mine if blob[:4].hex() == key_id):  # kind 4 signs the time too: tlog-cosignature
        time = b"cosignature/v1\ntime %d\n" % int.from_bytes(blob[:8], "big") if kind == b"\4" else b""
        Ed25519PublicKey.from_public_bytes(public).verify(blob[8 if time else 0 :], time + text)
    log, size, root = text.decode().split("\n")[:3]
    return int(size), unbase64(root), log


def climb(node: int, last: int, path: list[str], hashes: list[bytes]) -> list[bytes]:
    """Climb a tree: the last of `hashes` takes every step, the others those to their left (RFC 9162, 2.1.3, 2.1.4)."""
    for step in map(unbase64, path):
        need(last > 0, "the path is too long")
        left = node & 1 or node == last
        hashes = [sha(b"\1", step, one) for one in hashes] if left else [*hashes[:-1], sha(b"\1", hashes[-1], step)]
        while left and node and not node & 1:
            node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    need(last == 0, "the path is too short")
    return hashes


def verify(data: bytes, key: str, witnesses: list[str]) -> object:
    """Return the event that a proof (c2sp.org/tlog-proof) shows to be in the log of this key, or raise."""
    head, _, note = data.partition(b"\n\n")
    first, extra, index, *path = head.decode().split("\n")
    need(first == "c2sp.org/tlog-proof@v1" and extra[:6] == "extra ", "not a proof")
    line, _, rest = unbase64(extra[6:]).partition(b"\n")
    at = line.index(b',"hash":"')  # an event's hash is that of its JSON without this field, 74 bytes
    event, digest = json.loads(line), sha(line[:at], line[at + 74 :])
    need(line[at : at + 74] == b',"hash":"%b"' % digest.hex().encode(), "the event was changed")
    (size, root, log), *_ = [signed(note, one) for one in (key, *witnesses)]
    need(log == key.split("+")[0] and log.split("/")[-1] == event["origin"], "the log of another origin")
    need(0 < event["position"] <= size and index == f"index {event['position'] - 1}", "another index")
    need(climb(event["position"] - 1, size - 1, path, [sha(b"\0", digest)]) == [root], "not in the tree")
    if rest:  # another checkpoint of the log, and the proof that the two are one history
        between, _, second = (b"\n" + rest).partition(b"\n\n")
        (old, old_root, one), (new, new_root, other) = sorted([(size, root, log), signed(second, key)])
        steps = between.decode().split("\n")[1:]
        start = unbase64(steps.pop(0)) if old & (old - 1) else old_root
        down = (old ^ (old - 1)).bit_length() - 1  # the complete tree that ends at `old` is one step
        ends = climb((old - 1) >> down, (new - 1) >> down, steps, [start, start])
        need(old < new and one == other and ends == [old_root, new_root], "two histories")
    return event


if __name__ == "__main__":
    print(json.dumps(verify(sys.stdin.buffer.read(), sys.argv[1], sys.argv[2:]), indent=1))
