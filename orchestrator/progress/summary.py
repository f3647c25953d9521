"""How far a study is: what `orch status` shows, computed from the job table's sums.  Pure.

What of it needs a person stands in `orchestrator.progress.problems`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from orchestrator.jobs import JobState, Stage
from orchestrator.jobtable.transactions.overview import Overview, TrainingSums, WorkerSeen
from orchestrator.progress.problems import STALLED_SECONDS, problems, waiting_copies


@dataclass(frozen=True)
class ModelProgress:
    """The trainings of one model, all seeds together."""

    name: str
    step: int
    steps: int
    loss: float | None
    eta_seconds: float | None
    """Until its last training step, at the pace so far; None before there is a pace."""
    top1: float | None = None
    """The share of test images that the trained network gets right, in the mean over the seeds that were measured; None
    before its `float32` was measured."""
    seeds_measured: int = 0
    seconds_per_step: float | None = None
    """The pace: of one worker, over `steps_taken`."""
    steps_taken: int = 0
    """By all attempts, those that were taken again included."""
    running: int = 0
    """Visits that are under way at once."""

    @property
    def is_trained(self) -> bool:
        return self.step >= self.steps

    @property
    def share(self) -> float:
        """Of its steps that are done, from 0 to 1."""
        return min(1.0, self.step / self.steps) if self.steps else 1.0


@dataclass(frozen=True)
class WorkerProgress:
    """A worker as its last attempt shows it."""

    name: str
    host: str
    device: str
    job: str | None
    """The name of the job it holds."""
    last_seen_seconds: float
    images_per_second: float | None
    step: int | None = None
    """Of its job, as it said last."""
    steps: int | None = None
    note: str = ""
    """What it is at, where steps do not say it."""
    seconds_left: float | None = None
    """Until it ends in good order, as it said: in a notebook whose session has a limit, or with `--max-hours`."""

    @property
    def is_lost(self) -> bool:
        """Whether nothing was heard of it for so long that its session has probably ended."""
        return self.last_seen_seconds > STALLED_SECONDS

    @property
    def is_here(self) -> bool:
        return self.job is not None or not self.is_lost


@dataclass(frozen=True)
class Snapshot:
    """A study at one moment."""

    study: str
    home: str
    counts: Counter[JobState]
    models: tuple[ModelProgress, ...]
    workers: tuple[WorkerProgress, ...]
    eta_seconds: float | None
    problems: tuple[str, ...]
    """One sentence each, with commands between backticks."""
    waiting_copies: int = 0
    """Benchmarks that are to be measured again on devices where nobody is at it: nothing else waits for them."""
    stages: Mapping[Stage, Counter[JobState]] = field(default_factory=dict)
    """`counts` of each stage that has jobs."""
    now: float = 0.0
    """When that was, in seconds since 1970 by the home's clock."""
    planned_at: float = 0.0
    notes: tuple[str, ...] = ()
    """What every reader must know first, e.g. that the data set is synthetic."""

    @property
    def total(self) -> int:
        return self.counts.total()

    @property
    def is_over(self) -> bool:
        """Whether nothing is left that anybody waits for; a job that failed for good is not waited for."""
        left = sum(self.counts[state] for state in (JobState.READY, JobState.RUNNING, JobState.BLOCKED))
        return left <= self.waiting_copies

    @property
    def here(self) -> tuple[WorkerProgress, ...]:
        """Workers that hold a job or were heard of lately; those at work first."""
        found = (worker for worker in self.workers if worker.is_here)
        return tuple(sorted(found, key=lambda each: (each.job is None, each.is_lost, each.name)))

    @property
    def gone(self) -> tuple[WorkerProgress, ...]:
        """The other workers, the last to be heard of first."""
        found = (worker for worker in self.workers if not worker.is_here)
        return tuple(sorted(found, key=lambda each: each.last_seen_seconds))

    def to_json(self) -> dict[str, Any]:
        """The shape of `orch status --json`, which docs/status.schema.json describes."""
        return {
            "study": self.study,
            "home": self.home,
            "now": self.now,
            "over": self.is_over,
            "jobs": _counts(self.counts),
            "stages": {str(stage): _counts(counts) for stage, counts in self.stages.items()},
            "models": [asdict(model) for model in self.models],
            "workers": [asdict(worker) for worker in self.workers],
            "eta_seconds": self.eta_seconds,
            "problems": list(self.problems),
            "notes": list(self.notes),
        }


def _counts(counts: Counter[JobState]) -> dict[str, int]:
    return {"total": counts.total(), **{str(state): counts[state] for state in JobState}}


def snapshot(
    study: str,
    home: str,
    seen: Overview,
    shortage: str | None = None,
    *,
    planned_at: float = 0.0,
    notes: Sequence[str] = (),
) -> Snapshot:
    """What the table's sums mean to a person, and what the home's store says that is nearly full."""
    models = tuple(_model(training) for training in seen.trainings)
    workers = tuple(_worker(worker, seen.now) for worker in seen.workers)
    return Snapshot(
        study=study,
        home=home,
        counts=seen.counts,
        models=models,
        workers=workers,
        eta_seconds=_eta(models, seen.trainings, sum(worker.job is not None for worker in workers)),
        problems=problems(seen, shortage),
        waiting_copies=waiting_copies(seen),
        stages=seen.stages,
        now=seen.now,
        planned_at=planned_at,
        notes=tuple(notes),
    )


def _model(training: TrainingSums) -> ModelProgress:
    left = _work_left(training)
    return ModelProgress(
        name=training.model,
        step=training.step,
        steps=training.steps,
        loss=training.loss,
        eta_seconds=None if left is None else left / max(1, training.running),
        top1=fmean(training.top1) if training.top1 else None,
        seeds_measured=len(training.top1),
        seconds_per_step=_pace(training),
        steps_taken=training.worked_steps,
        running=training.running,
    )


def _pace(training: TrainingSums) -> float | None:
    if training.worked_steps <= 0 or training.worked_seconds <= 0:
        return None
    return training.worked_seconds / training.worked_steps


def _work_left(training: TrainingSums) -> float | None:
    """Seconds of one worker, at the pace so far."""
    pace = _pace(training)
    return None if pace is None else max(0, training.steps - training.step) * pace


def _worker(worker: WorkerSeen, now: float) -> WorkerProgress:
    said, silent = worker.progress, max(0.0, now - worker.seen)
    left = said.get("seconds_left")
    return WorkerProgress(
        name=worker.name,
        host=worker.host,
        device=worker.device,
        job=worker.job,
        last_seen_seconds=silent,
        images_per_second=said.get("images_per_second"),
        step=said.get("step"),
        steps=said.get("steps"),
        note=said.get("note", ""),
        seconds_left=max(0.0, left - silent) if left is not None and math.isfinite(left) else None,
    )


def _eta(models: Sequence[ModelProgress], trainings: Sequence[TrainingSums], working: int) -> float | None:
    """Only so many workers can be at one model at once: the slowest model, or the workers, are the limit."""
    etas = [model.eta_seconds for model in models if model.eta_seconds is not None]
    if not etas or len(etas) < len(models):
        return None
    work = sum(_work_left(training) or 0.0 for training in trainings)
    return max(*etas, work / max(1, working), 0.0)
