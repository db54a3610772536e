"""Every environment variable that the source reads or sets, with what it does. A test finds those that are missing."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from commands.reference.errors import ROOMS

# a string of the source that is the name of a variable of one of these families
FAMILIES = "PERFLEDGER|PERF|PERFORMANCE|HF|HUGGINGFACE|BUILDKITE|GITHUB|TUNE|IMAGE|CONTAINER|CUDA|XDG|AWS"
NAME = re.compile(rf"(?:{FAMILIES})_[A-Z0-9_]+|TEST_SCOPE|NO_COLOR|NO_PROXY|PYTHONPATH|LOGNAME")

VARIABLES: dict[str, dict[str, str]] = {
    "Every command": {
        "PERFLEDGER_DIR": "The ledger folder, as `--ledger`. Default: the nearest `.perfledger/` upward.",
        "PERFLEDGER_ACTOR": "Who acts, as `--actor`. Default: git's user.email, else user@host.",
        "PERFLEDGER_SIGNING_KEY": "The private key of checkpoints, as `--signing-key`. Default: the ledger's own.",
        "PERFLEDGER_TRACEBACK": "Set: an internal error shows where it happened, to be reported.",
        "NO_COLOR": "Set: plain text, as `--no-color`.",
        "LOGNAME": "The user's name in `user@host`, where `USER` is not set.",
    },
    "Remotes": {
        "PERFLEDGER_REMOTE": "The remote of `sync` when none is named or remembered.",
        "PERFLEDGER_REMOTE_TIMEOUT": "Seconds a request may take. Default: 60.",
        "PERFLEDGER_REMOTE_WAIT": "Seconds that waiting and retrying may take in all.",
        "HF_TOKEN": "The token of the Hub; read before the two below. It is never recorded.",
        "HUGGINGFACE_HUB_TOKEN": "The token of the Hub, by an older name.",
        "HF_API_KEY": "The token of the Hub, as the tool in use today names it.",
        "HF_ENDPOINT": "Another Hub than https://huggingface.co; a remote remembers the one it was made at.",
        "HF_HUB_OFFLINE": "Set: nothing is asked of the Hub; commands that need it exit 4.",
        "HF_HUB_DISABLE_TELEMETRY": "Set to 1 by us, unless you set it.",
        "HF_REPO_ID": "The dataset of records, OWNER/NAME, for uploads and reseeds.",
        "AWS_ENDPOINT_URL": "Another S3 server. With http:// the connection is not encrypted.",
        "AWS_ENDPOINT": "As `AWS_ENDPOINT_URL`.",
    },
    "check and record": {
        "PERFORMANCE_TRACKING_ROOT": "A folder or dataset of records to import first, as `--tracking-root`.",
        "PERF_PYTEST_RC": "Exit code of the test run behind the results, as `--pytest-rc`.",
        "PERF_MAX_REGRESSION": "The older single limit of results without identity: a fraction such as 0.05.",
        "PERF_UPLOAD_POLICY": "never, pass or always, as `--upload`.",
        "PERF_REPORTS_DIR": "Judged records and a Markdown summary are written there, too.",
        "PERF_RUN_SOURCE": "Where the run came from; else it is worked out from the variables below.",
        "TEST_SCOPE": "The scope of the test run, kept with the result; part of the run source.",
        "BUILDKITE_BRANCH": "The branch, kept with the result; part of the run source.",
        "BUILDKITE_COMMIT": "The commit, kept with the result; part of the run source.",
        "BUILDKITE_PULL_REQUEST": "The pull request's number, or false; part of the run source.",
        "BUILDKITE_BUILD_ID": "Kept with the result.",
        "BUILDKITE_BUILD_URL": "Kept with the result.",
        "BUILDKITE_JOB_ID": "Kept with the result.",
        "GITHUB_STEP_SUMMARY": "The Markdown summary is appended to this file.",
    },
    "reseed": {
        "PERFORMANCE_RESEED_BACKUP_ROOT": "Where backups go.",
        "PERFORMANCE_RESEED_STAGING_ROOT": "Where prepared records wait for their upload.",
    },
    "ci and serve": {
        "GITHUB_API_URL": "The API that is posted to, as `--api-url`.",
        "GITHUB_REPOSITORY": "OWNER/NAME, as `--repository`.",
        "GITHUB_TOKEN": "The token for posts. It is never recorded.",
        "PERFLEDGER_GITHUB_SECRET": "The secret GitHub signs webhooks with.",
        "PERFLEDGER_BUILDKITE_SECRET": "The secret of Buildkite's webhooks.",
    },
    "calibrate and gpu": {
        "PERFLEDGER_CALIBRATION_DIR": "The folder of models and hosts, as `--config-dir`.",
        "PERFLEDGER_GPU_LOCK_DIR": "Where the locks of GPUs are, for all users. Default: /tmp/perfledger-gpus.",
        "PERFLEDGER_REPEAT_ID": "Set in the processes of a repeat; by it they are found and ended.",
        "PERFLEDGER_CONTAINER_IMAGE": "The image's digest, kept with observations; read before the two below.",
        "CONTAINER_IMAGE": "The image's digest.",
        "IMAGE_DIGEST": "The image's digest.",
        "TUNE_HOST": "The host profile, as `--host`.",
        "TUNE_REPO_ROOT": "The repository to measure, as `--repo-root`.",
        "TUNE_VENV_PYTHON": "The interpreter that runs pytest, as `--venv-python`.",
        "TUNE_GPU_INCLUDE": "Only these GPUs: indices or UUIDs.",
        "TUNE_GPU_EXCLUDE": "Leave these GPUs out.",
        "CUDA_VISIBLE_DEVICES": "Which GPUs a scheduler left us; set to the picked ones for a repeat.",
        "CUDA_DEVICE_ORDER": "Set to PCI_BUS_ID for a repeat; kept with observations.",
        "CUDA_CACHE_PATH": "The cache of CUDA's compiler, emptied between attempts.",
        "XDG_CACHE_HOME": "Where caches of models and compilers are.",
        "HF_HOME": "Where the Hub's cache is.",
        "HF_HUB_CACHE": "Where downloaded models and datasets are.",
        "HF_HUB_DISABLE_XET": "Kept with observations.",
        "PYTHONPATH": "Given to pytest, with the repository in front; our own processes never get it.",
        "NO_PROXY": "Set for a repeat so that loopback is reached directly.",
    },
}


def read_in(root: Path) -> dict[str, list[str]]:
    """Return the variables that strings of the source name, each with the files that name it."""
    found: dict[str, list[str]] = {}
    for path in sorted(path for room in ROOMS for path in (root / room).rglob("*.py")):
        if path.parent.name == "reference":
            continue
        names = {
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value)
        }
        for name in names:
            found.setdefault(name, []).append(str(path.relative_to(root)))
    return found


def page() -> str:
    """Return docs/environment.md."""
    lines = [
        "# Environment variables",
        "",
        "Made by `make docs`. An option of the command line comes before its variable. What other libraries read "
        "(credentials of clouds, proxies) is theirs to say.",
    ]
    for title, variables in VARIABLES.items():
        lines += ["", f"## {title}", "", "| variable | what it does |", "|---|---|"]
        lines += [f"| `{name}` | {about} |" for name, about in variables.items()]
    return "\n".join(lines) + "\n"
