"""perfledger import threshold-history, and the views that say who loosened what by how much."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger
from projections.calibration.bounds import bound_of, direction_of, parse_literal, percent_of
from projections.state.state import State
from tests.conftest import Result

Cli = Callable[..., Result]
REAL = Path(__file__).parents[3] / "examples" / "data" / "threshold_history.csv"
HEADER = "commit,committed_at,pr,file,symbol,change,old,new"

# Rows of the real history in examples/data (sgl-project/sglang-omni, Apache-2.0).
ROWS = [
    "c52c3a37edf6,2026-04-04T10:08:54-07:00,242,tests/test_model/test_s2pro_tts_ci.py,VC_WER_MAX_CORPUS,changed,0.02,0.025",
    "fd7f417b6acb,2026-05-10T00:55:23-07:00,422,t/mmsu.py,_MMSU_AUDIO_P95[8]['tok_per_s_agg'],changed,5.2,8.4",
    "28727e6c9972,2026-05-25T19:59:47-07:00,557,t/mmsu.py,_MMSU_AUDIO_P95[16]['rtf_mean'],changed,0.446,0.4792",
    "6e2c70e42534,2026-07-11T08:45:06-07:00,1021,t/vme.py,VIDEOMME_MIN_ACCURACY,changed,0.5,0.55",
    "aaaa00000000,2026-07-12T08:45:06-07:00,,t/vme.py,VIDEOMME_MIN_ACCURACY,removed,0.55,",
    "bbbb00000000,2026-07-13T00:00:00Z,7,t/x.py,MAX_TOKENS,changed,32,64",
]


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "history.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def changes(ledger: Ledger, sql: str) -> list[dict[str, Any]]:
    with State.open(ledger) as state:
        return state.rows(sql)


def test_who_loosened_what_by_how_much_is_one_query(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    said = cli("import", "threshold-history", write(tmp_path, *ROWS), "--json", code=0).json
    assert (said["recorded"], said["loosens"], said["tightens"], said["unknown"]) == (6, 2, 2, 1)
    found = changes(ledger, "SELECT literal, direction, percent, loosened_by, commit_sha, pr FROM threshold_changes")
    by_name = {str(row["literal"]): row for row in found if row["direction"]}
    assert by_name["VC_WER_MAX_CORPUS"]["direction"] == "loosens"
    assert by_name["VC_WER_MAX_CORPUS"]["percent"] == pytest.approx(0.25)
    assert by_name["_MMSU_AUDIO_P95[8]['tok_per_s_agg']"]["direction"] == "tightens"
    assert by_name["_MMSU_AUDIO_P95[8]['tok_per_s_agg']"]["loosened_by"] == pytest.approx(-(8.4 - 5.2) / 5.2)
    assert by_name["_MMSU_AUDIO_P95[16]['rtf_mean']"]["direction"] == "loosens"
    assert by_name["_MMSU_AUDIO_P95[16]['rtf_mean']"]["pr"] == 557


def test_importing_again_records_nothing_new(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    path = write(tmp_path, *ROWS)
    cli("import", "threshold-history", path, code=0)
    head = ledger.head()
    said = cli("import", "threshold-history", path, "--json", code=0).json
    assert (said["recorded"], said["known"]) == (0, 6)
    assert ledger.head() == head


def test_thresholds_are_what_the_last_move_left(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    cli("import", "threshold-history", write(tmp_path, *ROWS), code=0)
    found = {row["literal"]: row["value"] for row in changes(ledger, "FROM thresholds")}
    assert found["VC_WER_MAX_CORPUS"] == 0.025
    assert "VIDEOMME_MIN_ACCURACY" not in found, "it was removed"


@pytest.mark.parametrize(
    ("rows", "header", "names"),
    [
        ([], "commit,when", "missing column"),
        (["c,notatime,1,f,S,added,,1"], HEADER, "line 2, committed_at"),
        (["c,2026-01-01,x,f,S,added,,1"], HEADER, "line 2, pr"),
        (["c,2026-01-01,1,f,S,renamed,,1"], HEADER, "line 2, change"),
        ([ROWS[0], "c,2026-01-01,1,f,,added,,1"], HEADER, "line 3, symbol"),
        (["c,2026-01-01,1,f"], HEADER, "line 2, row"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_recorded(
    cli: Cli, ledger: Ledger, tmp_path: Path, rows: list[str], header: str, names: str
) -> None:
    done = cli("import", "threshold-history", write(tmp_path, *rows, header=header), code=2)
    assert names in done.err
    assert ledger.head().position == 1


def test_a_file_that_is_no_text_is_refused(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00\x01" * 10)
    assert cli("import", "threshold-history", "x.csv").code == 2
    assert cli("import", "threshold-history").code == 2
    assert ledger.head().position == 1


@pytest.mark.parametrize(
    ("literal", "bound"),
    [
        ("VC_STREAM_MIN_THROUGHPUT_QPS", "min"),
        ("VC_NON_STREAM_MAX_RTF", "max"),
        ("X_P95[16]['output_tok_per_req_s']", "min"),
        ("X_P95[16]['latency_p95_s']", "max"),
        ("MMMU_MIN_ACCURACY", "min"),
        ("A_ACC_MIN", "min"),
        ("B_WER_BELOW_50_CORPUS_MAX", "max"),
        ("UTMOS_REFERENCE", "min"),
        ("C_N_ABOVE_50_MAX", "max"),
        ("MAX_FAILED_REQUESTS", "max"),
        ("SIMILARITY_MEAN_MIN", "min"),
        ("SERVING_CLOSED16_LATENCY_P95_S_REF", "max"),
        ("MAX_NEW_TOKENS", None),
        ("BENCHMARK_MAX_SAMPLES", None),
        ("THRESHOLD_SLACK_HIGHER", None),
        ("CP_CER_VALID_SAMPLES_MIN", "min"),
        ("SOMETHING_ELSE", None),
    ],
)
def test_a_name_tells_its_bound_or_nothing(literal: str, bound: str | None) -> None:
    assert bound_of(parse_literal(literal)) == bound


def test_directions_follow_the_bound() -> None:
    assert direction_of("min", 1.0, 2.0) == "tightens"
    assert direction_of("max", 1.0, 2.0) == "loosens"
    assert direction_of("max", 1.0, 1.0 + 1e-13) == "equal"
    assert direction_of(None, 1.0, 2.0) is None
    assert percent_of(-2.0, -1.0) == 0.5
    assert percent_of(0, 1) is None


def test_the_real_history_imports_whole_and_its_edits_add_up(cli: Cli, ledger: Ledger) -> None:
    """1,097 edits over 287 symbols between March and August 2026; recount them here from the file itself."""
    with REAL.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    changed = [r for r in rows if r["change"] == "changed"]
    assert len(changed) == 1097
    cli("import", "threshold-history", REAL, code=0)
    found = changes(ledger, "SELECT * FROM threshold_changes WHERE change = 'changed'")
    assert len(found) == 1097
    assert len({(r["file"], r["literal"]) for r in found}) == len({(r["file"], r["symbol"]) for r in changed}) == 287
    assert sum(r["worst_op"] is not None for r in found) > 1000, "nearly every name says which way it bounds"
    for got, row in zip(sorted(found, key=lambda r: r["position"]), changed, strict=True):
        old, new = float(row["old"]), float(row["new"])
        assert (got["old"], got["new"], got["commit_sha"]) == (old, new, row["commit"])
        if got["worst_op"] is not None:
            opened = new < old if got["worst_op"] == "min" else new > old
            assert got["direction"] == ("loosens" if opened else "tightens")
    radar = changes(ledger, "SELECT count(*) AS n FROM loosening_radar WHERE oscillates")
    assert radar[0]["n"] > 100
