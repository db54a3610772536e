"""What a remote answers, taken in no further than its limits: bytes, time, pages and files."""

from __future__ import annotations

import time
from collections.abc import Iterable

from ledger.errors import Unavailable
from ledger.limits import Limits
from ledger.remotes.retry import Busy


def gather(chunks: Iterable[bytes], *, most: int, what: str, limits: Limits) -> bytes:
    """Return what chunks make together, at most `most` bytes. `what` is the rest of a sentence: "bytes of x".

    Raises `Busy` when more comes, `Unavailable` (`remote_too_slow`) when it comes too slowly to be waited for.
    """
    taken = bytearray()
    begun = time.monotonic()
    for chunk in chunks:
        taken += chunk
        if len(taken) > most:
            raise Busy(f"sent more than {most:,} {what}", sent=False)
        passed = time.monotonic() - begun
        slow = passed > limits.slow_after_s and len(taken) < limits.least_bytes_per_s * passed
        if slow or passed > limits.download_s:
            raise Unavailable(
                f"the remote sent {len(taken):,} {what} in {passed:.0f} s, which is too slow to be waited for; nothing "
                "of it was taken",
                code="remote_too_slow",
                hint="run it again when the connection is better, or look at who runs that server",
            )
    return bytes(taken)


class Listing:
    """Counts what a listing brings: pages, files, and a file named twice, as one that leads to itself would do."""

    def __init__(self, name: str, limits: Limits) -> None:
        self._name = name
        self._limits = limits
        self._pages: set[str] = set()
        self._files: set[str] = set()

    def page(self, address: str) -> None:
        """Take note of a page. Raises `Unavailable` (`remote_listing_endless`)."""
        if address in self._pages or len(self._pages) >= self._limits.listing_pages:
            raise self._endless("leads to a page it had before" if address in self._pages else "has too many pages")
        self._pages.add(address)

    def file(self, path: str) -> None:
        """Take note of a file. Raises `Unavailable` (`remote_listing_endless`)."""
        if path in self._files or len(self._files) >= self._limits.listed_files:
            raise self._endless("names a file twice" if path in self._files else "names too many files")
        self._files.add(path)

    def _endless(self, why: str) -> Unavailable:
        return Unavailable(
            f"the listing of {self._name} {why} (at most {self._limits.listing_pages:,} pages and "
            f"{self._limits.listed_files:,} files); nothing was taken",
            code="remote_listing_endless",
            hint="look at the remote with another tool; a part of it can be used as a remote of its own",
        )
