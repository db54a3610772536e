"""`calibrate apply` where the policy of approvals covers it: these very changes, by enough distinct keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.event import NewEvent
from ledger.events.thresholds import FileRewrite, ThresholdApplyPlanned
from ledger.ledger import Ledger
from projections.calibration.session import STREAM_PREFIX
from tests.commands.calibrate.measured_project import MeasuredProject
from tests.commands.reseed.attacks.scene import PEOPLE, Keys, full
from tests.conftest import Result
from tests.ledger.sync.samples import do_pull, do_push

Call = Callable[..., Result]
YES = ("--confirm", "apply thresholds")
FILE = "tests/test_a_ci.py"
BEFORE, AFTER = "A_MIN_ACCURACY = 0.7\n", "A_MIN_ACCURACY = 0.72\n"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def run_dir(tmp_path: Path, ledger: Ledger) -> Path:
    made = MeasuredProject(tmp_path / "repo")
    made.file(FILE, BEFORE)
    return made.measure({"a_accuracy": {"accuracy": [0.72, 0.74]}})


@pytest.fixture
def covered(tmp_path: Path, ledger: Ledger, keys: Keys, in_process: Call) -> None:
    """Two of three keys must approve an apply."""
    signers = tmp_path / "signers"
    signers.write_text(keys.lines(PEOPLE), encoding="utf-8")
    adopt = ("--approvals", 2, "--allowed-signers", signers, "--covers", "apply", "--pin")
    in_process("reseed", "policy", *adopt, code=0)


def text_of(tmp_path: Path) -> str:
    return (tmp_path / "repo" / FILE).read_text(encoding="utf-8")


def test_an_apply_is_written_once_enough_keys_approved_these_very_changes(
    tmp_path: Path, run_dir: Path, covered: None, keys: Keys, in_process: Call
) -> None:
    def apply(*more: Any, code: int, actor: str = "ops@x.org") -> Any:
        return in_process("calibrate", "apply", run_dir, "--mode", "full", "--json", "--actor", actor, *more, code=code)

    def approve(name: str, *more: Any, code: int = 0) -> Any:
        phrase = ("--confirm", "approve thresholds")
        return apply("--approve", "--sign-key", keys.path(name), *phrase, *more, actor=full(name), code=code).json

    assert apply(*YES, code=1).json["error"]["code"] == "not_approved"
    assert approve("ann")["enough"] is False
    assert approve("ann", code=1)["error"]["code"] == "approved_already"
    assert approve("mallory", code=1)["error"]["code"] == "signature_wrong"
    assert approve("bob", "--set", "a_accuracy.accuracy=0.5")["enough"] is False, "these are other changes"
    assert apply(*YES, code=1).json["error"]["details"]["counted"] == [
        {"approver": full("ann"), "key": apply(*YES, code=1).json["error"]["details"]["counted"][0]["key"]}
    ]
    assert text_of(tmp_path) == BEFORE
    told = approve("bob")
    assert (told["enough"], told["approvers"]) == (True, [full("ann"), full("bob")])
    assert apply("--set", "a_accuracy.accuracy=0.5", *YES, code=1).json["error"]["code"] == "not_approved"
    apply(*YES, code=0)
    assert text_of(tmp_path) == AFTER


def test_an_approval_where_no_policy_asks_for_one_is_refused(run_dir: Path, in_process: Call) -> None:
    more = ("--approve", "--confirm", "approve thresholds", "--json")
    done = in_process("calibrate", "apply", run_dir, "--mode", "full", *more, code=2)
    assert done.json["error"]["code"] == "nothing_to_approve"


def announced(ledger: Ledger, run_dir: Path, tmp_path: Path, evidence: Ledger) -> ThresholdApplyPlanned:
    """An apply that somebody announces as begun: it puts a line of theirs into the file."""
    session = next(e.stream for e in ledger.read() if e.stream.startswith(STREAM_PREFIX))
    before, after = (evidence.evidence.put(text.encode()) for text in (BEFORE, BEFORE + "print('hers')\n"))
    return ThresholdApplyPlanned(
        apply="f" * 16,
        calibration=session.removeprefix(STREAM_PREFIX),
        commit="",
        repo_root=str(tmp_path / "gone"),
        mode="full",
        files=[FileRewrite(file=FILE, before_sha256=before, after_sha256=after)],
        changes=[],
        kept=[],
    )


def test_an_apply_that_another_machine_announced_is_not_finished_here(
    tmp_path: Path, run_dir: Path, ledger: Ledger, in_process: Call
) -> None:
    """A pulled event is no reason to write into this checkout, whatever bytes it names."""
    in_process("calibrate", "apply", run_dir, "--mode", "report", code=0)
    hers = Ledger.create(tmp_path / "hers", origin="mallory", actor="mallory@x.org")
    plan = announced(ledger, run_dir, tmp_path, hers)
    hers.append([NewEvent(stream=STREAM_PREFIX + plan.calibration, payload=plan)])
    (tmp_path / "remote").mkdir()
    do_push(hers, f"file://{tmp_path}/remote")
    do_pull(ledger, f"file://{tmp_path}/remote")
    assert "mallory" in ledger.origins()
    in_process("calibrate", "apply", run_dir, "--mode", "full", *YES, code=0)
    assert text_of(tmp_path) == AFTER


def test_an_announced_apply_is_finished_only_if_it_was_approved(
    tmp_path: Path, run_dir: Path, ledger: Ledger, covered: None, in_process: Call
) -> None:
    """Whoever writes the folder can announce one in the own log; it is put back, not finished."""
    in_process("calibrate", "apply", run_dir, "--mode", "report", code=0)
    plan = announced(ledger, run_dir, tmp_path, ledger)
    ledger.append([NewEvent(stream=STREAM_PREFIX + plan.calibration, payload=msgspec.structs.replace(plan))])
    done = in_process("calibrate", "apply", run_dir, "--mode", "full", *YES, "--json", code=1)
    assert done.json["error"]["code"] == "not_approved"
    assert text_of(tmp_path) == BEFORE
    in_process("calibrate", "apply", run_dir, "--mode", "full", "--rollback", code=0)
    assert text_of(tmp_path) == BEFORE
