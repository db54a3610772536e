"""Compile caches: wiped before an attempt when the configuration says so, and caught where they should not be.

A wiped cache makes every attempt pay for its compilations, on purpose: otherwise the first repeat is slower than the
others. A cache that lands outside the place the environment names survives the wipe and shares state between
repeats, which is an environment problem and never a regression.
"""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import BadInput, Unavailable

DEPTH_MIN = 3  # `/home/me` is never a cache


@dataclass(frozen=True, slots=True)
class KnownCache:
    """Where a tool keeps compiled code: the variables that move it, and where it is by default."""

    tool: str
    variables: tuple[str, ...]
    default: str


KNOWN = (
    KnownCache("FlashInfer", ("FLASHINFER_WORKSPACE_BASE", "XDG_CACHE_HOME"), "{home}/.cache/flashinfer"),
    KnownCache("Triton", ("TRITON_CACHE_DIR", "TRITON_HOME"), "{home}/.triton/cache"),
    KnownCache("TorchInductor", ("TORCHINDUCTOR_CACHE_DIR",), "/tmp/torchinductor_{user}"),  # noqa: S108
    KnownCache("vLLM compile and CUDA graph", ("VLLM_CACHE_ROOT", "XDG_CACHE_HOME"), "{home}/.cache/vllm"),
    KnownCache("torch extensions", ("TORCH_EXTENSIONS_DIR", "XDG_CACHE_HOME"), "{home}/.cache/torch_extensions"),
    KnownCache("CUDA JIT", ("CUDA_CACHE_PATH",), "{home}/.nv/ComputeCache"),
)


def check(folders: Sequence[Path], *, keep: Sequence[Path] = ()) -> None:
    """Raise `BadInput` for the first path that cannot be a cache (shallow, a link, or holding one of `keep`)."""
    for folder in folders:
        _check_one(folder, keep)


def wipe(folders: Sequence[Path], *, keep: Sequence[Path] = ()) -> list[Path]:
    """Remove the cache folders that exist and return them.

    Raises `BadInput` as `check` does, before anything is removed; `Unavailable` when one cannot be removed.
    """
    check(folders, keep=keep)
    removed = []
    for folder in folders:
        if folder.is_dir():
            try:
                shutil.rmtree(folder)
            except OSError as error:
                raise Unavailable(
                    f"cannot wipe the cache {folder}: {error.strerror}",
                    code="cache_not_wiped",
                    hint="check who owns it; a repeat must not start on an old cache",
                ) from None
            removed.append(folder)
    return removed


def strays(env: Mapping[str, str], since: float) -> list[str]:
    """Caches written in their default place although the environment names another one.

    since: POSIX seconds; a folder counts when it changed after that. env: the environment of the repeat.
    """
    home = env.get("HOME") or str(Path.home())
    user = env.get("USER") or getpass.getuser()
    found = []
    for cache in KNOWN:
        variable = next((name for name in cache.variables if env.get(name)), None)
        place = Path(cache.default.format(home=home, user=user))
        if variable and not place.is_relative_to(env[variable]) and _changed(place, since):
            found.append(
                f"JIT cache in the wrong place: the {cache.tool} cache was written to {place} although {variable} is "
                f"{env[variable]}; it is not wiped between repeats and may be stale: remove {place} and "
                f"check why {variable} does not reach the process"
            )
    return found


def _changed(place: Path, since: float) -> bool:
    try:
        newest = max((entry.stat().st_mtime for entry in [place, *place.iterdir()]), default=0.0)
    except OSError:
        return False
    return newest >= since


def _check_one(folder: Path, keep: Sequence[Path]) -> None:
    why = ""
    if not folder.is_absolute():
        why = "it is not an absolute path"
    elif folder.is_symlink():
        why = "it is a symbolic link"
    else:
        real = folder.resolve()
        if len(real.parts) - 1 < DEPTH_MIN:
            why = "it is too close to the root to be a cache"
        elif Path.home().resolve().is_relative_to(real):
            why = "the home directory is inside it"
        elif any(path.resolve().is_relative_to(real) for path in keep):
            why = "the repository or the run directory is inside it"
    if why:
        raise BadInput(
            f"cache folder {folder} will not be wiped: {why}",
            code="bad_cache_dir",
            hint="name the cache's own folder in the configuration",
            field="cache_dirs",
        )
