"""Path patterns as monorepo-diff v1.4.0 reads them: a doublestar glob when there is a `*`, and a prefix besides."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import BadInput
from projections.ci.globs import match_how, to_regex


@pytest.mark.parametrize(
    ("pattern", "name", "how"),
    [
        ("a/**", "a/b", "glob"),
        ("a/**", "a/b/c.py", "glob"),
        ("a/**", "ab/c", None),
        ("a/**", "a", "glob"),
        ("a/**/*.py", "a/x.py", "glob"),
        ("a/**/*.py", "a/b/c/x.py", "glob"),
        ("a/**/*.py", "a/x.pyc", None),
        ("**/x", "x", "glob"),
        ("**/x", "a/b/x", "glob"),
        ("**/x", "ax", None),
        ("**", "any/thing", "glob"),
        ("a/**/b", "a/b", "glob"),
        ("a/**/b", "a/c/d/b", "glob"),
        ("a/**/**/b", "a/b", "glob"),
        ("t/*d.py", "t/wan_d.py", "glob"),
        ("t/*d.py", "t/deep/wan_d.py", None),
        ("t/*", "t/a", "glob"),
        ("a**/c", "axx/c", "glob"),
        ("a**/c", "a/x/c", None),  # two stars inside a part are one
        ("docker/Dockerfile", "docker/Dockerfile", "prefix"),
        ("docker/Dockerfile", "docker/Dockerfile.rocm", "prefix"),  # a plain pattern is a prefix
        ("docker/Dockerfile", "x/docker/Dockerfile", None),
        ("a/*", "a/*/b", "prefix"),  # *and also*: the glob says no, the prefix yes
        ("a?c", "abc", None),
        ("a?c", "a?cd", "prefix"),  # without a `*` it is no glob at all
        ("a?c*", "abc", "glob"),
        ("a[bc]*", "ac1", "glob"),
        ("a[!b]*", "ab", None),
        ("a[^b]*", "ac", "glob"),
        ("a{b,c/d}*", "ac/d1", "glob"),
        ("a\\*b*", "a*bc", "glob"),
        ("a\\*b*", "axbc", None),
        ("*.md", "README.md", "glob"),
        ("*.md", "docs/a.md", None),
        ("a/**", "a/line\nbreak", "glob"),
    ],
)
def test_a_pattern_takes_exactly_the_names_the_plugin_takes(pattern: str, name: str, how: str | None) -> None:
    assert match_how(pattern, name) == how


@pytest.mark.parametrize("pattern", ["a[*", "a{b*", "a*\\"])
def test_a_pattern_that_is_not_closed_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(BadInput, match=re.escape(repr(pattern))):
        to_regex(pattern)


def _oracle(pattern: list[str], name: list[str]) -> bool:
    """The glob over path parts, by its definition: `**` is any number of parts, `*` any signs of one."""
    if not pattern:
        return not name
    if pattern[0] == "**":
        return _oracle(pattern[1:], name) or (bool(name) and _oracle(pattern, name[1:]))
    return bool(name) and _part(pattern[0], name[0]) and _oracle(pattern[1:], name[1:])


def _part(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return _part(pattern[1:], text) or (bool(text) and _part(pattern, text[1:]))
    return bool(text) and pattern[0] == text[0] and _part(pattern[1:], text[1:])


_PIECE = st.sampled_from(["**", "*", "a", "b", "a*", "*b", "a*b", "ab", ".x"])
_NAME = st.lists(st.sampled_from(["a", "b", "ab", "aab", ".x", "abb"]), min_size=1, max_size=5)


@given(st.lists(_PIECE, min_size=1, max_size=5), _NAME)
def test_random_globs_agree_with_the_definition(pattern: list[str], name: list[str]) -> None:
    glob, text = "/".join(pattern), "/".join(name)
    expected = _oracle(pattern, name) if "*" in glob else False
    assert (match_how(glob, text) is not None) == (expected or text.startswith(glob))
