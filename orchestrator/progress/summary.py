"""How far a study is: what `orch status` shows, computed from the job table's sums.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.jobs import Device, Job, JobState
from orchestrator.jobtable.transactions.overview import Overview, TrainingSums, Waiting, WorkerSeen
from orchestrator.report.wording import counted, duration

_STALLED_SECONDS = 900.0
"""Workers are heard of at least every five minutes, on Google Drive; two heartbeats may have failed."""


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
    waiting_copies: int = 0
    """Benchmarks that are to be measured again on devices where nobody is at it: nothing else waits for them."""

    @property
    def total(self) -> int:
        return self.counts.total()

    @property
    def is_over(self) -> bool:
        """Whether nothing is left that anybody waits for; a job that failed for good is not waited for."""
        left = sum(self.counts[state] for state in (JobState.READY, JobState.RUNNING, JobState.BLOCKED))
        return left <= self.waiting_copies

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


def snapshot(study: str, home: str, seen: Overview, shortage: str | None = None) -> Snapshot:
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
        problems=(
            *map(_problem, seen.troubled),
            *_stalled(seen),
            *map(_silence, seen.silent),
            *map(_without_device, seen.waiting),
            *_shortages(seen.workers, shortage),
        ),
        waiting_copies=_waiting_copies(seen),
    )


def _model(training: TrainingSums) -> ModelProgress:
    left = _work_left(training)
    eta = None if left is None else left / max(1, training.running)
    return ModelProgress(training.model, training.step, training.steps, training.loss, eta)


def _work_left(training: TrainingSums) -> float | None:
    """Seconds of one worker, at the pace so far."""
    if training.worked_steps <= 0 or training.worked_seconds <= 0:
        return None
    return max(0, training.steps - training.step) * training.worked_seconds / training.worked_steps


def _worker(worker: WorkerSeen, now: float) -> WorkerProgress:
    return WorkerProgress(
        name=worker.name,
        host=worker.host,
        device=worker.device,
        job=worker.job,
        last_seen_seconds=max(0.0, now - worker.seen),
        images_per_second=worker.progress.get("images_per_second"),
    )


def _eta(models: Sequence[ModelProgress], trainings: Sequence[TrainingSums], working: int) -> float | None:
    """Only so many workers can be at one model at once: the slowest model, or the workers, are the limit."""
    etas = [model.eta_seconds for model in models if model.eta_seconds is not None]
    if not etas or len(etas) < len(models):
        return None
    work = sum(_work_left(training) or 0.0 for training in trainings)
    return max(*etas, work / max(1, working), 0.0)


def _problem(job: Job) -> str:
    reason = (job.error or "").strip().partition("\n")[0]
    if job.state is JobState.QUARANTINED:
        return f"{job.name} is quarantined: {reason} See `orch logs {job.name}`, then `orch retry {job.name}`."
    if not job.failures:
        return f"{job.name} waits for another worker: {reason}"
    again = "is being tried again" if job.state is JobState.RUNNING else "will be tried again"
    return f"{job.name} has failed {counted(job.failures, 'time')} and {again}: {reason}"


def _without_device(waiting: Waiting) -> str:
    if isinstance(waiting.device, Device):
        return (
            f"{counted(waiting.jobs, 'job')} can only be done by a worker with {waiting.device.called}, and none is "
            'at work; start one, or plan with device = "any" under [training].'
        )
    many = waiting.jobs != 1
    return (
        f"{counted(waiting.jobs, 'benchmark')} {'are' if many else 'is'} to be measured again on {waiting.device}, and "
        f"no worker there is at it; start one, or leave {'them' if many else 'it'}: nothing else waits for that."
    )


def _waiting_copies(seen: Overview) -> int:
    return sum(each.jobs for each in seen.waiting if not isinstance(each.device, Device))


def _shortages(workers: Iterable[WorkerSeen], own: str | None) -> list[str]:
    """Each once: several workers may be signed in with one account."""
    told = (own, *(worker.progress.get("shortage") for worker in workers if worker.job is not None))
    return [f"Make room, uploads will soon be refused: {one}" for one in dict.fromkeys(told) if one]


def _stalled(seen: Overview) -> Iterator[str]:
    """Whoever lets notebooks work looks in now and then, and must see at once that all their sessions have ended."""
    last = max((worker.seen for worker in seen.workers), default=None)
    waiting = seen.counts[JobState.READY] + seen.counts[JobState.RUNNING]
    if waiting > _waiting_copies(seen) and last is not None and seen.now - last > _STALLED_SECONDS:
        yield (
            f"No worker has been heard of for {duration(seen.now - last)}; start one again with `orch worker`, or run "
            "the notebook's cell again."
        )


def _silence(job: Job) -> str:
    there = f" on {job.device}" if job.device else ""
    return f"{job.name} is held by {job.worker}, whose lease has expired; the next worker{there} takes it over."
