"""The commands of the README exist."""

from pathlib import Path


def test_readme_names_every_step():
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    for step in ("discover", "run", "audit", "apply"):
        assert f"perfledger calibrate {step}" in text
