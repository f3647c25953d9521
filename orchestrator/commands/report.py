"""What `orch report` does: read one home or several, write the report, show its table."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from models import predictions
from models.predictions import Predictions, PredictionsDamaged
from orchestrator import address
from orchestrator.address import Address
from orchestrator.artifacts import ArtifactDamaged
from orchestrator.command_line import strict_json
from orchestrator.errors import HomeError, OrchError, StoreError, UsageError
from orchestrator.foreign_text import single_line
from orchestrator.home import Home
from orchestrator.jobs import Artifact, Attempt, Job, JobState, Stage
from orchestrator.jobtable import PlannedStudy
from orchestrator.report import tables
from orchestrator.report.files import ReportFiles, write_report
from orchestrator.report.results import Problem, Results
from orchestrator.report.results import collect as collect_results
from orchestrator.report.side_by_side import side_by_side

SEVERAL = Path("orch-report")
"""Where the report of several homes goes: into the working directory, for none of them is the others' home."""


class HomesUnread(OrchError):
    """Some of several homes could not be read; the report is of the others."""

    def __init__(self, failures: Mapping[str, OrchError], homes: int) -> None:
        told = "; ".join(f"{home}: {str(error).removesuffix('.')}" for home, error in failures.items())
        super().__init__(f"The report is without {len(failures)} of {homes} homes. {told}.")
        self.exit_code = next(iter(failures.values())).exit_code


def run(homes: Sequence[Address], out: Path | None, *, as_json: bool) -> None:
    """Write the report of one home, or of several side by side, or print its figures as JSON.

    Raises:
        HomesUnread: of several homes some could not be read, after the others were reported.
        OrchError: the only home cannot be read, or none of them.
    """
    if len(homes) == 1:
        home = _opened(homes[0])
        results = collect(home)
        _tell(results, out or default_directory(home, results.study), as_json=as_json)
        return
    _refuse_repetitions(homes)
    parts, failures = _collected(homes)
    if not parts:
        raise next(iter(failures.values()))
    results = side_by_side(parts)
    missing = [f"Not in this report: {home}. {error}" for home, error in failures.items()]
    _tell(dataclasses.replace(results, notes=(*missing, *results.notes)), out or SEVERAL, as_json=as_json)
    if failures:
        raise HomesUnread(failures, len(homes))


def _opened(home: Address) -> Home:
    return Home.open(home.url, home.artifacts)


def _refuse_repetitions(homes: Sequence[Address]) -> None:
    seen = set()
    for home in homes:
        shown = address.without_password(home.url)
        place = str(address.directory(home.url).resolve()) if address.scheme(home.url) is None else shown
        if place in seen:
            raise UsageError(f"{shown} is given twice; each home stands in a report once.")
        seen.add(place)


def _collected(homes: Sequence[Address]) -> tuple[list[Results], dict[str, OrchError]]:
    """What can be read, and why the rest cannot."""
    parts: list[Results] = []
    failures: dict[str, OrchError] = {}
    for home in homes:
        try:
            parts.append(collect(_opened(home)))
        except OrchError as error:
            failures[address.without_password(home.url)] = error
    return parts, failures


def _tell(results: Results, directory: Path, *, as_json: bool) -> None:
    if as_json:
        print(strict_json.text(results.to_json()))
    else:
        write_and_show(results, directory)


def collect(home: Home) -> Results:
    """What a home has measured so far.  Raises HomeError if nothing was ever planned in it."""
    return results_of(home, planned_in(home), home.jobs.jobs(), home.jobs.attempts())


def planned_in(home: Home) -> PlannedStudy:
    """Raises HomeError if nothing was ever planned there."""
    study = home.jobs.study()
    if study is None:
        raise HomeError(f"Nothing is planned in {home.url} yet; run `orch plan`.")
    return study


def results_of(home: Home, study: PlannedStudy, jobs: Sequence[Job], attempts: Sequence[Attempt]) -> Results:
    """What a home's jobs have measured, with what the files of its benchmarks add."""
    kept, problems = _predictions(home, jobs)
    return collect_results(study.name, study.dataset, jobs, attempts, study.notes, kept, problems)


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
    """Write the report's files and print its table and the path of its page.

    Raises:
        UsageError: the directory cannot be written to.
    """
    try:
        written = write_report(results, directory)
    except OSError as error:
        raise UsageError(
            f"The report cannot be written to {directory} ({error.strerror}); choose another directory with --out."
        ) from error
    console = Console()
    console.print(tables.terminal(results))
    console.print(f"\nThe page: {written.page.absolute()}", soft_wrap=True)
    return written
