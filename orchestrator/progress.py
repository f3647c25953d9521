"""How far a study is: what `orch status` shows, computed from jobs and attempts.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.jobs import Attempt, Job, JobState, Stage


@dataclass(frozen=True)
class ModelProgress:
    """The trainings of one model, all seeds together."""

    name: str
    step: int
    steps: int
    loss: float | None
    eta_seconds: float | None
    """Until its last training step, at the pace so far; None before there is a pace."""


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
    """One sentence each."""

    @property
    def total(self) -> int:
        return self.counts.total()

    def to_json(self) -> dict[str, Any]:
        """The shape of `orch status --json`."""
        counts = {"total": self.total, **{str(state): self.counts[state] for state in JobState}}
        return {
            "study": self.study,
            "home": self.home,
            "jobs": counts,
            "models": [asdict(model) for model in self.models],
            "workers": [asdict(worker) for worker in self.workers],
            "eta_seconds": self.eta_seconds,
            "problems": list(self.problems),
        }


def snapshot(study: str, home: str, jobs: Sequence[Job], attempts: Sequence[Attempt], now: float) -> Snapshot:
    """Put together what the table says at the time `now` by its own clock."""
    models = tuple(_models(jobs, attempts))
    workers = tuple(_workers({job.id: job for job in jobs}, attempts, now))
    return Snapshot(
        study=study,
        home=home,
        counts=Counter(job.state for job in jobs),
        models=models,
        workers=workers,
        eta_seconds=_eta(models, sum(worker.job is not None for worker in workers)),
        problems=tuple(_problems(jobs)),
    )


def _models(jobs: Iterable[Job], attempts: Sequence[Attempt]) -> Iterable[ModelProgress]:
    trainings: dict[str, list[Job]] = {}
    for job in jobs:
        if job.stage is Stage.TRAIN and job.state is not JobState.CANCELLED:
            trainings.setdefault(job.spec["model"], []).append(job)
    for name, visits in trainings.items():
        steps = sum(_steps(job) for job in visits)
        step = sum(_step(job) for job in visits)
        pace = _seconds_per_step({job.id for job in visits}, attempts)
        eta = None if pace is None else (steps - step) * pace
        yield ModelProgress(name, step, steps, _last_loss(visits), eta)


def _steps(job: Job) -> int:
    return int(job.spec["visit"]["steps"])


def _step(job: Job) -> int:
    return _steps(job) if job.state is JobState.DONE else int(job.progress.get("step", 0))


def _seconds_per_step(jobs: set[str], attempts: Iterable[Attempt]) -> float | None:
    seconds, steps = 0.0, 0
    for attempt in attempts:
        if attempt.job in jobs and attempt.to_step > attempt.from_step:
            seconds += (attempt.ended or attempt.seen) - attempt.started
            steps += attempt.to_step - attempt.from_step
    return seconds / steps if steps else None


def _last_loss(visits: Iterable[Job]) -> float | None:
    """Of the visit that is furthest along its training."""
    told = [(job.spec["visit"]["first_step"], loss) for job in visits if (loss := _loss(job)) is not None]
    return max(told)[1] if told else None


def _loss(job: Job) -> float | None:
    loss: float | None = (job.metrics or job.progress).get("loss")
    return loss


def _workers(jobs: dict[str, Job], attempts: Iterable[Attempt], now: float) -> Iterable[WorkerProgress]:
    last = {attempt.worker: attempt for attempt in attempts}
    for name, attempt in sorted(last.items()):
        job = jobs.get(attempt.job) if attempt.outcome is None else None
        yield WorkerProgress(
            name=name,
            host=attempt.host,
            device=attempt.device,
            job=job.name if job else None,
            last_seen_seconds=max(0.0, now - (attempt.ended or attempt.seen)),
            images_per_second=job.progress.get("images_per_second") if job else None,
        )


def _eta(models: Sequence[ModelProgress], working: int) -> float | None:
    """A relay trains each model on one worker at a time: the slowest model, or the workers, are the limit."""
    etas = [model.eta_seconds for model in models]
    known = [eta for eta in etas if eta is not None]
    if not known or len(known) < len(etas):
        return None
    return max(*known, sum(known) / max(1, working), 0.0)


def _problems(jobs: Iterable[Job]) -> Iterable[str]:
    for job in jobs:
        reason = (job.error or "").strip().partition("\n")[0]
        if job.state is JobState.QUARANTINED:
            yield f"{job.name} is quarantined: {reason} See `orch logs {job.name}`, then `orch retry {job.name}`."
        elif job.error is not None and job.state is not JobState.CANCELLED:
            yield f"{job.name} has failed {job.failures} times and will be tried again: {reason}"
