"""No import circle in the source (CONTRIBUTING, "The house"): two files that need each other are one, or three."""

from __future__ import annotations

from tests.house.sources import ROOMS, TOP, arrows, circles, sources
from tests.house.test_sizes import listed


def test_no_files_import_each_other_at_any_depth() -> None:
    """The circles that are left are listed, as sizes are: the list may only shrink."""
    graph = arrows(sources(TOP, "perfledger", *ROOMS))
    assert sum(map(len, graph.values())) > 500, "the walk finds the imports"
    assert {" <-> ".join(circle): len(circle) for circle in circles(graph)} == listed("circles")


def test_a_circle_is_found_inside_functions_and_for_type_checkers_too() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a", "d2"}, "d2": set()}) == [["b", "c"]]
