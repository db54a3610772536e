"""Facts about the machine a repeat runs on: name, boot, processor, container."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

# Set by whoever starts the container; there is no way to read an image's digest from inside one.
IMAGE_VARIABLES = ("PERFLEDGER_CONTAINER_IMAGE", "CONTAINER_IMAGE", "IMAGE_DIGEST")


def boot_id() -> str:
    """Identifies this boot of the kernel: no process of another boot is alive."""
    return _text("/proc/sys/kernel/random/boot_id") or "unknown"


def container(environ: Mapping[str, str]) -> str | None:
    """The container image as far as it can be known, `unknown image` in an unnamed container, None outside of any."""
    for name in IMAGE_VARIABLES:
        if environ.get(name):
            return environ[name]
    for line in (_text("/run/.containerenv") or "").splitlines():
        if line.startswith("image="):
            return line.removeprefix("image=").strip('"')
    inside = Path("/.dockerenv").exists() or Path("/run/.containerenv").exists()
    return "unknown image" if inside else None


@lru_cache(maxsize=1)
def facts() -> dict[str, Any]:
    """Host name, kernel, processor and memory; what does not change while the machine runs."""
    processor = _field("/proc/cpuinfo", "model name")
    memory = _field("/proc/meminfo", "MemTotal")
    return {
        "hostname": socket.gethostname(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": processor or platform.machine(),
        "cpu_count": os.cpu_count(),
        "memory_mib": int(memory.split()[0]) // 1024 if memory else None,
    }


def _field(path: str, name: str) -> str | None:
    for line in (_text(path) or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
