"""Configuration means to us what it meant to the reader it was written for (specification, 2.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands.calibrate.config import yaml_reader
from commands.calibrate.config.simple_yaml import parse_simple
from commands.calibrate.config.yaml_reader import parse_yaml
from ledger.errors import BadInput

HERE = Path(__file__).parent
PATH = Path("models/x/config.yaml")


def read(text: str) -> dict[str, Any]:
    return parse_yaml(text.encode(), PATH)


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("null", None),
        ("[]", []),
        ("{}", {}),
        ('"a \\"b\\" \\\\c"', 'a "b" \\c'),
        ('"^\\d+$"', "^\\d+$"),
        ('"^\\bX\\n"', "^\\bX\\n"),
        ("1.5", 1.5),
        ("16", 16),
        ("1_000", 1000),
        ("1e5", "1e5"),
        ("0.5.12", "0.5.12"),
        ("2026-06-25T18:10:05Z", "2026-06-25T18:10:05Z"),
        ("7152e23", "7152e23"),
        ("yes", "yes"),
        ("true", True),
        ("false", False),
        ("a:b", "a:b"),
    ],
)
def test_a_scalar_means_what_it_meant_to_the_existing_reader(written: str, means: object) -> None:
    value = read(f"key: {written}\n")["key"]
    assert value == means
    assert type(value) is type(means)


def test_real_yaml_works_where_the_existing_reader_had_none() -> None:
    text = (
        "a: 1  # a trailing comment\nb: 'single'\nc: [x, 'y', 3]\nd: {k: v}\n"
        'e: |\n  line "1\\d"\n  line 2\nf: "quoted" # after\nlist:\n- same indent\n'
    )
    assert read(text) == {
        "a": 1,
        "b": "single",
        "c": ["x", "y", 3],
        "d": {"k": "v"},
        "e": 'line "1\\d"\nline 2\n',
        "f": "quoted",
        "list": ["same indent"],
    }


def test_anchors_and_merges_work_as_in_any_yaml() -> None:
    text = "base: &b {x: 1, y: 2}\none:\n  <<: *b\n  y: 3\ntwo:\n  <<: [*b, {z: 4, x: 9}]\nlist: *b\n"
    document = read(text)
    assert document["one"] == {"x": 1, "y": 3}
    assert document["two"] == {"x": 1, "y": 2, "z": 4}
    assert document["list"] == {"x": 1, "y": 2}
    with pytest.raises(BadInput, match="contains itself"):
        read("a: &a\n  - *a\n  - b: c d\n")


def test_lines_that_are_no_yaml_are_read_as_the_text_they_were_meant_as() -> None:
    text = "description: TTS: all stages\nglobs:\n  - *_ci.py\n  - @x\n  - [open\ncount:2\npath: %d\n"
    assert read(text) == {
        "description": "TTS: all stages",
        "globs": ["*_ci.py", "@x", "[open"],
        "count": 2,
        "path": "%d",
    }


def test_a_key_with_nothing_below_is_an_empty_mapping() -> None:
    assert read("a:\nb: 1\n") == {"a": {}, "b": 1}


def test_bad_files_are_named_with_their_line() -> None:
    with pytest.raises(BadInput, match=r"config.yaml: line 2 gives the key 'a' twice"):
        read("a: 1\na: 2\n")
    with pytest.raises(BadInput, match=r"config.yaml: line 2 is not UTF-8"):
        parse_yaml(b"a: 1\nb: \xff\n", PATH)
    with pytest.raises(BadInput, match="must be a mapping"):
        read("- a\n- b\n")
    with pytest.raises(BadInput, match=r"line \d is not valid YAML"):
        read("a: 1\n\tb\n  - c\n x\n")


def test_the_files_in_use_are_read() -> None:
    host = parse_yaml((HERE / "data/host.yaml").read_bytes(), PATH)
    assert host["precheck_checklist"]["speaker_sim"]["files"][2] == ".complete"
    assert host["speaker_similarity_bootstrap"]["warm_cache"]["command"].startswith("cd /data/ci/sglang-omni\n")
    model = parse_yaml((HERE / "data/tts_config.yaml").read_bytes(), PATH)
    variants = model["metric_sources"]["test_tts_ci.py"]["variants"]
    assert variants["stream"]["constant_filter"] == "^HIGGS_VC_STREAM_.*$|^MOSS_VC_STREAM_.*$"


WORDS = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_.-]{0,8}\Z")
PLAIN = st.one_of(
    WORDS,
    st.integers(-999, 10**6).map(str),
    st.floats(0, 100).map(repr),
    st.sampled_from(["null", "true", "~", "a b", "a: b", "- x", "*x", "x # y", "a:b", "1e5", "{}", "[]", "'q'", ""]),
    st.text("ab≤é \"\\'#:{}[]-", max_size=8).map(lambda text: f'"{text}"'),
)


@st.composite
def documents(draw: st.DrawFn, depth: int = 0) -> list[str]:
    """Lines of a mapping with nested mappings and lists, sometimes oddly indented."""
    lines: list[str] = []
    for key in draw(st.lists(WORDS, min_size=1, max_size=3)):
        kind = draw(st.sampled_from(["value", "value", "map", "list", "comment"]))
        if kind == "comment":
            lines.append("# " + key)
        elif kind == "map" and depth < 3:
            lines += [f"{key}:", *("  " + line for line in draw(documents(depth + 1)))]
        elif kind == "list":
            indent = draw(st.sampled_from(["  ", "", "    "]))
            lines += [f"{key}:", *(f"{indent}- {item}" for item in draw(st.lists(PLAIN, min_size=1, max_size=3)))]
        else:
            lines.append(f"{key}: {draw(PLAIN)}".rstrip())
    return lines


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_the_fast_reader_agrees_with_the_yaml_library_or_steps_aside(lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    fast = parse_simple(text)
    if fast is not None:
        node = yaml_reader._compose(text)
        assert fast == (yaml_reader._Values(text, PATH).of(node) if node is not None else {})


@pytest.mark.parametrize("name", ["tts_config.yaml", "tts_stages.yaml"])
def test_the_fast_reader_does_not_step_aside_for_the_files_every_command_reads(name: str) -> None:
    assert parse_simple((HERE / "data" / name).read_text(encoding="utf-8"))
