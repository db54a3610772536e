"""Source results of a reseed: read from files or URLs, kept as evidence, refused when they do not belong."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from commands.intake.formats.measured import Unreadable, parse_object
from ledger import canonical
from ledger.errors import BadInput, Unavailable
from ledger.outside.files import read_bytes
from projections.facts.record import CORE
from projections.results.identity import IDENTITY_FIELDS, gpu_of, model_of, target_of, uses_identity
from projections.results.record_shape import METRICS, parse_instant, safe_float, storable

URL_BYTES_MAX = 2 * 2**20
URL_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Source:
    """A source result: as the user named it, its bytes and its record."""

    path: str
    data: bytes
    record: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 hex of its bytes."""
        return sha256(self.data).hexdigest()


def read(names: Sequence[str]) -> list[Source]:
    """Read sources. Raises `BadInput` naming the file and field for what is no normalized record, and for twice the
    same path or content."""
    found: list[Source] = []
    places: dict[str, str] = {}
    contents: dict[str, str] = {}
    for name in names:
        place = name if _is_url(name) else os.path.realpath(name)
        if place in places:
            raise _bad(shown(name), "", "is given twice", code="duplicate_source")
        places[place] = name
        data = _fetch(name) if _is_url(name) else _read_file(name)
        source = Source(shown(name), data, _record(shown(name), data))
        same = canonical.encode(source.record).decode()
        if same in contents:
            raise _bad(source.path, "", f"has the same content as {contents[same]}", code="duplicate_source")
        contents[same] = source.path
        found.append(source)
    return found


def shown(name: str) -> str:
    """Return a source's name as it may be kept and published: a URL without user, password and query, which may
    hold a token."""
    if not _is_url(name):
        return name
    scheme, _, rest = name.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0].partition('#')[0]}"


def _is_url(name: str) -> bool:
    return name.startswith(("http://", "https://"))


def _read_file(name: str) -> bytes:
    if name.endswith((".md", ".markdown")):
        raise _bad(name, "", "is a Markdown summary; give the normalized JSON beside it", code="not_normalized")
    return read_bytes(name)


def _record(name: str, data: bytes) -> dict[str, Any]:
    try:
        record = parse_object(data)
    except Unreadable as error:
        raise _bad(name, "", f"is not a normalized record: {error}", code="not_normalized") from None
    if "benchmark_id" in record and "model_id" not in record:
        raise _bad(
            name,
            "benchmark_id",
            "is a raw result; give the normalized_perf_*.json the comparator wrote",
            code="not_normalized",
        )
    if "model_id" not in record or "gpu_type" not in record:
        raise _bad(
            name, "model_id", "or gpu_type is missing, so this is not a normalized record", code="not_normalized"
        )
    for field, why in storable(record)[1].items():
        raise _bad(name, ascii(field)[1:-1], f"is {why}, which no record may hold", code="bad_measurement")
    return record


def _fetch(url: str) -> bytes:
    """Download an artifact with a size and time limit. Raises `BadInput` when it needs a login."""
    import httpx2

    name, ends = shown(url), time.monotonic() + URL_TIMEOUT_S
    try:
        with httpx2.stream("GET", url, timeout=URL_TIMEOUT_S, follow_redirects=True) as response:
            if response.status_code in (401, 403) or "text/html" in response.headers.get("content-type", ""):
                raise BadInput(
                    f"{name}: needs a login (HTTP {response.status_code})",
                    code="login_needed",
                    hint="download the artifact in your browser and give --source FILE",
                )
            if response.status_code != 200:
                raise Unavailable(
                    f"{name}: HTTP {response.status_code}",
                    code="download_failed",
                    hint="run it again, or download it by hand and give --source FILE",
                )
            data = b""
            for chunk in response.iter_bytes():
                data += chunk
                if time.monotonic() > ends:
                    raise Unavailable(
                        f"{name}: not fully downloaded after {URL_TIMEOUT_S:g} s",
                        code="download_failed",
                        hint="run it again, or download it by hand and give --source FILE",
                    )
                if len(data) > URL_BYTES_MAX:
                    raise BadInput(
                        f"{name}: more than {URL_BYTES_MAX // 2**20} MiB, which no result record has",
                        code="too_large",
                        hint="give the normalized JSON itself, not the archive it is in",
                    )
            return data
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, ValueError) as error:
        raise BadInput(
            f"{name} is no URL that can be fetched: {error}", code="bad_url", hint="give --source https://... or a file"
        ) from None
    except httpx2.HTTPError as error:
        raise Unavailable(
            f"{name}: {type(error).__name__}",
            code="download_failed",
            hint="run it again, or download it by hand and give --source FILE",
        ) from None


def validate(source: Source, *, model: str, gpu: str, identity: Mapping[str, str | None]) -> None:
    """Refuse a source of another target, or with invalid measurements.

    `identity` holds the identity fields the user gave; the others are the first source's to say.
    """
    record = source.record
    for field, wanted, got in (("model_id", model, model_of(record)), ("gpu_type", gpu, gpu_of(record))):
        if got != wanted:
            raise _bad(source.path, field, f"is {got!r}, the target is {wanted!r}", code="wrong_target")
    for field in IDENTITY_FIELDS:
        wanted_id = identity.get(field)
        if wanted_id is not None and str(record.get(field)) != wanted_id:
            raise _bad(
                source.path, field, f"is {record.get(field)!r}, the target is {wanted_id!r}", code="wrong_target"
            )
    for metric in METRICS:
        value = record.get(metric)
        if value is None:
            continue
        number = safe_float(value)
        if isinstance(value, bool) or number is None or not math.isfinite(number):
            raise _bad(source.path, metric, f"is {value!r}, not a finite number", code="bad_measurement")
        if number <= 0 if metric in CORE else number < 0:
            raise _bad(source.path, metric, f"is {value!r}, which is not a measurement", code="bad_measurement")
    if all(record.get(metric) is None for metric in METRICS):
        raise _bad(
            source.path, METRICS[0], "and every other metric is missing: nothing was measured", code="bad_measurement"
        )


def same_target(sources: Sequence[Source]) -> str:
    """Return the target all sources share. Raises `BadInput` naming the first that is of another."""
    first = sources[0]
    if uses_identity(first.record) and not target_of(first.record).startswith("identity:"):
        from projections.results.identity import missing_identity

        raise _bad(
            first.path, ", ".join(missing_identity(first.record)), "is missing from its identity", code="wrong_target"
        )
    for source in sources[1:]:
        for field in IDENTITY_FIELDS:
            if str(source.record.get(field)) != str(first.record.get(field)):
                raise _bad(
                    source.path,
                    field,
                    f"is {source.record.get(field)!r}, {first.path} has {first.record.get(field)!r}",
                    code="wrong_target",
                )
    return target_of(first.record)


def in_order(sources: Sequence[Source]) -> tuple[list[Source], list[str]]:
    """Sort by original timestamp; those without one that parses keep their order at the end, with a warning each."""
    dated = [s for s in sources if parse_instant(s.record.get("timestamp"))]
    undated = [s for s in sources if not parse_instant(s.record.get("timestamp"))]
    dated.sort(key=lambda s: parse_instant(s.record.get("timestamp")) or 0)
    warnings = [
        f"{s.path}: field timestamp is {s.record.get('timestamp')!r}, no time; it comes last, in the order given"
        for s in undated
    ]
    return [*dated, *undated], warnings


def _bad(path: str, field: str, why: str, *, code: str) -> BadInput:
    where = f"{path}: field {field} {why}" if field else f"{path} {why}"
    return BadInput(
        f"{where}; nothing was planned", code=code, hint="perfledger reseed plan --help", file=path, field=field
    )
