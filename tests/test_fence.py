"""No test, and nothing that a test starts, can reach an address outside loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import fence
from tests.conftest import FENCE, Result, clean_env

ROOT = Path(__file__).parents[1]
OUTSIDE = "192.0.2.1"  # TEST-NET-1 of RFC 5737: nobody's
PROBE = f"""
import json, socket, sys
from tests import fence
{{before}}
tries = {{{{}}}}
def attempt(name, act):
    try:
        act()
        tries[name] = "reached"
    except OSError as error:
        tries[name] = type(error).__name__
attempt("connect", lambda: socket.create_connection(("{OUTSIDE}", 443), timeout=20))
attempt("datagram", lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("{OUTSIDE}", 53)))
attempt("lookup", lambda: socket.getaddrinfo("huggingface.co", 443))
server = socket.create_server(("127.0.0.1", 0))
attempt("loopback", lambda: socket.create_connection(server.getsockname(), timeout=20))
print(json.dumps(tries))
"""


def probe(before: str) -> dict[str, str]:
    """Try to get out of a child process, after it ran some code."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(before=before)],
        cwd=ROOT,
        env=clean_env(),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_this_process_has_no_network_but_loopback() -> None:
    if FENCE == "namespace":
        assert fence.interfaces() == {"lo"}
    with pytest.raises(OSError):
        socket.create_connection((OUTSIDE, 443), timeout=20)
    with pytest.raises(OSError):
        socket.getaddrinfo("huggingface.co", 443)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass


def test_a_child_has_no_network_but_loopback() -> None:
    if FENCE != "namespace":
        pytest.skip("this kernel gives the tests no network namespace; children have a proxy that does not exist")
    tries = probe("assert fence.interfaces() == {'lo'}, fence.interfaces()")
    assert tries.pop("loopback") == "reached"
    assert "reached" not in tries.values(), tries


def test_where_there_is_no_namespace_python_refuses_by_itself() -> None:
    tries = probe("fence.refuse_in_process()")
    assert tries == {"connect": "OSError", "datagram": "OSError", "lookup": "OSError", "loopback": "reached"}


def test_where_there_is_no_namespace_a_child_of_ours_asks_a_proxy_that_does_not_exist(
    cli: Callable[..., Result], tmp_path: Path
) -> None:
    """The child does not even look the host up: the refusal comes from loopback."""
    env: dict[str, str] = {"HF_TOKEN": "hf_" + "x" * 20, "PERFLEDGER_REMOTE_WAIT": "0"}
    fence.refuse_in_children(env)
    cli("init", code=0)
    done = cli("sync", "push", "--remote", "hf://datasets/org/perf", env=env, code=4)
    assert "cannot be reached" in done.err


def test_a_push_to_a_hub_that_is_not_named_does_not_leave_this_machine(cli: Callable[..., Result]) -> None:
    """The mistake that a demonstration made: HF_ENDPOINT unset, a dataset's name that a stranger has, a token."""
    cli("init", code=0)
    env = {"HF_TOKEN": "hf_" + "x" * 20, "PERFLEDGER_REMOTE_WAIT": "0"}
    for command in ("push", "pull"):
        done = cli("sync", command, "--remote", "hf://datasets/org/perf", "--json", env=env, code=4)
        assert done.json["error"]["code"] == "remote_unavailable"
        assert "cannot be reached" in done.json["error"]["message"]


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *((host, True) for host in ("127.0.0.1", "127.8.9.1", "::1", "localhost", b"127.0.0.1", "")),
        *((host, False) for host in (OUTSIDE, "10.0.0.1", "::ffff:10.0.0.1", "huggingface.co", "127.1")),
    ],
)
def test_only_loopback_is_this_machine(host: object, here: bool) -> None:
    assert fence.is_loopback(host) is here


@pytest.mark.soak
def test_the_whole_demonstration_runs_without_a_network() -> None:
    """`make demo`, with loopback only: it needs nothing else, and so it can reach nobody else."""
    assert probe("")["connect"] != "reached"
    done = subprocess.run(
        ["bash", "examples/demo.sh"],
        cwd=ROOT,
        env=clean_env(PATH=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"),
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "not everything is at hf://datasets/team/performance/ledger yet" in done.stdout
