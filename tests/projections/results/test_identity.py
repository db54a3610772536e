"""Which results are like. Facts: performance CI of hao-ai-lab/FastVideo, August 2026."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from projections.results.identity import (
    IDENTITY_FIELDS,
    identity_digest,
    identity_of,
    missing_identity,
    target_of,
    uses_identity,
)

WHOLE: dict[str, Any] = {
    "workload_id": "wan-t2v",
    "variant_id": "1.3b-sp2",
    "benchmark_version": 3,
    "recipe_fingerprint": "ec56",
    "hardware_profile_id": "hw-3d",
    "software_profile_id": "sw-fb",
}


def test_a_record_uses_the_identity_when_its_version_prints_as_2_or_any_key_is_there() -> None:
    assert uses_identity({"result_schema_version": 2}) and uses_identity({"result_schema_version": "2"})
    assert not uses_identity({"result_schema_version": 2.0}) and not uses_identity({"result_schema_version": 1})
    for field in IDENTITY_FIELDS:
        assert uses_identity({field: None})
    assert not uses_identity({"model_id": "m"})


@pytest.mark.parametrize("blank", [None, "", "   "])
@pytest.mark.parametrize("field", IDENTITY_FIELDS)
def test_absent_null_and_blank_fields_are_missing_but_zero_is_a_value(field: str, blank: Any) -> None:
    assert missing_identity({**WHOLE, field: blank}) == [field]
    assert missing_identity({k: v for k, v in WHOLE.items() if k != field}) == [field]
    assert identity_of({**WHOLE, field: blank}) is None
    assert missing_identity({**WHOLE, field: 0}) == []


def test_identities_are_compared_as_text() -> None:
    digests = {identity_digest(identity_of({**WHOLE, "benchmark_version": v}) or {}) for v in (3, "3")}
    assert len(digests) == 1
    assert identity_digest(identity_of({**WHOLE, "benchmark_version": 3.0}) or {}) not in digests


def test_a_target_is_the_identity_or_model_and_gpu() -> None:
    digest = identity_digest(identity_of(WHOLE) or {})
    assert target_of({**WHOLE, "model_id": "m", "gpu_type": "g"}) == f"identity:{digest[:12]}"
    assert target_of({"model_id": "wan-t2v-1.3b-2gpu", "gpu_type": "NVIDIA L40S"}) == "wan-t2v-1.3b-2gpu@NVIDIA L40S"
    assert target_of({}) == "unknown@unknown"
    text = (
        '{"benchmark_version":"3","hardware_profile_id":"hw-3d","recipe_fingerprint":"ec56",'
        '"software_profile_id":"sw-fb","variant_id":"1.3b-sp2","workload_id":"wan-t2v"}'
    )
    assert digest == hashlib.sha256(text.encode()).hexdigest()
