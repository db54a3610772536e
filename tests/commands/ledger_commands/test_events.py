"""perfledger events, init, replay: through the installed command."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.event import EventPayload, NewEvent, event_type
from ledger.ledger import Ledger
from ledger.log import chain
from tests.conftest import PERFLEDGER, Result, clean_env
from tests.ledger.samples import result

Cli = Callable[..., Result]


def test_without_a_ledger_every_command_says_how_to_make_one(cli: Cli) -> None:
    done = cli("events", "list", code=2)
    assert "no ledger here; run `perfledger init`" in done.err
    error = cli("events", "list", "--json", code=2).json["error"]
    assert error["code"] == "no_ledger"


def test_init_makes_a_ledger_and_says_what_is_next(cli: Cli, tmp_path: Path) -> None:
    made = cli("init", "--origin", "ci-1", "--json", code=0).json
    assert made["origin"] == "ci-1"
    assert (tmp_path / ".perfledger" / "ledger.toml").exists()
    assert cli("init", code=2).err.startswith("perfledger: ")
    assert cli("init", "sub", "--origin", "Bad Name", code=2).out == ""
    assert not (tmp_path / "sub" / ".perfledger" / "ledger.toml").exists()


def test_the_ledger_is_found_from_a_folder_below(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert cli("events", "list", cwd=below, code=0).out.count("LedgerCreated") == 1
    assert cli("events", "list", cwd=Path("/"), env={"PERFLEDGER_DIR": str(ledger.path)}, code=0).out


def test_events_are_listed_filtered_and_shown(cli: Cli, ledger: Ledger) -> None:
    ledger.append([result(n, target=f"m{n % 2}@G") for n in range(6)])
    rows = [json.loads(line) for line in cli("events", "list", "--json", code=0).out.splitlines()]
    assert [r["position"] for r in rows] == list(range(1, 8))
    assert rows[3]["payload"]["record"]["latency"] == 28.02
    assert len(cli("events", "list", "--stream", "target/m1@G").out.splitlines()) == 3
    assert len(cli("events", "list", "--stream", "target/*").out.splitlines()) == 6
    assert len(cli("events", "list", "--type", "LedgerCreated").out.splitlines()) == 1
    assert len(cli("events", "list", "-n", "2").out.splitlines()) == 2
    assert cli("events", "list", "--actor", "nobody").out == ""
    assert len(cli("events", "list", "--until", rows[3]["recorded_at"]).out.splitlines()) == 3
    assert len(cli("events", "list", "--as-of", "3@testbed").out.splitlines()) == 3
    shown = cli("events", "show", "4@testbed", code=0).json
    assert shown == rows[3]
    assert cli("events", "show", shown["event_id"]).json == shown


@event_type()
class FromANewerVersion(EventPayload):
    """An event of a type that the installed command's catalogue does not have."""

    value: int


def test_a_type_that_nothing_has_is_refused_with_the_nearest_ones(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    for asked in (["list"], ["export", "-o", "out.jsonl"], ["tail", "--no-follow"]):
        done = cli("events", *asked, "--type", "ResultRecorded", "--type", "resultjugded", code=2)
        assert done.out == ""
        assert "resultjugded" in done.err
        assert "nearest: ResultJudged" in done.err
    assert not (tmp_path / "out.jsonl").exists()
    assert "perfledger events types" in cli("events", "list", "--type", "", code=2).err
    assert cli("events", "list", "--type", "ResultJudged", code=0).out == ""  # known, and none happened yet

    for sealed in (False, True):
        ledger.append([NewEvent(stream="s", payload=FromANewerVersion(value=7))])
        if sealed:
            ledger.seal()
        assert '"value":7' in cli("events", "list", "--type", "FromANewerVersion", code=0).out


def test_exported_lines_are_the_canonical_bytes(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    ledger.append([result(n) for n in range(3)])
    ledger.seal()
    cli("events", "export", "-o", "out.jsonl", code=0)
    assert (tmp_path / "out.jsonl").read_bytes() == b"".join(chain.to_json(e) + b"\n" for e in ledger.read())
    assert cli("events", "export").out.encode() == (tmp_path / "out.jsonl").read_bytes()


def test_types_lists_every_type_with_its_summary(cli: Cli) -> None:
    rows = cli("events", "types", "--json", code=0).json
    assert {"ResultRecorded", "ResultJudged", "LedgerCreated"} <= {r["type"] for r in rows}
    assert [r["type"] for r in rows if not r["summary"].endswith(".")] == [], "each summary is a sentence"


def test_tail_follows_a_log_another_process_writes(ledger: Ledger, tmp_path: Path) -> None:
    ledger.append([result(1)])
    with subprocess.Popen(
        [PERFLEDGER, "events", "tail", "-n", "1", "--json"],
        cwd=tmp_path,
        env=clean_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["position"] == 2
        ledger.append([result(2), result(3)])
        assert [json.loads(process.stdout.readline())["position"] for _ in range(2)] == [3, 4]
        ledger.seal()
        ledger.append([result(4)])
        assert json.loads(process.stdout.readline())["position"] == 5
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_output_into_a_closed_pipe_is_no_error(ledger: Ledger, tmp_path: Path) -> None:
    for start in range(0, 3_000, 500):
        ledger.append([result(start + n) for n in range(500)])
    done = subprocess.run(
        f"{PERFLEDGER} events list | head -n 1",
        shell=True,
        cwd=tmp_path,
        env=clean_env(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_replay_check_says_that_live_equals_the_log_and_names_what_does_not(cli: Cli, ledger: Ledger) -> None:
    ledger.append([result(n) for n in range(10)])
    ledger.seal()
    assert cli("replay", "--check", "--json", code=0).json["equal"] is True
    import duckdb

    with duckdb.connect(str(ledger.path / "state.duckdb")) as connection:
        connection.execute("DELETE FROM fact_origin")
    error = cli("replay", "--check", "--json", code=7).json["error"]
    assert error["details"]["different"] == ["fact_origin"]
    cli("replay", code=0)
    cli("replay", "--check", code=0)


def test_replay_into_sqlite_fills_the_same_tables(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    ledger.append([result(n) for n in range(7)])
    counts = cli("replay", "--into", f"sqlite:///{tmp_path}/read.sqlite", "--json", code=0).json["rows"]
    assert counts["fact_result"] == 7
    with sqlite3.connect(tmp_path / "read.sqlite") as db:
        assert db.execute("SELECT count(*), max(position) FROM fact_result").fetchone() == (7, 8)
        tables = {r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    db.close()
    assert tables == set(counts)
    cli("replay", "--into", f"sqlite:///{tmp_path}/read.sqlite", code=0)
    for bad in ("nonsense", "sqlite:////nowhere/at/all.db", "mysql://x/y"):
        assert cli("replay", "--into", bad).code in (2, 4)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A real PostgreSQL server on a socket in a temporary folder, or a skip that says what is missing."""
    import shutil

    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL's server programs are not installed (Debian: postgresql)")
    home = tmp_path_factory.mktemp("pg")
    root = os.geteuid() == 0
    if root:
        for folder in (home, *home.parents):
            if folder == Path("/tmp"):
                break
            folder.chmod(0o755)
        shutil.chown(home, "postgres")
    as_user: list[str | Path] = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if root else []
    bin_ = found[-1].parent
    subprocess.run(
        [*as_user, bin_ / "initdb", "-D", home / "data", "-A", "trust", "-U", "postgres"],
        check=True,
        capture_output=True,
    )
    options = f"-c listen_addresses='' -c unix_socket_directories={home}"
    control = [*as_user, bin_ / "pg_ctl", "-D", home / "data", "-t", "120", "-l", home / "log"]
    started = subprocess.run([*control, "-o", options, "-w", "start"], capture_output=True, text=True, check=False)
    assert started.returncode == 0, started.stdout + started.stderr + (home / "log").read_text(encoding="utf-8")
    yield home
    subprocess.run([*control, "-m", "immediate", "-W", "stop"], check=False, capture_output=True)


def test_replay_into_postgresql_fills_the_same_tables(cli: Cli, ledger: Ledger, postgres: Path) -> None:
    import psycopg

    ledger.append([result(n) for n in range(7)])
    url = f"postgresql+psycopg://postgres@/postgres?host={postgres}"
    counts = cli("replay", "--into", url, "--json", code=0).json["rows"]
    assert counts["fact_result"] == 7
    with psycopg.connect(f"host={postgres} user=postgres dbname=postgres") as db:
        row = db.execute("SELECT count(*), max(position), min(recorded_at)::text FROM fact_result").fetchone()
    assert row is not None
    assert row[:2] == (7, 8)


def test_a_password_in_the_database_address_is_never_shown(cli: Cli, ledger: Ledger) -> None:
    done = cli("replay", "--into", "postgresql+psycopg://u:secret@127.0.0.1:1/x", code=4)
    assert "secret" not in done.out + done.err


def test_two_processes_that_append_at_once_both_succeed(cli: Cli, ledger: Ledger) -> None:
    del cli
    code = (
        "import sys; from ledger.ledger import Ledger; from tests.ledger.samples import result\n"
        "l = Ledger.open(sys.argv[1], actor='p')\n"
        "for n in range(40): l.append([result(n)])"
    )
    root = Path(__file__).parents[3]
    python = Path(PERFLEDGER).with_name("python")
    started = time.monotonic()
    runs = [subprocess.Popen([python, "-c", code, ledger.path], cwd=root) for _ in range(3)]
    assert [r.wait(60) for r in runs] == [0, 0, 0], time.monotonic() - started
    assert [e.position for e in ledger.read()] == list(range(1, 122))
