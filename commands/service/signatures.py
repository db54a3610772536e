"""Whether a delivery comes from its claimed sender: HMAC-SHA256 over the exact body, with a shared secret.

GitHub signs the body (`X-Hub-Signature-256: sha256=<hex>`). Buildkite signs the time and the body
(`X-Buildkite-Signature: timestamp=<unix seconds>,signature=<hex>` over `<timestamp>.<body>`), so an
old delivery can be told from a fresh one. Several secrets may be valid at once while one is replaced.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

AGE_SECONDS_MAX = 300
_SHAPES = {
    "GitHub": ("x-hub-signature-256", re.compile(r"sha256=[0-9a-f]{64}")),
    "Buildkite": ("x-buildkite-signature", re.compile(r".*\bsignature=[0-9a-f]{64}\b.*")),
}


def is_shaped(source: str, headers: Mapping[str, str]) -> bool:
    """Whether a request has a signature that could be right: only then its body is read. source: `GitHub`, ..."""
    name, shape = _SHAPES[source]
    return bool(shape.fullmatch(headers.get(name, "")))


def github_is_genuine(secrets: Sequence[bytes], body: bytes, header: str | None) -> bool:
    """Whether the header is the signature of this body by one of the secrets."""
    if not header or not header.startswith("sha256="):
        return False
    return _matches(secrets, body, header.removeprefix("sha256="))


def buildkite_is_genuine(secrets: Sequence[bytes], body: bytes, header: str | None, *, now: float) -> bool:
    """Whether the header signs this body, and no more than five minutes from `now` (unix seconds)."""
    fields = dict(part.strip().partition("=")[::2] for part in (header or "").split(","))
    stamp = fields.get("timestamp", "")
    if not (stamp.isascii() and stamp.isdigit()) or len(stamp) > 12 or abs(now - int(stamp)) > AGE_SECONDS_MAX:
        return False
    return _matches(secrets, stamp.encode() + b"." + body, fields.get("signature", ""))


def sign(secret: bytes, message: bytes) -> str:
    """Return the lower-case hex HMAC-SHA256 that a sender puts in its header."""
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def _matches(secrets: Sequence[bytes], message: bytes, given: str) -> bool:
    # compare_digest takes the same time for every wrong signature: none can be found sign by sign
    return any(hmac.compare_digest(sign(secret, message).encode(), given.encode()) for secret in secrets)
