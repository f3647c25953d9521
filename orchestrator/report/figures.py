"""All the report's figures.  Loads matplotlib, so it is imported only when a report is written."""

from __future__ import annotations

from orchestrator.report import measured_figures, theme, tradeoff_figures, training_figures
from orchestrator.report.results import Results
from orchestrator.report.summaries import on_bench, summarize
from orchestrator.report.svg import Figure


def draw_figures(results: Results) -> tuple[Figure, ...]:
    """Every figure for which there is something to show; one of a kind for each bench."""
    summaries = summarize(results)
    colours = {model: theme.SERIES[index % len(theme.SERIES)].light for index, model in enumerate(results.models)}
    figures: list[Figure | None] = []
    for number, bench in enumerate(results.benches, start=1):
        here = on_bench(summaries, bench)
        suffix = f"-{number}" if len(results.benches) > 1 else ""
        figures += [
            measured_figures.accuracy(f"accuracy{suffix}", bench, here, colours),
            tradeoff_figures.size(f"size{suffix}", bench, here, colours),
            tradeoff_figures.speed(f"speed{suffix}", bench, here, colours),
            measured_figures.latency(f"latency{suffix}", bench, here, colours),
        ]
    figures += [
        training_figures.loss(results.trainings, colours),
        training_figures.timeline(results.history, colours),
    ]
    return tuple(figure for figure in figures if figure)
