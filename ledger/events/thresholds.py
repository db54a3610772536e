"""Thresholds: literals of test files that a calibration rewrote.

An apply is a conversation with files that a crash may cut short anywhere: `ThresholdApplyPlanned`
says which bytes every file will have, `ThresholdApplied` what was written, `ThresholdApplyFinished`
that nothing of it is left to do. They are in the stream of their calibration.
"""

from __future__ import annotations

from ledger.event import EventPayload, Evidence, event_type

Number = float | int


class FileRewrite(EventPayload):
    """One file of an apply: its path below the repository root, and its bytes before and after.

    The digests (SHA-256) name evidence, so that an interrupted apply can finish or go back.
    """

    file: str
    before_sha256: Evidence
    after_sha256: Evidence


class ThresholdChange(EventPayload):
    """One literal that an apply changes, for one metric of one stage.

    file is relative to the repository root; symbol and subkey name the constant, literal the place
    as reports write it (`_MMSU_P95[16]['throughput_qps']`). old and new are raw values, not display
    units, old null where the literal was `None`; old_text and new_text are the characters.
    worst_op: `min` for a lower bound, `max` for an upper one. direction: `tightens`, `loosens`,
    `equal` or `unknown`; percent: signed change as a fraction of old, null from null or zero.
    worst_raw: the worst of N that was measured. evidence_event_ids: the observations behind it.
    """

    file: str
    symbol: str
    subkey: str | None
    literal: str
    old: Number | None
    new: Number | None
    old_text: str
    new_text: str
    worst_op: str | None
    direction: str
    percent: float | None
    group: str
    stage: str
    metric: str
    worst_raw: float | None = None
    evidence_event_ids: list[str] = []


@event_type()
class ThresholdApplyPlanned(EventPayload):
    """Thresholds are about to be written: exactly these changes to exactly these files.

    apply is the name of this write, calibration the session it comes from, commit the one that was
    measured. mode: `smart` or `full`. kept: `stage.metric` of what was decided to stay as it is.
    """

    apply: str
    calibration: str
    commit: str
    repo_root: str
    mode: str
    files: list[FileRewrite]
    changes: list[ThresholdChange]
    kept: list[str] = []


@event_type()
class ThresholdApplied(ThresholdChange, kw_only=True):
    """A literal in a test file was rewritten; the file has the new bytes on disk.

    The fields are those of the planned change, with the calibration and commit it came from.
    undone: this write put an interrupted apply's change back.
    """

    apply: str
    calibration: str
    commit: str
    undone: bool = False


@event_type()
class ThresholdApplyFinished(EventPayload):
    """Nothing of an apply is left to do. outcome: `applied`, or `rolled_back` to the old bytes."""

    apply: str
    calibration: str
    outcome: str


@event_type()
class ThresholdEdited(EventPayload):
    """A threshold literal moved in the history of a repository, found there later.

    change: `added`, `changed` or `removed`. old_text and new_text are the characters of the literal, empty on the
    missing side; old and new their value, null where they are no number. worst_op, direction and percent as in
    `ThresholdApplied`, inferred from the names (`projections/calibration/bounds.py`); null where the name does not
    tell. committed_at: the commit's own time, ISO 8601. author_hash: SHA-256 of the author's e-mail, so that edits of
    one person can be counted without the ledger holding who. source: the file or repository it was read from.
    """

    file: str
    symbol: str
    subkey: str | None
    literal: str
    change: str
    old: Number | None
    new: Number | None
    old_text: str
    new_text: str
    worst_op: str | None
    direction: str | None
    percent: float | None
    group: str | None
    commit: str
    committed_at: str
    source: str
    pr: int | None = None
    author_hash: str | None = None
