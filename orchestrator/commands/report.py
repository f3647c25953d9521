"""What `orch report` does: read a home, write the report, show its table."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from orchestrator.command_line import strict_json
from orchestrator.errors import HomeError
from orchestrator.home import Home
from orchestrator.report import tables
from orchestrator.report.files import ReportFiles, write_report
from orchestrator.report.results import Results
from orchestrator.report.results import collect as collect_results


def run(home: Home, out: Path | None, *, as_json: bool) -> None:
    """Write a home's report, or print its figures as JSON; the options are those of the command."""
    results = collect(home)
    if as_json:
        print(strict_json.text(results.to_json()))
    else:
        write_and_show(results, out or default_directory(home, results.study))


def collect(home: Home) -> Results:
    """What a home has measured so far.  Raises HomeError if nothing was ever planned in it."""
    study = home.jobs.study()
    if study is None:
        raise HomeError(f"Nothing is planned in {home.url} yet; run `orch plan`.")
    return collect_results(study.name, study.dataset, home.jobs.jobs(), home.jobs.attempts(), study.notes)


def default_directory(home: Home, study: str) -> Path:
    """`report` in the home; in ./STUDY.orch, where a directory would be the home, if the home is none."""
    return (home.directory or Path(f"{study}.orch")) / "report"


def write_and_show(results: Results, directory: Path) -> ReportFiles:
    """Write the report's files and print its table and the path of its page."""
    written = write_report(results, directory)
    console = Console()
    console.print(tables.terminal(results))
    console.print(f"\nThe page: {written.page.absolute()}", soft_wrap=True)
    return written
