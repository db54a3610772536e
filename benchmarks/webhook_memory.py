"""Peak memory of `perfledger serve`: twice as many deliveries, and large bodies against their own size.

The clients are this process; the server is one of its own, and the kernel counts its peak. Large bodies come over all
connections at once, which is the most that a sender can make the server hold.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks import peak
from benchmarks.log import QUICK
from benchmarks.start import print_rows
from benchmarks.webhooks import CONNECTIONS, body, send, serving
from ledger.ledger import Ledger

DELIVERIES = 1_000 if QUICK else 20_000
LARGE = 4 * peak.MIB
GROWTH_LIMIT, LARGE_LIMIT = 1.5, 2.0


def main(deliveries: int = DELIVERIES, large: int = LARGE) -> list[dict[str, Any]]:
    """Measure both and return the rows. `large`: about how many bytes a large body has."""
    with tempfile.TemporaryDirectory() as folder:
        return [_many(Path(folder) / "many", deliveries), _large(Path(folder) / "large", large)]


def _many(folder: Path, deliveries: int) -> dict[str, Any]:
    """The peak after all deliveries, against the peak of the same server after half of them."""
    book = Ledger.create(folder, origin="bench", actor="bench")
    half = deliveries // 2
    with serving(book.path) as (pid, port):
        send(port, [body(n) for n in range(half)])
        early = peak.of_process(pid)
        send(port, [body(n) for n in range(half, deliveries)], first=half)
        late = peak.of_process(pid)
    assert book.head().position == 1 + 2 * deliveries
    against = f"the same server after {half:,}, {early:.0f} MiB"
    return peak.row(
        f"peak memory, serve, {deliveries:,} deliveries", late, peer=early, against=against, limit=GROWTH_LIMIT
    )


def _large(folder: Path, large: int) -> dict[str, Any]:
    """What large bodies add to the peak of a server that has taken small ones, against the bytes of those bodies."""
    book = Ledger.create(folder, origin="bench", actor="bench")
    small = [body(n) for n in range(CONNECTIONS)]
    bodies = [body(n, message=large) for n in range(CONNECTIONS)]
    with serving(book.path) as (pid, port):
        send(port, small)
        before = peak.of_process(pid)
        send(port, bodies, first=len(small))
        added = peak.of_process(pid) - before
    assert book.head().position == 1 + 2 * (len(small) + len(bodies))
    mib = sum(map(len, bodies)) / peak.MIB
    return peak.row(
        f"what {len(bodies)} bodies of {mib / len(bodies):.1f} MiB at once add to the peak, serve",
        added,
        peer=mib,
        against=f"the bodies themselves, {mib:.0f} MiB",
        limit=LARGE_LIMIT,
    )


if __name__ == "__main__":
    print_rows(main())
