"""What every remote must do, as one class run against each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import BadInput, Unavailable
from ledger.remotes.open import open_remote
from ledger.remotes.remote import Remote, Taken, Upload
from ledger.remotes.retry import Busy, Moved
from tests.hub_server import HubServer
from tests.ledger.sync.conftest import QUICK

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

HEAD = "log/alpha/HEAD.json"


def upload(folder: Path, files: dict[str, bytes], checkpoint: bytes = b"{}", at: str = HEAD) -> Upload:
    """An upload of these contents, as files below `folder`."""
    additions = {}
    for number, (path, data) in enumerate(files.items()):
        source = folder / f"{abs(hash((path, data)))}-{number}"
        source.write_bytes(data)
        additions[path] = source
    return Upload(additions, at, checkpoint, "a test")


class RemoteContract:
    """The tests. A subclass gives `open`, which opens the same empty remote each time it is called."""

    @pytest.fixture
    def opened(self) -> Callable[[], Remote]:
        """Open the remote under test."""
        raise NotImplementedError

    def test_an_empty_remote_lists_nothing(self, opened: Callable[[], Remote]) -> None:
        assert dict(opened().snapshot().files) == {}

    def test_what_was_published_is_listed_and_read_back_to_the_byte(
        self, opened: Callable[[], Remote], tmp_path: Path
    ) -> None:
        files = {
            "evidence/alpha/aa.parquet": b"PAR1" + bytes(range(256)) * 9,
            "log/alpha/1.parquet": b"\0\r\n\xff",
            "evidence/sha256/ab/abcd": b"x",
        }
        opened().publish(opened().snapshot(), upload(tmp_path, files, b'{"position":1}'))
        remote = opened()
        seen = remote.snapshot()
        assert {path: file.size for path, file in seen.files.items()} == {
            **{path: len(data) for path, data in files.items()},
            HEAD: len(b'{"position":1}'),
        }
        for path, data in files.items():
            assert remote.read(seen, path) == data
            assert seen.files[path].is_content(data)
        assert remote.read(seen, HEAD) == b'{"position":1}'

    def test_the_checkpoint_is_replaced_and_other_files_stay(
        self, opened: Callable[[], Remote], tmp_path: Path
    ) -> None:
        opened().publish(opened().snapshot(), upload(tmp_path, {"log/alpha/1.parquet": b"one"}, b"1"))
        opened().publish(opened().snapshot(), upload(tmp_path, {"log/alpha/2.parquet": b"two"}, b"22"))
        seen = opened().snapshot()
        assert sorted(seen.files) == ["log/alpha/1.parquet", "log/alpha/2.parquet", HEAD]
        assert opened().read(seen, HEAD) == b"22"

    def test_a_name_that_holds_other_content_is_refused_and_keeps_its_content(
        self, opened: Callable[[], Remote], tmp_path: Path
    ) -> None:
        opened().publish(opened().snapshot(), upload(tmp_path, {"log/alpha/1.parquet": b"first"}, b"1"))
        with pytest.raises(Taken, match=r"log/alpha/1\.parquet"):
            opened().publish(opened().snapshot(), upload(tmp_path, {"log/alpha/1.parquet": b"other"}, b"2"))
        seen = opened().snapshot()
        assert opened().read(seen, "log/alpha/1.parquet") == b"first"
        assert opened().read(seen, HEAD) == b"1"

    def test_publishing_the_same_content_again_is_no_conflict(
        self, opened: Callable[[], Remote], tmp_path: Path
    ) -> None:
        same = {"log/alpha/1.parquet": b"first"}
        for checkpoint in (b"1", b"2"):
            opened().publish(opened().snapshot(), upload(tmp_path, same, checkpoint))
        assert opened().read(opened().snapshot(), HEAD) == b"2"

    def test_of_many_writers_of_one_name_exactly_one_wins(self, opened: Callable[[], Remote], tmp_path: Path) -> None:
        won: list[bytes] = []
        lost: list[bytes] = []
        start = threading.Barrier(6)

        def write(content: bytes) -> None:
            remote = opened()
            start.wait()
            for _ in range(100):
                try:
                    remote.publish(
                        remote.snapshot(),
                        upload(
                            tmp_path, {"log/alpha/1.parquet": content}, content, at=f"log/{content.decode()}/HEAD.json"
                        ),
                    )
                except Moved:
                    continue
                except Taken:
                    lost.append(content)
                    return
                won.append(content)
                return

        threads = [threading.Thread(target=write, args=(f"writer-{n}".encode(),)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), len(lost)) == (1, 5)
        assert opened().read(opened().snapshot(), "log/alpha/1.parquet") == won[0]

    def test_a_large_file_arrives_whole(self, opened: Callable[[], Remote], tmp_path: Path) -> None:
        data = bytes(range(256)) * 4096 * 11
        opened().publish(opened().snapshot(), upload(tmp_path, {"evidence/sha256/ab/abcd": data}))
        assert opened().read(opened().snapshot(), "evidence/sha256/ab/abcd") == data


class TestHubWithLfs(RemoteContract):
    """A dataset that keeps Parquet files in large file storage, as new ones do."""

    lfs = True
    prefix = "/team/perf"

    @pytest.fixture
    def opened(self, hub: HubServer) -> Callable[[], Remote]:
        hub.lfs = self.lfs
        return lambda: open_remote(f"hf://datasets/org/perf{self.prefix}", policy=QUICK)


class TestHubWithoutLfs(TestHubWithLfs):
    """A dataset without large file storage, and a ledger at its top."""

    lfs = False
    prefix = ""

    @pytest.fixture
    def opened(self, hub: HubServer) -> Callable[[], Remote]:
        hub.lfs = self.lfs
        hub.repos["org/perf"].commit("as bare as can be", {}, delete=(".gitattributes",))
        return lambda: open_remote("hf://datasets/org/perf", policy=QUICK)


class TestS3(RemoteContract):
    """An S3 server."""

    @pytest.fixture
    def opened(self, s3_bucket: str) -> Callable[[], Remote]:
        return lambda: open_remote(s3_bucket, policy=QUICK)


class TestFolder(RemoteContract):
    """A shared folder, with a space in its name."""

    @pytest.fixture
    def opened(self, tmp_path: Path) -> Callable[[], Remote]:
        (tmp_path / "the share").mkdir()
        return lambda: open_remote((tmp_path / "the share").as_uri(), policy=QUICK)

    def test_no_half_written_file_stays_behind(self, opened: Callable[[], Remote], tmp_path: Path) -> None:
        opened().publish(opened().snapshot(), upload(tmp_path, {"log/alpha/1.parquet": b"first"}, b"1"))
        with pytest.raises(Taken):
            opened().publish(opened().snapshot(), upload(tmp_path, {"log/alpha/1.parquet": b"other"}, b"2"))
        files = [
            p.relative_to(tmp_path / "the share").as_posix() for p in (tmp_path / "the share").rglob("*") if p.is_file()
        ]
        assert sorted(files) == ["log/alpha/1.parquet", HEAD]


def test_a_listing_costs_a_request_per_thousand_files_and_none_per_file(hub: HubServer) -> None:
    hub.repos["org/perf"].commit("many", {f"log/alpha/{n:020d}.parquet": hub.blob("x", b"%d" % n) for n in range(2500)})
    remote = open_remote("hf://datasets/org/perf", policy=QUICK)
    hub.requests.clear()
    assert len(remote.snapshot().files) == 2501
    assert hub.count("GET *") == 1 + 3 and len(hub.requests) == 4


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x",
        "perf-ledger",
        "hf://models/org/perf",
        "hf://datasets/org",
        "s3://",
        "s3://key:secret@bucket/x",
        "hf://datasets/org/perf/../other",
        "hf://datasets/or--g/perf",
        "hf://datasets/org/perf.git",
        "hf://datasets/org/-perf",
        f"hf://datasets/org/{'x' * 100}",
        "file://host/x",
        "",
    ],
)
def test_a_url_of_no_known_form_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        open_remote(url)
    assert caught.value.code == "bad_remote_url" and "://" in caught.value.hint


def test_a_folder_that_is_not_there_is_not_made_by_accident(tmp_path: Path) -> None:
    url = (tmp_path / "unmounted").as_uri()
    with pytest.raises(BadInput) as caught:
        open_remote(url)
    assert caught.value.code == "remote_missing" and not (tmp_path / "unmounted").exists()
    open_remote(url, create=True)
    assert (tmp_path / "unmounted").is_dir()


def test_a_bucket_that_does_not_exist_is_bad_input(s3_bucket: str) -> None:
    with pytest.raises(BadInput) as caught:
        open_remote("s3://no-such-bucket/x", policy=QUICK).snapshot()
    assert caught.value.code == "remote_missing"


def test_a_server_that_is_not_there_is_busy(s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(Busy, match="cannot be reached"):
        open_remote(s3_bucket, policy=QUICK).snapshot()


def test_missing_credentials_say_which_variables_to_set(s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    # the address at which a machine in the cloud would find its own credentials: nobody answers here
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(Unavailable) as caught:
        open_remote(s3_bucket, policy=QUICK).snapshot()
    assert caught.value.code == "remote_no_credentials" and "AWS_ACCESS_KEY_ID" in caught.value.hint
