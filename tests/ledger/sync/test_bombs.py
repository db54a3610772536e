"""What arrives is bounded before it is opened: each attack ends soon, in one sentence, below 256 MiB, nothing adopted.

The rule is T10 of the trust design. Each pull is a process of its own, whose peak memory the kernel counted.
"""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ledger.ledger import Ledger
from ledger.log import segment
from ledger.verification.walk import verify
from tests.ledger.samples import result
from tests.ledger.sync.forged import sealed

PEAK_MIB = 256
ROWS = 10_000
PULL = """
import json, pathlib, re, sys
from ledger.errors import PerfledgerError
from ledger.ledger import Ledger
from ledger.limits import Limits
from ledger.remotes import hub_session
from ledger.remotes.open import open_remote
from ledger.remotes.retry import RetryPolicy
from ledger.sync.pull import pull
folder, url, limits = sys.argv[1], sys.argv[2], Limits(**json.loads(sys.argv[3]))
hub_session.LIMITS = limits
remote = open_remote(url, policy=RetryPolicy(tries_max=2, wait_s=0.01, wait_total_max_s=1.0))
remote.limits = limits
said = []
try:
    pull(Ledger.open(folder, actor="x"), remote, say=said.append)
    code, message = "", ""
except PerfledgerError as error:
    code, message = error.code, error.message
# not ru_maxrss, which a child has from its parent
peak = int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024
print(json.dumps({"code": code, "message": message, "peak": peak}))
"""


def pulled(ledger: Ledger, url: str, env: dict[str, str] | None = None, **limits: float) -> dict[str, Any]:
    """Pull in a process of its own. Returns the error's code and message, and the peak in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", PULL, str(ledger.path), url, json.dumps(limits)],
        capture_output=True,
        text=True,
        check=False,
        env=env,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert "\n" not in found["message"]
    assert found["peak"] < PEAK_MIB, found
    assert ledger.origins()[1:] == []
    assert ledger.evidence.files() == []
    assert verify(ledger).findings == []
    return found


def table(rows: int = ROWS, **values: Any) -> pa.Table:
    """The columns of a segment, each with one value in every row; nothing in it has to be true."""
    one: dict[str, Any] = {f.name: "x" for f in segment.schema()} | {
        "origin": "mallory",
        "position": 1,
        "recorded_at": 1,
        "version": 1,
        "schema_version": 1,
        "prev_hash": b"x" * 32,
        "hash": b"x" * 32,
        **values,
    }
    columns = {f.name: _repeated(one[f.name], f.type, rows) for f in segment.schema()}
    columns["position"] = pa.array(range(1, rows + 1), pa.int64())
    return pa.table(columns)


def _repeated(value: Any, kind: pa.DataType, rows: int) -> pa.Array:
    """One value in every row, kept once."""
    if pa.types.is_string(kind):
        return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([value]))
    return pa.repeat(pa.scalar(value, kind), rows)


def written(rows: pa.Table, **options: Any) -> bytes:
    """A segment's bytes as a stranger's writer makes them."""
    about = {
        "version": 1, "origin": "mallory", "first": 1, "last": len(rows), "prev_hash": "0" * 64, "head_hash": "f" * 64,
        "file_sha256": "0" * 64,
    }  # fmt: skip
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, rows.schema, store_schema=False, **{"compression": "zstd", **options}) as writer:
        writer.write_table(rows, row_group_size=options.get("row_group_size", ROWS))
        writer.add_key_value_metadata({"perfledger": json.dumps(about, separators=(",", ":"))})
    return sealed(sink.getvalue())


MIB_OF_TEXT = "x" * 2**20


def plain(rows: int) -> pa.Table:
    """Rows with a payload of a megabyte each, in full."""
    whole = table(rows)
    at = whole.schema.get_field_index("payload")
    return whole.set_column(at, pa.field("payload", pa.string()), pa.array([MIB_OF_TEXT] * rows))


def one_payload_ten_thousand_times() -> bytes:
    return written(table(payload=MIB_OF_TEXT), use_dictionary=True)


def payloads_that_share_a_beginning() -> bytes:
    encodings = {"payload": "DELTA_BYTE_ARRAY"}
    return written(plain(100), use_dictionary=False, column_encoding=encodings)


def one_stream_ten_thousand_times() -> bytes:
    return written(table(stream=MIB_OF_TEXT), use_dictionary=["stream"])


def a_page_of_more_than_a_group_may_have() -> bytes:
    return written(plain(120), use_dictionary=False, data_page_size=2**30)


def another_compression() -> bytes:
    return written(table(100), compression="gzip")


def a_quarter_of_a_million_rows() -> bytes:
    return written(table(250_000), use_dictionary=["origin", "stream", "type", "actor", "host", "git_sha"])


def a_thousand_row_groups() -> bytes:
    sink = io.BytesIO()
    rows = table(1)
    with pq.ParquetWriter(sink, rows.schema, store_schema=False, compression="zstd") as writer:
        for _ in range(1_000):
            writer.write_table(rows)
    return sink.getvalue()


def a_thousand_columns() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({f"c{n}": [1] for n in range(1_000)}), sink)
    return sink.getvalue()


def a_footer_that_is_all_of_it() -> bytes:
    return b"PAR1" + b"\x19" * (5 * 2**20) + (5 * 2**20).to_bytes(4, "little") + b"PAR1"


SEGMENTS: dict[Callable[[], bytes], str] = {
    one_payload_ten_thousand_times: "a column has a dictionary",
    payloads_that_share_a_beginning: "has the encoding 7",
    one_stream_ten_thousand_times: "it takes more than 64 MiB",
    a_page_of_more_than_a_group_may_have: "takes more than 96 MiB",
    another_compression: "compressed by method 2",
    a_quarter_of_a_million_rows: "more than 200,000 rows",
    a_thousand_row_groups: "1,000 row groups",
    a_thousand_columns: "1,001 columns",
    a_footer_that_is_all_of_it: "its footer has",
}


@pytest.mark.parametrize("make", SEGMENTS, ids=lambda make: make.__name__)
def test_a_segment_that_becomes_large_when_it_is_read_is_refused(
    ledger: Ledger, tmp_path: Path, make: Callable[[], bytes]
) -> None:
    folder = tmp_path / "shared" / "log" / "mallory"
    folder.mkdir(parents=True)
    (folder / segment.file_name(1)).write_bytes(make())
    found = pulled(ledger, (tmp_path / "shared").as_uri())
    assert found["code"] == "origin_refused"
    assert SEGMENTS[make] in found["message"]


def test_a_pack_that_becomes_large_when_it_is_read_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    digests = [sha256(b"%d" % n).hexdigest() for n in range(2_000)]
    data = pa.DictionaryArray.from_arrays(pa.array([0] * len(digests), pa.int32()), pa.array([MIB_OF_TEXT.encode()]))
    sink = io.BytesIO()
    rows = pa.table({"sha256": digests, "size": [1] * len(digests), "data": data})
    pq.write_table(rows, sink, compression="zstd", store_schema=False)
    folder = tmp_path / "shared" / "evidence" / "mallory"
    folder.mkdir(parents=True)
    (folder / f"{sha256(sink.getvalue()).hexdigest()[:32]}.parquet").write_bytes(sink.getvalue())
    assert pulled(ledger, (tmp_path / "shared").as_uri())["code"] == "evidence_damaged"


@pytest.mark.parametrize("path", [f"log/mallory/{segment.file_name(1)}", f"evidence/mallory/{'a' * 32}.parquet"])
def test_a_file_listed_with_a_size_that_none_of_ours_has_is_not_fetched(
    ledger: Ledger, tmp_path: Path, path: str
) -> None:
    file = tmp_path / "shared" / path
    file.parent.mkdir(parents=True)
    with file.open("wb") as sparse:
        sparse.truncate(8 * 2**30)
    assert pulled(ledger, (tmp_path / "shared").as_uri())["code"] == "remote_file_too_large"


def test_a_listing_of_more_files_than_are_taken_ends(ledger: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "shared" / "log" / "mallory"
    folder.mkdir(parents=True)
    for number in range(30):
        (folder / f"{number}.txt").touch()
    assert pulled(ledger, (tmp_path / "shared").as_uri(), listed_files=20)["code"] == "remote_listing_endless"


Answer = Callable[[BaseHTTPRequestHandler], None]
FILE = f"log/mallory/{segment.file_name(1)}"


@contextmanager
def hostile(tree: Answer, file: Answer | None = None) -> Iterator[tuple[dict[str, str], list[str]]]:
    """A Hub that answers as it likes. Gives the variables for a client, and the requests it got."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            try:
                if "/tree/" in self.path:
                    tree(self)
                elif "/resolve/" in self.path and file is not None:
                    file(self)
                else:
                    send(self, json.dumps({"id": "org/perf", "sha": "0" * 40, "siblings": []}).encode())
            except OSError:
                pass

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        port = server.server_address[1]
        yield {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "PATH": "", "PYTHONPATH": "."}, requests
    finally:
        server.shutdown()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, body: bytes, **headers: str) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def entry(size: Any) -> bytes:
    return json.dumps([{"type": "file", "path": FILE, "size": size, "oid": "0" * 40}]).encode()


def drip(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """Send a body a byte at a time, never silent, never done."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    for byte in body:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(0.05)


HUB = "hf://datasets/org/perf"


def test_a_listing_whose_next_page_is_itself_ends(ledger: Ledger) -> None:
    def tree(handler: BaseHTTPRequestHandler) -> None:
        send(handler, b"[]", Link=f'<http://{handler.headers["host"]}{handler.path}>; rel="next"')

    with hostile(tree) as (env, requests):
        assert pulled(ledger, HUB, env)["code"] == "remote_listing_endless"
    assert len(requests) < 5


def test_a_listing_whose_pages_do_not_end_ends(ledger: Ledger) -> None:
    def tree(handler: BaseHTTPRequestHandler) -> None:
        page = handler.path.count("x")
        send(
            handler,
            b"[]",
            Link=f'<http://{handler.headers["host"]}{handler.path}{"&" if page else "&c="}x>; rel="next"',
        )

    with hostile(tree) as (env, requests):
        assert pulled(ledger, HUB, env, listing_pages=10)["code"] == "remote_listing_endless"
    assert len(requests) < 15


def test_an_answer_that_becomes_large_when_it_is_decompressed_ends(ledger: Ledger) -> None:
    bomb = gzip.compress(b"[" + b" " * (128 * 2**20), 9)

    with hostile(lambda handler: send(handler, bomb, Content_Encoding="gzip")) as (env, _):
        assert pulled(ledger, HUB, env)["code"] == "remote_unavailable"


@pytest.mark.parametrize("size", [10**18, -1, 10**400, 1e300, "many", None])
def test_an_absurd_size_in_a_listing_ends(ledger: Ledger, size: Any) -> None:
    with hostile(lambda handler: send(handler, entry(size))) as (env, _):
        assert pulled(ledger, HUB, env)["code"] in ("remote_file_too_large", "remote_unavailable")


def test_an_answer_nested_deeply_ends(ledger: Ledger) -> None:
    with hostile(lambda handler: send(handler, b"[" * 1_000_000)) as (env, _):
        assert pulled(ledger, HUB, env)["code"] == "remote_unavailable"


@pytest.mark.parametrize("extra", [-10, 1, 100 * 2**20], ids=["less", "a byte more", "much more"])
def test_a_file_with_more_or_fewer_bytes_than_listed_is_not_taken(ledger: Ledger, extra: int) -> None:
    with hostile(lambda handler: send(handler, entry(100)), lambda handler: send(handler, b"x" * (100 + extra))) as (
        env,
        _,
    ):
        assert pulled(ledger, HUB, env)["code"] == "remote_unavailable"


@pytest.mark.parametrize("part", ["listing", "file"])
def test_a_server_that_sends_a_byte_now_and_then_is_given_up(ledger: Ledger, part: str) -> None:
    slow = lambda handler: drip(handler, b"[" + b" " * 10**6)  # noqa: E731
    tree = slow if part == "listing" else lambda handler: send(handler, entry(10**6))
    with hostile(tree, slow) as (env, _):
        assert pulled(ledger, HUB, env, slow_after_s=1.0)["code"] == "remote_too_slow"


def test_a_history_of_ours_of_the_largest_append_passes(ledger: Ledger, tmp_path: Path) -> None:
    """The limits are above what a writer makes: 30 appended payloads of a megabyte that do not compress."""
    writer = Ledger.create(tmp_path / "writer", origin="writer", actor="x")
    noise = [sha256(b"%d" % n).hexdigest() * 15_000 for n in range(30)]
    writer.append([result(n, note=text) for n, text in enumerate(noise)])
    writer.append([result(n, target=f"model-{n % 300}@GPU") for n in range(5_000)])
    from tests.ledger.sync.samples import do_pull, do_push

    url = (tmp_path / "shared").as_uri()
    (tmp_path / "shared").mkdir()
    do_push(writer, url)
    assert do_pull(ledger, url).events > 5_000
    assert verify(ledger).findings == []
