"""What the projection reads out of a record in SQL is what the rules say of it in Python, for any record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.event import NewEvent
from ledger.events.results import ResultRecorded
from ledger.ledger import Ledger
from projections.results.identity import IDENTITY_FIELDS, uses_identity
from projections.results.record_shape import instant_text, succeeded
from projections.state.state import State

ODD = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        -0.0,
        0.5,
        "",
        " ",
        "no",
        " FALSE\t",
        "off",
        "false",
        "yes",
        "null",
        [],
        [0],
        {},
        {"workload_id": None},
        '"workload_id":null',
        "2",
        2,
        2.0,
        "x\u2028y",
        'a"b',
    ]
)
RECORD = st.dictionaries(
    st.sampled_from(
        [
            *IDENTITY_FIELDS,
            "success",
            "result_schema_version",
            "build_id",
            "meta",
            "timestamp",
            "commit_sha",
            "latency_id",
        ]
    ),
    ODD,
    max_size=7,
)
RUN = st.tuples(
    st.sampled_from([None, "", "2026-06-01T00:00:00Z", "2026-06-01T02:00:00+02:00", "2026-06-01T00:00:01Z", "soon"]),
    st.sampled_from([None, "", "abc"]),
    st.sampled_from([1.0, 2.0]),
)


@given(st.lists(RECORD, min_size=1, max_size=25))
@settings(max_examples=25, deadline=None)
def test_flags_of_any_record(tmp_path_factory: Any, records: list[dict[str, Any]]) -> None:
    rows = projected(tmp_path_factory.mktemp("ledger"), records)
    for record, row in zip(records, rows, strict=True):
        success = record.get("success", True)
        assert row["claims_identity"] == uses_identity(record), record
        assert row["success"] == succeeded(success), record
        assert row["success_as_truth"] == succeeded(success, text_as_truth=True), record


@given(st.lists(RUN, min_size=2, max_size=15))
@settings(max_examples=25, deadline=None)
def test_results_are_one_measurement_when_moment_commit_and_values_are_the_same(
    tmp_path_factory: Any, given: list[tuple[str | None, str | None, float]]
) -> None:
    """Without a timestamp every result is one of its own; another spelling of the same moment is the same."""
    rows = projected(
        tmp_path_factory.mktemp("ledger"),
        [
            {"model_id": "m", "gpu_type": "g", "timestamp": at, "commit_sha": commit, "latency": value}
            for at, commit, value in given
        ],
    )
    keys = [(instant_text(at) or at or n, commit or "", value) for n, (at, commit, value) in enumerate(given)]
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            assert (one["measurement"] == other["measurement"]) == (keys[i] == keys[j]), (given[i], given[j])


@given(st.lists(RECORD, min_size=1, max_size=12), st.lists(RECORD, max_size=12), st.lists(RECORD, max_size=12))
@settings(max_examples=15, deadline=None)
def test_what_results_share_is_told_once_and_found_for_each(
    tmp_path_factory: Any,
    base: list[dict[str, Any]],
    recent: list[dict[str, Any]],
    newest: list[dict[str, Any]],
) -> None:
    """Whether it is in the first state file, the second, in neither yet, or in several of them."""
    ledger = Ledger.create(tmp_path_factory.mktemp("ledger") / ".perfledger", origin="testbed", actor="tester")
    record_all(ledger, base)
    ledger.seal()
    State.open(ledger).close()
    record_all(ledger, recent)
    ledger.seal()
    State.open(ledger).close()
    record_all(ledger, newest)
    with State.open(ledger) as state, State.from_log(ledger) as rebuilt:
        rows = state.rows("SELECT * FROM results ORDER BY position")
        assert rows == rebuilt.rows("SELECT * FROM results ORDER BY position")
        shared = state.rows("SELECT * FROM fact_result_shared")
    assert [row["claims_identity"] for row in rows] == [uses_identity(record) for record in base + recent + newest]
    assert len({row["shared"] for row in shared}) == len(shared)
    said = [tuple(value for name, value in row.items() if name != "shared") for row in shared]
    assert len(set(said)) == len(said)


def projected(folder: Path, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Record results and return their rows of `results`, in order."""
    ledger = Ledger.create(folder / ".perfledger", origin="testbed", actor="tester")
    record_all(ledger, records)
    with State.open(ledger) as state:
        return state.rows(
            "SELECT claims_identity, success, success_as_truth, measurement FROM results ORDER BY position"
        )


def record_all(ledger: Ledger, records: list[dict[str, Any]]) -> None:
    """Record results of one target, each with a path of its own."""
    if records:
        ledger.append(
            [
                NewEvent(
                    stream="target/t",
                    payload=ResultRecorded(
                        target="t",
                        record=record,
                        path=f"{n}.json",
                        format="normalized",
                        sha256="",
                        instant=instant_text(record.get("timestamp")),
                    ),
                )
                for n, record in enumerate(records)
            ]
        )
