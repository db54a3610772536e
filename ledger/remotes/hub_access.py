"""Which Hub a remote is at, and which token may go there: what a ledger remembers decides, not an empty variable.

A dataset's URL names no host, and the host of the environment is gone with the shell that set it. So events remember
the address a remote was reached at, and a tag by which its token is known again. The tag is a keyed digest, made with
the token as the key: it reveals nothing of the token, and cannot be made without the token, so that a ledger from
elsewhere cannot name a host of its choice and be sent the caller's token.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from ledger.errors import BadInput
from ledger.remotes import hub_session

TAG_DIGITS = 16


@dataclass(frozen=True)
class HubAddress:
    """What is remembered: the Hub's address, and the tag of the token used there; None where none was, or need be."""

    endpoint: str
    token_tag: str | None = None


@dataclass(frozen=True)
class HubAccess:
    """The Hub to ask, with the token for it. `withheld`: a token is set, but it is not known to be for this Hub."""

    endpoint: str
    token: str | None = field(repr=False)
    withheld: bool = False

    @property
    def address(self) -> HubAddress:
        """What an event remembers of it. The public Hub needs no tag: tokens are for it unless something says else."""
        tagged = self.token is not None and self.endpoint != hub_session.DEFAULT_ENDPOINT
        return HubAddress(self.endpoint, tag_of(self.token, self.endpoint) if tagged and self.token else None)


def tag_of(token: str, endpoint: str) -> str:
    """Return the tag by which a token used at an address is known again."""
    return hmac.new(token.encode(), f"perfledger token at {endpoint}".encode(), "sha256").hexdigest()[:TAG_DIGITS]


def access_to(what: str, remembered: HubAddress | None = None, *, chosen: str | None = None) -> HubAccess:
    """Return where `what` (a remote's URL) is asked for, and the token that may go there.

    chosen: the address the caller named for this one command; it comes first. Else the remembered one, else
    HF_ENDPOINT, else the public Hub. A token in the environment belongs to the address the environment or the caller
    names, and to the public Hub where nothing is named; to another Hub that is only remembered it goes when it was
    used there before.

    Raises `BadInput` (`remote_elsewhere`) when HF_ENDPOINT names another Hub than the remembered one, and for an
    address or a token that is malformed.
    """
    named = hub_session.named_endpoint()
    if chosen:
        return HubAccess(hub_session.check_endpoint(chosen, "--endpoint"), hub_session.find_token())
    if remembered is None:
        return HubAccess(named or hub_session.DEFAULT_ENDPOINT, hub_session.find_token())
    if named not in (None, remembered.endpoint):
        raise BadInput(
            f"{what} was reached at {remembered.endpoint} so far, but HF_ENDPOINT is {named}; nothing was sent",
            code="remote_elsewhere",
            remote=what,
            remembered=remembered.endpoint,
            hint=f"`unset HF_ENDPOINT` to go on there; `--endpoint {named}` of sync push and sync pull moves it",
        )
    token = hub_session.find_token()
    vouched = remembered.endpoint in (named, hub_session.DEFAULT_ENDPOINT)
    if token is None or vouched or _is_known(token, remembered):
        return HubAccess(remembered.endpoint, token)
    return HubAccess(remembered.endpoint, None, withheld=True)


def address_now() -> HubAddress | None:
    """Return what to remember of the Hub the environment names; None when a variable is malformed."""
    try:
        return access_to("").address
    except BadInput:
        return None


def _is_known(token: str, remembered: HubAddress) -> bool:
    tag = remembered.token_tag
    return tag is not None and hmac.compare_digest(tag, tag_of(token, remembered.endpoint))
