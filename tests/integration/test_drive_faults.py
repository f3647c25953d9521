"""Whichever request of a worker's whole way over Drive meets a fault: no job is lost, none is counted twice, and no
artifact is believed without its checksum."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from orchestrator.artifacts.drive import DriveStore
from orchestrator.drive import folder
from orchestrator.drive.client import DriveClient
from orchestrator.errors import HomeError, StoreError
from orchestrator.jobs import Artifact, Ending, JobState, Lease, PlannedJob, Stage
from orchestrator.jobtable import JobTable, LeaseLost
from orchestrator.jobtable.drive_file import DriveFile
from tests.drive import DriveServer, Fault
from tests.drive.signed_in import (
    fixture_ann,  # noqa: F401
    fixture_client,  # noqa: F401
    fixture_drive,  # noqa: F401
)
from tests.jobtable_places import SettableSnapshotPlace, output_names, plan_of, planned_job

LEASE_SECONDS = 5.0
T = TypeVar("T")


@pytest.fixture
def chain() -> list[PlannedJob]:
    first = planned_job("a", Stage.TRAIN)
    return [first, planned_job("b", Stage.TRAIN, [first])]


class PlayedWorker:
    """Claims, fetches, computes what follows from its inputs, uploads and commits; tries again what failed."""

    def __init__(self, client: DriveClient, home: folder.StudyFolder, place: Path) -> None:
        self.place = SettableSnapshotPlace(DriveFile(client, home.jobs, "the study"), pause=lambda _: None)
        self.table = JobTable(self.place, "the study")
        self._store = DriveStore(client, home.artifacts, "the study's folder")
        self._directory = place

    def work_everything_off(self) -> None:
        while again(self.table.unfinished):
            lease = again(lambda: self.table.claim("w1"))
            if lease is None:
                self.place.clock += LEASE_SECONDS + 1
            else:
                self._work(lease)

    def _work(self, lease: Lease) -> None:
        known = {name: again(lambda one=one: self._fetched(one)) for name, one in lease.inputs.items()}  # type: ignore[misc]
        outputs = {name: again(lambda name=name: self._put(lease, name, known)) for name in output_names(lease.stage)}  # type: ignore[misc]
        try:
            again(lambda: self.table.complete(lease, outputs, {"read": known}))
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


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.SLOW])
def test_every_job_is_done_once_whichever_request_meets_a_fault(
    fault: Fault, client: DriveClient, drive: DriveServer, chain: list[PlannedJob], tmp_path: Path
) -> None:
    home = folder.made(client, "study")
    worker = PlayedWorker(client, home, tmp_path)
    worker.table.create()
    worker.table.publish(plan_of(chain, seconds=LEASE_SECONDS))
    client.new_id()
    files = copy.deepcopy(drive.state._files)
    for number in itertools.count(1):
        drive.state._files = copy.deepcopy(files)
        drive.faults.clear()
        drive.faults.at(number, fault)
        worker = PlayedWorker(client, home, tmp_path)
        worker.work_everything_off()
        happened = drive.faults.met
        drive.faults.clear()

        jobs = {job.name: job for job in worker.table.jobs()}
        assert {job.state for job in jobs.values()} == {JobState.DONE}
        read = (jobs["b"].metrics or {})["read"]
        assert read == {"state": "state of a after []"}, "what was read is what was computed"
        outcomes = [attempt.outcome for attempt in worker.table.attempts()]
        assert outcomes.count(Ending.DONE) == len(chain)
        assert set(outcomes) <= {Ending.DONE, Ending.EXPIRED}
        if not happened:
            assert number > 15, "a worker's way has more requests than that"
            return
