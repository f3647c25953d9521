"""Holders and speculative attempts in random orders of events: each job is done once, no file in use is deleted."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Collection

import pytest

from orchestrator.jobs import (
    Artifact,
    Checkpoint,
    Ending,
    JobState,
    Lease,
    WorkerInfo,
)
from orchestrator.jobtable import JobTable, LeaseLost
from orchestrator.jobtable.transactions.leases import KEPT_CHECKPOINTS
from tests.support.jobtable_backends import (
    ON_EVERY_ENGINE,
    Contents,
    SettableBackend,
    artifact,
    complete,
    contents,
)
from tests.support.late_trainings import (
    WRITES,
    publish,
    shards,
    with_merge,
)


def check_promises(now: Contents) -> None:
    for job in now["jobs"]:
        mine = [attempt for attempt in now["attempts"] if attempt.job == job.id]
        open_ = sorted((attempt.twin, attempt.worker) for attempt in mine if attempt.ended is None)
        at_it = [(False, job.worker)] * (job.token is not None) + [(True, job.twin_worker)] * (
            job.twin_token is not None
        )
        assert open_ == at_it
        assert [attempt.number for attempt in mine] == list(range(1, job.attempts + 1))
        assert sum(attempt.outcome == Ending.DONE for attempt in mine) == (job.state == JobState.DONE)
        assert sum(attempt.outcome == Ending.FAILED for attempt in mine) >= job.failures
        assert sum(held.job == job.id for held in now["checkpoints"]) <= KEPT_CHECKPOINTS


@dataclasses.dataclass
class Walk:
    """Workers that each do what chance says, on a round of three trainings."""

    table: JobTable
    backend: SettableBackend
    chance: random.Random
    held: dict[str, Lease] = dataclasses.field(default_factory=dict)
    stored: set[str] = dataclasses.field(default_factory=set)
    """Files that were put and not deleted, by digest."""
    speculations: int = 0

    def step(self) -> None:
        worker = f"w{self.chance.randrange(5)}"
        self.backend.clock += self.chance.choice([0, 5, 10, 20])
        try:
            if worker in self.held:
                self._work(worker, self.held[worker])
            else:
                self._claim(worker)
        except LeaseLost:
            self.held.pop(worker, None)

    def _claim(self, worker: str) -> None:
        lease = self.table.claim(WorkerInfo(worker))
        if lease is not None:
            self.held[worker] = lease
            self.speculations += lease.speculative

    def _work(self, worker: str, lease: Lease) -> None:
        step = self.chance.randrange(1, 41)
        match self.chance.choice(["renew", "renew", "save", "save", "complete", "fail", "release", "die"]):
            case "renew":
                self.held[worker] = self.table.renew(lease, {"step": step})
            case "save":
                file = artifact(f"{lease.name} at {step}")
                self.stored.add(file.sha256)
                self.held[worker] = self.table.renew(lease, {"step": step}, Checkpoint(step, file))
                self._delete(self.held[worker].obsolete)
            case "complete":
                outputs = {"state": artifact(f"{lease.name} at 40"), "log": artifact(f"log of {lease.name}")}
                self.stored |= {file.sha256 for file in outputs.values()}
                del self.held[worker]
                self._delete(complete(self.table, lease, outputs, {}))
            case "fail" | "release" as end:
                del self.held[worker]
                WRITES[end](self.table, lease)
            case "die":
                del self.held[worker]

    def _delete(self, files: Collection[Artifact]) -> None:
        self.stored -= {file.sha256 for file in files}

    def until_the_end(self) -> None:
        before = contents(self.backend)
        while self.table.unfinished():
            self.step()
            now = contents(self.backend)
            check_promises(now)
            ended = {attempt for attempt in before["attempts"] if attempt.ended is not None}
            assert ended <= set(now["attempts"]), "history is only added to"
            named = {row.sha256 for rows in (now["checkpoints"], now["outputs"]) for row in rows}
            assert named <= self.stored, "what is named was not deleted"
            before = now


@ON_EVERY_ENGINE
@pytest.mark.parametrize("rounds", [2, pytest.param(6, marks=pytest.mark.slow)])
def test_each_job_is_done_once_in_every_order_of_events(table: JobTable, backend: SettableBackend, rounds: int) -> None:
    walk = Walk(table, backend, random.Random(9))
    for number in range(rounds):
        publish(table, with_merge(shards(3, f"round{number}.")), seconds=120.0, tries=50)
        walk.held.clear()
        walk.until_the_end()
        assert {job.state for job in table.jobs()} <= {JobState.DONE, JobState.QUARANTINED, JobState.BLOCKED}
    assert walk.speculations > 1.5 * rounds, "what is proved here happened"
    endings = [attempt.outcome for attempt in table.attempts()]
    assert all(
        endings.count(ending) > 1 for ending in (Ending.SUPERSEDED, Ending.EXPIRED, Ending.FAILED, Ending.RELEASED)
    )
