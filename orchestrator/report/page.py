"""The report as one HTML file that needs nothing else: no network, no script, no file beside it.

What it says comes from `answer`, what it shows from `summaries` and `figures`; the wording and layout of
the page are in `templates/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.report import paper, tables, theme, wording
from orchestrator.report.answer import BenchAnswer, answer
from orchestrator.report.comparison import Estimate
from orchestrator.report.results import Results
from orchestrator.report.summaries import Summary, accuracy_change, on_bench, reference_of, summarize
from orchestrator.report.svg import Figure


@dataclass(frozen=True)
class _Line:
    """A summary and what changed against float32."""

    summary: Summary
    change: Estimate | None


@dataclass(frozen=True)
class _BenchSection:
    """Everything that was measured on one device with one runtime."""

    said: BenchAnswer
    lines: tuple[_Line, ...]
    accuracy: tuple[Figure, ...]
    tradeoffs: tuple[Figure, ...]
    """Accuracy against bytes and against time."""
    latency: tuple[Figure, ...]

    @property
    def several_seeds(self) -> bool:
        return any(len(line.summary.seeds) > 1 for line in self.lines)

    @property
    def has_twins(self) -> bool:
        return any(line.summary.twin for line in self.lines)


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
        "sections": [_section(bench, summaries, figures) for bench in said.benches],
        "figures": {figure.name: figure for figure in figures},
        "papers": [summary for summary in summaries if summary.paper],
        "weights": sorted({(row.model, row.seed, row.weights_sha256) for row in results.rows if row.weights_sha256}),
        "paper": paper,
    }


def _section(bench: BenchAnswer, summaries: Sequence[Summary], figures: Sequence[Figure]) -> _BenchSection:
    here = on_bench(summaries, bench.bench)
    drawn = [figure for figure in figures if figure.bench == bench.bench]
    return _BenchSection(
        said=bench,
        lines=tuple(_Line(each, accuracy_change(each, reference_of(each, here))) for each in here),
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
        *(tables.top1, tables.interval, tables.chances, tables.differing, tables.compressed),
        *(paper.is_same_network, _svg),
    ):
        environment.filters[show.__name__.lstrip("_")] = show
    environment.globals["palette"] = Markup(theme.stylesheet())
    return environment


def _svg(figure: Figure) -> Markup:
    """Matplotlib and ElementTree have escaped every text in it."""
    return Markup(figure.for_page)
