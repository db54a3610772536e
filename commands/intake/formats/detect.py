"""Read result files: find them, see which format each is, and hand it to its adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from commands.intake.formats import normalized, raw
from commands.intake.formats.measured import Measured, Unreadable, parse_object
from ledger.errors import BadInput
from ledger.outside.files import read_bytes

FORMATS = ("auto", raw.NAME, normalized.NAME)


def find_files(arguments: Sequence[str]) -> list[str]:
    """Return the files that arguments name, in order, each once.

    A folder means its `perf_*.json` in name order, or when it has none for every `*.json` in it. A
    pattern the shell did not expand means what it matches now, which may be nothing.
    """
    found: list[str] = []
    for argument in arguments:
        if not argument:
            raise BadInput(
                "a FILE is empty; nothing was recorded",
                code="usage",
                hint="an empty variable of the shell may be behind it",
            )
        path = Path(argument)
        if path.is_dir():
            names = sorted(path.glob("perf_*.json")) or sorted(path.glob("*.json"))
            found += [str(name) for name in names]
        elif not path.exists() and any(sign in argument for sign in "*?["):
            matching = Path(path.anchor or ".").glob(str(path.relative_to(path.anchor)))
            found += sorted(str(name) for name in matching if name.is_file())
        else:
            found.append(argument)
    return list(dict.fromkeys(found))


def read_file(path: str, *, format_name: str = "auto", env: Mapping[str, str]) -> Measured:
    """Read one result file. Raises `BadInput` naming the file, and the field where it is one.

    Whether NaN and infinities are refused is the caller's policy: see `measured.refuse_unusable`.
    """
    if not path.isascii() and "\ufffd" in path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"):
        raise BadInput(
            f"{ascii(path)[1:-1]}: the file's name is not UTF-8; nothing was recorded",
            code="bad_file_name",
            hint="rename the file",
            file=ascii(path)[1:-1],
        )
    data = read_bytes(path)
    try:
        value = parse_object(data)
    except Unreadable as error:
        raise BadInput(
            f"{path}: {error}; nothing was recorded",
            code="unreadable_result",
            hint="give a perf_*.json or a normalized record",
            file=path,
        ) from None
    return _adapt(value, data=data, path=path, format_name=format_name, env=env)


def _adapt(value: Mapping[str, Any], *, data: bytes, path: str, format_name: str, env: Mapping[str, str]) -> Measured:
    if format_name == raw.NAME or (format_name == "auto" and raw.matches(value)):
        return raw.read(value, data=data, path=path, env=env)
    if format_name == normalized.NAME or normalized.matches(value):
        return normalized.read(value, data=data, path=path)
    raise BadInput(
        f"{path}: neither a raw result (no benchmark_id) nor a normalized record (no model_id, no metric)",
        code="unknown_format",
        hint="name it with --format raw or --format normalized",
        file=path,
    )
