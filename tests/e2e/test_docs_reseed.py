"""The worked example of docs/reseed.md, run for real; its outputs on the page are these.

`PERFLEDGER_UPDATE_DOCS=1 pytest tests/e2e/test_docs_reseed.py` writes them anew.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

from tests.commands.reseed.world import World, record
from tests.hub_server import HubServer

PAGE = Path(__file__).parents[2] / "docs" / "reseed.md"
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


def normal(text: str, folder: Path) -> str:
    """Replace what differs from run to run: digests, commits, ids, times of day, folders."""
    text = text.replace(str(folder), "/tmp")
    text = re.sub(r"\b\d{8}-\d{6}-[0-9a-f]{4}\b", "ID", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", "<plan digest>", text)
    text = re.sub(r"20\d\d-\d\d-\d\dT\d\d_\d\d_\d\d\.\d+_00_00_(0*)[0-9a-f]*_reseed", r"<now>_<commit>_reseed", text)
    text = re.sub(r"\d{8}_\d{6}_[0-9a-f]{12}_", "<now>_<commit>_", text)
    text = re.sub(r"(at|commit|plan|sha256) (`?)[0-9a-f]{12}\b", r"\1 \2<12 hex>", text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def page_as_run(folder: Path, hub: HubServer) -> str:
    """Return the page with every console block's output replaced by what the commands print."""
    world = World.make(folder, hub, [record(day, 28.0 + day / 10) for day in range(1, 8)])
    for number, day in enumerate((20, 21, 22), start=1):
        rec = record(day, 33.0 + day / 100, success=False, comparison_status="REGRESSION")
        (folder / f"run-{number}.json").write_text(json.dumps(rec), encoding="utf-8")

    def run(block: re.Match[str]) -> str:
        lines = []
        for command in re.findall(r"^\$ (.*)$", block[1], re.MULTILINE):
            reseeds = world.run("reseed", "list", "--json", code=0).json
            words = [reseeds[0]["id"] if w == "ID" else w for w in shlex.split(command)[1:]]
            done = world.run(*words, code=0)
            lines += [f"$ {command}", normal(done.out, folder)]
        return "```console\n" + "\n".join(lines) + "\n```"

    return BLOCK.sub(run, PAGE.read_text(encoding="utf-8"))


def test_the_worked_example_prints_what_the_page_says(tmp_path: Path) -> None:
    with HubServer() as hub:
        found = page_as_run(tmp_path, hub)
    if os.environ.get("PERFLEDGER_UPDATE_DOCS"):
        PAGE.write_text(found, encoding="utf-8")
    assert found == PAGE.read_text(encoding="utf-8")
