"""docs/sync.md names every setting of sharing."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sync.md"


def test_the_page_names_every_setting_of_sharing() -> None:
    from ledger.remotes.hub_session import TOKEN_VARIABLES
    from ledger.remotes.retry import WAIT_VARIABLE
    from ledger.remotes.timeout import TIMEOUT_VARIABLE
    from ledger.sync.outbox import REMOTE_VARIABLE

    text = PAGE.read_text(encoding="utf-8")
    for name in (*TOKEN_VARIABLES, TIMEOUT_VARIABLE, WAIT_VARIABLE, REMOTE_VARIABLE, "HF_REPO_ID", "HF_ENDPOINT"):
        assert f"`{name}`" in text, name
