"""docs/performance.md holds what was measured: a section is replaced by a run of its benchmark and by nothing else."""

from __future__ import annotations

from benchmarks.__main__ import PAGE, about, page, section, sections

ROW = {"name": "a thing", "value": 1234.5, "unit": "ms", "ratio": 2.0, "against": "another", "limit": 3.0, "ok": True}


def test_the_page_is_what_its_sections_make() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(sections(text)) == text


def test_a_run_of_one_benchmark_leaves_the_other_sections_as_they_are() -> None:
    before = sections(PAGE.read_text(encoding="utf-8"))
    ran = about(0.5, quick=False)
    after = sections(page(before | {"start": section("start", [ROW], ran)}))
    assert after["start"].endswith("| a thing | 1,234.5 ms | 2.0 | another | 3.0 | ok |")
    assert f"Run on {ran['when']}" in after["start"] and "load average 0.5 before" in after["start"]
    assert {name: text for name, text in after.items() if name != "start"} == {
        name: text for name, text in before.items() if name != "start"
    }


def test_a_missed_limit_is_written_as_missed() -> None:
    assert "**missed**" in section("start", [ROW | {"ok": False}], about(0.5, quick=False))
