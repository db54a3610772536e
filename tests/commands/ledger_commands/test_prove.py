"""`prove`, `checkpoint` and `verify --proof`: the installed command, its exit codes and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Result

Cli = Callable[..., Result]
RECORD = {"model_id": "m", "gpu_type": "g", "latency": 1.5, "timestamp": "2026-06-01T00:00:00+00:00", "success": True}


@pytest.fixture
def proved(cli: Cli, tmp_path: Path) -> str:
    """A ledger with a result and its proof in `p`, and a folder without a ledger beside it. Returns the key."""
    cli("init", "here", "--origin", "bed", code=0)
    (tmp_path / "r.json").write_text(json.dumps(RECORD))
    cli("record", "r.json", "--ledger", "here", code=0)
    made = cli("prove", "2@bed", "-o", "p", "--json", "--ledger", "here", code=0).json
    (tmp_path / "away").mkdir()
    return str(made["key"])


def test_a_reviewer_checks_a_proof_without_a_ledger(proved: str, cli: Cli, tmp_path: Path) -> None:
    away = tmp_path / "away"
    found = cli("verify", "--proof", "../p", "--key", proved, "--json", cwd=away, code=0).json
    assert (found["ok"], found["event"]["type"], found["event"]["position"]) == (True, "ResultRecorded", 2)
    assert found["signed"] == [{"name": "perfledger/bed", "key": proved, "time": None}]
    (away / "keys").write_text(f"{proved}\n")
    text = cli("verify", "--proof", "../p", "--key", "keys", cwd=away, code=0).out
    assert "is event 2 of bed, in the log of 3 events" in text and proved in text


def test_a_ledger_that_has_the_log_knows_the_key(proved: str, cli: Cli) -> None:
    assert cli("verify", "--proof", "p", "--ledger", "here", code=0).out.count(proved) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        ([], 5, "proof_signer_unknown"),
        (["--key", "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"], 5, "proof_signer_unknown"),
        (["--key", "no key+"], 2, "bad_verifier_key"),
        (["--key", "no-such-file"], 2, "file_not_found"),
        (["--remote"], 2, "usage"),
        (["--write-checkpoint", "x"], 2, "usage"),
    ],
)
def test_what_a_proof_is_not_believed_for_has_its_exit_code(
    arguments: list[str], code: int, error: str, proved: str, cli: Cli, tmp_path: Path
) -> None:
    del proved
    found = cli("verify", "--proof", "../p", *arguments, "--json", cwd=tmp_path / "away", code=code)
    assert found.json["error"]["code"] == error


def test_a_changed_proof_is_refused(proved: str, cli: Cli, tmp_path: Path) -> None:
    data = (tmp_path / "p").read_bytes()
    (tmp_path / "p").write_bytes(data.replace(b"\n3\n", b"\n4\n"))
    refused = cli("verify", "--proof", "p", "--key", proved, "--json", code=1).json["error"]
    assert refused["code"] in ("proof_refused", "note_signature_wrong")
    (tmp_path / "p").write_bytes(data[:-1])
    assert cli("verify", "--proof", "p", "--key", proved, "--json", code=2).json["error"]["code"] == "bad_note"


@pytest.mark.parametrize("arguments", [["--key", "x"], ["--witness", "x"]])
def test_what_is_for_proofs_only_is_refused_without_one(arguments: list[str], proved: str, cli: Cli) -> None:
    del proved
    assert cli("verify", *arguments, "--json", "--ledger", "here", code=2).json["error"]["code"] == "usage"


def test_a_proof_goes_to_stdout_as_it_is_or_into_the_document(proved: str, cli: Cli, tmp_path: Path) -> None:
    del proved
    data = (tmp_path / "p").read_text(encoding="utf-8")
    assert cli("prove", "2@bed", "--ledger", "here", code=0).out == data
    document = cli("prove", "2@bed", "--ledger", "here", "--json", code=0).json
    assert document["text"] == data and document["bytes"] == len(data.encode())


def test_a_proof_is_never_written_into_a_ledger(proved: str, cli: Cli) -> None:
    del proved
    refused = cli("prove", "2@bed", "-o", "here/.perfledger/p", "--ledger", "here", "--json", code=2).json["error"]
    assert refused["code"] == "output_in_ledger"
    assert cli("prove", "9@bed", "--ledger", "here", "--json", code=2).json["error"]["code"] == "no_such_event"


def test_the_whole_log_is_held_against_a_checkpoint_that_somebody_gave(proved: str, cli: Cli, tmp_path: Path) -> None:
    del proved
    cli("checkpoint", "show", "-o", "theirs", "--ledger", "here", code=0)
    cli("record", "r.json", "--ledger", "here", code=0)
    cli("verify", "--checkpoint", "theirs", "--ledger", "here", code=0)
    cli("init", "there", "--origin", "bed", code=0)
    refused = cli("verify", "--checkpoint", "theirs", "--ledger", "there", "--json", code=7).json["error"]
    assert refused["code"] == "not_the_log_of_checkpoint"
    (tmp_path / "theirs").write_bytes(b"rubbish")
    assert (
        cli("verify", "--checkpoint", "theirs", "--ledger", "here", "--json", code=2).json["error"]["code"]
        == "bad_note"
    )


def test_a_fork_is_refused_to_prove_towards_the_other_history(proved: str, cli: Cli, tmp_path: Path) -> None:
    """The other log has the same origin, the same key and other events."""
    del proved
    cli("init", "there", "--origin", "bed", code=0)
    (tmp_path / "there/.perfledger/signing-key").write_bytes((tmp_path / "here/.perfledger/signing-key").read_bytes())
    (tmp_path / "there/.perfledger/signing-key").chmod(0o600)
    (tmp_path / "r2.json").write_text(json.dumps(RECORD | {"latency": 2.5}))
    cli("record", "r2.json", "--ledger", "there", code=0)
    cli("checkpoint", "sign", "-o", "theirs", "--ledger", "there", code=0)
    refused = cli("prove", "2@bed", "--checkpoint", "theirs", "--ledger", "here", "--json", code=3).json["error"]
    assert refused["code"] == "checkpoint_of_another_history"


def test_a_witness_is_asked_answers_and_is_shown(proved: str, cli: Cli, tmp_path: Path) -> None:
    """Two machines that share a folder: the second co-signs what the first signed."""
    (tmp_path / "shared").mkdir()
    url = (tmp_path / "shared").as_uri()
    cli("sync", "push", "--remote", url, "--ledger", "here", code=0)
    cli("init", "there", "--origin", "friend", code=0)
    cli("sync", "pull", "--remote", url, "--ledger", "there", code=0)
    cli("checkpoint", "show", "bed", "-o", "theirs", "--ledger", "there", code=0)
    answer = cli(
        "checkpoint", "cosign", "theirs", "--origin", "bed", "-o", "signed", "--json", "--ledger", "there", code=0
    )
    witness = answer.json["witness"]
    kept = cli("checkpoint", "keep", "signed", "--witness", witness, "--json", "--ledger", "here", code=0).json
    assert [one["name"] for one in kept["cosigned"]] == ["perfledger/friend"]
    shown = cli("checkpoint", "show", "--witnessed", "--json", "--ledger", "here", code=0).json
    assert [(one["name"], one["checked"]) for one in shown["cosigned"]] == [("perfledger/friend", False)]
    checked: Any = cli(
        "checkpoint", "show", "--witnessed", "--witness", witness, "--json", "--ledger", "here", code=0
    ).json
    assert [(one["name"], one["checked"]) for one in checked["cosigned"]] == [("perfledger/friend", True)]
    cli("prove", "2@bed", "-o", "q", "--ledger", "here", code=0)
    arguments = ["verify", "--proof", "q", "--key", proved, "--witness", witness]
    assert "co-signed by perfledger/friend at 20" in cli(*arguments, code=0).out
    assert cli("verify", "--proof", "p", *arguments[3:], "--json", code=1).json["error"]["code"] == "witness_missing"
    assert cli("prove", "2@bed", "--ledger", "there", code=0).out.startswith("c2sp.org/tlog-proof@v1\n")


def test_a_ledger_is_no_witness_of_itself(proved: str, cli: Cli) -> None:
    del proved
    cli("checkpoint", "show", "-o", "own", "--ledger", "here", code=0)
    refused = cli("checkpoint", "cosign", "own", "--origin", "bed", "--json", "--ledger", "here", code=1).json["error"]
    assert refused["code"] == "own_witness"


def test_a_key_of_the_users_own_is_named_by_option_or_variable(proved: str, cli: Cli, tmp_path: Path) -> None:
    key = tmp_path / "my.key"
    key.write_bytes((tmp_path / "here/.perfledger/signing-key").read_bytes())
    key.chmod(0o600)
    cli("init", "there", "--origin", "bed", code=0)
    for extra, env in ((["--signing-key", "my.key"], {}), ([], {"PERFLEDGER_SIGNING_KEY": str(key)})):
        signed = cli("checkpoint", "sign", *extra, "--ledger", "there", "--json", env=env, code=0).json["signed"]
        assert [one["key"] for one in signed] == [proved]
    assert not (tmp_path / "there/.perfledger/signing-key").exists()
    key.chmod(0o640)
    refused = cli("checkpoint", "sign", "--signing-key", "my.key", "--ledger", "there", "--json", code=2).json["error"]
    assert refused["code"] == "signing_key_open"


def test_checkpoints_that_are_not_there_are_said_with_the_command_that_makes_them(cli: Cli) -> None:
    cli("init", "--origin", "bed", code=0)
    for arguments in (["show"], ["show", "--witnessed"], ["request"]):
        refused = cli("checkpoint", *arguments, "--json", code=1).json["error"]
        assert refused["code"] == "no_checkpoint" and "perfledger checkpoint" in refused["hint"]
    assert cli("checkpoint", "show", "nobody", "--json", code=2).json["error"]["code"] == "no_such_origin"
    cli("checkpoint", "sign", "--name", "example.com/perf/bed", code=0)
    assert cli("checkpoint", "request", code=0).out.startswith("old 0\n\nexample.com/perf/bed\n2\n")
