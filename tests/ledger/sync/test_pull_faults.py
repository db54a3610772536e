"""What goes wrong between a Hub and a pull: what passes is got over, what is half taken ends next time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import Unavailable
from ledger.event import NewEvent
from ledger.events.baselines import BaselineUnpinned
from ledger.ledger import Ledger
from tests.hub_server import Fault, HubServer
from tests.ledger.sync.samples import do_pull, do_push, names, write

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

HEAD = "GET */revision/*"
TREE = "GET */tree/*"
FOREVER = 10**6


@pytest.fixture
def alpha(make_ledger: Callable[[str], Ledger]) -> Ledger:
    """A ledger with one push behind it and one event waiting."""
    ledger = make_ledger("alpha")
    do_push(ledger)
    write(ledger, "waiting")
    return ledger


@pytest.mark.parametrize(
    "fault",
    [
        Fault(HEAD, "status", 503),
        Fault(TREE, "drop"),
        Fault("GET */resolve/*", "status", 500, times=2),
        Fault("GET */resolve/*", "drop"),
        Fault("GET */resolve/*", "status", 429, retry_after="0.1"),
    ],
)
def test_a_pull_gets_over_faults_that_pass(
    hub: HubServer, alpha: Ledger, make_ledger: Callable[[str], Ledger], fault: Fault
) -> None:
    do_push(alpha)
    beta = make_ledger("beta")
    fault = Fault(**fault.__dict__)
    hub.faults.append(fault)
    do_pull(beta)
    assert fault.times == 0 and names(beta) == ["waiting"]


def test_a_pull_that_fails_half_way_leaves_whole_segments_and_ends_next_time(
    hub: HubServer, make_ledger: Callable[[str], Ledger]
) -> None:
    alpha, beta = make_ledger("alpha"), make_ledger("beta")
    for number in range(4):
        write(alpha, str(number))
        do_push(alpha)
    hub.faults.append(Fault("GET */resolve/*", "status", 500, skip=6, times=FOREVER))
    with pytest.raises(Unavailable):
        do_pull(beta)
    assert not (beta.path / "incoming").exists()
    hub.faults.clear()
    do_pull(beta)
    assert names(beta) == ["0", "1", "2", "3"]


def test_segments_a_killed_pull_did_not_announce_are_announced_by_the_next(
    hub: HubServer, alpha: Ledger, make_ledger: Callable[[str], Ledger], tmp_path: Path
) -> None:
    """The process died between linking the segments and noting the pull."""
    do_push(alpha)
    beta = make_ledger("beta")
    folder = beta.path / "log" / "alpha"
    folder.mkdir()
    for path in alpha.log.segment_paths():
        (folder / path.name).write_bytes(path.read_bytes())
    beta.append([NewEvent(stream="x", payload=BaselineUnpinned(target="t", name="n", reason="r"))])
    report = do_pull(beta)
    assert [(o.origin, o.first) for o in report.origins] == [("alpha", 1)]
    noted = [event.body()["last"] for event in beta.read(origin="beta", types=["EventsPulled"])]
    assert noted == [alpha.log.head().position - 1]
