"""--as-of and --as-recorded where they came last: sync status and calibrate report have an answer, tails refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.ledger import Ledger
from tests.commands.calibrate.published import reports, write_run_directory
from tests.conftest import Result
from tests.ledger.samples import result

Cli = Callable[..., Result]
TTS = next(r for r in reports() if r["report"] == "20260627T174156Z-tts-report")


def times(cli: Cli, type_name: str) -> list[str]:
    """When each event of a type was recorded."""
    lines = cli("events", "list", "--type", type_name, "--json", code=0).out.splitlines()
    return [json.loads(line)["recorded_at"] for line in lines]


def test_sync_status_answers_for_any_moment(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    share = tmp_path / "share"
    other = Ledger.create(tmp_path / "other", origin="elsewhere", actor="b")
    other.append([result(1)])
    cli("sync", "push", "--create", "--remote", share.as_uri(), "--ledger", other.path, code=0)
    ledger.append([result(2)])
    before = cli("sync", "status", "--json", code=0).json
    cli("sync", "push", "--remote", share.as_uri(), code=0)
    pushed = cli("sync", "status", "--json", code=0).json
    cli("sync", "pull", code=0)
    ledger.append([result(3), result(4)])
    ledger.seal()  # the answer comes from segments as well as from the tail
    now = cli("sync", "status", "--json", code=0).json
    assert (now["as_of"], now["waiting"]["events"], [p["origin"] for p in now["pulled"]]) == (None, 2, ["elsewhere"])

    for option in ("--as-of", "--as-recorded"):
        begun, ended = times(cli, "PushStarted")[0], times(cli, "PushFinished")[0]
        for moment, known in (("2020-01-01T00:00:00Z", None), (ended, pushed)):
            then = cli("sync", "status", option, moment, "--json", code=0).json
            if known is None:
                assert then["waiting"] == {"events": 0, "notes": 0}
                assert (then["remote"], then["pushed_through"], then["pulled"]) == (None, 0, [])
            else:
                assert {**then, "as_of": None} == known
        during = cli("sync", "status", option, begun, "--remote", share.as_uri(), "--json", code=0).json
        assert (during["push_unfinished"], during["pushed_at"]) == (True, None)
    then = cli("sync", "status", "--as-of", "2@testbed", "--json", code=0).json
    assert (then["remote"], then["waiting"], then["pulled"]) == (None, before["waiting"], [])
    assert cli("sync", "status", "--as-of", "2@testbed", code=0).out.startswith("as of 20")
    assert cli("sync", "status", "--as-of", "yesterday-ish").code == 2


def test_a_queued_upload_waits_from_its_own_moment_on(cli: Cli, ledger: Ledger, tmp_path: Path) -> None:
    from tests.commands.records import legacy, write

    file = write(tmp_path / "r.json", legacy(1))
    cli("check", file, "--upload", "always", code=0, env={"HF_REPO_ID": "team/x"})
    queued = times(cli, "UploadQueued")[0]
    assert len(cli("sync", "status", "--as-of", queued, "--json", code=0).json["uploads"]) == 1
    judged = times(cli, "ResultJudged")[0]
    assert cli("sync", "status", "--as-of", judged, "--json", code=0).json["uploads"] == []


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (["events", "tail", "--no-follow"], "perfledger events list"),
        (["calibrate", "watch", "some-run"], "perfledger calibrate status RUN_DIR"),
    ],
)
@pytest.mark.parametrize("option", ["--as-of", "--as-recorded"])
def test_what_follows_the_present_refuses_a_moment_in_one_sentence(
    cli: Cli, ledger: Ledger, command: list[str], hint: str, option: str
) -> None:
    error = cli(*command, option, "1@testbed", "--json", code=2).json["error"]
    assert error["code"] == "follows_the_present"
    assert "follows the present" in error["message"] and option in error["message"]
    assert error["hint"] == f"{hint} {option} 1@testbed"
    assert "Refused: this follows the present" in " ".join(cli(*command[:2], "--help", code=0).out.split())


def test_a_report_is_printed_as_the_session_was_known_then_and_nothing_is_written(cli: Cli, tmp_path: Path) -> None:
    run_dir = write_run_directory(TTS, tmp_path / "tts")
    cli("init", code=0)
    cli("calibrate", "report", "tts", code=0)
    first = (run_dir / "report.md").read_text()
    reported = times(cli, "CalibrationReported")[0]
    generated = "— 2× NVIDIA H100 80GB HBM3, 1088 samples, 5 runs"
    (run_dir / "report.md").write_text(first.replace(generated, "— measured at night, 5 runs", 1))
    cli("calibrate", "purge", "tts", "--stage", "qwen3_asr_wer", "--repeat", "2", code=0)
    assert cli("calibrate", "report", "tts", "--dry-run").code == 1  # not ready any more

    events = cli("events", "list", "--json", code=0).out
    held = {p: p.read_bytes() for p in run_dir.rglob("*") if p.is_file()}
    for option in ("--as-of", "--as-recorded"):
        said = cli("calibrate", "report", "tts", option, reported, code=0).out
        assert without_time(said) == without_time(first)
        shown = cli("calibrate", "report", "tts", option, reported, "--json", code=0).json
        assert (shown["dry_run"], without_time(shown["report"])) == (True, without_time(first))
    error = cli("calibrate", "report", "tts", "--as-of", "2020-01-01", "--json", code=2).json["error"]
    assert error["code"] == "not_known_then"
    assert cli("events", "list", "--json", code=0).out == events
    assert {p: p.read_bytes() for p in run_dir.rglob("*") if p.is_file()} == held


def without_time(report: str) -> list[str]:
    return [line for line in report.strip().splitlines() if "Report generated" not in line]
