"""Pictures of accuracy against bytes and against time: every row of a bench, a panel for each model.

A row is a dot with the number that its method has in the key; names would not fit beside a dozen dots.  What is drawn
is in `tradeoffs`.  Loads matplotlib.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from orchestrator.report import theme, wording
from orchestrator.report.number_placement import Box, Dot, place_numbers
from orchestrator.report.rows import Bench
from orchestrator.report.summaries import Summary
from orchestrator.report.svg import WIDTH, Figure, make_figure
from orchestrator.report.tradeoffs import Point, against_latency, against_size, frontier, single_call

_PANEL = 2.3
"""Inches that a model's panel is high."""
_LINE = 0.18
"""Inches of one line of the key."""
_KEY_CHARACTERS = 84
"""So many stand beside each other in the key."""
_NUMBER_POINTS = 8
_STEM = 1.5
"""Points on either side of a line to a twin's tick that a number keeps away."""
_LEAST_SPAN = 2.0
"""Percentage points that a panel shows at least: else two rows that differ by one image look like night and day."""


def size(name: str, bench: Bench, summaries: Sequence[Summary], colours: Mapping[str, str]) -> Figure | None:
    """None where no row has both an accuracy and a file."""
    return _figure(
        name,
        "Top-1 accuracy against the size of what is shipped",
        bench,
        against_size(summaries),
        _numbers(summaries),
        colours,
        ("Bytes that are shipped, logarithmic", wording.size),
    )


def speed(name: str, bench: Bench, summaries: Sequence[Summary], colours: Mapping[str, str]) -> Figure | None:
    """None where no row has both an accuracy and a latency."""
    timing = single_call(summaries)
    if timing is None:
        return None
    return _figure(
        name,
        f"Top-1 accuracy against the time of a call, {timing.label}",
        bench,
        against_latency(summaries, timing.way),
        _numbers(summaries),
        colours,
        (f"Median time of a call, {timing.label}, logarithmic", lambda ms: f"{wording.milliseconds(ms)} ms"),
    )


def _numbers(summaries: Sequence[Summary]) -> dict[str, int]:
    """The number of each method, the same in every picture of a bench."""
    methods = dict.fromkeys(each.method for each in summaries if each.top1)
    return {method: number for number, method in enumerate(methods, start=1)}


def _figure(
    name: str,
    title: str,
    bench: Bench,
    points: Sequence[Point],
    numbers: Mapping[str, int],
    colours: Mapping[str, str],
    costs: tuple[str, Callable[[float], str]],
) -> Figure | None:
    """Args:
    costs: what the axis of the costs is called, and how one is written.
    """
    if not points:
        return None
    heading, written = costs
    panels = {
        model: [each for each in points if each.model == model] for model in dict.fromkeys(p.model for p in points)
    }
    key = {method: number for method, number in numbers.items() if any(each.method == method for each in points)}
    columns = max(1, min(len(key), _KEY_CHARACTERS // (8 + max(map(len, key)))))

    def paint(canvas: Canvas) -> None:
        every = list(canvas.subplots(len(panels), sharex=True, squeeze=False)[:, 0])
        for axes, (model, here) in zip(every, panels.items(), strict=True):
            _panel(axes, model, here, colours[model])
        _cost_axis(every[-1], heading, written)
        _key(canvas, key, columns, twins=any(each.twin_top1 is not None for each in points))
        # Where the dots are is known when all that takes room is there.
        canvas.draw_without_rendering()
        for axes, here in zip(every, panels.values(), strict=True):
            _number_dots(axes, here, numbers)

    lines = math.ceil(len(key) / columns) + 1
    return make_figure(
        name,
        title,
        f"On {bench}: {'; '.join(_fact(each, written) for each in points)}. "
        "Higher is more accurate, further left costs less.",
        (WIDTH, 0.8 + _PANEL * len(panels) + _LINE * lines),
        paint,
        bench,
    )


def _fact(point: Point, written: Callable[[float], str]) -> str:
    twin = "" if point.twin_top1 is None else f", its dense twin {wording.percent(point.twin_top1)}"
    return f"{point.name} {written(point.cost)}, {wording.percent(point.top1)}{twin}"


def _panel(axes: Axes, model: str, points: Sequence[Point], colour: str) -> None:
    axes.set_xscale("log")
    axes.set_title(model, color=colour, weight="bold", pad=4)
    axes.set_ylabel("Top-1, %")
    best = frontier(points)
    axes.plot(
        [each.cost for each in best],
        [100 * each.top1 for each in best],
        color=colour,
        linewidth=0.8,
        alpha=0.5,
        zorder=1,
    )
    for point in points:
        if point.twin_top1 is not None:
            ends = [100 * point.top1, 100 * point.twin_top1]
            axes.plot([point.cost] * 2, ends, color=theme.QUIET.light, linewidth=0.9, zorder=2)
            axes.plot(point.cost, ends[1], "_", color=theme.QUIET.light, markersize=7, markeredgewidth=1.2, zorder=2)
        inside = theme.GROUND.light if point.is_twin else colour
        axes.plot(point.cost, 100 * point.top1, "o", color=colour, markerfacecolor=inside, markersize=5, zorder=3)
    axes.margins(0.08, 0.16)
    low, high = axes.get_ylim()
    missing = max(0.0, _LEAST_SPAN - (high - low)) / 2
    axes.set_ylim(low - missing, high + missing)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.grid()


def _cost_axis(axes: Axes, heading: str, written: Callable[[float], str]) -> None:
    axes.set_xlabel(heading)
    low, high = axes.get_xlim()
    # Within one power of ten, 1-2-5 could leave a single label; over several, too many.
    steps = (1, 1.5, 2, 3, 5, 7) if high < 10 * low else (1, 2, 5) if high < 300 * low else (1,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(written(value))))
    axes.xaxis.set_minor_locator(NullLocator())


def _tick(written: str) -> str:
    """`1.00 MB` -> `1 MB`: a tick is exact, and not measured."""
    number, _, unit = written.partition(" ")
    return f"{float(number.replace(',', '')):g} {unit}"


def _key(canvas: Canvas, numbers: Mapping[str, int], columns: int, *, twins: bool) -> None:
    """The methods by number at the bottom, and at the top what the marks are where there is more than one kind."""
    none = Line2D([], [], linestyle="none")
    canvas.legend(
        handles=[none] * len(numbers),
        labels=[f"{number} {method}" for method, number in numbers.items()],
        loc="outside lower left",
        ncols=columns,
        handlelength=0,
        handletextpad=0,
        columnspacing=1.4,
        fontsize=8,
    )
    if not twins:
        return
    quiet = theme.QUIET.light
    canvas.legend(
        handles=[
            Line2D([], [], marker="o", color=quiet, linestyle="none", markersize=5),
            Line2D([], [], marker="o", color=quiet, markerfacecolor=theme.GROUND.light, linestyle="none", markersize=5),
            Line2D([], [], marker="_", color=quiet, linestyle="none", markersize=7, markeredgewidth=1.2),
        ],
        labels=["a method", "a dense twin", "what a method's dense twin gets"],
        loc="outside upper left",
        ncols=3,
        handletextpad=0.2,
        columnspacing=1.4,
        fontsize=8,
    )


def _number_dots(axes: Axes, points: Sequence[Point], numbers: Mapping[str, int]) -> None:
    """Each dot's number near it, where it hides nothing; with a line to the dot where it could not be close."""
    dots = [Dot(*_place(axes, each.cost, each.top1), str(numbers[each.method])) for each in points]
    offsets = place_numbers(dots, [_stem(axes, each) for each in points if each.twin_top1 is not None], _room(axes))
    line = {"arrowstyle": "-", "color": theme.QUIET.light, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
    for point, dot, offset in zip(points, dots, offsets, strict=True):
        note = axes.annotate(
            dot.text,
            (point.cost, 100 * point.top1),
            xytext=offset.away,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=_NUMBER_POINTS,
            arrowprops=None if offset.is_close else line,
            zorder=4,
        )
        note.set_in_layout(False)


def _place(axes: Axes, cost: float, top1: float) -> tuple[float, float]:
    """Where it is on the canvas, in points."""
    x, y = axes.transData.transform((cost, 100 * top1)) * _points_per_pixel(axes)
    return float(x), float(y)


def _stem(axes: Axes, point: Point) -> Box:
    """What the line from a dot to its twin's tick covers, the tick included."""
    assert point.twin_top1 is not None, "it has a twin"
    (x, first), (_, second) = (_place(axes, point.cost, top1) for top1 in (point.top1, point.twin_top1))
    return (x - _STEM, min(first, second) - _STEM, x + _STEM, max(first, second) + _STEM)


def _room(axes: Axes) -> Box:
    left, bottom, right, top = (float(end) * _points_per_pixel(axes) for end in axes.get_window_extent().extents)
    return (left, bottom, right, top)


def _points_per_pixel(axes: Axes) -> float:
    figure = axes.get_figure()
    assert figure is not None, "it stands on a canvas"
    return float(72 / figure.dpi)
