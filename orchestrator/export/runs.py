"""What tools that follow trainings know as a run: one for each model and seed, made from a home's jobs."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import Any

from orchestrator.foreign_text import single_line
from orchestrator.jobs import Attempt, Ending, Job, JobState, Stage, attempts_by_job, jobs_by_training
from orchestrator.jobtable import PlannedStudy
from orchestrator.report import wording
from orchestrator.report.metrics import integer, number
from orchestrator.report.rows import Bench, Row, bench_of

Parameter = str | int | float | bool


class RunState(StrEnum):
    """How far a run is."""

    DONE = "done"
    UNDER_WAY = "under way"
    FAILED = "failed"
    """One of its jobs is quarantined."""


@dataclass(frozen=True)
class Sample:
    """What the visits that end at one training step reported."""

    step: int
    time: float
    """When the last of them ended, in seconds since 1970."""
    loss: float | None
    images_per_second: float | None
    """Means over visits: in average mode several end at one step."""


@dataclass(frozen=True)
class Measured:
    """One figure of a benchmark."""

    name: str
    """`BENCH/METHOD/FIGURE`: the bench stands first, because figures of two are never compared."""
    value: float
    time: float
    """When the benchmark ended."""


@dataclass(frozen=True)
class Run:
    """One model's training from one seed, with all that was measured of what came out."""

    study: str
    model: str
    seed: int
    identity: str
    """32 hexadecimal digits, the same whenever and from wherever this very training is exported; another training has
    another, though study, model and seed are called the same."""
    state: RunState
    began: float
    ended: float | None
    """When its last job was done; None while it is under way."""
    parameters: Mapping[str, Parameter]
    """What it was trained with, by dotted names."""
    curve: tuple[Sample, ...]
    """By step."""
    measured: tuple[Measured, ...]

    @property
    def name(self) -> str:
        return f"{self.model}/seed{self.seed}"


def runs(study: PlannedStudy, jobs: Iterable[Job], attempts: Iterable[Attempt], rows: Iterable[Row]) -> tuple[Run, ...]:
    """The trainings that have begun, by model and seed.

    Args:
        rows: those of the same jobs.
    """
    by_job, of_run = attempts_by_job(attempts), jobs_by_training(jobs)
    measured: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        measured[row.model, row.seed].append(row)
    found = (_run(study, *key, of_run[key], by_job, measured[key]) for key in sorted(of_run))
    return tuple(run for run in found if run is not None)


def _run(
    study: PlannedStudy,
    model: str,
    seed: int,
    jobs: Sequence[Job],
    attempts: Mapping[str, Sequence[Attempt]],
    rows: Sequence[Row],
) -> Run | None:
    trains = [job for job in jobs if job.stage is Stage.TRAIN]
    begun = [attempt for job in trains for attempt in attempts.get(job.id, ())]
    if not begun:
        return None
    first = min(begun, key=lambda attempt: (attempt.started, attempt.job, attempt.number))
    done = {job.id: time for job in jobs if (time := _done(job, attempts.get(job.id, ()))) is not None}
    state = _state(jobs)
    return Run(
        study=study.name,
        model=model,
        seed=seed,
        identity=hashlib.sha256(f"{first.job} {first.started!r}".encode()).hexdigest()[:32],
        state=state,
        began=first.started,
        ended=None if state is RunState.UNDER_WAY else max(done.values(), default=first.started),
        parameters=_parameters(study, trains),
        curve=_curve(trains, done),
        measured=tuple(_measured(rows, _measuring_times(jobs, done))),
    )


def _done(job: Job, attempts: Sequence[Attempt]) -> float | None:
    """When a job was done; None if it is not."""
    ends = [attempt.last_sign for attempt in attempts if attempt.outcome is Ending.DONE]
    return max(ends) if ends and job.state is JobState.DONE else None


def _state(jobs: Iterable[Job]) -> RunState:
    states = {job.state for job in jobs if job.copy_of is None or job.state is JobState.DONE}
    if JobState.QUARANTINED in states:
        return RunState.FAILED
    return RunState.DONE if states == {JobState.DONE} else RunState.UNDER_WAY


def _curve(trains: Iterable[Job], done: Mapping[str, float]) -> tuple[Sample, ...]:
    visits: dict[int, list[tuple[float, Mapping[str, Any]]]] = defaultdict(list)
    for job in trains:
        step = integer(job.metrics or {}, "step")
        if job.id in done and step is not None:
            visits[step].append((done[job.id], job.metrics or {}))
    return tuple(_sample(step, visits[step]) for step in sorted(visits))


def _sample(step: int, visits: Sequence[tuple[float, Mapping[str, Any]]]) -> Sample:
    metrics = [said for _, said in visits]
    return Sample(step, max(time for time, _ in visits), _mean(metrics, "loss"), _mean(metrics, "images_per_second"))


def _mean(visits: Iterable[Mapping[str, Any]], name: str) -> float | None:
    values = [value for metrics in visits if (value := number(metrics, name)) is not None]
    return fmean(values) if values else None


_Place = tuple[Bench, str]


def _measuring_times(jobs: Iterable[Job], done: Mapping[str, float]) -> Mapping[_Place, float]:
    """When each method's benchmark was done on each bench."""
    return {
        (bench_of(job.metrics or {}), job.spec["method"]): done[job.id]
        for job in jobs
        if job.stage is Stage.BENCHMARK and job.id in done
    }


_OF_A_NETWORK = (
    "top1",
    "top5",
    "parameters",
    "multiply_adds",
    "weights_bytes",
    "file_bytes",
    "compressed_bytes",
    "sparsity",
)
_OF_A_CALL = ("speedup", "images_per_second", "peak_memory_bytes")


def _measured(rows: Iterable[Row], times: Mapping[_Place, float]) -> Iterator[Measured]:
    """Each figure once: those of a network stand on all its rows."""
    seen: set[str] = set()
    for row in rows:
        bench = Bench(row.device, row.runtime)
        time = times.get((bench, row.method))
        for name, value in _figures(row) if time is not None else ():
            full = f"{str(bench).replace('/', '-')}/{row.method}/{name}"
            if value is not None and full not in seen:
                seen.add(full)
                yield Measured(full, float(value), time or 0.0)


def _figures(row: Row) -> Iterator[tuple[str, float | None]]:
    for name in _OF_A_NETWORK:
        yield name, getattr(row, name)
    if row.top1_interval:
        yield from zip(("top1_low", "top1_high"), row.top1_interval, strict=True)
    if row.batch and row.threads:
        way = wording.way_of_calling(row.batch, row.threads)
        for name in ("p50", "p90", "p99"):
            yield f"latency_{name}_ms, {way}", getattr(row.latency_ms, name)
        for name in _OF_A_CALL:
            yield f"{name}, {way}", getattr(row, name)


def _parameters(study: PlannedStudy, trains: Sequence[Job]) -> Mapping[str, Parameter]:
    """What decided the training: the jobs' own spec, and of the study's document what they do not say."""
    spec = min(trains, key=lambda job: job.name).spec
    document = {key: study.document[key] for key in _OF_THE_STUDY if key in study.document}
    told = {
        **_flat("", {"dataset": study.dataset, **document}),
        **_flat("", {"threads": spec["threads"], "distil": spec.get("distil")}),
        **_flat("", spec.get("training")),
    }
    return dict(sorted(told.items()))


_OF_THE_STUDY = ("shards", "train_images", "training")


def _flat(prefix: str, value: Any) -> dict[str, Parameter]:
    """`{"recipe": {"momentum": 0.9}}` as `recipe.momentum`; what is not set is left out, a list is its JSON."""
    if isinstance(value, Mapping):
        inner = (_flat(f"{prefix}.{single_line(str(key))}".lstrip("."), item) for key, item in value.items())
        return {name: item for found in inner for name, item in found.items()}
    if value is None:
        return {}
    if isinstance(value, bool | int | float):
        return {prefix: value}
    return {prefix: single_line(value if isinstance(value, str) else json.dumps(value))}
