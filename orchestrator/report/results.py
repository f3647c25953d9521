"""What a study has measured so far, and what it has not: plain data, made from jobs and attempts.

Judging it is for `orchestrator.report.answer`, showing it for the tables, the figures and the page.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.predictions import Predictions
from orchestrator.foreign_text import printable, single_line
from orchestrator.jobs import Attempt, Job, JobState, Stage
from orchestrator.report.classes import Classes, count_classes
from orchestrator.report.history import History, trace
from orchestrator.report.metrics import integer, not_finite, objects
from orchestrator.report.rows import Bench, Row, benchmark_rows
from orchestrator.report.trainings import TrainingRun, trainings
from orchestrator.report.wording import counted


@dataclass(frozen=True)
class StageProgress:
    """How much of one stage is done.

    Cancelled jobs are not counted, nor copies of benchmarks that are not done: no answer waits for these.
    """

    stage: Stage
    done: int
    total: int


@dataclass(frozen=True)
class CopyProgress:
    """How much of what was measured elsewhere is measured on one device, too; cancelled copies are not counted."""

    device: str
    done: int
    total: int


@dataclass(frozen=True)
class Problem:
    """Something that a person should know about one job."""

    job: str
    """The job's readable name."""
    what: str
    """One sentence."""
    details: str = ""


@dataclass(frozen=True)
class StudyFacts:
    """One study of a report."""

    name: str
    dataset: str
    done: int
    """Jobs, as the stages count them."""
    total: int
    started: float | None
    """Seconds since 1970; None if nothing was tried yet."""
    stopped: float | None

    def to_json(self) -> dict[str, Any]:
        return {
            "study": self.name,
            "dataset": self.dataset,
            "jobs_done": self.done,
            "jobs": self.total,
            "started": self.started,
            "stopped": self.stopped,
        }


@dataclass(frozen=True)
class Protocol:
    """How much was measured."""

    test_images: int | None
    """In the smallest test set that a benchmark used."""
    runs: int | None
    """Fewest timed runs behind a latency."""


@dataclass(frozen=True)
class Results:
    """Everything that the report says, before it is put into words."""

    study: str
    """Its name; of several studies side by side all their names, as a title."""
    studies: tuple[StudyFacts, ...]
    """Whose rows these are: one, or several side by side."""
    dataset: str
    notes: tuple[str, ...]
    """What a reader must know first, e.g. that the data set is synthetic."""
    rows: tuple[Row, ...]
    """By device, runtime, model, method, seed, batch, threads."""
    stages: tuple[StageProgress, ...]
    copies: tuple[CopyProgress, ...]
    """By device."""
    awaited: tuple[str, ...]
    """The networks whose measuring is planned and not done: `vit as float16`, with its seed where there are several."""
    problems: tuple[Problem, ...]
    trainings: tuple[TrainingRun, ...]
    history: History
    protocol: Protocol
    classes: Classes = field(default_factory=Classes)
    """What networks made of each class, where their predictions tell it."""

    @property
    def benches(self) -> tuple[Bench, ...]:
        return tuple(sorted({row.bench for row in self.rows}))

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that has a row or a training."""
        return tuple(sorted({row.model for row in self.rows} | {run.model for run in self.trainings}))

    @property
    def is_complete(self) -> bool:
        return all(stage.done == stage.total for stage in self.stages)

    def _repr_html_(self) -> str:
        """In a notebook results show their report."""
        from orchestrator.report import inline  # templates and charts, of which nothing else needs any

        return inline.report(self)

    def to_json(self) -> dict[str, Any]:
        """The contract of `orch report --json`; strict JSON: no NaN, no infinity."""
        return {
            "study": self.study,
            "studies": [study.to_json() for study in self.studies],
            "rows": [row.to_json() for row in self.rows],
            "history": self.history.to_json(),
        }


def collect(
    study_name: str,
    dataset: str,
    jobs: Iterable[Job],
    attempts: Iterable[Attempt],
    notes: Sequence[str] = (),
    predictions: Mapping[str, Predictions] | None = None,
    problems: Sequence[Problem] = (),
) -> Results:
    """What `jobs` have measured.  The order of jobs and attempts makes no difference.

    Args:
        dataset: the data that was really used: the paper's figures are shown for `cifar10` only.
        predictions: those of benchmarks, by the job's id; older workers kept none.
        problems: what else a person should know, beside what the jobs tell.
    """
    jobs, attempts = sorted(jobs, key=lambda job: (job.name, job.id)), list(attempts)
    done = [job for job in jobs if job.state is JobState.DONE]
    benchmarks = [job for job in done if job.stage is Stage.BENCHMARK]
    stages = _stages(job for job in jobs if job.copy_of is None or job.state is JobState.DONE)
    history = trace(jobs, attempts)
    return Results(
        study=study_name,
        studies=(_facts(study_name, single_line(dataset), stages, history),),
        dataset=single_line(dataset),
        notes=tuple(map(single_line, notes)),
        rows=benchmark_rows(study_name, dataset, jobs, predictions or {}),
        stages=stages,
        copies=_copies(jobs),
        awaited=_awaited(jobs),
        problems=(*_quarantined(jobs), *_not_finite(done), *problems),
        trainings=trainings([job for job in jobs if job.stage is Stage.TRAIN], attempts),
        history=history,
        protocol=_protocol(benchmarks),
        classes=count_classes(dataset, benchmarks, predictions or {}),
    )


def _facts(name: str, dataset: str, stages: Sequence[StageProgress], history: History) -> StudyFacts:
    done, total = sum(stage.done for stage in stages), sum(stage.total for stage in stages)
    return StudyFacts(name, dataset, done, total, history.start, history.end)


def _stages(jobs: Iterable[Job]) -> tuple[StageProgress, ...]:
    states: dict[Stage, list[JobState]] = defaultdict(list)
    for job in jobs:
        if job.state is not JobState.CANCELLED:
            states[job.stage].append(job.state)
    return tuple(
        StageProgress(stage, states[stage].count(JobState.DONE), len(states[stage]))
        for stage in Stage
        if stage in states
    )


def _copies(jobs: Iterable[Job]) -> tuple[CopyProgress, ...]:
    states: dict[str, list[JobState]] = defaultdict(list)
    for job in jobs:
        if job.device is not None and job.state is not JobState.CANCELLED:
            states[single_line(job.device)].append(job.state)
    return tuple(
        CopyProgress(device, found.count(JobState.DONE), len(found)) for device, found in sorted(states.items())
    )


def _awaited(jobs: Sequence[Job]) -> tuple[str, ...]:
    benchmarks = [job for job in jobs if job.stage is Stage.BENCHMARK and job.state is not JobState.CANCELLED]
    several = len({job.spec["seed"] for job in benchmarks}) > 1
    undone = (job.spec for job in benchmarks if job.copy_of is None and job.state is not JobState.DONE)
    names = (f"{spec['model']} as {spec['method']}" + (f", seed {spec['seed']}" if several else "") for spec in undone)
    return tuple(dict.fromkeys(map(single_line, names)))


def _quarantined(jobs: Iterable[Job]) -> Iterator[Problem]:
    for job in jobs:
        if job.state is JobState.QUARANTINED:
            error = printable(job.error or "").strip()
            reason = error.splitlines()[-1].strip() if error else "its workers died, again at the same step"
            attempts = counted(job.attempts, "attempt")
            yield Problem(job.name, f"It is quarantined after {attempts}: {reason}", error)


def _not_finite(jobs: Iterable[Job]) -> Iterator[Problem]:
    for job in jobs:
        if names := not_finite(job.metrics or {}):
            yield Problem(job.name, f"Not a finite number, so left out: {', '.join(names)}.")


def _protocol(benchmarks: Sequence[Job]) -> Protocol:
    metrics = [benchmark.metrics or {} for benchmark in benchmarks]
    images = [integer(each, "test_images") for each in metrics]
    runs = [integer(latency, "runs") for each in metrics for latency in objects(each, "latencies")]
    return Protocol(
        min((count for count in images if count is not None), default=None),
        min((count for count in runs if count is not None), default=None),
    )
