"""Pushing and pulling a ledger: what travels, what is verified, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import BadInput, Unavailable
from ledger.ledger import Ledger
from ledger.remotes.hub import HubRemote
from ledger.sync import checkpoint, outbox
from ledger.verification.walk import verify
from projections.state.state import State
from tests.hub_server import Fault, HubServer
from tests.ledger.sync.samples import HUB_URL, chain, do_pull, do_push, names, write

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

Make = Callable[[str], Ledger]


@pytest.fixture
def share(tmp_path: Path) -> str:
    """A shared folder as a remote."""
    (tmp_path / "share").mkdir()
    return (tmp_path / "share").as_uri()


class TestWhatTravels:
    """Every event and every piece of evidence, once."""

    @pytest.fixture(params=["hub", "s3", "folder"])
    def url(self, request: pytest.FixtureRequest) -> str:
        """Each kind of remote in turn."""
        if request.param == "hub":
            request.getfixturevalue("hub")
            return HUB_URL
        return str(request.getfixturevalue("s3_bucket" if request.param == "s3" else "share"))

    def test_a_pull_gives_the_same_events_and_evidence(self, url: str, make_ledger: Make) -> None:
        alpha, beta = make_ledger("alpha"), make_ledger("beta")
        write(alpha, "one", "two")
        large = alpha.evidence.put(bytes(range(256)) * 1024)
        pushed = do_push(alpha, url)
        pulled = do_pull(beta, url)
        assert [(o.origin, o.first, o.last) for o in pulled.origins] == [("alpha", 1, pushed.through)]
        assert chain(beta, "alpha", 10**9) == chain(alpha, "alpha", pushed.through)
        assert names(beta) == ["one", "two"]
        for name in ("one", "two"):
            digest = alpha.evidence.put(f"alpha {name}".encode())
            assert beta.evidence.get(digest) == f"alpha {name}".encode()
        assert beta.evidence.get(large) == bytes(range(256)) * 1024
        assert verify(beta).ok

    def test_the_second_time_only_what_is_new_travels(self, url: str, make_ledger: Make) -> None:
        alpha, beta = make_ledger("alpha"), make_ledger("beta")
        write(alpha, "one")
        first = do_push(alpha, url)
        do_pull(beta, url)
        write(alpha, "two")
        second = do_push(alpha, url)
        assert (second.segments, second.evidence) == (1, 1)
        pulled = do_pull(beta, url)
        assert [(o.first, o.last, o.segments) for o in pulled.origins] == [(first.through + 1, second.through, 1)]
        assert (names(beta), pulled.evidence) == (["one", "two"], 1)

    def test_nothing_new_writes_nothing_and_says_so(self, url: str, make_ledger: Make) -> None:
        alpha = make_ledger("alpha")
        write(alpha, "one")
        done = do_push(alpha, url)
        head = alpha.head().position
        again = do_push(alpha, url)
        assert (again.events, again.segments, again.through) == (0, 0, done.through)
        assert alpha.head().position == head, "a push of nothing must not make an event"
        assert do_pull(alpha, url).events == 0

    def test_each_origin_keeps_to_its_own_files(self, url: str, make_ledger: Make) -> None:
        ledgers = [make_ledger(name) for name in ("alpha", "beta", "gamma")]
        for ledger in ledgers:
            write(ledger, f"of {ledger.origin}")
            do_push(ledger, url)
        for ledger in ledgers:
            do_pull(ledger, url)
            assert sorted(names(ledger)) == ["of alpha", "of beta", "of gamma"]
            assert verify(ledger).ok


def test_a_push_is_one_commit(hub: HubServer, make_ledger: Make) -> None:
    alpha = make_ledger("alpha")
    for round_ in range(3):
        write(alpha, f"round {round_}")
        alpha.seal()
    commits = len(hub.repos["org/perf"].commits)
    assert do_push(alpha).segments == 4  # the fourth holds the note that the push began
    assert len(hub.repos["org/perf"].commits) == commits + 1
    assert hub.count("POST */commit/*") == 1


def test_a_long_history_goes_in_parts_that_are_each_whole(
    hub: HubServer, make_ledger: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HubRemote, "files_per_write", 3)
    alpha, beta = make_ledger("alpha"), make_ledger("beta")
    for number in range(4):
        write(alpha, str(number))
        alpha.seal()
    hub.faults.append(Fault("POST */commit/*", "status", 500, skip=2, times=10**6))
    with pytest.raises(Unavailable):
        do_push(alpha)
    hub.faults.clear()
    do_pull(beta)  # what is there so far: all the evidence, and the first segments up to a checkpoint
    assert names(beta) == ["0", "1"] and verify(beta).ok
    report = do_push(alpha)
    assert (report.segments, report.evidence) == (3, 0)
    do_pull(beta)
    assert names(beta) == ["0", "1", "2", "3"]
    assert [c.title for c in hub.repos["org/perf"].commits[1:]] == [
        "alpha: evidence",
        "alpha: to position 3",
        "alpha: to position 6",
    ]


def test_requests_do_not_grow_with_events_nor_with_segments_known(hub: HubServer, make_ledger: Make) -> None:
    hub.lfs = False  # large file storage itself makes two requests per new file
    alpha, beta = make_ledger("alpha"), make_ledger("beta")
    do_push(alpha)
    pushes, pulls = [], []
    for events in (1, 120):
        for start in range(events):
            write(alpha, f"{events}-{start}")
            if events > 1 and start % 4 == 0:
                alpha.log.seal()
        hub.requests.clear()
        do_push(alpha)
        pushes.append(len(hub.requests))
        do_pull(beta)
        write(alpha, f"one more after {events}")
        do_push(alpha)
        hub.requests.clear()
        do_pull(beta)
        pulls.append(len(hub.requests))
    assert len(alpha.log.segment_paths()) > 30
    assert pushes[0] == pushes[1] <= 6, pushes
    assert pulls[0] == pulls[1] == 2 + 2, "head, tree, and one request each for the new segment and its evidence"


def test_a_push_says_what_it_will_write_and_then_what_it_wrote(hub: HubServer, make_ledger: Make) -> None:
    alpha = make_ledger("alpha")
    write(alpha, "one")
    report = do_push(alpha)
    started, finished = alpha.read_stream(f"remote/{HUB_URL}")
    assert started.type == "PushStarted"
    assert started.body() == {"remote": HUB_URL, "after": 0, "events": 2, "endpoint": hub.endpoint}
    assert finished.type == "PushFinished"
    said = finished.body()
    assert len(said.pop("token_tag")) == 16
    assert said == {
        "endpoint": hub.endpoint,
        "remote": HUB_URL,
        "through": report.through,
        "revision": report.revision,
        "segments": 1,
        "evidence": 1,
        "head_hash": chain(alpha, "alpha", report.through)[-1][1],
    }
    assert hub.repos["org/perf"].head.oid == report.revision


def test_two_ledgers_that_only_push_and_pull_come_to_rest(hub: HubServer, make_ledger: Make) -> None:
    """Notes about pulls alone must not cause pushes, or timers would make a commit each time for ever."""
    alpha, beta = make_ledger("alpha"), make_ledger("beta")
    write(alpha, "one")
    write(beta, "two")
    for _ in range(3):
        for ledger in (alpha, beta):
            do_push(ledger)
            do_pull(ledger)
    commits = len(hub.repos["org/perf"].commits)
    for ledger in (alpha, beta, alpha, beta):
        assert do_push(ledger).segments == 0
        assert do_pull(ledger).events == 0
    assert len(hub.repos["org/perf"].commits) == commits == 3


def test_a_remote_that_lost_its_files_gets_all_of_them_again(hub: HubServer, make_ledger: Make) -> None:
    alpha, beta = make_ledger("alpha"), make_ledger("beta")
    write(alpha, "one")
    do_push(alpha)
    write(alpha, "two")
    do_push(alpha)
    hub.repos["org/perf"].commit("an accident", {}, delete=("ledger/",))
    assert do_push(alpha).segments == len(alpha.log.segment_paths()) == 3
    do_pull(beta)
    assert names(beta) == ["one", "two"]


def test_the_views_know_who_pulled_and_pushed_what(hub: HubServer, make_ledger: Make) -> None:
    alpha, beta = make_ledger("alpha"), make_ledger("beta")
    write(alpha, "one")
    pushed = do_push(alpha)
    do_pull(beta)
    write(beta, "two")
    do_push(beta)
    do_pull(alpha)
    with State.open(beta) as state:
        rows = {row["origin"]: row for row in state.rows("SELECT * FROM origins")}
        assert (rows["alpha"]["pulled_through"], rows["alpha"]["pulled_from"]) == (pushed.through, HUB_URL)
        assert rows["beta"]["pushed_to"] == HUB_URL and rows["beta"]["pulled_through"] is None
    with State.open(alpha) as state:
        # beta's own note that it pulled from alpha is here now; it must not count as a pull of ours
        rows = {row["origin"]: row for row in state.rows("SELECT * FROM origins")}
        assert rows["alpha"]["pulled_through"] is None
        counted = state.rows("SELECT origin, count(*) AS n, max(position) AS last FROM events GROUP BY origin")
        assert all(row["n"] == row["last"] for row in counted), counted


def test_what_was_pulled_was_not_known_before_the_pull(hub: HubServer, make_ledger: Make) -> None:
    alpha, beta = make_ledger("alpha"), make_ledger("beta")
    write(alpha, "one")
    do_push(alpha)
    moment = f"{beta.head().position}@beta"
    do_pull(beta)
    with State.open(beta, as_of=moment) as state:
        assert {row["origin"] for row in state.rows("SELECT origin FROM events")} == {"beta"}
        assert state.rows("SELECT * FROM pinned_baselines") == []
    with State.open(beta) as state:
        assert {row["origin"] for row in state.rows("SELECT origin FROM events")} == {"alpha", "beta"}
        assert [row["name"] for row in state.rows("SELECT * FROM pinned_baselines")] == ["one"]


def test_the_live_projection_of_pulled_events_is_the_one_replay_makes(hub: HubServer, make_ledger: Make) -> None:
    ledgers = [make_ledger(name) for name in ("alpha", "beta", "gamma")]
    for round_ in range(3):
        for ledger in ledgers:
            write(ledger, f"{ledger.origin} {round_}")
            do_push(ledger)
            do_pull(ledger)
            with State.open(ledger) as live, State.from_log(ledger) as replayed:
                assert live.export() == replayed.export()


def test_the_heads_of_all_origins_can_be_read_for_verification(hub: HubServer, make_ledger: Make) -> None:
    from ledger.remotes.open import open_remote

    alpha, beta = make_ledger("alpha"), make_ledger("beta")
    write(alpha, "one")
    through = {ledger.origin: do_push(ledger).through for ledger in (alpha, beta)}
    heads = checkpoint.heads(open_remote(HUB_URL))
    assert {origin: head.position for origin, head in heads.items()} == through
    assert heads["alpha"].hash == chain(alpha, "alpha", through["alpha"])[-1][1]
    assert not verify(alpha, checkpoints={"alpha": heads["alpha"]}).findings


def test_without_a_remote_the_next_step_is_said(make_ledger: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(outbox.REMOTE_VARIABLE, raising=False)
    with pytest.raises(BadInput) as caught:
        outbox.require_remote(make_ledger("alpha"), None)
    assert caught.value.code == "no_remote" and "--remote" in caught.value.hint


def test_the_remote_used_last_is_remembered_by_the_log(hub: HubServer, make_ledger: Make) -> None:
    alpha, beta = make_ledger("alpha"), make_ledger("beta")
    do_push(alpha)
    do_pull(beta)
    assert outbox.default_remote(alpha) == outbox.default_remote(beta) == HUB_URL
