"""perfledger doctor: what is wrong with this setup, and the command that fixes it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from commands.cli.app import App, command
from ledger import children
from ledger.errors import BadInput, PerfledgerError
from ledger.outside import shown

if TYPE_CHECKING:
    from ledger.ledger import Ledger

GIB = 2**30
FREE_FAIL_BYTES = 200 * 2**20  # an append must still fit, with its index and a sealed segment
FREE_WARN_BYTES = 5 * GIB
CLOCK_AHEAD_S = 5.0
DAY_S = 86_400
UNREAD_TYPES_SHOWN = 100  # characters
SIGNS = {"ok": "ok", "note": "-", "warn": "warn", "fail": "FAIL"}


class Check(msgspec.Struct, frozen=True):
    """One thing looked at. state: `ok`, `note` (nothing to fix), `warn`, `fail`; fix: the command that helps."""

    name: str
    state: str
    message: str
    fix: str | None = None


@command("doctor")
@click.option("--fast", is_flag=True, help="Do not recompute the hashes of the log and the evidence.")
def doctor(app: App, fast: bool) -> int:
    """Look at Python, ledger, git, tokens, GPUs and disk; name what is wrong and the command that fixes it.

    Never prints a token. Exit 1 when something has to be fixed; warnings alone are exit 0.
    """
    checks = list(_checks(app, fast=fast))
    failed = sum(check.state == "fail" for check in checks)
    warned = sum(check.state == "warn" for check in checks)
    document = {"ok": failed == 0, "failed": failed, "warned": warned, "checks": checks}

    def text() -> str:
        width = max(len(check.name) for check in checks)
        lines = []
        for check in checks:
            lines.append(f"{SIGNS[check.state]:>4}  {check.name:<{width}}  {check.message}")
            if check.fix:
                lines.append(f"{'':>4}  {'':<{width}}  fix: {check.fix}")
        verdict = "nothing to fix" if not failed else f"{failed} to fix"
        return shown.text_of([*lines, "", verdict + (f", {warned} warning(s)" if warned else "")])

    app.emit(document, text)
    return 1 if failed else 0


def _checks(app: App, *, fast: bool) -> Iterator[Check]:
    yield _python()
    yield from _packages()
    yield from _ledger(app, fast=fast)
    yield _git()
    yield _hub_token()
    yield _token("GitHub token", ("GITHUB_TOKEN",), "only `perfledger ci publish` needs one", None)
    yield _own_processes()
    yield from _processes()
    yield from _gpus()


def _python() -> Check:
    return Check("python", "ok", f"{'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}")


def _packages() -> Iterator[Check]:
    """Every required distribution, and one that must not be there."""
    missing = []
    for requirement in importlib.metadata.requires("perfledger") or []:
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        if "extra ==" not in requirement:
            try:
                importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                missing.append(requirement)
    version = importlib.metadata.version("perfledger")
    if missing:
        yield Check(
            "packages",
            "fail",
            f"not installed: {', '.join(missing)}",
            "pip install " + " ".join(f"'{item}'" for item in missing),
        )
    else:
        yield Check("packages", "ok", f"perfledger {version} with everything it needs")
    try:
        importlib.metadata.version("pynvml")
    except importlib.metadata.PackageNotFoundError:
        return
    yield Check(
        "pynvml",
        "warn",
        "the deprecated distribution `pynvml` is installed beside nvidia-ml-py and runs code at every Python start",
        "pip uninstall pynvml",
    )


def _ledger(app: App, *, fast: bool) -> Iterator[Check]:
    try:
        ledger = app.ledger()
        head = ledger.head()
    except BadInput as error:
        yield Check("ledger", "fail", error.message, error.hint or "perfledger init")
        return
    except PerfledgerError as error:
        yield Check("ledger", "fail", error.message, error.hint or "perfledger verify")
        return
    yield Check("ledger", "ok", f"{ledger.path}, origin {ledger.origin}, {head.position} events")
    if fast:
        yield Check("verify", "note", "not done (--fast)", "perfledger verify")
    else:
        yield _guarded("verify", "perfledger verify", lambda: _verify(ledger))
    yield _guarded("projections", "perfledger replay", lambda: _projections(app, ledger))
    yield from _approvals(ledger)
    yield _guarded("unread events", "perfledger sql 'FROM unread_events'", lambda: _unread(app, ledger))
    yield _guarded("policies", "perfledger sql 'FROM policies'", lambda: _policies(app, ledger))
    yield from _signing(ledger)
    yield _clock(head.recorded_us)
    yield _disk(ledger.path)
    yield Check("actor", "ok", f"events are written as {ledger.actor}")


def _approvals(ledger: Ledger) -> Iterator[Check]:
    from commands.ledger_commands.policy_check import findings

    try:
        yield from (Check("approvals", *finding) for finding in list(findings(ledger)))
    except PerfledgerError as error:
        yield Check("approvals", "fail", error.message, error.hint)


def _signing(ledger: Ledger) -> Iterator[Check]:
    """Look at the signing key and the kept checkpoint, where there are any."""
    from ledger.proofs import checkpoints, keys

    path = keys.default_path(ledger)
    try:
        kept = checkpoints.read(ledger, ledger.origin)
        key = keys.load(path, ledger.origin) if path.exists() else None
    except PerfledgerError as error:
        yield Check("signing", "fail", error.message, error.hint)
        return
    if kept or key:
        signed = f"{kept.size:,} events are signed" if kept else "nothing is signed yet"
        yield Check("signing", "ok", f"{signed}; the key is {key.verifier if key else 'not in the ledger'}")


def _guarded(name: str, fix: str, look: Callable[[], Check]) -> Check:
    """A look that fails is a finding of its own: the doctor goes on with the other checks."""
    try:
        return look()
    except PerfledgerError as error:
        return Check(name, "fail", error.message, fix)
    except Exception as error:  # noqa: BLE001  (whatever a damaged file makes a library raise)
        return Check(name, "fail", f"{type(error).__name__}: {error}", fix)


def _verify(ledger: Ledger) -> Check:
    from ledger.verification.walk import verify

    report = verify(ledger)
    if not report.ok:
        first = report.findings[0]
        return Check(
            "verify",
            "fail",
            f"{len(report.findings)} broken rule(s); {first.file}: {first.message}",
            "perfledger verify   # lists all of them",
        )
    return Check("verify", "ok", f"{report.events} events and {report.blobs} pieces of evidence hold")


def _projections(app: App, ledger: Ledger) -> Check:
    with app.state(ledger) as state:
        state.rows("SELECT 1 AS one")
    return Check("projections", "ok", "caught up with the log")


UNREAD = """SELECT reason, origin, count(*) AS events, max(counts_from) AS last,
    string_agg(DISTINCT type || '@' || schema_version, ', ' ORDER BY type || '@' || schema_version) AS types
FROM unread_events GROUP BY reason, origin ORDER BY reason DESC, origin"""
WHY_UNREAD = {
    "newer_schema": "of a newer schema",
    "unknown_type": "of an unknown type",
    "bad_payload": "with a payload that is not what its type says",
    "from_the_future": "from the future",
}


def _unread(app: App, ledger: Ledger) -> Check:
    """Events that count for nothing: how many, of which type, from which origin, and what helps."""
    with app.state(ledger) as state:
        rows = state.rows(UNREAD)
    if not rows:
        return Check("unread events", "ok", "every event of the log counts")
    parts = []
    for row in rows:
        kinds = row["types"] if len(row["types"]) <= UNREAD_TYPES_SHOWN else row["types"][:UNREAD_TYPES_SHOWN] + "..."
        until = f", the last until {row['last']}" if row["last"] else ""
        parts.append(f"{row['events']} {WHY_UNREAD[row['reason']]} from {row['origin']} ({kinds}{until})")
    newer = any(row["reason"] in ("newer_schema", "unknown_type") for row in rows)
    look = "perfledger sql 'FROM unread_events'"
    mend = f"pip install --upgrade perfledger   # then they count; until then: {look}" if newer else look
    total = sum(row["events"] for row in rows)
    return Check("unread events", "warn", f"{total} passed over: {'; '.join(parts)}", mend)


def _policies(app: App, ledger: Ledger) -> Check:
    """Whether each adopted policy has one successor: two machines that adopted at once may have replaced the same."""
    from projections.ci import approval
    from projections.state.succession import in_force, rivals_told

    with app.state(ledger) as state:
        found = {"ci": approval.in_force(state), "metric": in_force(state, "metric")}
    said = {kind: rivals_told(policy) for kind, policy in found.items() if policy and policy.rivals}
    if said:
        adopt = {"ci": "perfledger ci policy adopt FILE", "metric": "perfledger policy adopt FILE"}
        helps = " && ".join(f"{adopt[kind]} --reason ..." for kind in said)
        return Check("policies", "warn", "; ".join(said.values()), f"{helps}   # the one that is to hold")
    names = ", ".join(f"{kind} policy {policy.name}" for kind, policy in found.items() if policy)
    return Check("policies", "ok", f"in force: {names}" if names else "none adopted; the defaults hold")


def _clock(recorded_us: int) -> Check:
    ahead = recorded_us / 1e6 - time.time()
    if ahead > CLOCK_AHEAD_S:
        return Check(
            "clock",
            "warn",
            f"the last event is {ahead:.0f} s in the future: the clock was set back, or a pull brought events of a "
            "machine whose clock is ahead"
            + ("; other machines leave what is recorded here aside until its time" if ahead > DAY_S else ""),
            "timedatectl set-ntp true",
        )
    return Check("clock", "ok", "not behind the last event")


def _disk(path: Path) -> Check:
    usage = shutil.disk_usage(path)
    words = f"{usage.free / GIB:.1f} GiB free of {usage.total / GIB:.1f} GiB where the ledger is"
    state = "fail" if usage.free < FREE_FAIL_BYTES else "warn" if usage.free < FREE_WARN_BYTES else "ok"
    return Check("disk", state, words, None if state == "ok" else f"du -sh {path}/* && df -h {path}")


def _git() -> Check:
    try:
        done = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return Check("git", "fail", "git does not run; commits of measurements would be unknown", "apt-get install git")
    mail = subprocess.run(["git", "config", "user.email"], capture_output=True, text=True, timeout=10, check=False)
    if mail.returncode != 0 and not os.environ.get("PERFLEDGER_ACTOR"):
        return Check(
            "git",
            "warn",
            f"{done.stdout.strip()}, but nobody is named: events would say user@host",
            'git config --global user.email "you@example.org"',
        )
    return Check("git", "ok", done.stdout.strip())


def _hub_token() -> Check:
    from ledger.remotes.hub_session import TOKEN_VARIABLES, endpoint, find_token

    fix = f"export HF_TOKEN=...   # from {endpoint()}/settings/tokens, with write access"
    try:
        find_token()
    except BadInput as error:
        return Check("Hub token", "fail", error.message, error.hint)
    without = "reading public datasets works without; pushing and uploading need one"
    return _token("Hub token", TOKEN_VARIABLES, without, fix)


def _token(name: str, variables: tuple[str, ...], without: str, fix: str | None) -> Check:
    """Whether a token is there; its value is never shown, not even its length."""
    present = next((variable for variable in variables if os.environ.get(variable)), None)
    if present:
        return Check(name, "ok", f"set in {present}")
    return Check(name, "note", f"not set; {without}", fix)


def _own_processes() -> Check:
    """Whether a process of ours finds this installation: `sql`, a push beside a run and every repeat need one."""
    try:
        done = subprocess.run(
            children.command("--version"),
            env=children.environment("PATH", "HOME"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        why = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1] if done.returncode else ""
    except (OSError, subprocess.SubprocessError) as error:
        why = str(error)
    if why:
        return Check(
            "own processes",
            "fail",
            f"perfledger does not start as a process of its own, which gets no PYTHONPATH: {why}",
            f"{sys.executable} -m pip install perfledger",
        )
    return Check("own processes", "ok", "perfledger starts without PYTHONPATH and the working directory")


def _processes() -> Iterator[Check]:
    """What ownership of a repeat's processes is built on: /proc and pidfd (Linux 5.3)."""
    if not Path("/proc/self/environ").exists() or not hasattr(os, "pidfd_open"):
        yield Check("processes", "fail", "no /proc or no pidfd: repeats need Linux 5.3 or newer")
        return
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        yield Check(
            "processes",
            "fail",
            f"pidfd_open is refused ({error.strerror}): a sandbox forbids it",
            "allow pidfd_open and pidfd_send_signal in the container's seccomp profile",
        )
        return
    yield Check("processes", "ok", "repeats can be started and ended exactly")


def _gpus() -> Iterator[Check]:
    from gpu_runner.gate import GHOST_WAY_OUT, survey
    from gpu_runner.locks import lock_dir, try_lock
    from gpu_runner.nvml import Nvml
    from gpu_runner.request import GatePolicy

    try:
        with Nvml() as nvml:
            driver = nvml.driver()["driver"]
            standings = survey(nvml, GatePolicy(), environ={})
            lost = nvml.unreadable()
    except PerfledgerError as error:
        yield Check("GPUs", "note", f"{error.message}; everything but GPU tests works")
        return
    names = sorted({s.gpu.name for s in standings})
    yield Check("GPUs", "ok" if standings else "note", f"{len(standings)} ({', '.join(names)}), driver {driver}")
    for index in lost:
        yield Check(f"GPU {index}", "fail", "the driver does not answer for it", f"nvidia-smi --gpu-reset -i {index}")
    for standing in standings:
        if standing.ghost or standing.load.lost:
            fix = GHOST_WAY_OUT if standing.ghost else f"nvidia-smi --gpu-reset -i {standing.gpu.index}"
            yield Check(f"GPU {standing.gpu.label}", "warn", standing.reason, fix)
    try:
        lock = try_lock(lock_dir(), "doctor")
        if not isinstance(lock, str):
            lock.release()
        yield Check("GPU locks", "ok", f"runners of this machine meet in {lock_dir()}")
    except PerfledgerError as error:
        yield Check("GPU locks", "fail", error.message, error.hint)
