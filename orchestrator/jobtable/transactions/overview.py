"""The whole table in a few sums: how many jobs are where, how far trainings are, who was heard of when."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, and_, case, func, or_, select

from orchestrator import untrusted
from orchestrator.jobs import Device, Ending, FailureStatistics, Job, JobState, Stage
from orchestrator.jobtable.schema import rows
from orchestrator.jobtable.schema.rows import as_job
from orchestrator.jobtable.schema.tables import IS_BENCHMARK, IS_READY, IS_RUNNING, attempts, jobs


@dataclass(frozen=True)
class TrainingSums:
    """All trainings of one model together."""

    model: str
    step: int
    steps: int
    loss: float | None
    """The loss of the visit that is furthest along."""
    worked_steps: int
    """Steps that attempts have taken, those that were taken again included."""
    worked_seconds: float
    running: int = 0
    """Visits that are under way at once."""
    top1: tuple[float, ...] = ()
    """The share of test images that the trained network gets right, for each seed whose `float32` was measured."""


@dataclass(frozen=True)
class WorkerSeen:
    """A worker as its latest attempt shows it."""

    name: str
    host: str
    device: str
    seen: float
    job: str | None
    """Name of the job that it holds, or does beside a holder that is late."""
    progress: Mapping[str, Any]
    """What it said of that job last; of a job that two are at, nothing is known of who said it."""


@dataclass(frozen=True)
class Waiting:
    """Jobs that could be done on some device, while no worker is at work on such a job."""

    device: Device | str
    """Its kind; its name, if they are copies of benchmarks."""
    jobs: int


@dataclass(frozen=True)
class Overview:
    """One moment of the table."""

    now: float
    """When that was, in seconds since 1970 by the backend's clock."""
    counts: Counter[JobState]
    trainings: tuple[TrainingSums, ...]
    workers: tuple[WorkerSeen, ...]
    troubled: tuple[Job, ...]
    """Quarantined, failed and to be tried again, or given back by a worker that cannot do it."""
    silent: tuple[Job, ...]
    """Held under a lease that has expired; the next worker that claims takes them over."""
    waiting: tuple[Waiting, ...] = ()
    stages: Mapping[Stage, Counter[JobState]] = field(default_factory=dict)
    """`counts` of each stage that has jobs, in the order in which a study goes through them."""


def overview(connection: Connection, now: float) -> Overview:
    stages = _stages(connection)
    return Overview(
        now=now,
        counts=sum(stages.values(), Counter()),
        trainings=tuple(_trainings(connection)),
        workers=tuple(_workers(connection)),
        troubled=tuple(_troubled(connection)),
        silent=tuple(_silent(connection, now)),
        waiting=waiting(connection, now),
        stages=stages,
    )


def failure_statistics(connection: Connection) -> FailureStatistics:
    """How long workers were at work, and how many of them died at it."""
    died = case((attempts.c.outcome == Ending.EXPIRED, 1), else_=0)
    worked = func.sum(case((attempts.c.started < _LAST_SIGN, _LAST_SIGN - attempts.c.started), else_=0.0))
    seconds, deaths = connection.execute(select(func.coalesce(worked, 0.0), func.coalesce(func.sum(died), 0))).one()
    return FailureStatistics(float(seconds), int(deaths))


# A dead worker's attempt ends when it is reaped, perhaps hours after its worker was last heard of; that of one that was
# superseded without its being heard.
_LAST_SIGN = case(
    (attempts.c.outcome.in_([Ending.EXPIRED, Ending.SUPERSEDED]), attempts.c.seen),
    else_=func.coalesce(attempts.c.ended, attempts.c.seen),
)


def _stages(connection: Connection) -> dict[Stage, Counter[JobState]]:
    shown = or_(jobs.c.planned, jobs.c.state == JobState.CANCELLED)
    counted = select(jobs.c.stage, jobs.c.state, func.count()).where(shown).group_by(jobs.c.stage, jobs.c.state)
    found: dict[Stage, Counter[JobState]] = {stage: Counter() for stage in Stage}
    for stage, state, count in connection.execute(counted):
        found[Stage(stage)][JobState(state)] = count
    return {stage: states for stage, states in found.items() if states}


def _trainings(connection: Connection) -> Iterator[TrainingSums]:
    # Fine-tunings are compress jobs: to whoever waits for a model their steps are steps, too.
    trains = and_(jobs.c.steps > 0, jobs.c.planned, jobs.c.state != JobState.CANCELLED)
    taken = case((jobs.c.state == JobState.DONE, jobs.c.steps), else_=jobs.c.step)
    running = case((jobs.c.state == JobState.RUNNING, 1), else_=0)
    sums = select(
        jobs.c.model,
        func.sum(taken).label("step"),
        func.sum(jobs.c.steps).label("steps"),
        func.sum(running).label("running"),
    ).where(trains)
    worked, top1 = _worked(connection), _top1(connection)
    for row in connection.execute(sums.group_by(jobs.c.model).order_by(jobs.c.model)):
        steps, seconds = worked.get(row.model, (0, 0.0))
        loss = _loss(connection, row.model) if row.step else None
        yield TrainingSums(
            model=untrusted.name("a model's name", row.model),
            step=untrusted.whole("a step", row.step),
            steps=untrusted.whole("a number of steps", row.steps),
            loss=loss,
            worked_steps=steps,
            worked_seconds=seconds,
            running=int(row.running),
            top1=top1.get(row.model, ()),
        )


def _worked(connection: Connection) -> dict[str, tuple[int, float]]:
    """Steps and seconds of all attempts that got anywhere, by model.

    An attempt that ended before it began saw its clock set back: how long it took nobody knows.
    """
    steps = func.sum(attempts.c.to_step - attempts.c.from_step)
    seconds = func.sum(_LAST_SIGN - attempts.c.started)
    rows = connection.execute(
        select(jobs.c.model, steps, seconds)
        .join_from(attempts, jobs, jobs.c.id == attempts.c.job)
        .where(attempts.c.to_step > attempts.c.from_step, attempts.c.started < _LAST_SIGN)
        .group_by(jobs.c.model)
    )
    return {model: (int(steps), float(seconds)) for model, steps, seconds in rows}


def _top1(connection: Connection) -> dict[str, tuple[float, ...]]:
    """By model; several runtimes and devices give a network one accuracy, so the first of them by name is taken."""
    of_trained = jobs.c.name.like("%/benchmark/float32%")
    found = select(jobs.c.model, jobs.c.spec, jobs.c.metrics).where(
        IS_BENCHMARK, jobs.c.state == JobState.DONE, jobs.c.planned, of_trained
    )
    by_seed: dict[str, dict[int, float]] = defaultdict(dict)
    for row in connection.execute(found.order_by(jobs.c.model, jobs.c.name)):
        spec = rows.spec_of(Stage.BENCHMARK, row.spec)
        top1 = untrusted.mapping("a job's metrics", row.metrics).get("top1")
        if spec["method"] == "float32" and isinstance(top1, int | float) and 0.0 <= top1 <= 1.0:
            by_seed[row.model].setdefault(spec["seed"], float(top1))
    return {model: tuple(seeds.values()) for model, seeds in by_seed.items()}


def _loss(connection: Connection, model: str) -> float | None:
    begun = or_(jobs.c.state == JobState.DONE, jobs.c.step > 0)
    row = connection.execute(
        select(jobs.c.metrics, jobs.c.progress)
        .where(jobs.c.stage == Stage.TRAIN, jobs.c.model == model, jobs.c.planned, begun)
        .order_by(jobs.c.remaining_path, jobs.c.name)
        .limit(1)
    ).first()
    said = {} if row is None else untrusted.mapping("what a worker said", row.metrics or row.progress)
    loss = said.get("loss")
    return loss if isinstance(loss, int | float) else None


def _workers(connection: Connection) -> Iterator[WorkerSeen]:
    latest: dict[str, Row[Any]] = {}
    for row in (*_last_begun(connection), *_under_way(connection)):
        latest[row.worker] = max(latest.get(row.worker, row), row, key=_lateness)
    for _, row in sorted(latest.items()):
        holds = row.outcome is None
        yield WorkerSeen(
            name=untrusted.text("a worker's name", row.worker),
            host=untrusted.text("a host's name", row.host),
            device=untrusted.text("a device's name", row.device),
            seen=rows.moment(row.last_sign),
            job=rows.job_name(row.name) if holds else None,
            progress=rows.progress(row.progress) if holds and row.twin_token is None else {},
        )


_ATTEMPTS_AT_JOBS = select(
    attempts, _LAST_SIGN.label("last_sign"), jobs.c.name, jobs.c.progress, jobs.c.twin_token
).join(jobs, jobs.c.id == attempts.c.job)


def _last_begun(connection: Connection) -> Sequence[Row[Any]]:
    """The latest attempts of each worker: jobs that were completed as a run began at the same moment."""
    last = select(attempts.c.worker, func.max(attempts.c.started).label("started")).group_by(attempts.c.worker)
    begun = last.subquery()
    alike = and_(begun.c.worker == attempts.c.worker, begun.c.started == attempts.c.started)
    return connection.execute(_ATTEMPTS_AT_JOBS.join(begun, alike)).all()


def _under_way(connection: Connection) -> Sequence[Row[Any]]:
    """These began last whatever the clock said: it may have been set back since others began."""
    return connection.execute(_ATTEMPTS_AT_JOBS.where(attempts.c.ended.is_(None))).all()


def _lateness(attempt: Row[Any]) -> tuple[bool, float, str, int]:
    return attempt.outcome is None, attempt.last_sign, attempt.job, attempt.number


def _troubled(connection: Connection) -> Iterator[Job]:
    failed = and_(jobs.c.failures > 0, jobs.c.state.in_([JobState.READY, JobState.RUNNING]))
    # Another may have taken it since; nothing is wrong then.
    rejected = and_(jobs.c.error.is_not(None), jobs.c.state == JobState.READY)
    wrong = jobs.c.planned & or_(jobs.c.state == JobState.QUARANTINED, failed, rejected)
    yield from (as_job(row) for row in connection.execute(select(jobs).where(wrong).order_by(jobs.c.name)))


_SERVED_BESIDE = {
    Device.GPU: (Device.GPU, Device.GPU_OR_TPU),
    Device.TPU: (Device.TPU, Device.GPU_OR_TPU),
    Device.GPU_OR_TPU: (Device.GPU, Device.TPU, Device.GPU_OR_TPU),
}
"""Whoever is at work on one of these has, or may have, what the first needs."""


def waiting(connection: Connection, now: float) -> tuple[Waiting, ...]:
    """What waits for a kind of device, then what waits for one by name."""
    return (*_waiting_for_a_kind(connection), *_waiting_copies(connection, now))


def _waiting_for_a_kind(connection: Connection) -> Iterator[Waiting]:
    # Each by its index: in a large table most jobs wait for others.
    running = set(connection.execute(select(jobs.c.needs).where(IS_RUNNING).distinct()).scalars())
    for device, beside in _SERVED_BESIDE.items():
        ready = select(func.count()).select_from(jobs).where(IS_READY, jobs.c.needs == device)
        if running.isdisjoint(beside) and (count := connection.execute(ready).scalar_one()):
            yield Waiting(device, count)


def _waiting_copies(connection: Connection, now: float) -> Iterator[Waiting]:
    """Those of workers that have died wait, too: perhaps no other of their device comes, which would take them over."""
    at_work = func.sum(case((jobs.c.lease_expires >= now, 1), else_=0))
    copies = select(jobs.c.device, func.count().label("number")).where(
        IS_BENCHMARK, jobs.c.copy_of.is_not(None), jobs.c.planned, jobs.c.state.in_([JobState.READY, JobState.RUNNING])
    )
    for row in connection.execute(copies.group_by(jobs.c.device).having(at_work == 0).order_by(jobs.c.device)):
        yield Waiting(untrusted.text("a device's name", row.device), int(row.number))


def _silent(connection: Connection, now: float) -> Iterator[Job]:
    expired = and_(IS_RUNNING, jobs.c.lease_expires < now)
    yield from (as_job(row) for row in connection.execute(select(jobs).where(expired).order_by(jobs.c.name)))
