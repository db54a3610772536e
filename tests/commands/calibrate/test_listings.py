"""`calibrate models` and `hosts`: what is listed, what is active, and what a wrong name is told."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration with the models `a` and `b`, a host of this machine and one of another."""
    root = tmp_path / "calibration"
    for name, text in (
        ("models/a/config.yaml", "description: first\nhf_datasets: [org/x, org/y]\n"),
        ("models/b/config.yaml", "description: second\n"),
        ("models/empty/notes.txt", ""),
        ("hosts/here.yaml", f"name: here\nhostname: {socket.gethostname()}\n"),
        ("hosts/there.yaml", "name: there\nhostname: elsewhere.example\n"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_models_are_the_folders_with_a_configuration_in_name_order(in_process: Cli, folder: Path) -> None:
    assert in_process("calibrate", "models", code=0).out.split() == ["a", "b"]
    found = in_process("calibrate", "models", "--json", code=0).json
    assert found == {"config_dir": str(folder), "models": ["a", "b"]}


def test_a_model_says_its_fields_and_a_dash_for_what_it_lacks(in_process: Cli, folder: Path) -> None:
    lines = in_process("calibrate", "models", "--model", "a", code=0).out.splitlines()
    assert "description: first" in lines and "hf_datasets: org/x, org/y" in lines
    assert "hf_model_id: -" in lines and "stages_yaml: -" in lines
    assert in_process("calibrate", "models", "--model", "a", "--json", code=0).json["hf_model_id"] is None


@pytest.mark.parametrize(("variable", "active"), [(None, "here"), ("there", "there")])
def test_the_active_host_is_the_named_one_else_this_machines(
    in_process: Cli, folder: Path, variable: str | None, active: str
) -> None:
    env = {"TUNE_HOST": variable} if variable else {}
    lines = in_process("calibrate", "hosts", env=env, code=0).out.splitlines()
    assert lines == [f"{name} *" if name == active else name for name in ("here", "there")]
    assert in_process("calibrate", "hosts", "--json", env=env, code=0).json["active"] == active


@pytest.mark.parametrize(
    ("arguments", "env", "error", "told"),
    [
        (("models", "--model", "nobody"), {}, "model_not_found", "Known models: ['a', 'b']"),
        (("hosts", "--model", "nobody"), {}, "model_not_found", "nobody"),
        (("models", "--config-dir", "nowhere"), {}, "config_dir_not_found", "nowhere"),
        (("models",), {"PERFLEDGER_CALIBRATION_DIR": "nowhere"}, "config_dir_not_found", "nowhere"),
        (("hosts",), {"TUNE_REPO_ROOT": "nowhere"}, "repo_root_not_found", "nowhere"),
    ],
)
def test_a_wrong_name_ends_with_2_and_says_what_there_is(
    in_process: Cli, folder: Path, arguments: tuple[str, ...], env: dict[str, str], error: str, told: str
) -> None:
    found = in_process("calibrate", *arguments, "--json", env=env, code=2).json["error"]
    assert found["code"] == error and told in found["message"] and found["hint"]


def test_without_any_configuration_the_way_to_one_is_said(in_process: Cli, tmp_path: Path) -> None:
    found = in_process("calibrate", "models", "--json", code=2).json["error"]
    assert found["code"] == "no_calibration_config" and "--config-dir" in found["hint"]
