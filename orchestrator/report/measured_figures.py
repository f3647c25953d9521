"""Lists of what was measured on one bench, a line for each row: accuracy and latency.

What accuracy costs is in `tradeoff_figures`.  Loads matplotlib.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from orchestrator.report import theme, wording
from orchestrator.report.rows import Bench
from orchestrator.report.summaries import Summary, Timing
from orchestrator.report.svg import WIDTH, Figure, make_figure

_ROW = 0.26
"""Inches for one line of a list."""


@dataclass(frozen=True)
class _Line:
    """One line of a list-shaped figure: a model's heading, or one of its methods."""

    label: str
    colour: str
    summary: Summary | None = None


def accuracy(name: str, bench: Bench, summaries: Sequence[Summary], colours: Mapping[str, str]) -> Figure | None:
    measured = [summary for summary in summaries if summary.top1]
    if not measured:
        return None
    lines = _lines(measured, colours)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        _list_lines(axes, lines)
        for y, line in enumerate(lines):
            if line.summary:
                _interval(axes, y, line.summary, line.colour)
        axes.set_xlabel("Top-1 accuracy, % of the test images")
        axes.grid(axis="x")

    facts = (f"{summary.name} {wording.percent(summary.top1.value)}" for summary in measured if summary.top1)
    return make_figure(
        name,
        "Top-1 accuracy with 95% intervals",
        f"On {bench}: {'; '.join(facts)}. Small circles are single seeds.",
        (WIDTH, 0.75 + _ROW * len(lines)),
        paint,
        bench,
    )


def _interval(axes: Axes, y: int, summary: Summary, colour: str) -> None:
    assert summary.top1 is not None and summary.top1_spread is not None, "only measured summaries are drawn"
    axes.plot([100 * summary.top1.low, 100 * summary.top1.high], [y, y], color=colour, linewidth=1.6)
    axes.plot([100 * summary.top1.value], [y], "o", color=colour, markersize=6)
    if len(summary.seeds) > 1:
        seeds = [100 * value for value in summary.top1_spread.values]
        axes.plot(
            seeds,
            [y] * len(seeds),
            "o",
            markersize=3,
            markerfacecolor="none",
            markeredgecolor=theme.QUIET.light,
        )
    _note(axes, y, wording.percent(summary.top1.value))


def latency(name: str, bench: Bench, summaries: Sequence[Summary], colours: Mapping[str, str]) -> Figure | None:
    timed = [summary for summary in summaries if summary.timings]
    ways = sorted({timing.way for summary in timed for timing in summary.timings})
    if not ways:
        return None
    lines = _lines(timed, colours)

    def paint(canvas: Canvas) -> None:
        panels = canvas.subplots(len(ways), squeeze=False)[:, 0]
        for axes, way in zip(panels, ways, strict=True):
            _latency_panel(axes, lines, way)
        panels[-1].set_xlabel("Milliseconds per call: bar to the median, line to the 99th percentile")

    facts = (
        f"{summary.name}, {timing.label}: {wording.milliseconds(timing.p50)} ms"
        for summary in timed
        for timing in summary.timings
    )
    return make_figure(
        name,
        "Latency by batch size and threads",
        f"Median milliseconds per call on {bench}. {'; '.join(facts)}.",
        (WIDTH, 0.5 + len(ways) * (0.72 + 0.8 * _ROW * len(lines))),
        paint,
        bench,
    )


def _latency_panel(axes: Axes, lines: Sequence[_Line], way: tuple[int, int]) -> None:
    _list_lines(axes, lines)
    for y, line in enumerate(lines):
        timing = next((t for t in line.summary.timings if t.way == way), None) if line.summary else None
        if timing:
            axes.set_title(timing.label, pad=4)
            _bar(axes, y, timing, line.colour)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="x")


def _bar(axes: Axes, y: int, timing: Timing, colour: str) -> None:
    axes.barh(y, timing.p50, height=0.56, color=colour)
    if timing.p99 is not None:
        axes.plot([timing.p50, timing.p99], [y, y], color=theme.QUIET.light, linewidth=1.2)
    _note(axes, y, wording.milliseconds(timing.p50))


def _lines(summaries: Sequence[Summary], colours: Mapping[str, str]) -> list[_Line]:
    lines: list[_Line] = []
    for model in dict.fromkeys(summary.model for summary in summaries):
        lines.append(_Line(model, colours[model]))
        lines += [_Line(each.method, colours[model], each) for each in summaries if each.model == model]
    return lines


def _list_lines(axes: Axes, lines: Sequence[_Line]) -> None:
    axes.set_yticks(range(len(lines)), [line.label for line in lines])
    axes.set_ylim(len(lines) - 0.4, -0.6)
    for label, line in zip(axes.get_yticklabels(), lines, strict=True):
        if line.summary is None:
            label.set(color=line.colour, weight="bold")


def _note(axes: Axes, y: float, text: str) -> None:
    """A figure in the margin at the right, in line with what it belongs to."""
    axes.annotate(
        text,
        (1, y),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
    )
