"""What of an attempt becomes evidence: its log, its result files, its telemetry; all without credentials."""

from __future__ import annotations

from pathlib import Path

from gpu_runner import telemetry
from gpu_runner.extract import ResultFiles
from gpu_runner.request import EvidenceSink, RepeatRequest
from ledger.outside.redaction import Redactor

LOG_BYTES_MAX = 64 * 2**20


def keep_log(evidence: EvidenceSink | None, log: Path, redactor: Redactor) -> str | None:
    """Keep a log and return its digest; of a huge one the beginning and the end, with a line that says so."""
    if evidence is None or not log.exists():
        return None
    return evidence.put(redactor.clean(_bounded(log)), "text/plain")


def keep_results(evidence: EvidenceSink | None, files: ResultFiles) -> dict[str, str]:
    """Keep every result file that was read: name relative to basetemp, to digest."""
    if evidence is None:
        return {}
    return {name: evidence.put(path.read_bytes(), "application/json") for name, path in files.used().items()}


def keep_telemetry(
    request: RepeatRequest, sampler: telemetry.Sampler | None, attempt: int, repeat_id: str
) -> str | None:
    """Emit the rows of each GPU and keep all of them as Parquet; None when nothing was sampled."""
    sampled = [track for track in sampler.tracks if track.offset_ms] if sampler else []
    if sampler is None or not sampled:
        return None
    for track in sampled:
        request.emit(
            telemetry.recorded(
                track,
                unit=request.unit,
                repeat=request.repeat,
                attempt=attempt,
                repeat_id=repeat_id,
                started_at=sampler.started_at,
            )
        )
    if request.evidence is None:
        return None
    return request.evidence.put(telemetry.parquet(sampled, sampler.started_at), "application/vnd.apache.parquet")


def _bounded(log: Path) -> bytes:
    size = log.stat().st_size
    if size <= LOG_BYTES_MAX:
        return log.read_bytes()
    half = LOG_BYTES_MAX // 2
    with log.open("rb") as file:
        first = file.read(half)
        file.seek(size - half)
        last = file.read(half)
    return first + f"\n... {size - 2 * half} bytes left out here ...\n".encode() + last
