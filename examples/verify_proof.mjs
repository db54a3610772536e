// Check a proof without perfledger: node verify_proof.mjs KEY [WITNESS_KEY ...] < FILE. Needs only Node, 18 or newer.
import { createHash, createPublicKey, verify as checkSignature } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
const sha = (...parts) => createHash("sha256").update(Buffer.concat(parts.map((part) => Buffer.from(part)))).digest();
const need = (holds, why) => { if (!holds) throw new Error(why); };
const utf8 = (bytes) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);
const cut = (bytes, by, at = bytes.indexOf(by)) =>
  at < 0 ? need(false, "a part is missing") : [bytes.subarray(0, at), bytes.subarray(at + by.length)];

function unbase64(text) {
  const data = Buffer.from(text, "base64");
  need(data.toString("base64") === text, "base64 that is not in its one form");
  return data;
}

// What a note that this key (NAME+ID+KEY) signed says of a log: c2sp.org/signed-note and tlog-checkpoint.
function signed(note, key) {
  const [text, lines] = [note.subarray(0, note.lastIndexOf("\n\n") + 1), utf8(note).split("\n\n").pop().split("\n")];
  need(lines.pop() === "" && lines.every((line) => line.startsWith("— ")), "not a signed note");
  const [, name, id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(key);
  const [kind, point] = [unbase64(encoded).subarray(0, 1), unbase64(encoded).subarray(1)];
  need([1, 4].includes(kind[0]) && point.length === 32, "not an Ed25519 key");
  need(sha(name, "\n", kind, point).subarray(0, 4).toString("hex") === id, "the key is not whole");
  const ours = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: point.toString("base64url") }, format: "jwk" });
  const mine = lines.map((line) => line.split(" ")).filter((line) => line[1] === name);
  const blobs = mine.map((line) => unbase64(line[2])).filter((blob) => blob.subarray(0, 4).toString("hex") === id);
  need(blobs.length, `${name} has not signed`);
  for (const blob of blobs) { // a witness (kind 4) signs the time too: c2sp.org/tlog-cosignature
    const time = kind[0] === 4 ? `cosignature/v1\ntime ${blob.readBigUInt64BE(4)}\n` : "";
    need(checkSignature(null, Buffer.concat([Buffer.from(time), text]), ours, blob.subarray(time ? 12 : 4)), name);
  }
  const [log, size, root] = utf8(text).split("\n");
  return { log, size: Number(size), root: unbase64(root) };
}

// Climb a tree: the last of `hashes` takes every step, the others those to their left (RFC 9162, 2.1.3, 2.1.4).
function climb(node, last, path, hashes) {
  const up = () => ([node, last] = [Math.floor(node / 2), Math.floor(last / 2)]);
  for (const step of path.map(unbase64)) {
    need(last > 0, "the path is too long");
    const left = node % 2 === 1 || node === last;
    hashes = hashes.map((one, n) => (left ? sha([1], step, one) : n < hashes.length - 1 ? one : sha([1], one, step)));
    while (left && node && node % 2 === 0) up();
    up();
  }
  need(last === 0, "the path is too short");
  return hashes;
}

// The event that a proof (c2sp.org/tlog-proof) shows to be in the log of this key; throws where it does not.
export function verify(data, key, witnesses = []) {
  const [head, note] = cut(data, "\n\n");
  const [first, extra, index, ...path] = utf8(head).split("\n");
  need(first === "c2sp.org/tlog-proof@v1" && extra.startsWith("extra "), "not a proof");
  const [line, rest] = cut(unbase64(extra.slice(6)), "\n");
  const at = line.indexOf(',"hash":"'); // an event's hash is that of its JSON without this field, 74 bytes
  const digest = sha(line.subarray(0, at), line.subarray(at + 74));
  need(utf8(line.subarray(at, at + 74)) === `,"hash":"${digest.toString("hex")}"`, "the event was changed");
  const event = JSON.parse(utf8(line));
  const [tree] = [key, ...witnesses].map((one) => signed(note, one));
  need(tree.log === key.split("+")[0] && tree.log.split("/").pop() === event.origin, "the log of another origin");
  need(event.position > 0 && event.position <= tree.size && index === `index ${event.position - 1}`, "another index");
  need(climb(event.position - 1, tree.size - 1, path, [sha([0], digest)])[0].equals(tree.root), "not in the tree");
  if (rest.length) { // another checkpoint of the log, and the proof that the two are one history
    const [between, second] = cut(Buffer.concat([Buffer.from("\n"), rest]), "\n\n");
    const [old, young] = [tree, signed(second, key)].sort((one, two) => one.size - two.size);
    need(old.size < young.size && old.log === young.log, "not two sizes of one log");
    const steps = utf8(between).split("\n").slice(1);
    const start = Number.isInteger(Math.log2(old.size)) ? old.root : unbase64(steps.shift());
    let whole = 1; // the leaves of the complete tree that ends at `old`, which is one step
    while (old.size % (2 * whole) === 0) whole *= 2;
    const ends = climb(old.size / whole - 1, Math.ceil(young.size / whole) - 1, steps, [start, start]);
    need(ends[0].equals(old.root) && ends[1].equals(young.root), "two histories");
  }
  return event;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  console.log(JSON.stringify(verify(readFileSync(0), process.argv[2], process.argv.slice(3)), null, 1));
