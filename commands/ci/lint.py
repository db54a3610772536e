"""`ci lint`: patterns that match nothing in a repository, and lanes that do not watch what they judge."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from commands.ci import changed
from commands.ci.chosen import choose_at, policy_option
from commands.cli.app import App, command
from commands.cli.output import table
from projections.ci import lanes as rules


@command("lint", reads=True)
@click.option("--repo", "repo_dir", default=".", metavar="DIR", help="The git repository the policy is about.")
@policy_option
@click.option(
    "--imports",
    metavar="TEST_TYPE=PATTERN",
    multiple=True,
    help="Follow the imports of the Python files that match, and report what that lane does not watch.",
)
def lint(app: App, repo_dir: str, policy_name: str | None, imports: tuple[str, ...]) -> int:
    """Find patterns that match nothing and lanes whose measured code is not watched; exit 1 when there are any."""
    chosen = choose_at(app, policy_name)
    tracked = changed.tracked_names(repo_dir)
    dead = rules.dead_patterns(chosen.policy, tracked)
    unwatched = rules.unwatched_measures(chosen.policy, tracked)
    if imports:
        from commands.ci.work.imports import unwatched_imports

        unwatched += unwatched_imports(chosen.policy, repo_dir, tracked, imports)
    document: dict[str, Any] = {
        "policy": chosen.document(),
        "repository": repo_dir,
        "tracked_files": len(tracked),
        "dead_patterns": [msgspec.to_builtins(item) for item in dead],
        "unwatched": [msgspec.to_builtins(item) for item in unwatched],
    }
    app.emit(document, lambda: _text(dead, unwatched, len(tracked), chosen.line()))
    return 1 if dead or unwatched else 0


def _text(dead: list[rules.Dead], unwatched: list[rules.Unwatched], tracked: int, policy: str) -> str:
    lines = [f"{tracked} tracked files; {policy}"]
    if dead:
        lines += [
            "these patterns match none of them:",
            table(["where", "pattern"], [[item.place, item.pattern] for item in dead]),
        ]
    if unwatched:
        lines += [
            "these lanes judge code that does not start them:",
            table(
                ["lane", "folder", "files", "for example", "known from"],
                [[u.lane, u.folder, u.file_count, u.example, u.why] for u in unwatched],
                right=["files"],
            ),
        ]
    if not dead and not unwatched:
        lines.append("every pattern matches something, and every lane watches what it judges")
    return "\n".join(lines)
