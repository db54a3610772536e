"""`calibrate merge`: what may be merged, what comes out, and that a merge cut short ends the same way.

docs and specification, section 15: disjoint strict-ready partitions with equal model, repeats, commit, schema and
environment become one session.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from ledger.ledger import Ledger
from tests.commands.calibrate.generated_run import GeneratedRun, generate
from tests.commands.hardship import killed_at, no_room, refusal, tree
from tests.conftest import Result

Cli = Callable[..., Result]
PRECHECK = {"versions": {"torch": "2.11.0", "sglang": "0.5.12"}, "gpu_summary": "2× NVIDIA H20"}


def partitions(seed: int, tmp_path: Path, parts: int = 2) -> tuple[GeneratedRun, list[Path]]:
    """A complete run, cut at random into folders of disjoint stages that share one schema."""
    seeds = (s for s in range(seed * 100, seed * 100 + 100) if len(generate(s, spoiled=0, absent=0).stages) >= parts)
    run = generate(next(seeds), spoiled=0.0, absent=0.0)
    whole = run.write(tmp_path / "whole")
    chance = random.Random(seed)
    keys = [stage.key for stage in run.stages]
    chance.shuffle(keys)
    cuts = sorted(chance.sample(range(1, len(keys)), parts - 1))
    folders = []
    for n, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(keys)], strict=True)):
        folder = tmp_path / f"part{n}"
        shutil.copytree(whole, folder)
        kept = keys[start:end]
        for key in set(keys) - set(kept):
            shutil.rmtree(folder / key, ignore_errors=True)
        edit(folder / "plan.json", stages=kept)
        (folder / "precheck.json").write_text(json.dumps(PRECHECK))
        folders.append(folder)
    shutil.rmtree(whole)
    return run, folders


def edit(path: Path, **changes: Any) -> None:
    """Change fields of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def head(ledger: Ledger) -> int:
    """The last position as a new reader sees it."""
    return Ledger.open(ledger.path).head().position


@pytest.mark.parametrize("seed", range(6))
def test_a_merged_run_is_the_union_of_its_partitions_in_the_given_order(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    run, folders = partitions(seed, tmp_path, parts=2 + seed % 2)
    before = {folder: tree(folder) for folder in folders}
    out = tmp_path / "merged"
    merged = in_process("calibrate", "merge", *folders, "--output-dir", out, "--json", code=0).json
    given = [key for folder in folders for key in json.loads((folder / "plan.json").read_text())["stages"]]
    assert merged["stages"] == given == json.loads((out / "plan.json").read_text())["stages"]
    for (key, k), document in run.files.items():
        assert json.loads((out / key / f"run{k}.json").read_text()) == document
    written = {p.parent.name + "/" + p.name for p in out.glob("*/run*.json")}
    assert written == {f"{key}/run{k}.json" for key, k in run.files}
    audit = in_process("calibrate", "audit", out, "--json", code=0).json
    assert (audit["ready"], audit["session"]) == (True, merged["session"])
    assert {folder: tree(folder) for folder in folders} == before, "the partitions stay as they are"
    # what entered the worst of N is what the partitions measured
    for folder in folders:
        moves = in_process("calibrate", "compare", folder, out, "--json", code=0).json
        assert {m["p_value"] for m in moves["moves"]} == {1.0}
        assert all(m["before"] == m["after"] for m in moves["moves"])
        assert moves["only_before"] == []


@pytest.mark.parametrize("seed", range(3))
def test_merging_again_adds_nothing_and_writes_the_same_files(
    seed: int, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    _, folders = partitions(seed, tmp_path)
    first = in_process("calibrate", "merge", *folders, "--output-dir", tmp_path / "a", "--json", code=0).json
    position, files = head(ledger), tree(tmp_path / "a")
    again = in_process("calibrate", "merge", *folders, "--output-dir", tmp_path / "a", "--json", code=0).json
    assert (again, head(ledger), tree(tmp_path / "a")) == (first, position, files)
    (tmp_path / "a" / "plan.json").unlink()
    in_process("calibrate", "merge", *folders, "--output-dir", tmp_path / "a", code=0)
    assert tree(tmp_path / "a") == files, "what went missing is written again from the events"


def test_the_order_of_the_partitions_is_the_order_of_the_stages(
    in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    _, folders = partitions(1, tmp_path, parts=3)
    for n, order in enumerate(permutations(folders)):
        out = tmp_path / f"out{n}"
        merged = in_process("calibrate", "merge", *order, "--output-dir", out, "--json", code=0).json
        assert merged["stages"] == [
            key for folder in order for key in json.loads((folder / "plan.json").read_text())["stages"]
        ]


def test_a_dry_run_says_what_would_be_merged_and_writes_nothing(
    in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    _, folders = partitions(2, tmp_path)
    for folder in folders:
        in_process("calibrate", "import", folder, code=0)
    position = head(ledger)
    dry = in_process("calibrate", "merge", *folders, "--output-dir", tmp_path / "m", "--dry-run", "--json", code=0).json
    assert (head(ledger), (tmp_path / "m").exists()) == (position, False)
    real = in_process("calibrate", "merge", *folders, "--output-dir", tmp_path / "m", "--json", code=0).json
    assert real == dry | {"dry_run": False}


DIFFERENT: dict[str, Callable[[Path], None]] = {
    "model": lambda folder: edit(folder / "plan.json", model="other"),
    "calibration_git_sha": lambda folder: foreign_commit(folder),
    "gpu_summary": lambda folder: edit(folder / "precheck.json", gpu_summary="8× NVIDIA B200"),
    "versions": lambda folder: edit(folder / "precheck.json", versions={"torch": "2.12.0"}),
    "venv_python": lambda folder: edit(folder / "plan.json", venv_python="/other"),
    "stages_yaml_sha256": lambda folder: other_schema(folder),
}


def foreign_commit(folder: Path) -> None:
    """The same calibration, all of it on another commit."""
    edit(folder / "plan.json", calibration_git_sha="c" * 40)
    for path in folder.glob("*/run*.json"):
        edit(path, git_sha="c" * 40)


def other_schema(folder: Path) -> None:
    """A schema with the same stages and other bytes."""
    path = Path(json.loads((folder / "plan.json").read_text())["stages_yaml"])
    other = folder.parent / "other.yaml"
    other.write_bytes(path.read_bytes() + b"# renewed\n")
    edit(folder / "plan.json", stages_yaml=str(other))


@pytest.mark.parametrize("field", DIFFERENT)
def test_partitions_that_differ_in_anything_that_moves_a_number_are_refused_by_that_field(
    field: str, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    _, folders = partitions(3, tmp_path)
    DIFFERENT[field](folders[1])
    for folder in folders:
        in_process("calibrate", "import", folder, code=0)
    position = head(ledger)
    error = refusal(in_process("calibrate", "merge", *folders, "--output-dir", tmp_path / "m", "--json"), 1)
    assert (error["code"], error["details"]["field"]) == ("not_mergeable", field)
    assert str(folders[0]) in error["message"] and str(folders[1]) in error["message"]
    assert (head(ledger), (tmp_path / "m").exists()) == (position, False)


def test_a_partition_that_is_not_ready_is_named_with_its_reasons(
    in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    _, folders = partitions(4, tmp_path)
    for path in folders[1].glob("*/run*.json"):
        path.unlink()
    error = refusal(in_process("calibrate", "merge", *folders, "--output-dir", tmp_path / "m", "--json"), 1)
    assert error["code"] == "not_ready"
    assert error["message"].startswith(f"{folders[1]} is not ready: ")
    assert f"calibrate audit {folders[1]}" in error["hint"]
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("output", "code"), [("part0", "plan_exists"), ("", "too_few"), (".perfledger/x", "output_in_ledger")]
)
def test_a_merge_never_takes_a_folder_that_holds_something_else(
    output: str, code: str, in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    _, folders = partitions(5, tmp_path)
    for folder in folders:
        in_process("calibrate", "import", folder, code=0)
    held, position = tree(tmp_path, without=(".perfledger",)), head(ledger)
    given = folders if output else folders[:1]
    error = refusal(in_process("calibrate", "merge", *given, "--output-dir", tmp_path / (output or "m"), "--json"), 2)
    assert error["code"] == code
    assert (tree(tmp_path, without=(".perfledger",)), head(ledger)) == (held, position)


def test_a_merge_killed_at_any_moment_ends_the_same_way_when_it_is_run_again(
    in_process: Cli, ledger: Ledger, tmp_path: Path
) -> None:
    """No kill leaves a half file, and the second run finds or makes the one session of these partitions."""
    _, folders = partitions(1, tmp_path)
    for folder in folders:
        in_process("calibrate", "import", folder, code=0)
    fresh = {p.name: p for p in ledger.path.parent.glob(".perfledger")}[".perfledger"]
    shutil.copytree(fresh, tmp_path / "kept")
    wanted = in_process("calibrate", "merge", *folders, "--output-dir", tmp_path / "m", "--json", code=0).json
    files = tree(tmp_path / "m")
    count = len([p for p in files if "run" in p and p.endswith(".json")])
    for change in (1, 2, 3, count + 2, 2 * count + 1):
        shutil.rmtree(fresh)
        shutil.copytree(tmp_path / "kept", fresh)
        shutil.rmtree(tmp_path / "m")
        command = ("calibrate", "merge", *folders, "--output-dir", tmp_path / "m")
        assert killed_at(change, tmp_path / "m", tmp_path, *command), f"it ended before change {change}"
        for path in (tmp_path / "m").rglob("[!.]*.json"):
            json.loads(path.read_text())
        again = in_process(*command, "--json", code=0).json
        assert again == wanted
        left = {name: data for name, data in tree(tmp_path / "m").items() if not name.split("/")[-1].startswith(".")}
        assert left == files
        in_process("verify", code=0)


def test_a_merge_without_room_says_so_and_can_be_run_again(in_process: Cli, ledger: Ledger, tmp_path: Path) -> None:
    _, folders = partitions(2, tmp_path)
    for folder in folders:
        in_process("calibrate", "import", folder, code=0)
    position = head(ledger)
    command = ("calibrate", "merge", *folders, "--output-dir", tmp_path / "m", "--json")
    with no_room():
        refused = in_process(*command)
    refusal(refused, 4)
    assert (head(ledger), (tmp_path / "m").exists()) == (position, False)
    in_process(*command, code=0)
    files = tree(tmp_path / "m")
    shutil.rmtree(tmp_path / "m")
    with no_room(100):  # the events are there; the folder is what does not fit
        refusal(in_process(*command), 4)
    assert [p for p in (tmp_path / "m").rglob("*") if p.is_file()] == [], "nothing half-written stays"
    in_process(*command, code=0)
    assert tree(tmp_path / "m") == files
