"""Which results are comparable: the six-field identity of newer records, model and GPU of older ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ledger import canonical

IDENTITY_FIELDS = (
    "workload_id",
    "variant_id",
    "benchmark_version",
    "recipe_fingerprint",
    "hardware_profile_id",
    "software_profile_id",
)
RECIPE_COHORT_FIELDS = IDENTITY_FIELDS[:3]
SHOWN_DIGITS = 12


def uses_identity(record: Mapping[str, Any]) -> bool:
    """Return whether a record claims the identity: schema version 2, or any of the six keys present."""
    return str(record.get("result_schema_version")) == "2" or any(key in record for key in IDENTITY_FIELDS)


def missing_identity(record: Mapping[str, Any]) -> list[str]:
    """Return the identity fields that are absent, null or blank text. Zero is a value."""
    return [
        key
        for key in IDENTITY_FIELDS
        if record.get(key) is None or (isinstance(record[key], str) and not record[key].strip())
    ]


def identity_of(record: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the six fields as text, by which records are compared (3 equals "3", not 3.0), or None."""
    if missing_identity(record):
        return None
    return {key: str(record[key]) for key in IDENTITY_FIELDS}


def identity_digest(identity: Mapping[str, str]) -> str:
    """Return SHA-256 hex over the canonical JSON of the six fields as text."""
    return hashlib.sha256(canonical.encode(dict(identity))).hexdigest()


def model_of(record: Mapping[str, Any]) -> str:
    """Return the benchmark a record is of; "unknown" when it does not say."""
    value = record.get("model_id")
    return "unknown" if value is None else str(value)


def gpu_of(record: Mapping[str, Any]) -> str:
    """Return the GPU a record was measured on; "unknown" when it does not say."""
    value = record.get("gpu_type")
    return "unknown" if value is None else str(value)


def target_of(record: Mapping[str, Any]) -> str:
    """Return the name of what a record is compared with: `identity:<12 hex>` or `MODEL@GPU`."""
    identity = identity_of(record)
    if identity is not None:
        return f"identity:{identity_digest(identity)[:SHOWN_DIGITS]}"
    return f"{model_of(record)}@{gpu_of(record)}"


def describe(identity: Mapping[str, str]) -> str:
    """Return an identity as the reasons of verdicts print it."""
    return ", ".join(f"{key}={identity[key]}" for key in IDENTITY_FIELDS if key in identity)
