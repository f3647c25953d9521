"""The report as one HTML file that needs nothing else: no network and no file beside it.

What it says comes from `answer`, what it shows from `summaries` and `charts`; the wording and layout of
the page are in `templates/`.  It is whole without JavaScript; with it, charts answer the pointer.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.report import page_tables, paper, table_filters, theme, wording
from orchestrator.report.answer import BenchAnswer, answer
from orchestrator.report.charts import Chart, pictures
from orchestrator.report.results import Results
from orchestrator.report.summaries import Summary, on_bench, summarize
from orchestrator.report.table import Table

_SCRIPTS = ("charts.js", "tables.js")
"""Files of `templates/`, in the order in which they run; each works on what an event `orch:shown` puts before it."""


@dataclass(frozen=True)
class Script:
    """A script that stands inside a page, and is allowed there by its digest."""

    text: str

    @property
    def markup(self) -> Markup:
        # Inside a script the tag can only stand in a string or a pattern, where the backslash changes nothing.
        return Markup(self.text.replace("</script", "<\\/script"))

    @property
    def source(self) -> str:
        """How a content security policy names it."""
        digest = hashlib.sha256(self.markup.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"


@dataclass(frozen=True)
class _BenchSection:
    """Everything that was measured on one device with one runtime."""

    said: BenchAnswer
    accuracy_table: Table
    latency_table: Table
    charts: tuple[Chart, ...]


def render(results: Results, charts: Sequence[Chart]) -> str:
    """The page; the same bytes for the same results."""
    names = _names(results, charts)
    run = scripts() if charts else ()
    head = {"policy": policy(run), "scripts": run}
    return _environment().get_template("report.html.j2").render(names, body=_body(names), **head)


def render_body(results: Results, charts: Sequence[Chart]) -> Markup:
    """What stands inside the page's `<main>`: its sections, for a page that has a head of its own."""
    return _body(_names(results, charts))


def scripts(*more: str) -> tuple[Script, ...]:
    """All that runs in a page with a report, in order.

    Args:
        more: files of `templates/` that a page needs besides; they run before the first `orch:shown`.
    """
    files = resources.files("orchestrator.report") / "templates"
    own = [(files / name).read_text(encoding="utf-8") for name in (*_SCRIPTS, *more, "shown.js")]
    return tuple(Script(text) for text in (pictures.runtime(), *own))


def policy(run: Sequence[Script], *more: str) -> str:
    """The content security policy of a page with these scripts: nothing else runs, and nothing is loaded.

    Args:
        more: further directives.
    """
    allowed = " ".join(script.source for script in run) or "'none'"
    style = ("style-src 'unsafe-inline'", "img-src data:", "base-uri 'none'", "form-action 'none'")
    return "; ".join(("default-src 'none'", f"script-src {allowed}", *style, *more))


def _body(names: Mapping[str, object]) -> Markup:
    return Markup(_environment().get_template("body.html.j2").render(names))


def _names(results: Results, charts: Sequence[Chart]) -> dict[str, object]:
    """What the templates call things."""
    said, summaries = answer(results), summarize(results)
    return {
        "results": results,
        "said": said,
        "sections": [_section(number, bench, summaries, charts) for number, bench in enumerate(said.benches, start=1)],
        "charts": charts,
        "studies_table": page_tables.studies_table(results),
        "training_table": page_tables.training_table(results),
        "paper_table": page_tables.paper_table(summaries),
        "weights_table": page_tables.weights_table(results),
        "paper": paper,
    }


def _section(number: int, bench: BenchAnswer, summaries: Sequence[Summary], charts: Sequence[Chart]) -> _BenchSection:
    here = on_bench(summaries, bench.bench)
    return _BenchSection(
        said=bench,
        accuracy_table=page_tables.accuracy_table(f"accuracy-{number}", bench.bench, here),
        latency_table=page_tables.latency_table(f"latency-{number}", bench.bench, here),
        charts=tuple(chart for chart in charts if chart.bench == bench.bench),
    )


def of_kind(charts: Sequence[Chart], *kinds: str) -> tuple[Chart, ...]:
    """Those of these kinds, in the order of the kinds."""
    return tuple(chart for kind in kinds for chart in charts if chart.kind == kind)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("orchestrator.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for show in (wording.counted, wording.moment, wording.whole, of_kind, _picture, _specification):
        environment.filters[show.__name__.lstrip("_")] = show
    environment.filters.update(table_filters.FILTERS)
    environment.globals["palette"] = Markup(theme.stylesheet())
    return environment


def _picture(chart: Chart) -> Markup:
    """vl-convert and ElementTree have escaped every text in it."""
    return Markup(pictures.svg_for_page(chart))


def _specification(chart: Chart) -> Markup:
    """JSON in which nothing can end the element around it."""
    return Markup(pictures.spec_for_page(chart))
