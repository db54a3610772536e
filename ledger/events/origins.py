"""What happens to a ledger replica itself: created, pulled from others, given a key for its checkpoints."""

from __future__ import annotations

from ledger.event import EventPayload, event_type


@event_type()
class LedgerCreated(EventPayload):
    """The first event of every origin. ledger_format: version of the on-disk format."""

    ledger_format: int
    perfledger_version: str


@event_type()
class EventsPulled(EventPayload):
    """Events of another origin became known here: positions first..last of from_origin.

    head_hash: the hash of event `last`, so that what was learned is bound by this chain too.
    endpoint, token_tag: where the remote was reached; see `PushFinished`.
    """

    from_origin: str
    first: int
    last: int
    head_hash: str
    remote: str
    endpoint: str | None = None
    token_tag: str | None = None


@event_type()
class SigningKeyNamed(EventPayload):
    """A key signs checkpoints of this origin from here on; readers of its log know it by this event.

    verifier_key: the public half as c2sp.org/signed-note writes it, NAME+ID+KEY. NAME is the first line of every
    checkpoint that the key signs.
    """

    verifier_key: str
