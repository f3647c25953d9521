"""The job table as a file that is swapped: whatever befalls a request, a job is neither lost nor done twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from orchestrator.errors import HomeError
from orchestrator.jobs import (
    Artifact,
    Completed,
    Ending,
    Finished,
    JobState,
    Lease,
    PlannedJob,
    Stage,
    WorkerInfo,
)
from orchestrator.jobtable import JobTable, LeaseLost
from orchestrator.jobtable.backends import snapshot
from orchestrator.jobtable.backends.conditional_file import Version
from orchestrator.jobtable.backends.snapshot_format import EMPTY, REMEMBERED_SWAPS, Snapshot, decoded, encoded
from tests.support.conditional_files import Fault, Faulty, FileOnDisk
from tests.support.jobtable_backends import (
    SettableSnapshotBackend,
    artifact,
    complete,
    output_names,
    plan_of,
    planned_job,
)

LEASE_SECONDS = 5.0
WORKER = WorkerInfo("w1")
T = TypeVar("T")


@pytest.fixture
def file(tmp_path: Path) -> FileOnDisk:
    return FileOnDisk(tmp_path / "jobs")


@pytest.fixture
def chain() -> list[PlannedJob]:
    first = planned_job("a", Stage.TRAIN)
    second = planned_job("b", Stage.TRAIN, [first])
    return [first, second, planned_job("c", Stage.COMPRESS, [second])]


@pytest.fixture
def planned(file: FileOnDisk, chain: list[PlannedJob]) -> JobTable:
    table = JobTable(SettableSnapshotBackend(file), "here")
    table.create()
    table.publish(plan_of(chain, seconds=LEASE_SECONDS))
    return table


def through(file: FileOnDisk, faults: Iterable[Fault]) -> tuple[JobTable, SettableSnapshotBackend, Faulty]:
    faulty = Faulty(file, faults)
    backend = SettableSnapshotBackend(faulty, pause=lambda _: None)
    return JobTable(backend, "here"), backend, faulty


def outputs_of(lease: Lease) -> dict[str, Artifact]:
    return {name: artifact(f"{name} of {lease.job}") for name in output_names(lease.stage)}


def completed(table: JobTable, lease: Lease) -> Completed:
    return table.complete(lease, [Finished(lease.job, outputs_of(lease), {})], WORKER, or_best=True)


def worked_off(table: JobTable, backend: SettableSnapshotBackend) -> None:
    """What a worker does, and does again when the table cannot be reached."""
    following: Lease | None = None
    while again(lambda: table.unfinished()):
        lease, following = following or again(lambda: table.claim(WORKER)), None
        if lease is None:
            backend.clock += LEASE_SECONDS + 1
            continue
        try:
            lease = again(lambda held=lease: table.renew(held, {"step": 1}))  # type: ignore[misc]
            following = again(partial(completed, table, lease)).next
        except LeaseLost:
            continue


def again(operation: Callable[[], T]) -> T:
    while True:
        try:
            return operation()
        except HomeError:
            continue


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
@pytest.mark.usefixtures("planned")
def test_whichever_request_meets_a_fault_every_job_is_done_once(
    fault: Fault, file: FileOnDisk, tmp_path: Path, chain: list[PlannedJob]
) -> None:
    content = (tmp_path / "jobs").read_bytes()
    for number in itertools.count():
        (tmp_path / "jobs").write_bytes(content)
        table, backend, faulty = through(file, [*[Fault.NONE] * number, fault])
        worked_off(table, backend)
        requests = faulty.requests
        table = JobTable(SettableSnapshotBackend(file), "here")
        assert {job.state for job in table.jobs()} == {JobState.DONE}
        done = [attempt.job for attempt in table.attempts() if attempt.outcome is Ending.DONE]
        assert sorted(done) == sorted(job.id for job in chain)
        assert all(attempt.outcome in (Ending.DONE, Ending.EXPIRED) for attempt in table.attempts())
        if requests <= number:
            return  # the fault came after the last of them
    raise AssertionError("a run without a fault ends")


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.LATE])
@pytest.mark.usefixtures("planned")
def test_a_claim_whose_answer_was_lost_is_the_claim_that_counts(fault: Fault, file: FileOnDisk) -> None:
    table, _, _ = through(file, [Fault.NONE, fault])
    lease = table.claim(WorkerInfo("w1"))
    assert lease is not None
    assert [attempt.number for attempt in table.attempts()] == [1]
    complete(table, lease, outputs_of(lease), {})
    assert table.job(lease.job).state is JobState.DONE


@pytest.mark.usefixtures("planned")
def test_whoever_was_second_decides_again_on_what_the_first_left(file: FileOnDisk, chain: list[PlannedJob]) -> None:
    """The other's claim comes between this one's reading and its swap."""
    other = JobTable(SettableSnapshotBackend(file), "here")
    table, backend, _ = through(file, [])
    read = backend._load

    def and_meanwhile(content: bytes, version: Version) -> None:
        read(content, version)
        backend._load = read  # type: ignore[method-assign]
        assert other.claim(WorkerInfo("quicker")) is not None

    backend._load = and_meanwhile  # type: ignore[method-assign]
    assert table.claim(WorkerInfo("slower")) is None
    assert table.job(chain[0].id).worker == "quicker"


@pytest.mark.usefixtures("planned")
def test_what_changes_nothing_swaps_nothing(file: FileOnDisk) -> None:
    table, _, _ = through(file, [])
    lease = table.claim(WorkerInfo("w1"))
    before = file.version()
    assert table.claim(WorkerInfo("w2")) is None
    assert table.unfinished()
    assert table.study() is not None
    assert file.version() == before
    assert lease is not None
    table.renew(lease, {"step": 1})
    assert file.version() != before


@pytest.mark.usefixtures("planned")
def test_a_reader_asks_again_only_when_what_it_knows_is_old(file: FileOnDisk) -> None:
    faulty = Faulty(file, [])
    table = JobTable(SettableSnapshotBackend(faulty, reads_good_for=3600), "here")
    table.jobs()
    first = faulty.requests
    for _ in range(10):
        table.jobs()
    assert faulty.requests == first
    assert table.claim(WorkerInfo("w1")) is not None
    asked = faulty.requests
    assert [job.state for job in table.jobs()].count(JobState.RUNNING) == 1, "what was written is read"
    assert faulty.requests == asked


@pytest.mark.usefixtures("planned")
def test_against_others_who_are_always_quicker_it_is_given_up_in_a_sentence(
    file: FileOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "PATIENCE_SECONDS", 0.0)
    table, _, _ = through(file, itertools.chain([Fault.NONE], itertools.repeat(Fault.CONFLICT)))
    with pytest.raises(HomeError, match="longer leases"):
        table.claim(WorkerInfo("w1"))
    assert file.read()[0] and JobTable(SettableSnapshotBackend(file), "here").attempts() == []


def test_a_state_older_than_the_one_known_is_not_believed(file: FileOnDisk, planned: JobTable) -> None:
    old, _ = file.read()
    assert planned.claim(WorkerInfo("w1")) is not None
    file.replace(old, file.version())
    with pytest.raises(HomeError, match="state 2, and was in state 3 before"):
        planned.jobs()


def test_who_begins_while_others_work_is_not_told_of_a_rollback(file: FileOnDisk, planned: JobTable) -> None:
    """Another swaps, and uploads with a note of it, between this one's looks at the notes and at the file."""

    class Notes:
        accept_rollback = False

        def highest(self) -> int:
            assert planned.claim(WorkerInfo("w1")) is not None
            return decoded(file.read()[0]).generation

        def note(self, generation: int) -> None:
            assert generation == decoded(file.read()[0]).generation

    beginning = JobTable(SettableSnapshotBackend(file, sightings=Notes()), "here")
    assert [job.state for job in beginning.jobs()].count(JobState.RUNNING) == 1


@pytest.mark.parametrize(
    "content",
    [b"something else", encoded(EMPTY)[:-3], encoded(Snapshot(3, (), b"no database" * 500))],
    ids=["another file", "cut off", "no database in it"],
)
def test_what_is_no_snapshot_is_told_in_a_sentence(content: bytes, file: FileOnDisk) -> None:
    file.replace(content, file.version())
    with pytest.raises(HomeError, match="cannot be used"):
        JobTable(SettableSnapshotBackend(file), "here").jobs()


def test_a_snapshot_comes_back_as_it_was_and_remembers_the_last_swaps() -> None:
    state = EMPTY
    for number in range(REMEMBERED_SWAPS + 5):
        state = state.followed_by(f"swap{number}", b"\n the \n database \x00")
    assert decoded(encoded(state)) == state
    assert (state.generation, len(state.swaps)) == (REMEMBERED_SWAPS + 5, REMEMBERED_SWAPS)
    assert state.swaps[-1] == f"swap{REMEMBERED_SWAPS + 4}"
