"""Random Python files with constants in them, for the properties of finder and rewriter."""

from __future__ import annotations

import keyword

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# a loaded machine must not fail a property
FUZZ = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])

NAMES = st.from_regex(r"\A_?[A-Z][A-Z0-9_]{0,12}\Z").filter(lambda name: not keyword.iskeyword(name))

# Every way to write a number that Python reads back as one finite number.
NUMBER_TEXTS = st.one_of(
    st.integers(0, 10**9).map(str),
    st.integers(1000, 10**7).map(lambda n: f"{n:_}"),
    st.integers(0, 4096).map(hex),
    st.floats(0, 1e9, allow_nan=False).map(repr),
    st.floats(0, 1e6, allow_nan=False).map(lambda f: f"{f:.3e}"),
    st.integers(0, 999).map(lambda n: f".{n:03d}"),
    st.integers(0, 999).map(lambda n: f"{n}."),
)
SIGNED = st.builds(lambda sign, text: sign + text, st.sampled_from(["", "", "", "-", "+", "- "]), NUMBER_TEXTS)
VALUES = st.builds(
    lambda text, wrap: wrap.replace("@", text),
    SIGNED,
    st.sampled_from(["@", "@", "@", "(@)", "( @ )", "(\n    @\n)"]),
)
COMMENTS = st.sampled_from(["", "  # note", "  # 0.5 was here", "  # type: ignore[x]", " # é — 数"])


@st.composite
def tables(draw: st.DrawFn) -> str:
    """A dictionary of dictionaries, as thresholds nested by concurrency are written."""
    rows = draw(st.lists(st.integers(1, 64), min_size=1, max_size=3, unique=True))
    lines = ["{"]
    for row in rows:
        keys = draw(st.lists(st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z"), min_size=1, max_size=3, unique=True))
        quote = draw(st.sampled_from(['"', "'"]))
        entries = [f"{quote}{key}{quote}: {draw(VALUES)}" for key in keys]
        lines.append(f"    {row}: {{{', '.join(entries)}}},{draw(COMMENTS)}")
    return "\n".join([*lines, "}"])


@st.composite
def statements(draw: st.DrawFn) -> str:
    """One top-level statement: a constant, or something a finder must pass over."""
    name = draw(NAMES)
    kind = draw(st.sampled_from(["plain", "plain", "annotated", "table", "chained", "none", "derived", "noise"]))
    if kind == "plain":
        return f"{name} = {draw(VALUES)}{draw(COMMENTS)}"
    if kind == "annotated":
        return f"{name}: float | None = {draw(VALUES)}{draw(COMMENTS)}"
    if kind == "table":
        return f"{name}: dict = {draw(tables())}"
    if kind == "chained":
        return f"{name} = {draw(NAMES)} = {draw(VALUES)}"
    if kind == "none":
        return f"{name}: float | None = None{draw(COMMENTS)}"
    if kind == "derived":
        return f"{name} = slack({draw(NAMES)}, 0.5)"
    return draw(
        st.sampled_from(
            [
                "def test(tmp_path):\n    LOCAL_MIN = 0.5\n    assert LOCAL_MIN == 0.5",
                "class Case:\n    FIELD_MIN = 1.5",
                "lower_min = 3",
                '"""text = 0.5"""',
                "import os as OS_MAX",
                "A_PAIR, B_PAIR = 1, 2",
                "",
                "# X_MIN = 0.5",
            ]
        )
    )


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A whole file as bytes: any line end, with or without byte order mark, cookie and last newline."""
    body = "\n".join(draw(st.lists(statements(), min_size=1, max_size=8)))
    body += draw(st.sampled_from(["\n", "\n\n\n", ""]))
    encoding, head = draw(
        st.sampled_from([("utf-8", ""), ("utf-8", ""), ("utf-8", "\ufeff"), ("latin-1", "# -*- coding: latin-1 -*-\n")])
    )
    if encoding == "latin-1":
        body = body.replace(" — 数", "")
    text = (head + body).replace("\n", draw(st.sampled_from(["\n", "\r\n"])))
    return text.encode(encoding)
