"""A CI policy where the policy of approvals covers it: adopted, pulled or read, it holds only with enough keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands.ci.chosen import choose
from ledger.ledger import Ledger
from tests.commands.reseed.attacks.scene import PEOPLE, Keys, full
from tests.conftest import Result
from tests.ledger.sync.samples import do_pull, do_push

Call = Callable[..., Result]
WHY = ("--reason", "new lanes", "--json")
SHIPPED = "fastvideo-2026-08"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def covered(tmp_path: Path, ledger: Ledger, keys: Keys, in_process: Call) -> None:
    """Two of three keys must approve a CI policy."""
    signers = tmp_path / "signers"
    signers.write_text(keys.lines(PEOPLE), encoding="utf-8")
    adopt = ("--approvals", 2, "--allowed-signers", signers, "--covers", "ci-policy", "--pin")
    in_process("reseed", "policy", *adopt, code=0)


def test_a_ci_policy_is_adopted_once_enough_keys_approved_it(covered: None, keys: Keys, in_process: Call) -> None:
    def approve(name: str, code: int = 0) -> Any:
        more = ("--approve", "--sign-key", keys.path(name), "--actor", full(name))
        return in_process("ci", "policy", "adopt", SHIPPED, *WHY, *more, code=code).json

    assert in_process("ci", "policy", "adopt", SHIPPED, *WHY, code=1).json["error"]["code"] == "not_approved"
    assert approve("ann")["enough"] is False
    assert approve("mallory", code=1)["error"]["code"] == "signature_wrong"
    assert in_process("ci", "policy", "adopt", SHIPPED, *WHY, code=1).json["error"]["code"] == "not_approved"
    assert approve("carl")["enough"] is True
    assert in_process("ci", "policy", "adopt", SHIPPED, *WHY, code=0).json["adopted"] is True
    assert in_process("ci", "policy", "show", "--json", code=0).json["from"] == "adopted"


def test_a_pulled_ci_policy_without_approvals_decides_nothing(
    tmp_path: Path, ledger: Ledger, covered: None, in_process: Call
) -> None:
    hers = Ledger.create(tmp_path / "hers", origin="mallory", actor="mallory@x.org")
    in_process("--ledger", hers.path, "ci", "policy", "adopt", SHIPPED, *WHY, code=0)
    (tmp_path / "remote").mkdir()
    do_push(hers, f"file://{tmp_path}/remote")
    do_pull(ledger, f"file://{tmp_path}/remote")
    assert in_process("ci", "policy", "show", "--json", code=0).json["from"] == "default"
    assert choose(ledger, None).origin == "default", "without a state, too"
    assert choose(hers, None).origin == "adopted"


def test_where_no_policy_covers_them_ci_policies_are_adopted_as_ever(ledger: Ledger, in_process: Call) -> None:
    assert in_process("ci", "policy", "adopt", SHIPPED, *WHY, code=0).json["adopted"] is True
    assert in_process("ci", "policy", "show", "--json", code=0).json["from"] == "adopted"
