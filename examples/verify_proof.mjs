// Check a proof without perfledger: node verify_proof.mjs KEY [WITNESS_KEY ...] < FILE. Needs only Node, 18 or newer.
import { createHash, createPublicKey, verify as verifySignature } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";

function need(holds, why) {
  if (!holds) throw new Error(why);
}

const sha = (...parts) => createHash("sha256").update(Buffer.concat(parts.map((part) => Buffer.from(part)))).digest();

function utf8(bytes) {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

function unbase64(text) {
  const data = Buffer.from(text, "base64");
  need(data.toString("base64") === text, "base64 that is not in its one form");
  return data;
}

// [text before the first place, text after it]
function cut(bytes, separator, at = bytes.indexOf(separator)) {
  need(at >= 0, "a part is missing");
  return [bytes.subarray(0, at), bytes.subarray(at + separator.length)];
}

// What a note that this key (NAME+ID+KEY) signed says of a log: c2sp.org/signed-note and tlog-checkpoint.
function signed(note, key) {
  const at = note.lastIndexOf("\n\n");
  const [text, lines] = [note.subarray(0, at + 1), utf8(note.subarray(at + 2)).split("\n")];
  need(at > 0 && lines.pop() === "" && lines.every((line) => line.startsWith("— ")), "not a signed note");
  const [, name, id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(key);
  const [kind, point] = [unbase64(encoded).subarray(0, 1), unbase64(encoded).subarray(1)];
  need([1, 4].includes(kind[0]) && point.length === 32, "not an Ed25519 key");
  need(sha(name, "\n", kind, point).subarray(0, 4).toString("hex") === id, "the key is not whole");
  const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), point]); // RFC 8410
  const publicKey = createPublicKey({ key: spki, format: "der", type: "spki" });
  const mine = lines.map((line) => line.split(" ")).filter((line) => line[1] === name);
  const blobs = mine.map((line) => unbase64(line[2])).filter((blob) => blob.subarray(0, 4).toString("hex") === id);
  need(blobs.length, `${name} has not signed`);
  for (const blob of blobs) {
    // a witness (kind 4) signs the time too: c2sp.org/tlog-cosignature
    const time = kind[0] === 4 ? `cosignature/v1\ntime ${blob.readBigUInt64BE(4)}\n` : "";
    const message = Buffer.concat([Buffer.from(time), text]);
    need(verifySignature(null, message, publicKey, blob.subarray(time ? 12 : 4)), `${name} signed something else`);
  }
  const [log, size, root] = utf8(text).split("\n");
  return { log, size: Number(size), root: unbase64(root) };
}

// Climb a tree: the last of `hashes` takes every step, the others those to their left (RFC 9162, 2.1.3, 2.1.4).
function climb(node, last, path, hashes) {
  for (const step of path) {
    need(last > 0, "the path is too long");
    const left = node % 2 === 1 || node === last;
    hashes = hashes.map((one, n) =>
      left ? sha([1], step, one) : n === hashes.length - 1 ? sha([1], one, step) : one,
    );
    while (left && node && node % 2 === 0) [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
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
  need(line.subarray(at, at + 74).equals(Buffer.from(`,"hash":"${digest.toString("hex")}"`)), "the event was changed");
  const event = JSON.parse(utf8(line));
  const [tree] = [key, ...witnesses].map((one) => signed(note, one));
  need(tree.log === key.split("+")[0] && tree.log.split("/").pop() === event.origin, "the log of another origin");
  need(event.position > 0 && event.position <= tree.size && index === `index ${event.position - 1}`, "another index");
  const [root] = climb(event.position - 1, tree.size - 1, path.map(unbase64), [sha([0], digest)]);
  need(root.equals(tree.root), "the event is not in the tree of the checkpoint");
  if (rest.length) {
    // another checkpoint of the log, and the proof that the two are one history
    const [between, second] = cut(Buffer.concat([Buffer.from("\n"), rest]), "\n\n");
    const [old, young] = [tree, signed(second, key)].sort((one, two) => one.size - two.size);
    const steps = utf8(between).split("\n").slice(1).map(unbase64);
    if (Number.isInteger(Math.log2(old.size))) steps.unshift(old.root);
    let [node, last] = [old.size - 1, young.size - 1];
    while (node % 2 === 1) [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
    const ends = climb(node, last, steps.slice(1), [steps[0], steps[0]]);
    need(old.size < young.size && old.log === young.log, "not two sizes of one log");
    need(ends[0].equals(old.root) && ends[1].equals(young.root), "two histories");
  }
  return event;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(verify(readFileSync(0), process.argv[2], process.argv.slice(3)), null, 1));
}
