"""`perfledger sql` as people and scripts run it."""

from __future__ import annotations

import csv
import io
import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ledger.ledger import Ledger
from tests.conftest import PERFLEDGER, Result, clean_env
from tests.ledger.samples import result

Cli = Callable[..., Result]

# fails long after its first rows came
LATE = "SELECT CASE WHEN range = 90000 THEN error('late') ELSE 'x' END AS x FROM range(100000)"


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    ledger.append([result(n) for n in range(12)])
    ledger.seal()
    ledger.append([result(12, target="model-b@GPU")])
    return ledger


def test_a_table_for_people_and_json_for_scripts(cli: Cli, filled: Ledger) -> None:
    query = "SELECT target, count(*) AS n, min(recorded_at) AS first FROM results GROUP BY target ORDER BY target"
    shown = cli("sql", query, code=0)
    assert [line.split()[:2] for line in shown.out.splitlines()[2:]] == [["model-a@GPU", "12"], ["model-b@GPU", "1"]]
    as_json = cli("sql", query, "--json", code=0).json
    assert [row["n"] for row in as_json] == [12, 1]
    assert as_json[1]["first"] == filled.event(f"14@{filled.origin}").recorded_at
    assert cli("sql", query, "--format", "json", code=0).json == as_json
    assert cli("sql", "FROM results WHERE false", "--json", code=0).out == "[]\n"


def test_show_tables_and_describe_lead_to_the_views(cli: Cli, filled: Ledger) -> None:
    views = {row["name"]: row["about"] for row in cli("sql", "SHOW TABLES", "--json", code=0).json}
    assert {"events", "results", "baselines"} <= set(views)
    assert all(views.values())
    assert not [name for name in views if name.startswith("fact_")]
    columns = [row["column_name"] for row in cli("sql", "DESCRIBE results", "--json", code=0).json]
    assert {"target", "event_id", "recorded_at"} <= set(columns)


def test_the_result_goes_to_a_file_whose_name_says_the_form(cli: Cli, filled: Ledger, tmp_path: Path) -> None:
    query = "SELECT position, target FROM results ORDER BY position"
    done = cli("sql", query, "-o", "out.csv", code=0)
    assert done.out == ""
    assert done.err == f"{tmp_path / 'out.csv'}: 13 rows\n"
    assert len(list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))) == 13
    about = cli("sql", query, "-o", "out.parquet", "--json", code=0).json
    assert about == {
        "file": str(tmp_path / "out.parquet"),
        "format": "parquet",
        "rows": 13,
        "columns": ["position", "target"],
        "bytes": (tmp_path / "out.parquet").stat().st_size,
    }
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 13
    cli("sql", query, "-o", "out.json", code=0)
    assert len(json.loads((tmp_path / "out.json").read_text())) == 13
    cli("sql", query, "-o", "table.txt", "-q", code=0)
    assert "model-b@GPU" in (tmp_path / "table.txt").read_text()
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".perfledger")) == [
        "out.csv",
        "out.json",
        "out.parquet",
        "table.txt",
    ]


def test_a_file_is_replaced_whole_or_not_at_all_and_keeps_its_mode(cli: Cli, filled: Ledger, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("what was there\n")
    target.chmod(0o640)
    cli("sql", LATE, "-o", target, code=2)
    assert target.read_text() == "what was there\n"
    assert len(list(tmp_path.iterdir())) == 2
    cli("sql", "SELECT 1 AS a", "-o", target, code=0)
    assert target.read_text() == "a\n1\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_nothing_is_written_into_the_ledger(cli: Cli, filled: Ledger, tmp_path: Path) -> None:
    (segment,) = (filled.path / "log").rglob("*.parquet")
    before = segment.read_bytes()
    (tmp_path / "way-in").symlink_to(filled.path / "log")
    for target in (segment, filled.path / "new.csv", tmp_path / "way-in" / filled.origin / segment.name):
        refused = cli("sql", "SELECT 1", "-o", target, "--json", code=2).json
        assert refused["error"]["code"] == "output_in_ledger"
    assert segment.read_bytes() == before
    assert cli("sql", "SELECT 1", "-o", tmp_path, code=2).err.startswith(f"perfledger: {tmp_path} is a folder")
    assert "does not exist" in cli("sql", "SELECT 1", "-o", tmp_path / "no" / "x.csv", code=2).err


def test_parquet_bytes_can_be_piped(filled: Ledger, tmp_path: Path) -> None:
    done = subprocess.run(
        [PERFLEDGER, "sql", "FROM results", "--format", "parquet"],
        cwd=tmp_path,
        env=clean_env(),
        capture_output=True,
        check=True,
    )
    assert pq.read_table(io.BytesIO(done.stdout)).num_rows == 13


def test_the_query_comes_from_a_file_or_standard_input(cli: Cli, filled: Ledger, tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("\ufeff-- how many\nSELECT count(*) AS n\nFROM results;\n")
    assert cli("sql", "-f", "q.sql", "--json", code=0).json == [{"n": 13}]
    assert cli("sql", "-f", "-", "--json", stdin="SELECT 1 AS n", code=0).json == [{"n": 1}]
    (tmp_path / "bad.sql").write_bytes(b"SELECT '\xff'")
    assert "bad.sql is not UTF-8 text (byte 8)" in cli("sql", "-f", "bad.sql", code=2).err
    assert "cannot open" in cli("sql", "-f", "none.sql", code=2).err


def test_as_of_and_parameters_on_the_command_line(cli: Cli, filled: Ledger) -> None:
    query = "SELECT count(*) AS n FROM results WHERE target = $t"
    assert cli("sql", query, "--param", "t=model-a@GPU", "--json", code=0).json == [{"n": 12}]
    moment = f"4@{filled.origin}"
    assert cli("sql", query, "--param", "t=model-a@GPU", "--as-of", moment, "--json", code=0).json == [{"n": 3}]
    assert cli("sql", query, "--json", code=2).json["error"]["code"] == "sql_parameter_missing"
    assert "is not NAME=VALUE" in cli("sql", query, "--param", "t", code=2).err


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code", "says"),
    [
        (["SELECT 1\nFROM results WHERE WHERE"], 2, "sql_syntax", "at line 2, column 20: syntax error at or near"),
        (["FROM reslts"], 2, "sql_unknown_name", 'there is no view "reslts"; did you mean "results"?'),
        (["SELECT latncy FROM results"], 2, "sql_unknown_name", 'Referenced column "latncy" not found'),
        (["SELECT 'x'::INT"], 2, "sql_failed", "at line 1, column 11: Could not convert string 'x'"),
        (["DROP TABLE results"], 2, "sql_forbidden", "sql is read-only and sees the views alone: DROP is not allowed"),
        (["FROM read_text('/etc/passwd')"], 2, "sql_forbidden", "the table function read_text() (line 1, column 6)"),
        (
            ["SELECT sum(a.range) FROM range(9999999) a, range(9999999)", "--timeout", "0.3"],
            4,
            "sql_timeout",
            "ran longer than 0.3 s",
        ),
        (["SELECT list(range) FROM range(999999999)", "--memory", "64"], 4, "sql_out_of_memory", "the 64 MiB"),
        (["SELECT 1", "--timeout", "nan"], 2, "usage", "--timeout must be"),
        (["SELECT 1", "--timeout", "0"], 2, "usage", "--timeout must be"),
        (["SELECT 1", "--name", "x"], 2, "usage", "give one of"),
        ([], 2, "usage", "give one of"),
        (["--name", "no-such-audit"], 2, "audit_unknown", 'no audit query "no-such-audit"'),
    ],
)
def test_every_failure_has_a_code_a_sentence_and_an_exit_code(
    cli: Cli, filled: Ledger, arguments: list[str], exit_code: int, code: str, says: str
) -> None:
    error = cli("sql", *arguments, "--json", code=exit_code).json["error"]
    assert error["code"] == code
    assert says in error["message"]
    assert error["hint"]
    assert "\n" not in error["message"]


def test_a_failure_half_way_leaves_nothing_on_standard_output(cli: Cli, filled: Ledger) -> None:
    for form in ("json", "csv", "parquet"):
        assert cli("sql", LATE, "--format", form, code=2).out == ""


def test_a_long_table_says_that_rows_are_left_out(cli: Cli, filled: Ledger) -> None:
    done = cli("sql", "FROM range(2000)", code=0)
    assert len(done.out.splitlines()) == 1002
    assert "the first 1000 rows are shown" in done.err
    assert cli("sql", "FROM range(2000)", "-q", code=0).err == ""


def test_without_a_ledger_the_next_step_is_said(cli: Cli) -> None:
    done = cli("sql", "SELECT 1", code=2)
    assert "no ledger here" in done.err
    assert cli("sql", "--list", code=0)


def test_a_pipe_or_a_device_is_written_as_it_is(cli: Cli, filled: Ledger) -> None:
    assert cli("sql", "SELECT 1 AS a", "--format", "csv", "-o", "/dev/stdout", "-q", code=0).out == "a\n1\n"
    assert cli("sql", "SELECT 1 AS a", "--format", "csv", "-o", "-", code=0).out == "a\n1\n"
    assert cli("sql", "SELECT 1 AS a", "-o", "/dev/null", "--json", code=0).json["rows"] == 1


def test_a_reader_that_goes_away_is_no_error(filled: Ledger, tmp_path: Path) -> None:
    command = f"{PERFLEDGER} sql 'FROM range(200000)' --format csv | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=tmp_path,
        env=clean_env(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "range\n"
    assert done.stderr == ""
