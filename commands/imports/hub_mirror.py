"""Histories that are kept in a Hub dataset: mirrored beside the ledger, then imported like any folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ledger.ledger import Ledger
    from ledger.remotes.hub_mirror import MirrorReport
    from projections.state.state import State


def mirror_root(ledger: Ledger, url: str) -> Path:
    """Return the folder in which a dataset is mirrored; each dataset and prefix has its own."""
    from ledger.remotes.hub import DatasetUrl

    dataset = DatasetUrl.parse(url.partition("@")[0])
    name = "--".join([*dataset.repo_id.split("/"), *(dataset.prefix.split("/") if dataset.prefix else [])])
    return ledger.path / "mirrors" / name


def download_history(ledger: Ledger, url: str, note: Callable[[str], None], *, endpoint: str | None = None) -> Path:
    """Bring the mirror of `hf://datasets/OWNER/NAME[/PREFIX][@REVISION]` up to date and return its folder.

    note: what was downloaded is told there.
    """
    report = mirror(ledger, url, endpoint=endpoint)
    note(
        f"{report.url} at {report.revision[:12]}: {len(report.downloaded)} files downloaded, "
        f"{report.unchanged} unchanged" + (f", {len(report.removed)} gone" if report.removed else "")
    )
    return report.root


def mirror(ledger: Ledger, url: str, *, endpoint: str | None = None) -> MirrorReport:
    """Bring the mirror of a dataset up to date. See `ledger.remotes.hub_mirror.mirror_dataset`."""
    from ledger.remotes.hub_mirror import mirror_dataset

    return mirror_dataset(url, mirror_root(ledger, url), endpoint=endpoint)


def known_datasets(state: State) -> list[str]:
    """Return the datasets this ledger has imported a history from, in name order."""
    rows = state.rows("SELECT DISTINCT source FROM fact_result_shared WHERE source LIKE 'hf://%' ORDER BY 1")
    return [str(row["source"]) for row in rows]
