"""What a reseed would write, shown without writing it: `reseed upload --dry-run` and `reseed run --dry-run`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from projections.reseed import fold as decider

if TYPE_CHECKING:
    from commands.reseed.work.planning import Draft
    from ledger.ledger import Ledger

# a plan that was never recorded has neither; the real run makes both
UNKNOWN_ID, UNKNOWN_DIGEST = "ID", "DIGEST"
_NOTHING = "nothing was planned, written or sent (--dry-run)"


def of_upload(state: decider.Reseed, files: Mapping[str, bytes]) -> tuple[dict[str, Any], str]:
    """Return the commit an upload would make, as JSON values and as text: message, files and their content."""
    from commands.reseed.work.upload_text import message

    plan = state.needed()
    document = {
        "id": state.id,
        "dataset": plan.dataset,
        "message": message(state),
        "files": {path: len(data) for path, data in files.items()},
        "records": {path: msgspec.json.decode(data) for path, data in files.items()},
    }
    lines = [f"would commit to {plan.dataset}: {message(state)}"]
    for path, data in files.items():
        lines += [f"--- {path} ({len(data)} bytes)", data.decode().rstrip("\n")]
    return document, "\n".join(lines)


def of_run(ledger: Ledger, state: decider.Reseed) -> tuple[dict[str, Any], str]:
    """Return what `run --resume` would still do from where a reseed is."""
    from commands.reseed.show import plan_json, plan_text
    from commands.reseed.work.own_folders import folders
    from commands.reseed.work.staging import staged

    head = {"id": state.id, "dry_run": True, "step": state.step}
    if state.step == "uploaded":
        found = folders(ledger, state)
        lines = [f"would remove {path}  ({kind})" for path, kind in found.items()]
        return {**head, "files": {}, "folders": found}, "\n".join(
            [f"reseed {state.id} is uploaded: nothing is left to upload", *lines, _NOTHING]
        )
    if state.step not in ("planned", "approved", "prepared", "uploading"):
        return {**head, "files": {}}, f"reseed {state.id} is {state.step}: nothing is left to do\n{_NOTHING}"
    decider.require_whole(state)
    plan = state.needed()
    if state.step in ("planned", "approved"):
        files = {seed.path: ledger.evidence.get(seed.sha256) for seed in plan.prepared}
    else:
        files = staged(state)
    document, text = of_upload(state, files)
    return {**document, **head, "plan": plan_json(plan)}, "\n".join([plan_text(plan), "", text, "", _NOTHING])


def of_draft(draft: Draft) -> tuple[dict[str, Any], str]:
    """Return what a new `run` would plan and upload. Ids and times are made when it is planned."""
    from commands.reseed.show import plan_json, plan_text
    from commands.reseed.work.history import BACKUP_ROOT_VARIABLE, DEFAULT_BACKUP_ROOT

    root = os.environ.get(BACKUP_ROOT_VARIABLE) or DEFAULT_BACKUP_ROOT
    plan = msgspec.structs.replace(
        draft.plan,
        reseed=UNKNOWN_ID,
        digest=UNKNOWN_DIGEST,
        backup=f"would be made below {root}" if draft.has_history else "",
    )
    document, text = of_upload(decider.Reseed(UNKNOWN_ID, plan=plan), dict(draft.seeds))
    shown = {
        **document,
        "id": None,
        "dry_run": True,
        "step": "new",
        "plan": {**plan_json(plan), "id": None, "digest": None},
    }
    return shown, "\n".join(
        [plan_text(plan), "", text, "", "ID, DIGEST and the seeds' times are made when it is planned", _NOTHING]
    )
