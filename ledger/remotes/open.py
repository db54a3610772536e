"""Which remote a URL names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import BadInput
from ledger.remotes.remote import Remote
from ledger.remotes.retry import RetryPolicy, default_policy

if TYPE_CHECKING:
    from ledger.remotes.hub_access import HubAccess


def check_url(url: str) -> str:
    """Return a remote's URL in the form it is remembered by. Raises `BadInput` when it is malformed.

    Only its form is looked at: nothing is contacted, and what it names need not exist.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme == "hf":
        from ledger.remotes.hub import DatasetUrl

        return str(DatasetUrl.parse(url))
    if scheme in ("s3", "s3a", "gs", "az", "file"):
        from ledger.remotes.objects import take_apart

        take_apart(url)
        return url.rstrip("/")
    raise BadInput(
        f"{url!r} is not a remote this version knows",
        code="bad_remote_url",
        hint="hf://datasets/OWNER/NAME[/PREFIX], s3://BUCKET/PREFIX, gs://..., az://..., file:///FOLDER",
    )


def open_remote(
    url: str, *, create: bool = False, policy: RetryPolicy | None = None, access: HubAccess | None = None
) -> Remote:
    """Return the remote a URL names; `create` makes it when it does not exist.

    access: the Hub a `hf://` URL is at, and the token for it; else the environment's.

    Raises `BadInput` for a URL of no known kind. Nothing is contacted yet, unless `create` is given.
    """
    check_url(url)
    if url.startswith("hf://"):
        from ledger.remotes.hub import HubRemote

        return HubRemote(url, create=create, policy=policy or default_policy(), access=access)
    from ledger.remotes.objects import ObjectRemote

    return ObjectRemote(url, create=create, policy=policy or default_policy())
