"""Everything that goes wrong between here and a Hub: what happened, what is said, and that nothing is doubled."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import BadInput, Conflict, OutcomeUnknown, PerfledgerError, Unavailable
from ledger.ledger import Ledger
from ledger.remotes import hub_session
from ledger.remotes.open import open_remote
from ledger.remotes.timeout import TIMEOUT_VARIABLE
from ledger.sync import outbox
from tests.hub_server import READ_TOKEN, WRITE_TOKEN, Fault, HubServer
from tests.ledger.sync.samples import HUB_URL, do_pull, do_push, remote_segments, write

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

COMMIT = "POST */commit/*"
HEAD = "GET */revision/*"
TREE = "GET */tree/*"
FOREVER = 10**6


@pytest.fixture
def alpha(hub: HubServer, make_ledger: Callable[[str], Ledger]) -> Ledger:
    """A ledger with one push behind it and one event waiting."""
    ledger = make_ledger("alpha")
    do_push(ledger)
    write(ledger, "waiting")
    hub.requests.clear()
    return ledger


def assert_landed_once(hub: HubServer, ledger: Ledger) -> None:
    """Every own event is at the Hub exactly once, in one commit, and the outbox is empty."""
    ours = [c.title for c in hub.repos["org/perf"].commits if c.title.startswith("alpha:")]
    assert len(ours) == 2, ours
    assert remote_segments(hub.repos["org/perf"].files(), "alpha") == [p.name for p in ledger.log.segment_paths()]
    last = outbox.last_push(ledger, HUB_URL)
    assert last is not None and outbox.waiting(ledger, after=last.body()["through"]).events == 0


def assert_nothing_landed(hub: HubServer, ledger: Ledger) -> None:
    """The Hub has what it had, and the event still waits."""
    assert len([c for c in hub.repos["org/perf"].commits if c.title.startswith("alpha:")]) == 1
    last = outbox.last_push(ledger, HUB_URL)
    assert last is not None and outbox.waiting(ledger, after=last.body()["through"]).events == 1


PASSING = {
    "another machine commits first": Fault(COMMIT, "race"),
    "other machines commit first three times": Fault(COMMIT, "race", times=3),
    "the Hub says there is a conflict": Fault(COMMIT, "status", 409),
    "503 before the commit was applied": Fault(COMMIT, "status", 503),
    "500 after the commit was applied": Fault(COMMIT, "status_after", 500),
    "502 after the commit was applied": Fault(COMMIT, "status_after", 502),
    "the connection drops before the commit": Fault(COMMIT, "drop"),
    "the connection drops after the commit": Fault(COMMIT, "drop_after"),
    "too many requests at the commit": Fault(COMMIT, "status", 429),
    "too many requests, with a time to wait": Fault(COMMIT, "status", 429, retry_after="0.2"),
    "503 while looking": Fault(HEAD, "status", 503, times=3),
    "500 while listing": Fault(TREE, "status", 500),
    "the connection drops while listing": Fault(TREE, "drop"),
    "500 at the announcement of the files": Fault("POST */preupload/*", "status", 500),
    "503 from large file storage": Fault("POST */lfs/objects/batch", "status", 503),
    "the transfer of a large file drops": Fault("PUT /_lfs/*", "drop"),
    "503 when a large file is verified": Fault("POST /_lfs/verify", "status", 503),
    "the look after the commit fails once": Fault(HEAD, "status", 503, skip=1),
}


@pytest.mark.parametrize("what", PASSING)
def test_a_fault_that_passes_costs_a_try_and_nothing_is_doubled(hub: HubServer, alpha: Ledger, what: str) -> None:
    fault = Fault(**PASSING[what].__dict__)
    hub.faults.append(fault)
    do_push(alpha)
    assert fault.times == 0, "the fault was never met"
    assert_landed_once(hub, alpha)


def test_a_push_in_parts_is_not_finished_by_the_answer_to_one_of_them(
    hub: HubServer, alpha: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No look succeeds after the first part: what it lacks is not taken for there."""
    from ledger.remotes.hub import HubRemote

    monkeypatch.setattr(HubRemote, "files_per_write", 1)
    finished = len(list(alpha.read(types=["PushFinished"])))
    hub.faults.append(Fault(HEAD, "status", 503, skip=1, times=FOREVER))
    with pytest.raises(Unavailable):
        do_push(alpha)
    assert len(list(alpha.read(types=["PushFinished"]))) == finished
    hub.faults.clear()
    do_push(alpha)
    assert remote_segments(hub.repos["org/perf"].files(), "alpha") == [p.name for p in alpha.log.segment_paths()]
    started = [event.type for event in alpha.read(types=["PushStarted", "PushFinished"])]
    assert started == ["PushStarted", "PushFinished"] * 2


def test_what_others_committed_meanwhile_stays(hub: HubServer, alpha: Ledger) -> None:
    hub.faults.append(Fault(COMMIT, "race", times=2))
    do_push(alpha)
    assert sum(path.startswith("other/") for path in hub.repos["org/perf"].files()) == 2


def test_a_time_to_wait_is_kept(hub: HubServer, alpha: Ledger) -> None:
    hub.faults.append(Fault(COMMIT, "status", 429, retry_after="0.4"))
    begun = time.monotonic()
    do_push(alpha)
    assert time.monotonic() - begun >= 0.4


def test_a_time_to_wait_that_is_too_long_is_said_instead_of_waited(hub: HubServer, alpha: Ledger) -> None:
    hub.faults.append(Fault(COMMIT, "status", 429, retry_after="3600", times=FOREVER))
    with pytest.raises(Unavailable, match="asks to wait 3600 s"):  # at once: the test's own time limit is shorter
        do_push(alpha)
    assert_nothing_landed(hub, alpha)


def test_an_answer_that_comes_too_late_is_looked_for(
    hub: HubServer, alpha: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit lands while nobody listens any more."""
    from huggingface_hub import close_session

    monkeypatch.setenv(TIMEOUT_VARIABLE, "0.3")
    close_session()
    hub.faults.append(Fault(COMMIT, "slow", seconds=0.6))
    do_push(alpha)
    assert_landed_once(hub, alpha)


def test_a_hub_that_never_answers_is_given_up(hub: HubServer, alpha: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import close_session

    monkeypatch.setenv(TIMEOUT_VARIABLE, "0.15")
    close_session()
    hub.faults.append(Fault(TREE, "slow", seconds=0.5, times=FOREVER))
    with pytest.raises(Unavailable, match=r"did not answer within 0\.15 s"):
        do_push(alpha)
    assert_nothing_landed(hub, alpha)


FAILING: dict[str, tuple[list[Fault], type[PerfledgerError], str]] = {
    "others are always first": ([Fault(COMMIT, "race", times=FOREVER)], Conflict, "remote_contended"),
    "503 at every commit": ([Fault(COMMIT, "status", 503, times=FOREVER)], Unavailable, "remote_unavailable"),
    "the Hub is down from the start": ([Fault("*", "drop", times=FOREVER)], Unavailable, "remote_unavailable"),
    "500 whatever is asked": ([Fault("*", "status", 500, times=FOREVER)], Unavailable, "remote_unavailable"),
    "a .gitignore covers the files": ([Fault(COMMIT, "hide", times=FOREVER)], Unavailable, "remote_dropped_files"),
    "the server calls the request wrong": ([Fault(COMMIT, "status", 400, times=FOREVER)], Unavailable, "hub_refused"),
}


@pytest.mark.parametrize("what", FAILING)
def test_a_fault_that_stays_is_said_and_the_event_waits(hub: HubServer, alpha: Ledger, what: str) -> None:
    faults, kind, code = FAILING[what]
    hub.faults.extend(Fault(**fault.__dict__) for fault in faults)
    with pytest.raises(kind) as caught:
        do_push(alpha)
    assert caught.value.code == code and caught.value.hint
    hub.faults.clear()
    if code != "remote_dropped_files":
        assert_nothing_landed(hub, alpha)
        do_push(alpha)
        assert_landed_once(hub, alpha)


def test_when_nobody_can_say_whether_it_landed_that_is_what_is_said(hub: HubServer, alpha: Ledger) -> None:
    hub.faults += [Fault(COMMIT, "drop_after"), Fault("*", "drop", skip=6, times=FOREVER)]
    with pytest.raises(OutcomeUnknown) as caught:
        do_push(alpha)
    assert caught.value.exit_code == 6
    assert "sync push" in caught.value.hint
    hub.faults.clear()
    do_push(alpha)
    assert_landed_once(hub, alpha)


def test_work_goes_on_while_the_hub_is_down(hub: HubServer, alpha: Ledger) -> None:
    hub.faults.append(Fault("*", "drop", times=FOREVER))
    with pytest.raises(Unavailable, match="goes on working without it"):
        do_push(alpha)
    write(alpha, "more")
    last = outbox.last_push(alpha, HUB_URL)
    assert last is not None and outbox.waiting(alpha, after=last.body()["through"]).events == 2
    hub.faults.clear()
    do_push(alpha)
    assert_landed_once(hub, alpha)


def test_failing_again_and_again_does_not_fill_the_log(hub: HubServer, alpha: Ledger) -> None:
    hub.faults.append(Fault(COMMIT, "status", 503, times=FOREVER))
    heads = []
    for _ in range(3):
        with pytest.raises(Unavailable):
            do_push(alpha)
        heads.append(alpha.head().position)
    assert heads[0] == heads[1] == heads[2]


class TestAccess:
    """Tokens, permissions and repositories that are not what they should be."""

    def test_no_token_stops_before_anything(
        self, hub: HubServer, alpha: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HF_TOKEN")
        head = alpha.head().position
        with pytest.raises(Unavailable) as caught:
            do_push(alpha)
        assert caught.value.code == "hub_no_token" and "export HF_TOKEN" in caught.value.hint
        assert alpha.head().position == head and hub.count("POST *") == 0

    @pytest.mark.parametrize("missing", [(), ("HF_API_KEY",), ("HF_API_KEY", "HUGGINGFACE_HUB_TOKEN")])
    def test_the_first_token_that_is_set_is_used(
        self, hub: HubServer, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]
    ) -> None:
        for name in hub_session.TOKEN_VARIABLES:
            monkeypatch.setenv(name, f"token-of-{name}" if name not in missing else "  ")
        first = next(name for name in ("HF_API_KEY", "HUGGINGFACE_HUB_TOKEN", "HF_TOKEN") if name not in missing)
        assert hub_session.find_token() == f"token-of-{first}"

    def test_a_token_another_tool_left_in_the_home_folder_is_not_used(
        self, hub: HubServer, alpha: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        import huggingface_hub.constants

        (tmp_path / "token").write_text(WRITE_TOKEN)
        monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.delenv("HF_TOKEN")
        with pytest.raises(Unavailable, match="no access token is set"):
            do_push(alpha)

    @pytest.mark.parametrize("token", ["hf_with\nnewline", "hf_umläut", "two tokens"])
    def test_a_token_that_cannot_be_sent_is_named_by_its_variable_only(
        self, hub: HubServer, alpha: Ledger, monkeypatch: pytest.MonkeyPatch, token: str
    ) -> None:
        monkeypatch.setenv("HF_API_KEY", token)
        with pytest.raises(BadInput, match="HF_API_KEY") as caught:
            do_push(alpha)
        assert token not in f"{caught.value.message} {caught.value.hint} {caught.value.details}"

    def test_a_token_that_may_only_read(self, hub: HubServer, alpha: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_TOKEN", READ_TOKEN)
        with pytest.raises(Unavailable) as caught:
            do_push(alpha)
        assert caught.value.code == "hub_forbidden" and "org/perf" in caught.value.message
        assert_nothing_landed(hub, alpha)

    def test_a_token_the_hub_does_not_know(
        self, hub: HubServer, alpha: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", "hf_unknown")
        with pytest.raises(Unavailable) as caught:
            do_push(alpha)
        assert caught.value.code == "hub_token_refused" and "settings/tokens" in caught.value.hint

    def test_a_token_that_expires_on_the_way_loses_nothing(self, hub: HubServer, alpha: Ledger) -> None:
        """After each number of requests in turn."""
        stopped = 0
        for allowed in range(30):
            hub.tokens[WRITE_TOKEN].uses_left = allowed
            try:
                do_push(alpha)
            except Unavailable as error:
                assert error.code == "hub_token_refused"
                stopped += 1
            else:
                break
        assert stopped >= 6  # looking, announcing, storing, verifying, committing
        hub.tokens[WRITE_TOKEN].uses_left = None
        do_push(alpha)
        assert_landed_once(hub, alpha)

    def test_a_dataset_that_does_not_exist(self, hub: HubServer, alpha: Ledger) -> None:
        with pytest.raises(BadInput) as caught:
            do_push(alpha, "hf://datasets/org/missing")
        assert caught.value.code == "hub_no_repo"
        assert "--create" in caught.value.hint and "repo create org/missing" in caught.value.hint

    def test_create_makes_it_private_and_does_not_mind_one_that_exists(self, hub: HubServer, alpha: Ledger) -> None:
        for _ in range(2):
            open_remote("hf://datasets/org/fresh", create=True)
        assert hub.repos["org/fresh"].private
        do_push(alpha, "hf://datasets/org/fresh")
        assert remote_segments(hub.repos["org/fresh"].files(), "alpha")

    def test_a_private_dataset_without_a_token_is_not_readable_and_says_why(
        self, hub: HubServer, alpha: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub.create("org/secret", private=True)
        monkeypatch.delenv("HF_TOKEN")
        with pytest.raises(Unavailable) as caught:
            do_pull(alpha, "hf://datasets/org/secret")
        assert caught.value.code == "hub_no_token"

    @pytest.mark.parametrize("address", ["huggingface.co", "ftp://x"])
    def test_an_endpoint_that_is_no_address(
        self, hub: HubServer, alpha: Ledger, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(BadInput, match="HF_ENDPOINT"):
            do_push(alpha)

    def test_no_error_and_no_event_holds_the_token(self, hub: HubServer, alpha: Ledger) -> None:
        said: list[Any] = []
        for faults in (
            [Fault(COMMIT, "status", 400)],
            [Fault("PUT /_lfs/*", "status", 403)],
            [Fault("*", "status", 401)],
            [Fault(COMMIT, "status_after", 422)],
            [Fault(HEAD, "status", 404)],
            [Fault("*", "drop", times=FOREVER)],
            [Fault("PUT /_lfs/*", "status", 503, times=FOREVER)],
        ):
            hub.faults[:] = faults
            write(alpha, "more")
            with pytest.raises(PerfledgerError) as caught:
                do_push(alpha)
            said.append((caught.value.message, caught.value.hint, caught.value.details, caught.value.__cause__))
        everything = repr(said) + "".join(repr(event.as_dict()) for event in alpha.read())
        for secret in (WRITE_TOKEN, "Bearer", "signature="):
            assert secret not in everything


def test_a_login_page_in_the_place_of_the_hub_is_an_outage(
    hub: HubServer, alpha: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from starlette.responses import HTMLResponse

    monkeypatch.setattr(hub, "_answer", lambda *_, **__: HTMLResponse("<html>please log in</html>"))
    with pytest.raises(Unavailable, match="not a Hub's"):
        do_push(alpha)


def test_a_hub_that_is_switched_off_is_not_asked(
    hub: HubServer, alpha: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(Unavailable, match="HF_HUB_OFFLINE") as caught:
        do_push(alpha)
    assert caught.value.code == "hub_offline" and hub.requests == []
