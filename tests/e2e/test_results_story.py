"""The main job with the installed command, process by process: import, judge, ask, explain, replay."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from projections.results.metric_policy import Rules, policy_from
from tests.commands.records import IDENTITY, TARGET, history, legacy, modern, raw, write

Cli = Callable[..., Any]
PAGE = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")


def test_from_an_existing_history_to_an_explained_verdict(cli: Cli, tmp_path: Path) -> None:
    cli("init", code=0)
    root = history(tmp_path / "tracking", [legacy(day, latency=28.0 + day / 10) for day in range(1, 9)])
    (root / "broken.json").write_text("{")
    assert "skipped: 1" in cli("import", "hf-tracking", root, code=0).out
    fast = write(tmp_path / "results" / "perf_fast.json", raw(avg_generation_time_s=14.1))
    slow = write(tmp_path / "results" / "perf_slow.json", raw(avg_generation_time_s=33.0, commit="e" * 40))
    assert cli("record", fast, code=0).out.startswith("recorded")
    assert cli("record", fast, code=0).out.startswith("known")
    done = cli("check", tmp_path / "results", code=1)
    assert "REGRESSION  (2 results)" in done.out and "Latency" in done.out
    assert "8 of 10 results count" in cli("baseline", "show", TARGET, code=0).out
    assert "●" in cli("baseline", "plot", TARGET, code=0).out
    assert "REGRESSED" in cli("explain", TARGET, code=0).out
    assert cli("check", slow, "--json", code=1).json["records"][0]["baseline_n"] == 5
    cli("replay", "--check", code=0)
    cli("verify", code=0)
    (tmp_path / ".perfledger" / "state.duckdb").unlink(missing_ok=True)
    assert cli("check", slow, "--json", code=1).json["records"][0]["baseline_n"] == 5


def test_results_with_identity_are_judged_by_it_across_model_names(cli: Cli, tmp_path: Path) -> None:
    cli("init", code=0)
    records = [modern(day, model_id=f"name-{day}", gpu_type=f"gpu-{day}") for day in range(1, 5)]
    cli("import", "hf-tracking", history(tmp_path / "h", records), code=0)
    found = cli("check", write(tmp_path / "perf_a.json", raw(**IDENTITY)), "--json", code=0).json["records"][0]
    assert (found["status"], found["baseline_n"], found["target"][:9]) == ("PASS", 4, "identity:")


def test_a_check_after_other_commands_wrote_sees_what_they_wrote(cli: Cli, tmp_path: Path) -> None:
    cli("init", code=0)
    for day in range(1, 4):
        cli("check", write(tmp_path / f"n{day}.json", legacy(day)), code=0)
    assert cli("check", write(tmp_path / "n9.json", legacy(9)), "--json", code=0).json["records"][0]["baseline_n"] == 3


def test_the_policy_on_the_page_is_a_policy_and_every_rule_is_on_the_page() -> None:
    from ruamel.yaml import YAML

    block = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    policy = policy_from(YAML(typ="safe", pure=True).load(block[1]), where="docs/results.md")
    assert policy.rules.pinned == "fail"
    for field in msgspec.structs.fields(Rules):
        line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{field.name}`"))
        for value in getattr(field.type, "__args__", ()):
            if isinstance(value, str):
                assert f"`{value}`" in line, (field.name, value)
