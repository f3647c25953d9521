"""What `orch export` does: carry a home's results to another tool, and say where they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from orchestrator.commands import report
from orchestrator.errors import UsageError
from orchestrator.export import bundle
from orchestrator.export.runs import Run, RunState, runs
from orchestrator.home import Home
from orchestrator.installation import distribution
from orchestrator.jobs import Attempt, Job
from orchestrator.jobtable import PlannedStudy
from orchestrator.report import wording
from orchestrator.report.rows import benchmark_rows


def to_tensorboard(home: Home, directory: Path) -> None:
    """Write event files, a directory for each run; what an export before has written is replaced."""
    from orchestrator.export import tensorboard_log

    tensorboard_log.require()
    found = _runs(home)
    tensorboard_log.write(found, directory)
    print(f"{_told(found)} in {directory}. Look: tensorboard --logdir {directory}")


def to_mlflow(home: Home, uri: str | None) -> None:
    """Log runs; those that an export before has logged are brought up to date."""
    from orchestrator.export import mlflow_tracking

    mlflow_tracking.require()
    found = _runs(home)
    named = uri or os.environ.get("MLFLOW_TRACKING_URI")
    mlflow_tracking.log(found, named or mlflow_tracking.DEFAULT_URI)
    # An address that was named may hold a password, and is not repeated.
    shown = "the MLflow that was named" if named else mlflow_tracking.DEFAULT_URI
    print(f"{_told(found)} in {shown}." + ("" if named else f" Look: mlflow ui --backend-store-uri {shown}"))


def to_bundle(home: Home, file: Path) -> None:
    """Write the archive."""
    study, jobs, attempts = _read(home)
    results = report.results_of(home, study, jobs, attempts)
    found = bundle.contents(home, study, jobs, attempts, results)
    bundle.write(found, home.artifacts, _version(), file)
    networks = wording.counted(len(found.networks), "file of a network", "files of networks")
    print(f"{file} has the study, its report and {networks}: {wording.size(file.stat().st_size)}.")


def _read(home: Home) -> tuple[PlannedStudy, list[Job], list[Attempt]]:
    return report.planned_in(home), home.jobs.jobs(), home.jobs.attempts()


def _runs(home: Home) -> tuple[Run, ...]:
    """Raises UsageError if no training has begun."""
    study, jobs, attempts = _read(home)
    # No figure of a run is made from predictions: their files stay where they are.
    found = runs(study, jobs, attempts, benchmark_rows(study.name, study.dataset, jobs, {}))
    if not found:
        raise UsageError(f"No training of {study.name} has begun, so there is nothing to export yet; start a worker.")
    return found


def _told(found: Sequence[Run]) -> str:
    under_way = sum(run.state is not RunState.DONE for run in found)
    yet = f", {under_way} of them not done yet," if under_way else ""
    return f"{wording.counted(len(found), 'run')}{yet} of {found[0].study} {'is' if len(found) == 1 else 'are'}"


def _version() -> str:
    try:
        return version(distribution.NAME)
    except PackageNotFoundError:
        return "of its sources"
