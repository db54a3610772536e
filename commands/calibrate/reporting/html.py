"""The HTML twin of report.md: one self-contained file, no script, nothing fetched."""

from __future__ import annotations

import re

from commands.calibrate.reporting.contents import Contents, display
from commands.calibrate.reporting.plots import Point, strip_plot
from ledger.events.calibrations import PlannedMetric, PlannedStage
from ledger.outside import shown
from ledger.outside.shown import html as escape
from projections.calibration.session import Session
from projections.calibration.worst_of_n import is_finite, metric_worst

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --line: #d1d9e0; --paper: #fff;
  --dot: #0969da; --worst: #cf222e; --good: #1a7f37; --wash: #f6f8fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d;
  --paper: #0d1117; --dot: #4493f8; --worst: #ff7b72; --good: #3fb950; --wash: #151b23; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-top: 1px solid var(--line);
  padding-top: 1rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: .8rem 0; }
th, td { border: 1px solid var(--line); padding: .25rem .6rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { background: var(--wash); }
code { background: var(--wash); padding: .1rem .3rem; border-radius: .25rem; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; }
figcaption { color: var(--soft); font-size: .85rem; } svg.strip { width: 22.5rem; max-width: 100%; }
svg text { font-size: 11px; fill: var(--soft); } .axis { stroke: var(--line); }
.median { stroke: var(--soft); } .worst { stroke: var(--worst); stroke-width: 2.5; }
.dot { fill: var(--dot); } .aside { fill: none; stroke: var(--worst); stroke-dasharray: 2 2; }
blockquote { color: var(--soft); border-left: 3px solid var(--worst); margin: .8rem 0; padding-left: .8rem; }
"""


def render(contents: Contents, markdown: str) -> str:
    """Return the page: the Markdown report's own text, with a plot of every metric below its table."""
    stages = {f"{n}. {shown.markdown(s.title)}": s for n, s in enumerate(contents.session.plan.stages, 1)}
    body: list[str] = []
    table: list[str] = []
    current: PlannedStage | None = None
    for line in [*markdown.splitlines(), "## "]:
        if table and not line.startswith("|"):
            body.append(_table(table))
            table = []
            if current is not None:
                body.append(_plots(contents.session, current))
                current = None
        if line.startswith("|"):
            table.append(line)
        elif line.startswith("## "):
            current = stages.get(line[3:])
            body.append(f"<h2>{_inline(line[3:])}</h2>" if line != "## " else "")
        elif line.startswith("# "):
            body.append(f"<h1>{_inline(line[2:])}</h1>")
        elif line.startswith("> "):
            body.append(f"<blockquote>{_inline(line[2:])}</blockquote>")
        elif line.strip():
            body.append(f"<p>{_inline(line.strip())}</p>")
    title = escape(f"Calibration of {contents.session.plan.model}")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body></html>\n"
    )


def _table(lines: list[str]) -> str:
    rows = [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in lines]
    head = "".join(f"<th>{_inline(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>" for row in rows[2:])
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _plots(session: Session, stage: PlannedStage) -> str:
    figures = [_figure(session, stage, metric) for metric in stage.metrics if metric.configured]
    drawn = "".join(figure for figure in figures if figure)
    return f'<div class="plots">{drawn}</div>' if drawn else ""


def _figure(session: Session, stage: PlannedStage, metric: PlannedMetric) -> str:
    points = []
    for repeat in session.rounds(stage.key):
        value = session.observations[stage.key, repeat].metrics.get(metric.key)
        if is_finite(value) and value is not None:
            aside = session.set_aside(stage.key, repeat)
            points.append(Point(repeat, value * metric.scale, aside))
    plot = strip_plot(points, label=metric.label, digits=metric.digits, worst_op=metric.worst)
    if not plot:
        return ""
    bound = "at least" if metric.worst == "min" else "at most"
    worst = display(metric, metric_worst(session, stage, metric.key).worst_raw)
    return f"<figure>{plot}<figcaption>{escape(metric.label)}: {bound} {worst}</figcaption></figure>"


# what our Markdown has in a line: code, bold, and the escapes that `shown.markdown` writes
_MARKED = re.compile(
    r"`(?P<code>[^`]*)`|\*\*(?P<bold>(?:\\.|[^*\\])+)\*\*|\\(?P<sign>[!-/:-@\[-`{-~])|(?P<apart>&#8203;)|(?P<and>&amp;)"
)


def _inline(text: str) -> str:
    """Return a line of our Markdown as HTML."""
    parts, end = [], 0
    for found in _MARKED.finditer(text):
        parts += [escape(text[end : found.start()]), _marked(found)]
        end = found.end()
    return "".join([*parts, escape(text[end:])])


def _marked(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "code":
            return f"<code>{escape(found['code'])}</code>"
        case "bold":
            return f"<strong>{_inline(found['bold'])}</strong>"
        case "sign":
            return escape(found["sign"])
    return "&amp;" if found.lastgroup == "and" else ""
