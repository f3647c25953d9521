"""The report as files in a directory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from models.files import replace_file
from orchestrator.errors import UsageError
from orchestrator.report import tables
from orchestrator.report.figures import draw_figures
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
    """Write `report.html`, `results.csv`, `results.md`, `results.json`, `attempts.csv` and `figures/*.svg`.

    Each file appears whole or not at all; a report that was there before is replaced.  Raises UsageError if
    the directory cannot be written to.
    """
    figures = draw_figures(results)
    try:
        (directory / "figures").mkdir(parents=True, exist_ok=True)
        return ReportFiles(
            figures=tuple(_write(directory / "figures" / f"{each.name}.svg", each.svg) for each in figures),
            csv=_write(directory / "results.csv", tables.to_csv(results)),
            attempts=_write(directory / "attempts.csv", tables.attempts_csv(results)),
            markdown=_write(directory / "results.md", tables.to_markdown(results)),
            json=_write(directory / "results.json", json.dumps(results.to_json(), indent=1, allow_nan=False) + "\n"),
            # Last: whoever sees a new page finds everything else new as well.
            page=_write(directory / "report.html", render(results, figures)),
        )
    except OSError as error:
        raise UsageError(
            f"The report cannot be written to {directory} ({error.strerror}); choose another directory with --out."
        ) from error


def _write(path: Path, text: str) -> Path:
    replace_file(path, text.encode())
    return path
