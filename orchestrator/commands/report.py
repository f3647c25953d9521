"""What `orch report` does: read a home, write the report, show its table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from models import predictions
from models.predictions import Predictions, PredictionsDamaged
from orchestrator.artifacts import ArtifactDamaged
from orchestrator.command_line import strict_json
from orchestrator.errors import HomeError, StoreError
from orchestrator.foreign_text import single_line
from orchestrator.home import Home
from orchestrator.jobs import Artifact, Job, JobState, Stage
from orchestrator.report import tables
from orchestrator.report.files import ReportFiles, write_report
from orchestrator.report.results import Problem, Results
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
    jobs = home.jobs.jobs()
    kept, problems = _predictions(home, jobs)
    return collect_results(study.name, study.dataset, jobs, home.jobs.attempts(), study.notes, kept, problems)


def _predictions(home: Home, jobs: Iterable[Job]) -> tuple[dict[str, Predictions], list[Problem]]:
    """What benchmarks that are done have kept, by the job's id; what cannot be read leaves its row without."""
    found: dict[str, Predictions] = {}
    problems: list[Problem] = []
    for job in jobs:
        artifact = None
        if job.stage is Stage.BENCHMARK and job.state is JobState.DONE:
            artifact = home.jobs.outputs(job.id).get(predictions.NAME)
        if artifact is None:
            continue
        try:
            found[job.id] = _read(home, artifact)
        except (ArtifactDamaged, PredictionsDamaged) as error:
            problems.append(_unread(job, error))
        except StoreError as error:
            # Whatever hinders this one hinders the others, and a store that is away takes its time to say so.
            return found, [*problems, _unread(job, error)]
    return found, problems


def _read(home: Home, artifact: Artifact) -> Predictions:
    if artifact.size > predictions.LARGEST_BYTES:
        raise PredictionsDamaged(f"it has {artifact.size:,} bytes, more than any measurement leaves")
    with tempfile.TemporaryDirectory(prefix="orch-report-") as directory:
        file = Path(directory) / "predictions.safetensors"
        home.artifacts.fetch(artifact, file)
        return Predictions.load(file)


def _unread(job: Job, error: Exception) -> Problem:
    return Problem(
        job.name,
        f"The file of its predictions cannot be used, so it is not compared image by image: {single_line(str(error))}.",
    )


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
