"""What accuracy costs in bytes and in time: the points of two charts, as plain data.

Which network each point stands for, and what a person is told of it, is in `summaries` and `answer`; drawing the points
is `orchestrator.report.charts.tradeoffs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.report.summaries import Summary, Timing, twin_of


@dataclass(frozen=True)
class Point:
    """One row of the report: what it costs and how accurate it is."""

    model: str
    method: str
    cost: float
    """Bytes of what is shipped, or milliseconds of a call; above zero."""
    top1: float
    """Share of the test images that are right."""
    twin_top1: float | None = None
    """The same of its dense twin; None where nothing was fine-tuned, or the twin is not measured yet."""
    is_twin: bool = False
    """Whether other rows have it for their dense twin."""

    @property
    def name(self) -> str:
        return f"{self.model} as {self.method}"


def against_size(summaries: Sequence[Summary]) -> tuple[Point, ...]:
    """Every row of one bench whose accuracy and whose file are known."""
    weighed = ((each, each.shipped_bytes) for each in summaries if each.top1 and is_drawable(each.shipped_bytes))
    return tuple(_point(each, count, summaries) for each, count in weighed)


def against_latency(summaries: Sequence[Summary], way: tuple[int, int]) -> tuple[Point, ...]:
    """Every row of one bench whose accuracy is known and that was timed with this batch and these threads."""
    timed = ((each, timing) for each in summaries if each.top1 for timing in each.timings if timing.way == way)
    timed = ((each, timing) for each, timing in timed if is_drawable(timing.p50))
    return tuple(_point(each, timing.p50, summaries) for each, timing in timed)


def single_call(summaries: Iterable[Summary]) -> Timing | None:
    """A timing of the smallest batch with the fewest threads that were measured; None if nothing was timed."""
    return min((timing for each in summaries for timing in each.timings), key=lambda timing: timing.way, default=None)


def frontier(points: Iterable[Point]) -> tuple[Point, ...]:
    """The points that no other one beats: none that costs no more is as accurate.  By cost, rising."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.top1, point.method)):
        if not kept or point.top1 > kept[-1].top1:
            kept.append(point)
    return tuple(kept)


def is_drawable(figure: float | None) -> bool:
    """Whether a logarithmic axis can show it, beside others that were measured.

    A home holds what anybody wrote who may write in it: nothing weighs less than nothing, or more than a petabyte.
    """
    return figure is not None and 1e-6 < figure < 1e15


def _point(summary: Summary, cost: float | None, summaries: Sequence[Summary]) -> Point:
    assert summary.top1 is not None and cost, "only what was measured is a point"
    twin = twin_of(summary, summaries)
    return Point(
        model=summary.model,
        method=summary.method,
        cost=cost,
        top1=summary.top1.value,
        twin_top1=twin.top1.value if twin and twin.top1 else None,
        is_twin=any((each.model, each.twin) == (summary.model, summary.method) for each in summaries),
    )
