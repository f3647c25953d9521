"""The report's charts: Vega-Lite specifications as plain data, made from results by pure functions.

Making pictures of them is `orchestrator.report.charts.pictures`, which alone loads vl-convert.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.report import theme
from orchestrator.report.charts.accuracy import accuracy
from orchestrator.report.charts.chart import Chart, Table
from orchestrator.report.charts.class_accuracy import class_accuracy
from orchestrator.report.charts.confusion import confusions
from orchestrator.report.charts.latency import latency
from orchestrator.report.charts.sizes import sizes, weighs
from orchestrator.report.charts.timeline import timeline
from orchestrator.report.charts.tradeoffs import size, speed
from orchestrator.report.charts.training import training
from orchestrator.report.results import Results
from orchestrator.report.summaries import Summary, on_bench, summarize

__all__ = ["Chart", "Table", "draw_charts"]


def draw_charts(results: Results) -> tuple[Chart, ...]:
    """Every chart for which something was measured; those of a bench together, one of a kind for each bench."""
    colours = theme.colours_of(results.models)
    drawn = [
        *_measured(results, summarize(results), colours),
        *confusions(results.classes, colours),
        training(results.trainings, results.history.workers, colours),
        timeline(results.history, colours),
    ]
    return tuple(chart for chart in drawn if chart)


def _measured(results: Results, summaries: Sequence[Summary], colours: Mapping[str, str]) -> Iterator[Chart | None]:
    shown: set[tuple[object, ...]] = set()
    for place, bench in enumerate(results.benches, start=1):
        here = on_bench(summaries, bench)
        number = f"-{place}" if len(results.benches) > 1 else ""
        yield accuracy(number, bench, here, colours)
        yield size(number, bench, here, colours)
        yield speed(number, bench, here, colours)
        yield latency(number, bench, here, colours)
        # Files weigh the same wherever they are measured.
        if weighs(here) not in shown:
            yield sizes(number, bench, here, colours)
            shown.add(weighs(here))
        yield class_accuracy(number, bench, results.classes, colours)
