"""The report as files in a directory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.files import replace_file
from orchestrator.report import tables
from orchestrator.report.charts import Chart, draw_charts, pictures
from orchestrator.report.page import render
from orchestrator.report.results import Results


@dataclass(frozen=True)
class ReportFiles:
    """Where everything was written."""

    page: Path
    csv: Path
    attempts: Path
    markdown: Path
    json: Path
    figures: tuple[Path, ...]


def write_report(results: Results, directory: Path) -> ReportFiles:
    """Write into `directory` the page, the tables, every attempt and each chart as `figures/NAME.svg` and `.png`.

    Each file appears whole or not at all; a report that was there before is replaced.  Raises OSError if
    the directory cannot be written to.
    """
    charts = draw_charts(results)
    (directory / "figures").mkdir(parents=True, exist_ok=True)
    return ReportFiles(
        figures=_draw_all(charts, directory / "figures"),
        csv=_write(directory / "results.csv", tables.to_csv(results)),
        attempts=_write(directory / "attempts.csv", tables.attempts_csv(results)),
        markdown=_write(directory / "results.md", tables.to_markdown(results)),
        json=_write(directory / "results.json", json.dumps(results.to_json(), indent=1, allow_nan=False) + "\n"),
        # Last: whoever sees a new page finds everything else new as well.
        page=_write(directory / "report.html", render(results, charts)),
    )


def _draw_all(charts: Sequence[Chart], directory: Path) -> tuple[Path, ...]:
    return tuple(path for chart in charts for path in _draw(chart, directory))


def _draw(chart: Chart, directory: Path) -> tuple[Path, Path]:
    picture, pixels = directory / f"{chart.name}.svg", directory / f"{chart.name}.png"
    replace_file(pixels, pictures.png(chart))
    return _write(picture, pictures.svg(chart)), pixels


def _write(path: Path, text: str) -> Path:
    replace_file(path, text.encode())
    return path
