"""The environment a repeat measured in, as one document with a digest: equal digests are comparable numbers.

It holds driver, CUDA, GPUs, host, container image, the test interpreter's packages and the settings that change speed.
It never holds a secret: variables come from a list of prefixes, and any name that smells of a credential is left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from gpu_runner import hosts
from gpu_runner.nvml import Nvml
from ledger import canonical
from ledger.errors import BadInput
from ledger.outside.redaction import Redactor

PREFIXES = (
    "CUDA_",
    "CUBLAS_",
    "CUDNN_",
    "NCCL_",
    "NVIDIA_",
    "TORCH",
    "PYTORCH_",
    "TRITON_",
    "FLASHINFER_",
    "VLLM_",
    "SGLANG_",
    "SGL_",
    "OMP_",
    "MKL_",
    "PYTHONHASHSEED",
    "HF_HUB_OFFLINE",
    "HF_HUB_DISABLE_XET",
    "TRANSFORMERS_OFFLINE",
)
SECRET = re.compile(r"(?i)TOKEN|SECRET|PASSW|CREDENTIAL|AUTH|KEY|COOKIE")
# the picked GPUs differ from repeat to repeat without changing what is comparable
NOT_ENVIRONMENT = frozenset({"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"})

PROBE = Path(__file__).with_name("list_packages.py")
# What decides which packages the test's interpreter sees; no more, for a sitecustomize of its path runs in the probe.
PROBE_VARIABLES = ("PATH", "HOME", "LD_LIBRARY_PATH", "LANG")
PROBE_TIMEOUT_S = 120


def fingerprint(
    *, python: str, packages: Sequence[str], env: Mapping[str, str], nvml: Nvml | None, image: str | None = None
) -> dict[str, Any]:
    """Compose the document. python: the test's interpreter; packages: distributions to name (all count in the hash)."""
    probed = interpreter(python, env.get("PYTHONPATH"))
    redactor = Redactor(env)
    versions = {_normal(name): version for name, version in probed["packages"].items()}
    return {
        "host": hosts.facts(),
        "container_image": image or hosts.container(env),
        "python": f"{probed['implementation']} {probed['python']}",
        "packages": {name: versions[_normal(name)] for name in packages if _normal(name) in versions},
        "packages_sha256": probed["packages_sha256"],
        "settings": {
            name: redactor.text(value)
            for name, value in sorted(env.items())
            if name.startswith(PREFIXES) and not SECRET.search(name) and name not in NOT_ENVIRONMENT
        },
        "driver": None if nvml is None else nvml.driver(),
        "gpus": None if nvml is None else [nvml.describe(gpu) for gpu in nvml.gpus()],
    }


def digest(document: Mapping[str, Any]) -> str:
    """SHA-256 hex of the canonical JSON of a fingerprint."""
    return hashlib.sha256(canonical.encode(dict(document))).hexdigest()


@lru_cache(maxsize=8)
def interpreter(python: str, path: str | None = None) -> dict[str, Any]:
    """Version and packages of an interpreter with a PYTHONPATH, asked once per process (0.2-1 s with many packages).

    Raises `BadInput` when it does not run.
    """
    try:
        done = subprocess.run(
            [python, str(PROBE)],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
            env={
                **{n: v for n, v in os.environ.items() if n in PROBE_VARIABLES or n.startswith("PYTHON")},
                **({"PYTHONPATH": path} if path else {}),
            },
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unusable(python, str(error)) from None
    if done.returncode != 0:
        raise _unusable(python, (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1])
    # a sitecustomize may print: the document is the last line
    document: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return document


def _unusable(python: str, why: str) -> BadInput:
    return BadInput(
        f"the calibration interpreter {python} does not run: {why}",
        code="bad_interpreter",
        hint="name a working one with --venv-python or in the host profile",
        field="python",
    )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
