"""Runs as MLflow tracks them: an experiment for the study, in it a run for each training, kept up to date."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import UsageError
from orchestrator.export import libraries
from orchestrator.export.names import allowed
from orchestrator.export.runs import Run, RunState
from orchestrator.foreign_text import single_line

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.entities import Run as TrackedRun
    from mlflow.tracking import MlflowClient

DEFAULT_URI = "sqlite:///mlflow.db"
"""A file in the working directory, where MLflow's own page looks for it."""

_IDENTITY = "orch.identity"
"""The tag by which a run is found again."""
_STATUS = {RunState.DONE: "FINISHED", RunState.UNDER_WAY: "RUNNING", RunState.FAILED: "FAILED"}
_REFUSED = re.compile(r"[^\w.\- :/]")
"""What MLflow takes in no name of a metric or parameter."""
_LONGEST_NAME, _LONGEST_PARAMETER = 240, 6000
_METRICS_AT_ONCE, _PARAMETERS_AT_ONCE = 1000, 100
"""MLflow refuses more in one request."""


def require() -> None:
    """Raises UsageError if MLflow, or what its SQLite store needs, is not installed."""
    # Orch sends nobody's doings anywhere, so neither does a library that it loads; who wants it says so themselves.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    for module in ("mlflow.tracking", "sqlparse"):
        libraries.need(module, "mlflow", "MLflow")
    # Each step in which it makes its tables is nothing that a person who exports need read.
    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.WARNING)


def log(runs: Iterable[Run], uri: str) -> None:
    """Log each run; of one that is there already, what is new.

    Args:
        uri: of a tracking server or store, as MLflow understands it.

    Raises:
        UsageError: MLflow takes the URI, or something of the runs, for impossible, or cannot reach it.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient(tracking_uri=uri)
        for run in runs:
            _log(client, run)
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
        # The URI may hold a password.
        told = single_line(str(error).replace(uri, "the URI").partition("\n")[0]) or type(error).__name__
        raise UsageError(f"MLflow refuses the export: {told}") from error


def _log(client: MlflowClient, run: Run) -> None:
    tracked = _tracked(client, _experiment(client, run.study), run)
    key = tracked.info.run_id
    _log_parameters(client, tracked, run)
    _log_metrics(client, tracked, run)
    if run.ended is None:
        client.update_run(key, status=_STATUS[run.state])
    else:
        client.set_terminated(key, _STATUS[run.state], _milliseconds(run.ended))


def _experiment(client: MlflowClient, study: str) -> str:
    found = client.get_experiment_by_name(study)
    if found is None:
        return str(client.create_experiment(study))
    if found.lifecycle_stage == "deleted":
        raise UsageError(f"The experiment {study} was deleted in MLflow; restore it there, or purge it for good.")
    return str(found.experiment_id)


def _tracked(client: MlflowClient, experiment: str, run: Run) -> TrackedRun:
    found = client.search_runs([experiment], f"tags.`{_IDENTITY}` = '{run.identity}'", max_results=1)
    if found:
        return found[0]
    tags = {_IDENTITY: run.identity, "orch.study": run.study, "orch.model": run.model, "orch.seed": str(run.seed)}
    return client.create_run(experiment, _milliseconds(run.began), tags, run.name)


def _log_parameters(client: MlflowClient, tracked: TrackedRun, run: Run) -> None:
    """A parameter of MLflow's never changes; those of a run do not, either, for another training is another run."""
    from mlflow.entities import Param

    named = allowed(
        {name: str(value)[:_LONGEST_PARAMETER] for name, value in run.parameters.items()}, _REFUSED, _LONGEST_NAME
    )
    missing = [Param(name, value) for name, value in named.items() if name not in tracked.data.params]
    for start in range(0, len(missing), _PARAMETERS_AT_ONCE):
        client.log_batch(tracked.info.run_id, params=missing[start : start + _PARAMETERS_AT_ONCE])


def _log_metrics(client: MlflowClient, tracked: TrackedRun, run: Run) -> None:
    missing = [*_missing_of_curve(client, tracked, run), *_missing_figures(tracked, run)]
    for start in range(0, len(missing), _METRICS_AT_ONCE):
        client.log_batch(tracked.info.run_id, metrics=missing[start : start + _METRICS_AT_ONCE])


def _missing_of_curve(client: MlflowClient, tracked: TrackedRun, run: Run) -> Sequence[Metric]:
    from mlflow.entities import Metric

    missing = []
    for name in ("loss", "images_per_second"):
        logged = client.get_metric_history(tracked.info.run_id, name) if name in tracked.data.metrics else []
        # A mean over visits that end at one step is another when more of them are done.
        known = {(each.step, each.value) for each in logged}
        points = ((sample, getattr(sample, name)) for sample in run.curve)
        missing += [
            Metric(name, value, _milliseconds(sample.time), sample.step)
            for sample, value in points
            if value is not None and (sample.step, value) not in known
        ]
    return missing


def _missing_figures(tracked: TrackedRun, run: Run) -> Sequence[Metric]:
    from mlflow.entities import Metric

    named = allowed({measured.name: measured for measured in run.measured}, _REFUSED, _LONGEST_NAME)
    step = run.curve[-1].step if run.curve else 0
    return [
        Metric(name, measured.value, _milliseconds(measured.time), step)
        for name, measured in named.items()
        if tracked.data.metrics.get(name) != measured.value
    ]


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
