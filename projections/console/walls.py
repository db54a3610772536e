"""The walls the operating system puts around a query's process, whatever the engine in it would allow.

They are raised after everything needed is open and imported, and cannot be lowered again:

* no new file descriptor (RLIMIT_NOFILE 0): nothing can be opened, no socket made;
* no file can grow (RLIMIT_FSIZE 0), no core dump is written;
* Landlock, where the kernel has it (Linux 5.13 and later): no path can be read, made, renamed or removed,
  nothing executed, no TCP port bound or connected to, no process outside signalled;
* memory (RLIMIT_AS) and processor time (RLIMIT_CPU) are bounded;
* the process dies with its parent, and gains no privileges.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
# The same numbers on every architecture Linux has had since 5.13.
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LANDLOCK_QUERY_VERSION = 1
# (ABI version that knows them, file system rights, network rights, scopes), from linux/landlock.h
LANDLOCK_RIGHTS = (
    (1, (1 << 13) - 1, 0, 0),
    (2, (1 << 14) - 1, 0, 0),  # refer
    (3, (1 << 15) - 1, 0, 0),  # truncate
    (4, (1 << 15) - 1, 0b11, 0),  # bind and connect TCP
    (5, (1 << 16) - 1, 0b11, 0),  # ioctl on devices
    (6, (1 << 16) - 1, 0b11, 0b11),  # abstract sockets and signals outside
)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when `parent` (its process id) ends. Raises SystemExit if it has."""
    _libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the line above took effect
        raise SystemExit(1)


def raise_walls(*, memory_bytes: int, processor_seconds: int) -> bool:
    """Close this process in, with room for `memory_bytes` and `processor_seconds` more than now.

    Returns whether Landlock holds too. Every thread started from here on is inside; so start none before
    that must not be.
    """
    libc = _libc()
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + processor_seconds
    address_space = _address_space_bytes() + memory_bytes
    landlocked = _landlock(libc)
    for what, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_NOFILE, 0),  # last: nothing can be opened after it
    ):
        ceiling = resource.getrlimit(what)[1]
        if ceiling != resource.RLIM_INFINITY:
            limit = min(limit, ceiling)
        resource.setrlimit(what, (limit, limit))
    return landlocked


def _landlock(libc: ctypes.CDLL) -> bool:
    version = libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_QUERY_VERSION)
    known = [rights for abi, *rights in LANDLOCK_RIGHTS if abi <= version]
    if not known:
        return False
    files, network, scopes = known[-1]
    # struct landlock_ruleset_attr; an older kernel refuses bytes it does not know, unless they are absent
    attributes = struct.pack("=QQQ", files, network, scopes)
    size = 8 if not network else 16 if not scopes else 24
    ruleset = libc.syscall(LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    try:
        # no rule is added: what is handled and not granted is denied
        return bool(libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _address_space_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
