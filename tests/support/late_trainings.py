"""Rounds of trainings of which one is late: what the proofs of speculation start from.

The fixtures `table` and `late` are there on every engine of `tests.support.jobtable_backends`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

import pytest

from orchestrator.jobs import (
    Attempt,
    Checkpoint,
    Device,
    Ending,
    Lease,
    PlannedJob,
    Stage,
    WorkerInfo,
)
from orchestrator.jobtable import JobTable, LeaseLost
from orchestrator.jobtable.transactions.speculation import LATE_FACTOR
from tests.support.jobtable_backends import (
    SettableBackend,
    artifact,
    complete,
    plan_of,
    planned_job,
)

LEASE_SECONDS = 1000.0
QUICK = 40.0
"""Seconds that a training takes on a worker that is not late."""
SLOW, IDLE, THIRD = "slow", "idle", "third"
GPU = frozenset({Device.CPU, Device.GPU})


@pytest.fixture(name="table")
def fixture_table(backend: SettableBackend) -> JobTable:
    table = JobTable(backend, "here")
    table.create()
    return table


def shards(count: int, prefix: str = "", requires: Device = Device.CPU) -> list[PlannedJob]:
    named = [planned_job(f"{prefix}s{number}", Stage.TRAIN) for number in range(count)]
    return [dataclasses.replace(job, requires=requires) for job in named]


def with_merge(trainings: Collection[PlannedJob]) -> list[PlannedJob]:
    """The trainings of one round and what waits for them."""
    names = "+".join(training.name for training in trainings)
    return [*trainings, planned_job(f"merge/{names}", Stage.MERGE, trainings)]


def publish(
    table: JobTable, planned: Collection[PlannedJob], *, seconds: float = LEASE_SECONDS, tries: int = 2
) -> None:
    table.publish(plan_of(planned, seconds=seconds, tries=tries))


def claimed(table: JobTable, worker: str, capabilities: Collection[Device] = GPU) -> Lease:
    lease = table.claim(WorkerInfo(worker, "host", "CPU", frozenset(capabilities)))
    assert lease is not None
    return lease


def done(table: JobTable, lease: Lease) -> tuple[object, ...]:
    return complete(table, lease, {"state": artifact(f"state of {lease.name}"), "log": artifact("log")}, {"loss": 1.0})


@pytest.fixture(name="late")
def fixture_late(table: JobTable, backend: SettableBackend) -> Lease:
    """The lease of a training that is late; nothing is ready."""
    publish(table, with_merge(shards(2)))
    return begun_late(table, backend)


def begun_late(table: JobTable, backend: SettableBackend) -> Lease:
    slow, quick = claimed(table, SLOW), claimed(table, "quick")
    backend.clock += QUICK
    done(table, quick)
    backend.clock += (LATE_FACTOR - 1) * QUICK + 1
    return slow


def outcomes(table: JobTable, lease: Lease) -> list[tuple[str, Ending | None]]:
    return [(attempt.worker, attempt.outcome) for attempt in table.attempts(lease.job)]


def last(table: JobTable, lease: Lease) -> Attempt:
    return table.attempts(lease.job)[-1]


WRITES: dict[str, Callable[[JobTable, Lease], object]] = {
    "renew": lambda table, lease: table.renew(lease, {"step": 39}),
    "save": lambda table, lease: table.renew(lease, checkpoint=Checkpoint(39, artifact("late"))),
    "discard": lambda table, lease: table.discard(lease, Checkpoint(39, artifact("late"))),
    "complete": lambda table, lease: complete(table, lease, {"state": artifact("late")}, {}),
    "fail": lambda table, lease: table.fail(lease, "late"),
    "release": lambda table, lease: table.release(lease),
}


def is_lost(table: JobTable, lease: Lease) -> bool:
    for write in WRITES.values():
        with pytest.raises(LeaseLost):
            write(table, lease)
    return True
