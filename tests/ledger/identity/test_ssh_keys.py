"""Lines of an allowed-signers file, and the key that a signature names: as OpenSSH itself says."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from ledger.identity import signing
from ledger.identity.signing import EXPIRED, GOOD, MISSING, WRONG, Signed
from ledger.identity.ssh_keys import Signer, read_signers, signing_key, split_options

WHAT = Signed("reseed", "r", "d" * 64)
KINDS = {"ed25519": [], "ecdsa": ["-b", "521"], "rsa": ["-b", "2048"]}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One key of each kind, and a short one."""
    folder = tmp_path_factory.mktemp("keys")
    made = {}
    for name, more in {**KINDS, "short": ["-b", "1024"]}.items():
        made[name] = folder / name
        kind = "rsa" if name == "short" else name
        subprocess.run(["ssh-keygen", "-q", "-t", kind, *more, "-N", "", "-f", made[name]], check=True)
    return made


def line(key: Path, name: str = "ann@x.org", options: str = "") -> str:
    """A line that lists a key."""
    kind, blob = key.with_suffix(".pub").read_text(encoding="utf-8").split()[:2]
    return " ".join(part for part in (name, options, kind, blob) if part)


def printed(key: Path) -> str:
    """The fingerprint that ssh-keygen prints."""
    done = subprocess.run(["ssh-keygen", "-l", "-f", key], check=True, capture_output=True, text=True)
    return done.stdout.split()[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_and_a_signature_have_the_fingerprint_that_ssh_keygen_prints(keys: dict[str, Path], kind: str) -> None:
    (signer,) = read_signers(line(keys[kind]))
    signature = signing.sign(str(keys[kind]), WHAT)
    assert signer.fingerprint == signing_key(signature) == printed(keys[kind])
    assert signer.fault == ""
    assert signing.verify(signature, WHAT, name="ann@x.org", signers=[signer]).outcome == GOOD


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("ann", "it is not NAME KEYTYPE KEY"),
        ("ann ssh-ed25519 %%%", "its key is not base64"),
        ("ann ssh-dss AAAAB3NzaC1kc3M=", "its key type ssh-dss is too weak, or a certificate"),
        ("ann ssh-ed25519 AAAAB3NzaC1kc3M=", "its key is not one of type ssh-ed25519"),
        ("ann ssh-ed25519-cert-v01@openssh.com AAAA", "its key type ssh-ed25519-cert"),
        ("* cert-authority ssh-ed25519 AAAA", "it is a certificate authority"),
        ("ann sk-rsa AAAA", "its key type sk-rsa"),
    ],
)
def test_a_line_that_cannot_be_used_says_why(text: str, fault: str) -> None:
    (signer,) = read_signers(f"# a comment\n\n{text}\n")
    assert signer.fault.startswith(fault)


def test_a_short_rsa_key_is_not_usable(keys: dict[str, Path]) -> None:
    (signer,) = read_signers(line(keys["short"]))
    assert signer.fault == "its RSA key has fewer than 2048 bits"


def test_options_keep_their_commas_inside_quotes(keys: dict[str, Path]) -> None:
    options = 'namespaces="git,perfledger-reseed",valid-before="20990101"'
    (signer,) = read_signers(line(keys["ed25519"], options=options))
    assert split_options(options) == ['namespaces="git,perfledger-reseed"', 'valid-before="20990101"']
    assert (signer.options, signer.expires, signer.names) == (options, True, ["ann@x.org"])
    assert "valid-before" not in signer.line(at_any_time=True)
    assert signer.line() == line(keys["ed25519"], options=options)


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ('valid-before="20200101Z"', EXPIRED),
        ('valid-after="20990101Z"', EXPIRED),
        ('valid-after="20200101Z"', GOOD),
        ('namespaces="git"', WRONG),
        ('namespaces="perfledger-reseed"', GOOD),
        ('namespaces="git",valid-before="20200101Z"', WRONG),
    ],
)
def test_what_a_line_allows_is_what_openssh_says_now(keys: dict[str, Path], options: str, outcome: str) -> None:
    signature = signing.sign(str(keys["ed25519"]), WHAT)
    signers = read_signers(line(keys["ed25519"], options=options))
    assert signing.verify(signature, WHAT, name="ann@x.org", signers=signers).outcome == outcome


@pytest.mark.parametrize(
    "other",
    [Signed("apply", "r", "d" * 64), Signed("reseed", "s", "d" * 64), Signed("reseed", "r", "e" * 64)],
)
def test_a_signature_is_over_one_act_one_subject_and_one_digest(keys: dict[str, Path], other: Signed) -> None:
    signature = signing.sign(str(keys["ed25519"]), WHAT)
    signers = read_signers(line(keys["ed25519"]))
    assert signing.verify(signature, other, name="ann@x.org", signers=signers).outcome == WRONG


def test_what_is_no_signature_names_no_key(keys: dict[str, Path]) -> None:
    whole = signing.sign(str(keys["ed25519"]), WHAT)
    wrong = base64.b64encode(b"NOTSIG" + b"\0" * 60).decode()
    for text in ("", "forged", whole[:60], whole.replace("SSH", "PGP"), f"{whole}{whole}"):
        assert signing_key(text) == ""
    for body in ("%%%", wrong, base64.b64encode(b"SSHSIG\0\0\0\1\0\0\xff\xff").decode()):
        assert signing_key(f"-----BEGIN SSH SIGNATURE-----\n{body}\n-----END SSH SIGNATURE-----\n") == ""
    listed = read_signers(line(keys["ed25519"]))
    assert signing.verify("", WHAT, name="ann@x.org", signers=listed).outcome == MISSING
    assert signing.verify("forged", WHAT, name="ann@x.org", signers=listed).outcome == WRONG
    assert signing.verify(whole, WHAT, name="ann@x.org", signers=[Signer("x", "", "", "")]).outcome == WRONG
