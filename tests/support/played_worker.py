"""A worker that computes nothing, over a real table and store, and what is proved of it whatever befalls requests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from orchestrator.artifacts import ArtifactStore
from orchestrator.errors import HomeError, StoreError
from orchestrator.jobs import Artifact, Ending, JobState, Lease, PlannedJob, Stage, WorkerInfo
from orchestrator.jobtable import JobTable, LeaseLost
from orchestrator.jobtable.backends.conditional_file import ConditionalFile
from tests.support.jobtable_backends import SettableSnapshotBackend, complete, output_names, planned_job

LEASE_SECONDS = 5.0
T = TypeVar("T")


def chain_of_two() -> list[PlannedJob]:
    first = planned_job("a", Stage.TRAIN)
    return [first, planned_job("b", Stage.TRAIN, [first])]


class PlayedWorker:
    """Claims, fetches, computes what follows from its inputs, uploads and commits; tries again what failed."""

    def __init__(self, file: ConditionalFile, store: ArtifactStore, place: Path) -> None:
        self.place = SettableSnapshotBackend(file, pause=lambda _: None)
        self.table = JobTable(self.place, "the study")
        self._store = store
        self._directory = place

    def work_everything_off(self) -> None:
        while again(self.table.unfinished):
            lease = again(lambda: self.table.claim(WorkerInfo("w1")))
            if lease is None:
                self.place.clock += LEASE_SECONDS + 1
            else:
                self._work(lease)

    def _work(self, lease: Lease) -> None:
        known = {name: again(lambda one=one: self._fetched(one)) for name, one in lease.inputs.items()}  # type: ignore[misc]
        outputs = {name: again(lambda name=name: self._put(lease, name, known)) for name in output_names(lease.stage)}  # type: ignore[misc]
        try:
            again(lambda: complete(self.table, lease, outputs, {"read": known}))
        except LeaseLost:
            return

    def _fetched(self, artifact: Artifact) -> str:
        self._store.fetch(artifact, self._directory / "input")
        return (self._directory / "input").read_text()

    def _put(self, lease: Lease, name: str, known: dict[str, str]) -> Artifact:
        file = self._directory / name
        file.write_text(f"{name} of {lease.name} after {sorted(known.values())}")
        return self._store.put(file)


def again(operation: Callable[[], T]) -> T:
    """What a worker does when the home or the store cannot be reached."""
    for _ in range(20):
        try:
            return operation()
        except (HomeError, StoreError):
            continue
    raise AssertionError("one fault is not got over")


def assert_all_is_done_once(worker: PlayedWorker) -> None:
    """Of `chain_of_two`: no job is lost, none is counted twice, and what was read is what was computed."""
    jobs = {job.name: job for job in worker.table.jobs()}
    assert {job.state for job in jobs.values()} == {JobState.DONE}
    assert (jobs["b"].metrics or {})["read"] == {"state": "state of a after []"}
    outcomes = [attempt.outcome for attempt in worker.table.attempts()]
    assert outcomes.count(Ending.DONE) == len(jobs)
    assert set(outcomes) <= {Ending.DONE, Ending.EXPIRED}
