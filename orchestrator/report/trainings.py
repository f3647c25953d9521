"""How far each training came and who trained it, from its finished visits and their attempts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from orchestrator.foreign_text import single_line
from orchestrator.jobs import Attempt, Ending, Job, JobState, attempts_by_job, jobs_by_training
from orchestrator.report.metrics import integer, line, number


@dataclass(frozen=True)
class TrainingDeath:
    """Where in a training a worker died."""

    step: int
    """The training step that its last sign of life told."""
    worker: str


@dataclass(frozen=True)
class TrainingRun:
    """One model's training from one seed, as far as its finished visits tell."""

    model: str
    seed: int
    step: int
    """Steps of one network: where shards are trained at once, each of them takes as many."""
    total_steps: int | None
    losses: tuple[tuple[int, float], ...]
    """(step, training loss at the end of the visits that end there, in the mean), by step."""
    workers: tuple[tuple[int, tuple[str, ...]], ...]
    """(step, who finished the visits that end there), by step; nobody where the attempts are not known."""
    deaths: tuple[TrainingDeath, ...]
    """Those in visits that were finished later, by step."""
    seconds: float
    """Seconds of computing, as the finished visits report it."""
    images_per_second: float | None
    """Mean over visits."""
    devices: tuple[str, ...]


def trainings(jobs: Iterable[Job], attempts: Iterable[Attempt] = ()) -> tuple[TrainingRun, ...]:
    """One for each model and seed that has a train job in `jobs`, cancelled ones aside.

    Args:
        attempts: at these and other jobs, in any order.
    """
    by_job, visits = attempts_by_job(attempts), jobs_by_training(jobs)
    return tuple(_training(model, seed, visits[model, seed], by_job) for model, seed in sorted(visits))


def _training(model: str, seed: int, visits: Sequence[Job], attempts: Mapping[str, Sequence[Attempt]]) -> TrainingRun:
    done = [visit.metrics for visit in visits if visit.state is JobState.DONE and visit.metrics]
    rates = [rate for metrics in done if (rate := number(metrics, "images_per_second")) is not None]
    totals = [integer(_training_of(visit), "total_steps") for visit in visits]
    return TrainingRun(
        model=model,
        seed=seed,
        step=max((integer(metrics, "step") or 0 for metrics in done), default=0),
        total_steps=max((total for total in totals if total), default=None),
        losses=_losses(done),
        workers=_workers(visits, attempts),
        deaths=_deaths(visits, attempts),
        seconds=math.fsum(number(metrics, "seconds") or 0.0 for metrics in done),
        images_per_second=fmean(rates) if rates else None,
        devices=tuple(sorted({device for metrics in done if (device := line(metrics, "device"))})),
    )


def _training_of(visit: Job) -> Mapping[str, Any]:
    training = visit.spec.get("training")
    return training if isinstance(training, Mapping) else {}


def _losses(visits: Iterable[Mapping[str, Any]]) -> tuple[tuple[int, float], ...]:
    by_step: dict[int, list[float]] = defaultdict(list)
    for metrics in visits:
        step, loss = integer(metrics, "step"), number(metrics, "loss")
        if step is not None and loss is not None:
            by_step[step].append(loss)
    return tuple((step, fmean(by_step[step])) for step in sorted(by_step))


def _workers(
    visits: Iterable[Job], attempts: Mapping[str, Sequence[Attempt]]
) -> tuple[tuple[int, tuple[str, ...]], ...]:
    by_step: dict[int, dict[str, None]] = defaultdict(dict)
    for visit in visits:
        step, finished = integer(visit.metrics or {}, "step"), _finished(attempts.get(visit.id, ()))
        if step is not None:
            by_step[step].update({single_line(finished.worker): None} if finished else {})
    return tuple((step, tuple(sorted(by_step[step]))) for step in sorted(by_step))


def _deaths(visits: Iterable[Job], attempts: Mapping[str, Sequence[Attempt]]) -> tuple[TrainingDeath, ...]:
    found = []
    for visit in visits:
        step, tried = integer(visit.metrics or {}, "step"), attempts.get(visit.id, ())
        finished = _finished(tried)
        if step is None or finished is None:
            continue
        # An attempt counts the steps of its job, a training all of its own.
        begun = step - finished.to_step
        found += [
            TrainingDeath(begun + each.to_step, single_line(each.worker))
            for each in tried
            if each.outcome is Ending.EXPIRED
        ]
    return tuple(sorted(found, key=lambda death: (death.step, death.worker)))


def _finished(attempts: Iterable[Attempt]) -> Attempt | None:
    return next((each for each in attempts if each.outcome is Ending.DONE), None)
