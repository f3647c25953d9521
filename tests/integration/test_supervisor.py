"""What a worker does between two attempts, which are played here; table and store are real."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from orchestrator.artifacts import LocalStore
from orchestrator.errors import ExitCode
from orchestrator.home import Home, LeaseSeconds
from orchestrator.jobs import Ending, Finished, JobState, Lease, Stage
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.sqlite import SqlitePlace
from tests.jobtable_places import artifact, plan_of, planned_job
from workers import supervisor
from workers.attempt import Result
from workers.console import Console
from workers.hosts import Host
from workers.runner_process import RunnerProcess
from workers.supervisor import Settings, Supervisor
from workers.worker import Worker

JOBS = [planned_job(name, Stage.COMPRESS) for name in ("a", "b", "last")]
ENDS_AFTER = sorted(JOBS, key=lambda job: job.id)[1].name
"""The second of them: of equals the table gives the least id first."""


class PlayedRunner:
    threads = 1
    alive = True

    def end(self) -> None:
        pass


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with closing(SqlitePlace(tmp_path / "jobs.db")) as place:
        table = JobTable(place, "here")
        table.create()
        store, leases = LocalStore(tmp_path / "artifacts"), LeaseSeconds(60.0, 30.0)
        yield Home("here", table, store, tmp_path, shares_artifacts=False, leases=leases)


@pytest.fixture
def runner() -> PlayedRunner:
    return PlayedRunner()


@pytest.fixture
def worker(home: Home, runner: PlayedRunner, monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    found = Supervisor(home, Settings("w1", Host("here", "own")), Console("w1", io.StringIO()))
    monkeypatch.setattr(found, "_runner", runner)
    monkeypatch.setattr(found, "_runner_with", lambda _: runner)
    return found


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch, worker: Supervisor) -> list[str]:
    """The names of the jobs that were done; every attempt does its job at once, and the worker may be asked to end."""
    names: list[str] = []

    class PlayedAttempt:
        def __init__(self, jobs: JobTable, lease: Lease, of: Worker) -> None:
            self._jobs, self._lease, self._of = jobs, lease, of
            self.job = lease.job
            self.next: Lease | None = None

        def run(self) -> Result:
            finished = Finished(self.job, {"model": artifact(self.job)}, {})
            self.next, _ = self._jobs.hand_on(self._lease, [finished], None, self._of.claimant, or_another=True)
            names.append(self._lease.name)
            if self._lease.name == ENDS_AFTER:
                worker._notice.give("the session is over")
            return Result.DONE

    monkeypatch.setattr(supervisor, "Attempt", PlayedAttempt)
    return names


def served(worker: Supervisor) -> ExitCode:
    """As `run` does, but for the signals, which are the main thread's."""
    try:
        return worker._serve()
    finally:
        worker._give_back_next()


def test_a_job_that_was_claimed_as_another_was_handed_in_is_the_next_one(
    home: Home, worker: Supervisor, done: list[str]
) -> None:
    both = [job for job in JOBS if job.name != ENDS_AFTER]
    home.jobs.publish(plan_of(both, seconds=3600))
    assert served(worker) is ExitCode.DONE
    assert sorted(done) == sorted(job.name for job in both)
    assert [attempt.outcome for attempt in home.jobs.attempts()] == [Ending.DONE] * 2


def test_a_job_that_was_claimed_before_the_wish_to_end_is_given_back(
    home: Home, worker: Supervisor, done: list[str]
) -> None:
    home.jobs.publish(plan_of(JOBS, seconds=3600))
    assert served(worker) is ExitCode.DONE
    assert done[-1] == ENDS_AFTER
    left = [job for job in home.jobs.jobs() if job.state is not JobState.DONE]
    assert [job.state for job in left] == [JobState.READY]
    assert [attempt.outcome for attempt in home.jobs.attempts(left[0].id)] == [Ending.RELEASED]


def test_a_job_that_was_claimed_is_given_back_before_another_runner_is_loaded(
    home: Home, runner: PlayedRunner, worker: Supervisor, done: list[str]
) -> None:
    runner.alive = False
    both = [job for job in JOBS if job.name != ENDS_AFTER]
    home.jobs.publish(plan_of(both, seconds=3600))
    assert served(worker) is ExitCode.DONE
    assert len(done) == 2
    assert [attempt.outcome for attempt in home.jobs.attempts()] == [Ending.DONE, Ending.RELEASED, Ending.DONE]


@pytest.mark.parametrize(("asked_to_stop", "code"), [(False, ExitCode.TRY_LATER), (True, ExitCode.DONE)])
def test_a_worker_of_one_job_that_it_could_not_begin_says_try_later_unless_it_was_asked_to_end(
    home: Home, worker: Supervisor, monkeypatch: pytest.MonkeyPatch, asked_to_stop: bool, code: ExitCode
) -> None:
    home.jobs.publish(plan_of(JOBS, seconds=3600))
    monkeypatch.setattr(worker, "_settings", Settings("w1", Host("here", "own"), once=True))

    def given_back(*_: object) -> Result:
        if asked_to_stop:
            worker._notice.give("the test")
        return Result.RELEASED

    monkeypatch.setattr(worker, "_work", given_back)
    assert served(worker) is code


def test_after_a_job_that_it_could_not_begin_a_worker_lets_others_claim_first(
    home: Home, worker: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.jobs.publish(plan_of(JOBS, seconds=3600))
    did: list[str] = []

    def given_back(*_: object) -> Result:
        did.append("given back")
        return Result.RELEASED

    def idle(_seconds: float) -> None:
        did.append("waited")
        worker._notice.give("the test")

    monkeypatch.setattr(worker, "_work", given_back)
    monkeypatch.setattr(worker, "_idle", idle)
    served(worker)
    assert did == ["given back", "waited"]


def test_the_job_that_turned_out_not_to_be_for_this_machine_is_not_claimed_again(
    home: Home, runner: PlayedRunner, worker: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _ = sorted(JOBS, key=lambda job: job.id)
    home.jobs.publish(plan_of([first, second], seconds=3600))

    class RefusingAttempt:
        next = None
        job = first.id

        def __init__(self, jobs: JobTable, lease: Lease, _worker: Worker) -> None:
            self._jobs, self._lease = jobs, lease

        def run(self) -> Result:
            self._jobs.release(self._lease, "it does not fit", refused=True)
            return Result.REFUSED

    monkeypatch.setattr(supervisor, "Attempt", RefusingAttempt)
    lease = worker._claim()
    assert lease is not None and lease.job == first.id
    worker._work(lease, cast(RunnerProcess, runner))
    claimed = worker._claim()
    assert claimed is not None and claimed.job == second.id
