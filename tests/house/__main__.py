"""The house in numbers: `python -m tests.house [TREE ...]` prints one column for each tree (`make house`: this one)."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from tests.house.sources import ROOMS, TOP, Source, arrows, circles, sources

MANY_PARAMETERS = 5


SCREENS = ("click", "commands.cli", "commands.app", "commands.streams", "commands.output", "commands.chart")


def touches_click(file: Source) -> bool:
    """Return whether a file imports click or what the commands share for their screens, also by its names of old."""
    return any(name == screen or name.startswith(f"{screen}.") for name in file.imports for screen in SCREENS)


def house(top: Path) -> dict[str, str]:
    """Return the numbers of one tree, by what they say."""
    source, tests = sources(top, *ROOMS), sources(top, "tests")
    commands = [file for file in source if file.path.startswith("commands/")]
    work = [file for file in commands if not touches_click(file)]
    lines = [file.lines for file in source]
    functions = [function for file in source for function in file.functions]
    lengths = sorted(function.lines for function in functions)
    many = [function for function in functions if function.parameters > MANY_PARAMETERS]
    rooms = [path for path in (top / "projections").iterdir() if path.is_dir() and any(path.glob("*.py"))]
    return {
        "lines of source": f"{sum(lines):,} in {len(source)} files",
        "commands/: lines": f"{_lines(commands):,} in {len(commands)} files",
        "commands/: of these without click": f"{_lines(work):,} in {len(work)} files",
        "projections/: files at the top": f"{len(list((top / 'projections').glob('*.py')))}",
        "projections/: rooms": f"{len(rooms)}",
        "import circles": f"{len(circles(arrows(source)))}",
        "lines of a file: median, largest": f"{statistics.median(lines):g}, {max(lines)}",
        "lines of a function: median, 90 %, largest": f"{statistics.median(lengths):g}, "
        f"{lengths[len(lengths) * 9 // 10]}, {lengths[-1]}",
        f"functions with more than {MANY_PARAMETERS} parameters": f"{len(many)}",
        "most parameters, most positional": f"{max(f.parameters for f in functions)}, "
        f"{max(f.positional for f in functions)}",
        "tests : source": f"{_lines(tests) / sum(lines):.2f} ({_lines(tests):,} lines of tests)",
    } | {f"tests : source, {room}": _ratio(source, tests, room) for room in ROOMS}


def _lines(files: list[Source]) -> int:
    return sum(file.lines for file in files)


def _ratio(source: list[Source], tests: list[Source], room: str) -> str:
    of_room = _lines([file for file in source if file.path.startswith(f"{room}/")])
    return f"{_lines([file for file in tests if file.path.startswith(f'tests/{room}/')]) / of_room:.2f}"


def main() -> int:
    """Print the table, a column for each tree, then the circles. Return the exit code."""
    tops = [Path(argument).resolve() for argument in sys.argv[1:]] or [TOP]
    columns = [house(top) for top in tops]
    width = max(map(len, columns[0]))
    for name in columns[0]:
        print(f"{name:{width}}  " + "  ".join(f"{column[name]:>28}" for column in columns))
    for top in tops:
        for circle in circles(arrows(sources(top, *ROOMS))):
            print(f"circle in {top.name}: {' <-> '.join(circle)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
