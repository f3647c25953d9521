"""The report as one HTML file that needs nothing else: no network, no script, no file beside it.

What it says comes from `answer`, what it shows from `summaries` and `figures`; the wording and layout of
the page are in `templates/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.report import page_tables, paper, table_filters, theme, wording
from orchestrator.report.answer import BenchAnswer, answer
from orchestrator.report.results import Results
from orchestrator.report.summaries import Summary, on_bench, summarize
from orchestrator.report.svg import Figure
from orchestrator.report.table import Table


@dataclass(frozen=True)
class _BenchSection:
    """Everything that was measured on one device with one runtime."""

    said: BenchAnswer
    summaries: tuple[Summary, ...]
    accuracy_table: Table
    latency_table: Table
    accuracy: tuple[Figure, ...]
    tradeoffs: tuple[Figure, ...]
    """Accuracy against bytes and against time."""
    latency: tuple[Figure, ...]

    @property
    def several_seeds(self) -> bool:
        return any(len(each.seeds) > 1 for each in self.summaries)

    @property
    def has_twins(self) -> bool:
        return any(each.twin for each in self.summaries)


def render(results: Results, figures: Sequence[Figure]) -> str:
    """The page; the same bytes for the same results."""
    names = _names(results, figures)
    return _environment().get_template("report.html.j2").render(names, body=_body(names))


def render_body(results: Results, figures: Sequence[Figure]) -> Markup:
    """What stands inside the page's `<main>`: its sections, for a page that has a head of its own."""
    return _body(_names(results, figures))


def _body(names: Mapping[str, object]) -> Markup:
    return Markup(_environment().get_template("body.html.j2").render(names))


def _names(results: Results, figures: Sequence[Figure]) -> dict[str, object]:
    """What the templates call things."""
    said, summaries = answer(results), summarize(results)
    return {
        "results": results,
        "said": said,
        "sections": [_section(number, bench, summaries, figures) for number, bench in enumerate(said.benches, start=1)],
        "figures": {figure.name: figure for figure in figures},
        "studies_table": page_tables.studies_table(results),
        "training_table": page_tables.training_table(results),
        "attempts_table": page_tables.attempts_table(results.history),
        "paper_table": page_tables.paper_table(summaries),
        "weights_table": page_tables.weights_table(results),
        "paper": paper,
    }


def _section(number: int, bench: BenchAnswer, summaries: Sequence[Summary], figures: Sequence[Figure]) -> _BenchSection:
    here = on_bench(summaries, bench.bench)
    drawn = [figure for figure in figures if figure.bench == bench.bench]
    return _BenchSection(
        said=bench,
        summaries=here,
        accuracy_table=page_tables.accuracy_table(f"accuracy-{number}", bench.bench, here),
        latency_table=page_tables.latency_table(f"latency-{number}", bench.bench, here),
        accuracy=_of_kind(drawn, "accuracy"),
        tradeoffs=_of_kind(drawn, "size", "speed"),
        latency=_of_kind(drawn, "latency"),
    )


def _of_kind(figures: Sequence[Figure], *kinds: str) -> tuple[Figure, ...]:
    return tuple(figure for figure in figures if figure.name.partition("-")[0] in kinds)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("orchestrator.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for show in (
        *(wording.percent, wording.points, wording.size, wording.milliseconds, wording.factor, wording.whole),
        wording.significant,
        *(wording.counted, wording.duration, wording.moment, wording.listed),
        _svg,
    ):
        environment.filters[show.__name__.lstrip("_")] = show
    environment.filters.update(table_filters.FILTERS)
    environment.globals["palette"] = Markup(theme.stylesheet())
    return environment


def _svg(figure: Figure) -> Markup:
    """Matplotlib and ElementTree have escaped every text in it."""
    return Markup(figure.for_page)
