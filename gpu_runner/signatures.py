"""Lines of a log that mean something: crashes a run cannot survive, and environments that are broken.

Signatures are data, so that a host or model can add its own in its configuration.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ledger.errors import BadInput


def _must_compile(name: str, what: str, pattern: str | None) -> None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise BadInput(
            f"signature {name!r}: {what} is not a regular expression: {error}",
            code="bad_signature",
            hint="correct the pattern in the configuration",
            field=what,
        ) from None


def _exceeds(seconds: str, limit: float) -> bool:
    try:
        return float(seconds) > limit
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashSignature:
    """A log line after which a run is lost, though pytest may go on waiting for minutes.

    pattern: regular expression searched in each line, case-sensitive. confirm_s: the run is stopped only if it
    is still going this many seconds later and no line matched `recovered` meanwhile. A line that says itself
    that something is tried again (`RETRIED`) never counts.
    """

    name: str
    pattern: str
    confirm_s: float = 20.0
    recovered: str | None = None

    def __post_init__(self) -> None:
        _must_compile(self.name, "pattern", self.pattern)
        _must_compile(self.name, "recovered", self.recovered)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSignature:
    """A log line that shows a broken environment: reported with its way out, never as a regression.

    explanation: a sentence; `{name}` of a named group in the pattern is replaced by its text. over_s: the group
    `seconds` must exceed this for the line to count.
    """

    name: str
    pattern: str
    explanation: str
    over_s: float | None = None

    def __post_init__(self) -> None:
        _must_compile(self.name, "pattern", self.pattern)

    def explain(self, line: str) -> str | None:
        """The sentence for a line, or None when the line does not show this problem."""
        found = re.search(self.pattern, line)
        if found is None:
            return None
        groups = found.groupdict(default="")
        if self.over_s is not None and not _exceeds(groups.get("seconds", ""), self.over_s):
            return None
        text = self.explanation
        for name, value in groups.items():
            text = text.replace("{" + name + "}", value)
        return f"{self.name}: {text}"


# How a server's start looks to an impatient client: the words of a retry, on the same line.
RETRIED = re.compile(r"(?i)\bretry(?:ing)?\b|\bretries\b|\btry(?:ing)? again\b|\battempt \d+ ?(?:/|of) ?\d+")

# A supervisor that healed a worker says one of these; then the crash before it was not the end of the run.
HEALED = (
    r"(?i)application startup complete|uvicorn running on|"
    r"\b(?:recovered|restarted|respawned)\b|is (?:ready|healthy)\b"
)

# "Connection refused", "Address already in use" and assertion errors are not here: clients retry, servers take
# the next port, and pytest itself reports assertions. If they do end a test, its exit code says so.
DEFAULT_CRASHES: tuple[CrashSignature, ...] = (
    # `pytest -v -s` writes the first output of a test behind the test's name
    CrashSignature(name="Fatal Python error", pattern=r"^(?:\S+::\S+ )?(?:\S+ )?Fatal Python error: "),
    CrashSignature(
        name="Segmentation fault",
        pattern=r"Segmentation fault \(core dumped\)|^Segmentation fault$|!!!+ Segfault encountered !!!+",
        recovered=HEALED,
    ),
    CrashSignature(
        name="CUDA error: an illegal memory access",
        pattern=r"CUDA error: an illegal memory access was encountered",
    ),
    CrashSignature(name="CUDA error: device-side assert", pattern=r"CUDA error: device-side assert triggered"),
    CrashSignature(name="GPU lost", pattern=r"CUDA error: (?:unspecified launch failure|the launch timed out)|Xid \("),
    CrashSignature(name="Child process died", pattern=r"Child process died", confirm_s=60.0, recovered=HEALED),
    CrashSignature(name="All workers failed", pattern=r"All workers failed", recovered=HEALED),
    CrashSignature(name="Router failed to start", pattern=r"Router failed to start", recovered=HEALED),
    CrashSignature(name="Server process exited", pattern=r"Server process exited", confirm_s=60.0, recovered=HEALED),
    CrashSignature(name="worker crashed", pattern=r"(?i:\bworker crashed\b)", confirm_s=60.0, recovered=HEALED),
)

_SERVER_START = (
    r"(?i)(?:server|router|worker|engine)s?\b.{0,60}\b(?:ready|started|healthy|startup complete|up)\b"
    r".{0,20}?\b(?:in|after|took)\s+(?P<seconds>\d+(?:\.\d+)?)\s*s(?:ec(?:onds)?)?\b"
)

DEFAULT_ENVIRONMENT: tuple[EnvironmentSignature, ...] = (
    EnvironmentSignature(
        name="slow server start",
        pattern=_SERVER_START,
        over_s=60.0,
        explanation="a server took {seconds} s to start; above 60 s its kernels are being compiled anew, so the JIT "
        "environment (FlashInfer, Triton, nvcc) is broken; check the compiler and the versions with "
        "`perfledger calibrate precheck`",
    ),
    EnvironmentSignature(
        name="JIT cache in the wrong place",
        pattern=r"(?i)(?:flashinfer|triton|inductor|torch_?extensions|cuda.?graph|jit)\b.{0,80}\bcache\b.{0,80}?"
        r"(?P<path>(?:/root|/tmp|/github/home)/[\w./-]+).{0,80}"
        r"(?:permission denied|read-only|no space left|not writable|cannot (?:create|write))",
        explanation="a compile cache at {path} cannot be used; set XDG_CACHE_HOME, FLASHINFER_WORKSPACE_BASE, "
        "TRITON_CACHE_DIR and TORCHINDUCTOR_CACHE_DIR to a writable folder of this host",
    ),
    EnvironmentSignature(
        name="JIT compiler missing",
        pattern=r"(?:(?P<tool>nvcc|ninja|gcc|g\+\+)(?:: command not found|.{0,30}No such file or directory)"
        r"|Ninja is required|CUDA_HOME environment variable is not set)",
        explanation="kernels cannot be compiled here {tool}: install the CUDA toolkit and ninja, and set CUDA_HOME",
    ),
    EnvironmentSignature(
        name="driver and library differ",
        pattern=r"Driver/library version mismatch|CUDA driver version is insufficient for CUDA runtime version",
        explanation="the driver on the host does not fit the CUDA libraries in use; update the driver or the image",
    ),
    EnvironmentSignature(
        name="disk full",
        pattern=r"No space left on device",
        explanation="a disk is full; free some space (`df -h`), then run again",
    ),
)

# What a failing test says when its surroundings failed, not its numbers. Only looked for in pytest's own
# error lines, so a client that was refused and succeeded later never counts.
INFRASTRUCTURE = re.compile(
    r"Connection refused|Connection reset|ConnectionError|RemoteDisconnected|Address already in use|"
    r"(?i:server|router|worker)s? (?:process )?(?i:failed to start|did not start|exited|died|is not ready)|"
    r"Name or service not known|Temporary failure in name resolution|"
    r"(?:50[0234]|429) (?:Server|Client) Error|No space left"
)
OUT_OF_MEMORY = re.compile(r"CUDA out of memory|OutOfMemoryError|CUDA error: out of memory|cudaErrorMemoryAllocation")
TIMED_OUT = re.compile(r"TimeoutExpired|Timeout >\d|pytest_timeout")
PYTEST_ERROR = re.compile(r"^(?:E   |FAILED |ERROR |INTERNALERROR> )")
