"""SSH keys as approvers: the lines of an allowed-signers file, and the key that a signature names.

Formats: ALLOWED SIGNERS in ssh-keygen(1), PROTOCOL.sshsig of OpenSSH. Nothing here checks a signature, see `signing`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

_ARMOR = re.compile(r"\s*-----BEGIN SSH SIGNATURE-----\s(.*)-----END SSH SIGNATURE-----\s*\Z", re.DOTALL)
_MAGIC = b"SSHSIG"
_RSA_BITS_MIN = 2048  # NIST SP 800-131A
KEY_TYPES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
# A line: principals, options with quoted values or none, key type, key, comment. Principals may be quoted.
_WORD = re.compile(r'((?:"[^"]*"|[^\s"])+)\s*')


@dataclass(frozen=True, order=True)
class Signer:
    """A line of an allowed-signers file. `fingerprint` as ssh-keygen prints it; `fault` says why it is not usable."""

    principals: str
    options: str
    key_type: str
    key: str
    fingerprint: str = ""
    fault: str = ""

    def line(self, *, at_any_time: bool = False) -> str:
        """Return it as a line of a file; `at_any_time` leaves its validity out."""
        options = self.options
        if at_any_time:
            options = ",".join(o for o in split_options(options) if not o.lower().startswith("valid-"))
        return " ".join(part for part in (self.principals, options, self.key_type, self.key) if part)

    @property
    def names(self) -> list[str]:
        """The names, or patterns of names, of whoever holds the key."""
        return [name for name in self.principals.strip('"').split(",") if name]

    @property
    def expires(self) -> bool:
        """Whether it is valid for a time only."""
        return any(option.lower().startswith("valid-") for option in split_options(self.options))


def fingerprint(blob: bytes) -> str:
    """Return the fingerprint of a public key, as ssh-keygen prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def signing_key(signature: str) -> str:
    """Return the fingerprint of the key that a signature says it is by, or "" for what is no SSH signature.

    Anybody can write a signature that names a key: it holds only if `signing.verify` says so.
    """
    found = _ARMOR.match(signature)
    if not found:
        return ""
    try:
        data = base64.b64decode("".join(found[1].split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    if data[:6] != _MAGIC:
        return ""
    blob = _string(data[10:])  # after the version, a uint32
    return fingerprint(blob) if blob else ""


def read_signers(text: str) -> list[Signer]:
    """Return the lines of an allowed-signers file, in order; those that cannot be used say why."""
    lines = (line.strip() for line in text.splitlines())
    return [_signer(line) for line in lines if line and not line.startswith("#")]


def split_options(options: str) -> list[str]:
    """Return the options of a line, split at the commas outside quotes."""
    return [one for one in re.findall(r'((?:"[^"]*"|[^,"])+)', options) if one]


def _signer(line: str) -> Signer:
    words = _WORD.findall(line)
    at = 1 if len(words) > 1 and _is_key_type(words[1]) else 2
    if len(words) < at + 2:
        return Signer(line, "", "", "", fault="it is not NAME KEYTYPE KEY")
    principals, options = words[0], words[1] if at == 2 else ""
    key_type, key = words[at], words[at + 1]
    try:
        blob = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return Signer(principals, options, key_type, key, fault="its key is not base64")
    return Signer(principals, options, key_type, key, fingerprint(blob), _fault(options, key_type, blob))


def _is_key_type(word: str) -> bool:
    return word.startswith(("ssh-", "ecdsa-", "sk-"))


def _fault(options: str, key_type: str, blob: bytes) -> str:
    if "cert-authority" in (option.lower() for option in split_options(options)):
        return "it is a certificate authority, which could make any number of approvers"
    if key_type not in KEY_TYPES:
        return f"its key type {key_type} is too weak, or a certificate"
    if _string(blob) != key_type.encode():
        return f"its key is not one of type {key_type}"
    if key_type == "ssh-rsa" and _rsa_bits(blob) < _RSA_BITS_MIN:
        return f"its RSA key has fewer than {_RSA_BITS_MIN} bits"
    return ""


def _string(data: bytes) -> bytes:
    """Return the string at the beginning of SSH wire data, b"" when it is cut short."""
    length = int.from_bytes(data[:4], "big")
    return data[4 : 4 + length] if len(data) >= 4 + length else b""


def _rsa_bits(blob: bytes) -> int:
    """Return the length of the modulus of `string "ssh-rsa", mpint e, mpint n`."""
    rest = blob
    for _ in range(2):
        rest = rest[4 + len(_string(rest)) :]
    return int.from_bytes(_string(rest), "big").bit_length()
