"""The simulated service: numbers around a centre, with noise that depends only on the repeat."""

import json
import random
import re
from pathlib import Path

SLACK_LOWER = 0.9
SLACK_HIGHER = 1.1


class Service:
    """A service measured in one repeat; the repeat is read off the test's temporary folder."""

    def __init__(self, name: str, tmp_path: Path) -> None:
        found = re.search(r"basetemp_run(\d+)", str(tmp_path))
        self.name = name
        self.repeat = int(found.group(1)) if found else 0

    def measure(self, metric: str, centre: float, spread: float = 0.02, digits: int = 6) -> float:
        """A number within `spread` (a fraction) of the centre, the same for every run of a repeat."""
        noise = random.Random(f"{self.name}/{metric}/{self.repeat}").uniform(-1, 1)
        return round(centre * (1 + spread * noise), digits)

    def count(self, metric: str, low: int, high: int) -> int:
        """A whole number between two bounds, the same for every run of a repeat."""
        return random.Random(f"{self.name}/{metric}/{self.repeat}").randint(low, high)


def run_requests(*, max_samples: int, max_concurrency: int = 1) -> dict:
    """Answer every request; the counts are what a benchmark would report."""
    return {"total": max_samples, "ok": max_samples, "concurrency": max_concurrency}


def write_results(path: Path, document: dict) -> None:
    """Write one result file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")


def apply_slack(references: dict) -> dict:
    """Limits derived from calibrated references: a tenth worse still passes."""
    lower = ("throughput", "output_tok")
    return {
        key: value * (SLACK_LOWER if key.startswith(lower) else SLACK_HIGHER)
        for key, value in references.items()
    }
