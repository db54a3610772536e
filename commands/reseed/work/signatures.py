"""SSH signatures over approvals, made and checked by OpenSSH's own `ssh-keygen -Y`."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from ledger.errors import BadInput, Refused, Unavailable

NAMESPACE = "perfledger-reseed"


def message(reseed_id: str, digest: str) -> bytes:
    """Return what an approver signs."""
    return f"perfledger reseed {reseed_id}\nplan {digest}\n".encode()


def sign(key: str, reseed_id: str, digest: str) -> str:
    """Sign an approval with an SSH private key (or a public key whose private half an agent holds)."""
    if not Path(key).is_file():
        raise BadInput(f"{key} is not a key file", code="bad_key", hint="--sign-key ~/.ssh/id_ed25519")
    done = _run(["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", key], message(reseed_id, digest))
    if done.returncode != 0:
        raise BadInput(
            f"ssh-keygen could not sign with {key}: {_last(done)}",
            code="signing_failed",
            hint="check the key and its passphrase (ssh-add)",
        )
    return done.stdout.decode()


def check(signature: str, *, allowed_signers: bytes, approver: str, reseed_id: str, digest: str) -> None:
    """Raise `Refused` unless `signature` is the approver's, by the allowed-signers file, over exactly this plan."""
    if not signature:
        raise Refused(
            f"this plan needs a signed approval, {approver} gave none",
            code="signature_missing",
            hint="perfledger reseed approve ID --sign-key KEY --confirm ...",
        )
    with tempfile.TemporaryDirectory(prefix="perfledger-approval-") as folder:
        signers, file = Path(folder, "allowed_signers"), Path(folder, "signature")
        signers.write_bytes(allowed_signers)
        file.write_text(signature, encoding="utf-8")
        done = _run(
            ["ssh-keygen", "-Y", "verify", "-n", NAMESPACE, "-f", str(signers), "-I", approver, "-s", str(file)],
            message(reseed_id, digest),
        )
    if done.returncode != 0:
        raise Refused(
            f"the signature is not {approver}'s over this plan: {_last(done)}",
            code="signature_wrong",
            hint="sign with the key listed in the allowed-signers file under exactly this name (--actor)",
        )


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
