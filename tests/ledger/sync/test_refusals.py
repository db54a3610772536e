"""What is refused: an origin with two histories, and a remote that does not verify."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import Conflict, Damaged
from ledger.ledger import Ledger
from ledger.verification.walk import verify
from tests.hub_repo import Blob
from tests.hub_server import HubServer
from tests.ledger.sync.samples import chain, do_pull, do_push, names, remote_segments, write

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

Make = Callable[[str], Ledger]


class TestForks:
    """One origin's name with two histories is refused on every way in, with the way out."""

    def test_a_copied_ledger_that_writes_on_cannot_push(
        self, hub: HubServer, make_ledger: Make, tmp_path: Path
    ) -> None:
        alpha = make_ledger("alpha")
        write(alpha, "one")
        do_push(alpha)
        shutil.copytree(tmp_path / "alpha", tmp_path / "copy")
        copy = Ledger.open(tmp_path / "copy", actor="x")
        write(alpha, "by the original")
        do_push(alpha)
        write(copy, "by the copy")
        with pytest.raises(Conflict) as caught:
            do_push(copy)
        assert caught.value.code == "forked_origin" and "init" in caught.value.hint
        assert remote_segments(hub.repos["org/perf"].files(), "alpha") == [p.name for p in alpha.log.segment_paths()]

    def test_a_copy_that_pushes_first_stops_the_original_too(
        self, hub: HubServer, make_ledger: Make, tmp_path: Path
    ) -> None:
        alpha = make_ledger("alpha")
        write(alpha, "one")
        shutil.copytree(tmp_path / "alpha", tmp_path / "copy")
        copy = Ledger.open(tmp_path / "copy", actor="x")
        write(copy, "by the copy")
        do_push(copy)
        write(alpha, "by the original", "longer than the copy's")
        with pytest.raises(Conflict) as caught:
            do_push(alpha)
        assert (caught.value.code, caught.value.exit_code) == ("forked_origin", 3)

    def test_a_ledger_restored_from_an_old_copy_cannot_push_over_what_is_there(
        self, hub: HubServer, make_ledger: Make, tmp_path: Path
    ) -> None:
        alpha = make_ledger("alpha")
        shutil.copytree(tmp_path / "alpha", tmp_path / "backup")
        write(alpha, "one", "two", "three")
        do_push(alpha)
        restored = Ledger.open(tmp_path / "backup", actor="x")
        with pytest.raises(Conflict, match="restored from"):
            do_push(restored)

    def test_somebody_who_pulled_one_history_refuses_the_other(
        self, hub: HubServer, make_ledger: Make, tmp_path: Path
    ) -> None:
        hub.create("org/second")
        alpha, reader = make_ledger("alpha"), make_ledger("reader")
        write(alpha, "one")
        alpha.seal()
        shutil.copytree(tmp_path / "alpha", tmp_path / "copy")
        copy = Ledger.open(tmp_path / "copy", actor="x")
        write(alpha, "by the original")
        write(copy, "by the copy, which is another length")
        do_push(alpha)
        do_push(copy, "hf://datasets/org/second/ledger")
        do_pull(reader)
        before = chain(reader, "alpha", 10**9)
        with pytest.raises(Conflict) as caught:
            do_pull(reader, "hf://datasets/org/second/ledger")
        assert caught.value.code == "forked_origin" and caught.value.details["origin"] == "alpha"
        assert chain(reader, "alpha", 10**9) == before
        assert verify(reader).ok

    def test_an_origin_that_forked_does_not_stop_the_others(
        self, hub: HubServer, make_ledger: Make, tmp_path: Path
    ) -> None:
        hub.create("org/second")
        alpha, beta, reader = make_ledger("alpha"), make_ledger("beta"), make_ledger("reader")
        shutil.copytree(tmp_path / "alpha", tmp_path / "copy")
        copy = Ledger.open(tmp_path / "copy", actor="x")
        for ledger, name in ((alpha, "one"), (copy, "other"), (beta, "of beta")):
            write(ledger, name)
        do_push(alpha)
        do_pull(reader)
        for ledger in (copy, beta):
            do_push(ledger, "hf://datasets/org/second/ledger")
        with pytest.raises(Conflict, match="alpha"):
            do_pull(reader, "hf://datasets/org/second/ledger")
        assert names(reader) == ["one", "of beta"]


class TestDamage:
    """What a remote holds counts only when it verifies."""

    @pytest.fixture
    def shared(self, hub: HubServer, make_ledger: Make) -> tuple[HubServer, Ledger]:
        """A ledger in two segments at the Hub, and a reader that pulled the first."""
        alpha, reader = make_ledger("alpha"), make_ledger("reader")
        write(alpha, "one")
        do_push(alpha)
        do_pull(reader)
        write(alpha, "two")
        do_push(alpha)
        write(alpha, "three")
        do_push(alpha)
        return hub, reader

    def test_no_flipped_byte_of_a_segment_can_change_an_event(
        self, shared: tuple[HubServer, Ledger], tmp_path: Path
    ) -> None:
        """A flip is found, or it fell on a byte that no event is made of; then the events are the very same."""
        hub, _ = shared
        repo = hub.repos["org/perf"]
        path = sorted(p for p in repo.files() if p.startswith("ledger/log/alpha/0"))[1]
        good = repo.files()[path]
        true = chain(Ledger.open(tmp_path / "alpha", actor="x"), "alpha", 10**9)
        found = 0
        for offset in range(0, len(good), max(1, len(good) // 60)):
            bad = bytearray(good)
            bad[offset] ^= 0x40
            repo.commit("tampered", {path: Blob(bytes(bad), lfs=True)})
            reader = Ledger.open(shutil.copytree(tmp_path / "reader", tmp_path / f"reader-{offset}"), actor="x")
            before = chain(reader, "alpha", 10**9)
            try:
                do_pull(reader)
            except Damaged:
                found += 1
                assert chain(reader, "alpha", 10**9) == before, f"byte {offset}"
                continue
            assert chain(reader, "alpha", 10**9) == true[: len(chain(reader, "alpha", 10**9))], f"byte {offset}"
            assert verify(reader).ok
            repo.commit("mended", {path: Blob(good, lfs=True)})
            do_pull(reader)  # other bytes of the same events are no fork
        assert found > 50

    def test_a_mended_remote_is_pulled_from_as_if_nothing_had_been(self, shared: tuple[HubServer, Ledger]) -> None:
        hub, reader = shared
        repo = hub.repos["org/perf"]
        path = sorted(p for p in repo.files() if p.startswith("ledger/log/alpha/0"))[1]
        good = repo.files()[path]
        repo.commit("tampered", {path: Blob(good[:-1], lfs=True)})
        with pytest.raises(Damaged):
            do_pull(reader)
        repo.commit("mended", {path: Blob(good, lfs=True)})
        do_pull(reader)
        assert names(reader) == ["one", "two", "three"] and verify(reader).ok

    def test_a_missing_segment_in_the_middle_is_a_gap(self, shared: tuple[HubServer, Ledger]) -> None:
        hub, reader = shared
        repo = hub.repos["org/perf"]
        middle = sorted(p for p in repo.files() if p.startswith("ledger/log/alpha/0"))[1]
        repo.commit("deleted", {}, delete=(middle,))
        with pytest.raises(Damaged) as caught:
            do_pull(reader)
        assert caught.value.exit_code == 7 and names(reader) == ["one"]

    def test_a_log_cut_off_at_its_end_is_found_and_put_back_by_its_writer(
        self, shared: tuple[HubServer, Ledger], tmp_path: Path
    ) -> None:
        hub, reader = shared
        repo = hub.repos["org/perf"]
        last = sorted(p for p in repo.files() if p.startswith("ledger/log/alpha/0"))[-1]
        repo.commit("cut off", {}, delete=(last,))
        for _ in range(2):  # the second pull brings nothing new and must say it all the same
            with pytest.raises(Damaged) as caught:
                do_pull(reader)
            assert caught.value.code == "remote_cut_off"
        assert names(reader) == ["one", "two"]
        do_push(Ledger.open(tmp_path / "alpha", actor="x"))
        do_pull(reader)
        assert names(reader) == ["one", "two", "three"]

    def test_evidence_that_is_not_what_its_name_says_is_not_taken(self, shared: tuple[HubServer, Ledger]) -> None:
        hub, reader = shared
        repo = hub.repos["org/perf"]
        held = {path.name for path in reader.evidence.files()}
        path = next(
            p for p in repo.files() if p.startswith("ledger/evidence/alpha/") and p.rpartition("/")[2] not in held
        )
        repo.commit("swapped", {path: Blob(b"PAR1 something else")})
        with pytest.raises(Damaged) as caught:
            do_pull(reader)
        assert caught.value.code == "evidence_damaged" and names(reader) == ["one"]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{}",
            b"not json",
            b'{"format":1,"hash":"x","origin":"beta","position":3}',
            b'{"format":99,"hash":"x","origin":"alpha","position":3}',
        ],
    )
    def test_a_checkpoint_that_is_none_is_damage_for_reader_and_writer(
        self, shared: tuple[HubServer, Ledger], tmp_path: Path, body: bytes
    ) -> None:
        hub, reader = shared
        hub.repos["org/perf"].commit("scribbled", {"ledger/log/alpha/HEAD.json": Blob(body)})
        with pytest.raises(Damaged):
            do_pull(reader)
        alpha = Ledger.open(tmp_path / "alpha", actor="x")
        write(alpha, "four")
        with pytest.raises(Damaged):
            do_push(alpha)

    def test_a_path_that_would_leave_the_ledger_folder_is_refused(self, shared: tuple[HubServer, Ledger]) -> None:
        hub, reader = shared
        hub.repos["org/perf"].commit("hostile", {"ledger/log/../../../outside": Blob(b"x")})
        with pytest.raises(Exception, match="not a path inside it"):
            do_pull(reader)

    def test_folders_that_are_no_origins_and_stray_files_are_passed_over(
        self, shared: tuple[HubServer, Ledger]
    ) -> None:
        hub, reader = shared
        stray = {
            "ledger/log/UPPER CASE/00000000000000000001.parquet": b"x",
            "ledger/log/alpha/notes.txt": b"x",
            "ledger/evidence/readme.md": b"x",
            "ledger/evidence/sha256/zz/short": b"x",
            "README.md": b"# hi",
        }
        hub.repos["org/perf"].commit("stray files", {path: Blob(data) for path, data in stray.items()})
        do_pull(reader)
        assert names(reader) == ["one", "two", "three"]
