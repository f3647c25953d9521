"""What a worker does between two sessions, which are played here; table and store are real."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from orchestrator.artifacts import LocalStore, StoreFull
from orchestrator.errors import ExitCode, HomeClosed, OrchError
from orchestrator.home import Home, LeaseSeconds
from orchestrator.jobs import (
    Artifact,
    Ending,
    Finished,
    JobState,
    Lease,
    MeasuringDevices,
    Stage,
    WorkerInfo,
)
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.sqlite import SqliteBackend
from tests.support.jobtable_backends import (
    artifact,
    complete,
    plan_of,
    planned_job,
)
from workers import outage, supervisor
from workers.console import Console
from workers.machine.hosts import Host
from workers.runner.legacy_packages import NoLegacyKeras
from workers.runner.libraries import RunnerKind
from workers.runner.process import RunnerProcess
from workers.store import room
from workers.store.room import Room
from workers.supervisor import RunnerLost, Settings, Supervisor
from workers.worker import Result, Worker

JOBS = [planned_job(name, Stage.COMPRESS) for name in ("a", "b", "last")]
ENDS_AFTER = sorted(JOBS, key=lambda job: job.id)[1].name
"""The second of them: of equals the table gives the least id first."""


class PlayedRunner:
    threads = 1
    alive = True
    kind = RunnerKind.TENSORFLOW

    def end(self) -> None:
        pass


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with closing(SqliteBackend(tmp_path / "jobs.db")) as backend:
        table = JobTable(backend, "here")
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
    """The names of the jobs that were done; every session does its job at once, and the worker may be asked to end."""
    names: list[str] = []

    class PlayedSession:
        def __init__(self, jobs: JobTable, lease: Lease, of: Worker) -> None:
            self._jobs, self._lease, self._of = jobs, lease, of
            self.job = lease.job
            self.next: Lease | None = None

        def run(self) -> Result:
            finished = Finished(self.job, {"model": artifact(self.job)}, {})
            self.next = self._jobs.complete(self._lease, [finished], self._of.info, or_best=True).next
            names.append(self._lease.name)
            if self._lease.name == ENDS_AFTER:
                worker._shutdown.give("the session is over")
            return Result.DONE

    monkeypatch.setattr(supervisor, "Session", PlayedSession)
    return names


def said(worker: Supervisor) -> str:
    worker._console.flush()
    return cast(io.StringIO, worker._console._stream).getvalue()


def served(worker: Supervisor) -> ExitCode:
    """As `run` does, but for the signals, which are the main thread's."""
    try:
        return worker._serve()
    finally:
        worker._release_next()


def test_a_job_that_was_claimed_as_another_was_completed_is_the_next_one(
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
    assert served(worker) is ExitCode.TRY_LATER
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


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (Result.DONE, ExitCode.DONE),
        (Result.FAILED, ExitCode.FAILED),
        (Result.RELEASED, ExitCode.TRY_LATER),
        (Result.REJECTED, ExitCode.TRY_LATER),
        (Result.LOST, ExitCode.TRY_LATER),
    ],
)
def test_a_worker_of_one_job_ends_with_what_became_of_it(
    home: Home, worker: Supervisor, monkeypatch: pytest.MonkeyPatch, result: Result, code: ExitCode
) -> None:
    home.jobs.publish(plan_of(JOBS, seconds=3600))
    monkeypatch.setattr(worker, "_settings", Settings("w1", Host("here", "own"), once=True))

    monkeypatch.setattr(worker, "_work", lambda *_: result)
    assert served(worker) is code


def test_a_worker_that_leaves_nothing_but_done_jobs_says_no_more(
    home: Home, worker: Supervisor, done: list[str]
) -> None:
    home.jobs.publish(plan_of([job for job in JOBS if job.name != ENDS_AFTER], seconds=3600))
    assert served(worker) is ExitCode.DONE
    assert len(done) == 2 and said(worker) == ""


def test_a_worker_that_leaves_only_what_failed_for_good_and_what_waits_for_it_says_so(
    home: Home, worker: Supervisor
) -> None:
    first = planned_job("first", Stage.TRAIN)
    home.jobs.publish(plan_of([first, *(planned_job(name, Stage.COMPRESS, [first]) for name in "ab")], seconds=3600))
    lease = home.jobs.claim(WorkerInfo("another"))
    assert lease is not None
    home.jobs.fail(lease, "the loss became nan", final=True)
    assert served(worker) is ExitCode.FAILED
    assert "1 job failed for good and 2 wait for that; orch status tells why" in said(worker)


def test_a_worker_that_cannot_do_what_is_left_says_so_and_leaves_it_to_others(
    home: Home, worker: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.jobs.publish(plan_of(JOBS, seconds=3600))
    monkeypatch.setattr(worker, "_excluded", frozenset(job.id for job in JOBS))
    assert served(worker) is ExitCode.TRY_LATER
    assert "cannot be done on this machine; orch status tells why" in said(worker)


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
        worker._shutdown.give("the test")

    monkeypatch.setattr(worker, "_work", given_back)
    monkeypatch.setattr(worker, "_idle", idle)
    served(worker)
    assert did == ["given back", "waited"]


def test_the_job_that_turned_out_not_to_be_for_this_machine_is_not_claimed_again(
    home: Home, runner: PlayedRunner, worker: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _ = sorted(JOBS, key=lambda job: job.id)
    home.jobs.publish(plan_of([first, second], seconds=3600))

    class RejectingSession:
        next = None
        job = first.id

        def __init__(self, jobs: JobTable, lease: Lease, _worker: Worker) -> None:
            self._jobs, self._lease = jobs, lease

        def run(self) -> Result:
            self._jobs.release(self._lease, "it does not fit", rejected=True)
            return Result.REJECTED

    monkeypatch.setattr(supervisor, "Session", RejectingSession)
    lease = worker._claim()
    assert lease is not None and lease.job == first.id
    worker._work(lease, cast(RunnerProcess, runner))
    claimed = worker._claim()
    assert claimed is not None and claimed.job == second.id


class FullStore(LocalStore):
    """The store of an account without room for more than so many bytes."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.room = 0
        self.asked: list[int] = []

    def put(self, file: Path) -> Artifact:
        size = file.stat().st_size
        self.asked.append(size)
        if size > self.room:
            raise StoreFull("The storage of ann@example.org is full.", size)
        return super().put(file)


@pytest.fixture
def full_store(home: Home, worker: Supervisor, tmp_path: Path) -> FullStore:
    """After a job of 1,000 bytes could not be kept."""
    store = FullStore(tmp_path / "full")
    worker._room = Room(store, lambda: tmp_path)
    worker._room.lacks(StoreFull("The storage of ann@example.org is full.", 1000))
    home.jobs.publish(plan_of(JOBS, seconds=3600))
    return store


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_SECONDS_BETWEEN_LOOKS", 0.0)
    monkeypatch.setattr(supervisor, "_STEP_BACK_SECONDS", 0.01)


@pytest.mark.usefixtures("looks_often")
def test_without_room_no_job_is_taken_and_with_room_again_all_of_them_are(
    home: Home, worker: Supervisor, full_store: FullStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken: list[str] = []

    def makes_room_at_the_third_look(_seconds: float) -> None:
        assert taken == []
        full_store.room = 1000 if len(full_store.asked) == 3 else 999

    def take(lease: Lease, _runner: object) -> Result:
        taken.append(lease.job)
        complete(home.jobs, lease, {"model": artifact(lease.job)}, {})
        return Result.DONE

    monkeypatch.setattr(worker, "_idle", makes_room_at_the_third_look)
    monkeypatch.setattr(worker, "_work", take)
    assert served(worker) is ExitCode.DONE
    assert sorted(taken) == sorted(job.id for job in JOBS)
    assert full_store.asked == [1000] * 4
    assert list(full_store.stored()) == [], "what was tried with is deleted"
    assert not (tmp_path / "probe").exists()


@pytest.mark.usefixtures("full_store", "looks_often")
def test_an_account_for_which_nobody_makes_room_leaves_the_study_to_others(
    worker: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PERSON_SECONDS", 0.05)
    assert served(worker) is ExitCode.TRY_LATER
    assert "cannot be kept by this account" in said(worker)


@pytest.mark.usefixtures("full_store")
def test_an_account_that_owns_no_storage_leaves_at_once(worker: Supervisor) -> None:
    worker._room.lacks(StoreFull("A service account owns no storage.", for_good=True))
    assert served(worker) is ExitCode.TRY_LATER


@pytest.mark.parametrize(("room_left", "lacking"), [(0, True), (1000, False)])
def test_what_is_short_is_said_before_the_first_job_and_what_is_full_takes_none(
    room_left: int, lacking: bool, home: Home, worker: Supervisor, tmp_path: Path
) -> None:
    class Short(FullStore):
        def shortage(self) -> str:
            return "0.1 GB are left in the Google storage of ann@example.org."

    store = Short(tmp_path / "short")
    store.room = room_left
    worker._home = replace(home, artifacts=store)
    worker._room = Room(store, lambda: tmp_path)
    worker._say_what_is_short()
    assert "0.1 GB are left" in said(worker)
    assert worker._room.is_lacking() is lacking


def closed(*_: object) -> bool:
    raise HomeClosed("The job table is in the bin; restore it at drive.google.com/drive/trash.")


def test_a_home_that_nobody_opens_again_ends_the_worker_with_what_to_do_and_try_later(
    worker: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "PERSON_SECONDS", 0.05)
    monkeypatch.setattr(outage, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(JobTable, "unfinished", closed)
    assert worker.run() is ExitCode.TRY_LATER
    told = said(worker)
    assert told.count("restore it at drive.google.com/drive/trash") == 2, "when it begins, and at the end"
    assert "start this worker again when it is mended" in told


def test_whoever_is_asked_to_stop_does_not_wait_for_a_home(worker: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JobTable, "unfinished", closed)
    asking = threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    asking.start()
    assert worker.run() is ExitCode.TRY_LATER
    assert "SIGTERM" in said(worker)


def test_a_runner_that_cannot_be_started_is_told_in_a_sentence(
    worker: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Because its log cannot be opened, say, on a full disk."""
    monkeypatch.setattr(worker._scratch, "path", tmp_path / "gone")
    monkeypatch.setattr(worker, "_runner", None)
    with pytest.raises(RunnerLost, match=r"No runner can be started here: .*No such file or directory"):
        Supervisor._runner_with(worker, 1)


def measure_on_each_device(home: Home, worker: Supervisor, *names: str) -> None:
    """Benchmarks that another machine has measured, in a study that wants them from this one, too."""
    home.jobs.publish(plan_of(map(planned_job, names), seconds=3600, devices="each"))
    while lease := home.jobs.claim(WorkerInfo("another")):
        complete(home.jobs, lease, {"model": artifact(lease.job)}, {"device": "an EPYC"})
    worker._remaining.devices = MeasuringDevices("a Xeon", "a Xeon")


def test_a_worker_measures_what_another_device_has_measured_before_it_ends(
    home: Home, worker: Supervisor, done: list[str]
) -> None:
    measure_on_each_device(home, worker, "c", "d")
    assert served(worker) is ExitCode.DONE
    assert [name.partition("/on-a-Xeon-")[0] for name in sorted(done)] == ["c", "d"]
    assert said(worker) == ""


def test_a_worker_of_one_job_measures_one_of_them(home: Home, worker: Supervisor, done: list[str]) -> None:
    measure_on_each_device(home, worker, "c", "d")
    worker._settings = replace(worker._settings, once=True)
    assert served(worker) is ExitCode.DONE
    assert len(done) == 1


def test_a_machine_without_tensorflow_measures_nothing(
    home: Home, worker: Supervisor, done: list[str], loaded: list[RunnerKind], monkeypatch: pytest.MonkeyPatch
) -> None:
    lack(worker, RunnerKind.TENSORFLOW, RunnerLost("There is no TensorFlow."), monkeypatch)
    measure_on_each_device(home, worker, "c")
    worker._remaining.devices = None
    assert served(worker) is ExitCode.DONE
    assert (done, loaded) == ([], [])


LEGACY_JOBS = [
    replace(job, spec={**job.spec, "runner": "legacy"}) for job in (planned_job(f"legacy{number}") for number in "123")
]


@pytest.fixture
def loaded(worker: Supervisor, monkeypatch: pytest.MonkeyPatch) -> list[RunnerKind]:
    """The kinds of the runners that were loaded."""
    kinds: list[RunnerKind] = []
    runner = PlayedRunner()

    def runner_with(_threads: int) -> PlayedRunner:
        runner.kind = worker._choice.kind
        if kinds[-1:] != [runner.kind]:
            kinds.append(runner.kind)
        return runner

    monkeypatch.setattr(worker, "_runner_with", runner_with)
    monkeypatch.setattr(worker, "_runner", runner)
    return kinds


def lack(worker: Supervisor, kind: RunnerKind, error: OrchError, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be no runner of this kind."""
    runner_with = worker._runner_with

    def found(threads: int) -> object:
        if worker._choice.kind is kind:
            raise error
        return runner_with(threads)

    monkeypatch.setattr(worker, "_runner_with", found)


def test_a_worker_changes_its_runner_when_nothing_is_left_for_the_present_one(
    home: Home, worker: Supervisor, done: list[str], loaded: list[RunnerKind]
) -> None:
    plain = [job for job in JOBS if job.name != ENDS_AFTER]
    home.jobs.publish(plan_of([*plain, *LEGACY_JOBS], seconds=3600))
    assert served(worker) is ExitCode.DONE
    assert sorted(done[: len(plain)]) == sorted(job.name for job in plain)
    assert len(done) == len(plain) + len(LEGACY_JOBS)
    assert loaded == [RunnerKind.TENSORFLOW, RunnerKind.LEGACY]


def test_where_legacy_keras_cannot_be_had_its_jobs_are_left_to_others_and_the_rest_is_done(
    home: Home, worker: Supervisor, done: list[str], loaded: list[RunnerKind], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [job for job in JOBS if job.name != ENDS_AFTER]
    lack(worker, RunnerKind.LEGACY, NoLegacyKeras("pip cannot install tf-keras here."), monkeypatch)
    home.jobs.publish(plan_of([*plain, *LEGACY_JOBS], seconds=3600))
    assert served(worker) is ExitCode.TRY_LATER
    assert sorted(done) == sorted(job.name for job in plain)
    assert "pip cannot install tf-keras here. Jobs that need legacy Keras are left to other workers." in said(worker)
    assert loaded == [RunnerKind.TENSORFLOW]
    left = [job for job in home.jobs.jobs() if job.state is not JobState.DONE]
    assert {job.name for job in left} == {job.name for job in LEGACY_JOBS}
    assert all("cannot do it: pip cannot install tf-keras here." in (job.error or "") for job in left)


def test_a_machine_without_tensorflow_trains_with_jax_and_leaves_the_rest_to_others(
    home: Home, worker: Supervisor, done: list[str], loaded: list[RunnerKind], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [job for job in JOBS if job.name != ENDS_AFTER]
    on_jax = [replace(job, spec={**job.spec, "backend": "jax"}) for job in map(planned_job, ("jax1", "jax2"))]
    lack(worker, RunnerKind.TENSORFLOW, RunnerLost("There is no TensorFlow."), monkeypatch)
    home.jobs.publish(plan_of([*plain, *on_jax], seconds=3600))
    assert served(worker) is ExitCode.TRY_LATER
    assert sorted(done) == ["jax1", "jax2"]
    assert "There is no TensorFlow. Jobs that need TensorFlow are left to other workers." in said(worker)
    assert loaded == [RunnerKind.JAX]
