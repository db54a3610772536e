"""The fence around every test: nothing it runs, in this process or in a child, can reach an address but loopback.

Where the kernel lets us, the whole session lives in a network namespace of its own that has a loopback device and
nothing else, so no library, child or server can get out by any means. Elsewhere (no root, or a sandbox) Python's own
sockets are watched, and children are pointed at a proxy that does not exist.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from collections.abc import MutableMapping
from ipaddress import ip_address
from typing import Any

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP_RUNNING = 0x1 | 0x40
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there

_WATCHED = {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}


def put_up() -> str:
    """Fence this process and all it will start; return how: `namespace` or `hook`. Call it before threads start."""
    if into_namespace():
        forget_proxies(os.environ)
        return "namespace"
    refuse_in_process()
    refuse_in_children(os.environ)
    return "hook"


def into_namespace() -> bool:
    """Move this process into a network of its own with loopback only; False where that is not permitted."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare") or libc.unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP_RUNNING))
    return True


def forget_proxies(environment: MutableMapping[str, str]) -> None:
    """Remove the caller's proxies, which are at addresses that the fence is between."""
    for name in PROXIES:
        environment.pop(name, None)
        environment.pop(name.upper(), None)


def refuse_in_children(environment: MutableMapping[str, str]) -> None:
    """Point every client that a child may use at a proxy that does not exist; loopback needs none."""
    forget_proxies(environment)
    for name in PROXIES[:3]:
        environment[name] = environment[name.upper()] = NOBODY
    environment["no_proxy"] = environment["NO_PROXY"] = "127.0.0.1,localhost,::1"


def refuse_in_process() -> None:
    """Make Python's sockets refuse every address but loopback, for as long as this process lives."""

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _WATCHED:
            return
        place = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        if isinstance(place, tuple):
            place = place[0]
        elif event in ("socket.connect", "socket.sendto"):
            return  # a path: a socket of this machine
        if not is_loopback(place):
            raise OSError(f"the fence around the tests: {place!r} is not on loopback ({event})")

    sys.addaudithook(watch)


def is_loopback(host: object) -> bool:
    """Whether a host as given to the socket module is this machine."""
    if isinstance(host, bytes):
        host = host.decode(errors="replace")
    if host in (None, "", "localhost", "0.0.0.0", "::"):
        return True
    try:
        return ip_address(str(host)).is_loopback
    except ValueError:
        return False  # a name: looking it up would ask a server


def interfaces() -> set[str]:
    """Return the names of the network devices that this process can use."""
    return {name for _, name in socket.if_nameindex()}
