"""SSH signatures over decisions, made and checked by OpenSSH's own `ssh-keygen -Y`.

A signature is over a message that names the act, its subject and the digest of what was decided, in a namespace of
the act alone, so that a signature made for one act or by another program (git) opens nothing else.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import BadInput, Unavailable
from ledger.identity.ssh_keys import Signer, signing_key

GOOD, EXPIRED, WRONG, MISSING = "good", "expired", "wrong", "missing"


@dataclass(frozen=True)
class Signed:
    """What is decided: `act` such as `reseed`, the subject's id, the digest of what was seen."""

    act: str
    subject: str
    digest: str

    @property
    def namespace(self) -> str:
        """The namespace of the signature."""
        return f"perfledger-{self.act}"

    def message(self) -> bytes:
        """Return what is signed."""
        return f"perfledger {self.act} {self.subject}\nplan {self.digest}\n".encode()


@dataclass(frozen=True)
class Seen:
    """What a look at a signature says. outcome: `good`, `expired`, `wrong`, `missing`; why: what ssh-keygen said."""

    outcome: str
    key: str = ""
    why: str = ""


def sign(key: str, what: Signed) -> str:
    """Sign with an SSH private key (or a public key whose private half an agent holds)."""
    if not Path(key).is_file():
        raise BadInput(f"{key} is not a key file", code="bad_key", hint="--sign-key ~/.ssh/id_ed25519")
    done = _run(["ssh-keygen", "-q", "-Y", "sign", "-n", what.namespace, "-f", key], what.message())
    if done.returncode != 0:
        raise BadInput(
            f"ssh-keygen could not sign with {key}: {_last(done)}",
            code="signing_failed",
            hint="check the key and its passphrase (ssh-add)",
        )
    return done.stdout.decode()


def verify(signature: str, what: Signed, *, name: str, signers: Iterable[Signer]) -> Seen:
    """Say whether `signature` is that of `name`, by the lines that may be used, over exactly this.

    A key that is not valid any more, or not yet, by the clock of this machine gives `expired`: times in a log can be
    written by whoever writes the log.
    """
    key = signing_key(signature)
    if not signature:
        return Seen(MISSING)
    lines = [s for s in signers if not s.fault and s.fingerprint == key]
    if not key or not lines:
        return Seen(
            WRONG, key, "no usable line of the allowed signers has its key" if key else "it is no SSH signature"
        )
    done = _verify(signature, what, name, [s.line() for s in lines])
    if done.returncode == 0:
        return Seen(GOOD, key)
    if any(s.expires for s in lines):
        later = _verify(signature, what, name, [s.line(at_any_time=True) for s in lines])
        if later.returncode == 0:
            return Seen(EXPIRED, key, "its key is not valid now")
    return Seen(WRONG, key, _last(done))


def _verify(signature: str, what: Signed, name: str, lines: list[str]) -> subprocess.CompletedProcess[bytes]:
    with tempfile.TemporaryDirectory(prefix="perfledger-approval-") as folder:
        signers, file = Path(folder, "allowed_signers"), Path(folder, "signature")
        signers.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        file.write_text(signature, encoding="utf-8")
        command = ["ssh-keygen", "-Y", "verify", "-n", what.namespace, "-f", str(signers), "-I", name, "-s", str(file)]
        return _run(command, what.message())


def _run(command: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
    except FileNotFoundError:
        raise Unavailable(
            "ssh-keygen is not installed", code="no_ssh_keygen", hint="install the OpenSSH client"
        ) from None


def _last(done: subprocess.CompletedProcess[bytes]) -> str:
    text = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
    return text[-1] if text else f"exit {done.returncode}"
