"""The job table under real processes: racing, killed, late, and out of reach of it."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import Connection

from orchestrator.errors import HomeError
from orchestrator.jobs import (
    Artifact,
    Attempt,
    Ending,
    Finished,
    JobState,
    Lease,
    PlannedJob,
    WorkerInfo,
)
from orchestrator.jobtable import JobTable, LeaseLost
from orchestrator.jobtable.backends.backend import Backend
from tests.support.jobtable_backends import (
    BackendOf,
    Scale,
    SettableBackend,
    artifact,
    complete,
    on_every_kind,
    output_names,
    plan_of,
    planned_job,
)
from tests.support.processes import PATIENCE_SECONDS, wait_until

# A server that has everything loaded forks the workers: one that was killed has a successor within milliseconds.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.support.jobtable_backends"])

RACERS = 4
SECONDS_BETWEEN_KILLS = (0.1, 0.5)
MOST_KILLS = 25
"""On a machine under load a racer would else be killed, again and again, before it had claimed anything."""


@pytest.fixture
def table(backend: SettableBackend) -> Iterator[JobTable]:
    table = JobTable(backend, "here")
    table.create()
    yield table
    table.close()


# --- processes that are killed at any moment ---


@on_every_kind(often=["sqlite", "postgresql", "drive"])
def test_no_kill_makes_a_job_run_twice_at_once_or_get_lost_or_done_twice(backend_of: BackendOf, tmp_path: Path) -> None:
    table = JobTable(backend_of.in_real_time("jobs"), "here")
    table.create()
    scale = backend_of.scale
    jobs = scale.jobs
    graph = _groups(jobs)
    table.publish(plan_of(graph, seconds=scale.lease_seconds, tries=jobs))
    race = Race(backend_of, tmp_path)
    race.run_until_all_is_done(table)
    assert race.killed, "the race was over before anybody was killed"
    assert table.overview().counts == {JobState.DONE: jobs}
    history = _history(table)
    _check_runs_follow_each_other(history, scale)
    _check_parents_were_done_first(history, graph)
    _check_told(race.told(), race.killed, history)
    table.close()


def _groups(jobs: int) -> list[PlannedJob]:
    """Five jobs each: three wait for the first, the last waits for those three."""
    made: list[PlannedJob] = []
    for number in range(jobs // 5):
        first = planned_job(f"{number}/first")
        middle = [planned_job(f"{number}/{name}", parents=[first]) for name in ("a", "b", "c")]
        made += [first, *middle, planned_job(f"{number}/last", parents=middle)]
    return made


class Race:
    """Workers of which one after the other is killed and replaced, and one that is always too late."""

    def __init__(self, backend_of: BackendOf, directory: Path) -> None:
        self._backend_of = backend_of
        self._directory = directory
        self._random = random.Random(0)
        self._started = 0
        self.killed: set[str] = set()

    def run_until_all_is_done(self, table: JobTable) -> None:
        late = self._start(pause=1.5 * self._backend_of.scale.lease_seconds)
        wait_until(lambda: bool(table.attempts()), "the first claim of the worker that is always late")
        racers = [self._start() for _ in range(RACERS)]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while table.unfinished():
            assert time.monotonic() < deadline, f"the jobs were not done in {PATIENCE_SECONDS:.0f} s"
            time.sleep(self._random.uniform(*SECONDS_BETWEEN_KILLS))
            place = self._random.randrange(RACERS)
            if racers[place].is_alive() and len(self.killed) < MOST_KILLS:
                self._kill(racers[place])
                racers[place] = self._start()
        for process in (*racers, late):
            process.join(PATIENCE_SECONDS)
            assert process.exitcode == 0, f"{process.name} ended with {process.exitcode}"

    def told(self) -> list[tuple[str, str, str]]:
        """What the workers wrote down: who, "done" or "lost", and the job."""
        return [
            (file.stem, said, job)
            for file in sorted(self._directory.glob("*.told"))
            for said, job in map(str.split, file.read_text().splitlines())
        ]

    def _start(self, pause: float = 0.0) -> BaseProcess:
        self._started += 1
        name = f"w{self._started}"
        told = self._directory / f"{name}.told"
        process = PROCESSES.Process(target=_work, args=(self._backend_of, name, told, pause), name=name, daemon=True)
        process.start()
        return process

    def _kill(self, process: BaseProcess) -> None:
        process.kill()
        process.join()
        assert process.exitcode in (-signal.SIGKILL, 0), f"{process.name} ended with {process.exitcode}"
        if process.exitcode != 0:  # it may have found nothing left to do just before
            self.killed.add(process.name)


def _work(backend_of: BackendOf, worker: str, told: Path, pause: float) -> None:
    """Do nothing for each job, and write down what the table said to it; in a process of its own."""
    table = JobTable(backend_of.in_real_time("jobs"), "here")
    info = WorkerInfo(worker)
    following: Lease | None = None
    with told.open("a") as file:
        while table.unfinished():
            lease, following = following or table.claim(info), None
            if lease is None:
                time.sleep(backend_of.scale.lease_seconds / 20)
                continue
            time.sleep(pause)
            try:
                done = [Finished(lease.job, _outputs(lease), {})]
                following = table.complete(lease, done, info, or_best=True).next
                file.write(f"done {lease.job}\n")
            except LeaseLost:
                file.write(f"lost {lease.job}\n")
            file.flush()


def _outputs(lease: Lease) -> dict[str, Artifact]:
    return {name: artifact(lease.name) for name in output_names(lease.stage)}


History = dict[str, list[Attempt]]
"""The attempts of each job, in the order of their numbers."""


def _history(table: JobTable) -> History:
    history: History = defaultdict(list)
    for attempt in sorted(table.attempts(), key=lambda attempt: attempt.number):
        history[attempt.job].append(attempt)
    return history


def _check_runs_follow_each_other(history: History, scale: Scale) -> None:
    for attempts in history.values():
        assert [attempt.number for attempt in attempts] == list(range(1, len(attempts) + 1))
        assert [attempt.outcome for attempt in attempts] == [Ending.EXPIRED] * (len(attempts) - 1) + [Ending.DONE]
        assert all(_ended(earlier) <= later.started for earlier, later in pairwise(attempts))
        # Nobody was taken for dead before a whole lease of silence.
        silence = scale.lease_seconds - scale.skew_seconds
        assert all(_ended(dead) - dead.seen > silence for dead in attempts[:-1])


def _check_parents_were_done_first(history: History, graph: list[PlannedJob]) -> None:
    for job in graph:
        assert all(_ended(history[parent][-1]) <= history[job.id][0].started for parent in job.parents)


def _check_told(told: list[tuple[str, str, str]], killed: set[str], history: History) -> None:
    finishers = {job: attempts[-1].worker for job, attempts in history.items()}
    done = [(worker, job) for worker, outcome, job in told if outcome == "done"]
    assert len(done) == len({job for _, job in done}), "a job was completed twice"
    assert all(finishers[job] == worker for worker, job in done)
    unheard = finishers.keys() - {job for _, job in done}
    assert {finishers[job] for job in unheard} <= killed, "only a killed worker leaves a commit untold"
    lost = [(worker, job) for worker, outcome, job in told if outcome == "lost"]
    assert lost, "the worker that is always late never met another's result"
    expired = {(attempt.worker, job) for job, attempts in history.items() for attempt in attempts[:-1]}
    assert set(lost) <= expired


def _ended(attempt: Attempt) -> float:
    assert attempt.ended is not None, f"attempt {attempt.number} at {attempt.job} is still open"
    return attempt.ended


# --- several that want the same job at the same moment ---


@on_every_kind(often=["sqlite", "postgresql", "s3"])
@pytest.mark.parametrize("comes_back", [False, True], ids=["its holder is dead", "its holder comes back"])
def test_of_two_that_reap_a_job_together_and_its_late_holder_one_gets_it(
    backend_of: BackendOf, tmp_path: Path, table: JobTable, backend: SettableBackend, comes_back: bool
) -> None:
    rounds = backend_of.scale.rounds
    table.publish(plan_of(_chain(rounds), tries=rounds))
    together = PROCESSES.Barrier(3)
    files = [tmp_path / "a.won", tmp_path / "b.won"]
    reapers = [PROCESSES.Process(target=_reap, args=(backend_of, file, together), daemon=True) for file in files]
    for reaper in reapers:
        reaper.start()
    won = []
    for _ in range(rounds):
        backend.clock += SECONDS_OF_A_ROUND
        lease = table.claim(WorkerInfo("holder"))
        assert lease is not None
        together.wait(PATIENCE_SECONDS)
        if comes_back:
            with suppress(LeaseLost):
                complete(table, lease, _outputs(lease), {})
                won.append(lease.name)
        together.wait(PATIENCE_SECONDS)
        together.wait(PATIENCE_SECONDS)
    for reaper in reapers:
        reaper.join(PATIENCE_SECONDS)
        assert reaper.exitcode == 0
    won += [name for file in files for name in file.read_text().split()]
    assert sorted(won) == sorted(job.name for job in _chain(rounds))
    assert table.overview().counts == {JobState.DONE: rounds}


SECONDS_OF_A_ROUND = 100.0


def _chain(jobs: int) -> list[PlannedJob]:
    """Only one of them can be claimed at any time."""
    made: list[PlannedJob] = []
    for number in range(jobs):
        made.append(planned_job(f"round{number}", parents=made[-1:]))
    return made


def _reap(backend_of: BackendOf, won: Path, together: Barrier) -> None:
    """In every round claim when the others do, some seconds after the holder's lease has expired."""
    backend = backend_of("jobs")
    backend.clock += 6.0
    table = JobTable(backend, "here")
    with won.open("w") as file:
        for number in range(backend_of.scale.rounds):
            backend.clock += SECONDS_OF_A_ROUND
            together.wait(PATIENCE_SECONDS)
            lease = table.claim(WorkerInfo(won.stem))
            together.wait(PATIENCE_SECONDS)
            if lease is not None and lease.name == f"round{number}":
                complete(table, lease, _outputs(lease), {})
                file.write(f"{lease.name}\n")
            elif lease is not None:  # the holder had completed its job, and this is the next one
                table.release(lease)
            together.wait(PATIENCE_SECONDS)


# --- a table that cannot be reached ---

LEASE = 5.0
BEATS = 100


def test_a_table_that_is_reached_every_other_time_costs_no_run(table: JobTable, backend: SettableBackend) -> None:
    table.publish(plan_of(_chain(1), seconds=LEASE))
    lease = table.claim(WorkerInfo("w1"))
    assert lease is not None
    for beat in range(BEATS):
        backend.clock += LEASE / 3
        if beat % 2:
            lease = table.renew(lease, {"step": beat})
        else:
            with _unreachable(backend, after_the_commit=beat % 4 == 0), pytest.raises(HomeError):
                table.renew(lease, {"step": beat})
            assert table.claim(WorkerInfo("w2")) is None
    complete(table, lease, _outputs(lease), {})
    assert [attempt.outcome for attempt in table.attempts()] == [Ending.DONE]


def test_a_silence_longer_than_the_lease_costs_one_run_however_many_wait(
    table: JobTable, backend: SettableBackend
) -> None:
    table.publish(plan_of(_chain(1), seconds=LEASE))
    silent = table.claim(WorkerInfo("w1"))
    assert silent is not None
    with _unreachable(backend), pytest.raises(HomeError):
        table.renew(silent)
    taken: list[Lease] = []
    for _ in range(30):
        backend.clock += LEASE / 10
        claims = [table.claim(WorkerInfo(worker)) for worker in ("w2", "w3")]
        taken = [table.renew(lease) for lease in (*taken, *claims) if lease is not None]
    with pytest.raises(LeaseLost):
        table.renew(silent)
    assert [lease.worker for lease in taken] == ["w2"]
    complete(table, taken[0], _outputs(taken[0]), {})
    assert [attempt.outcome for attempt in table.attempts()] == [Ending.EXPIRED, Ending.DONE]
    first, second = table.attempts()
    assert LEASE < second.started - first.started < LEASE * 1.11


@contextmanager
def _unreachable(backend: Backend, *, after_the_commit: bool = False) -> Iterator[None]:
    """No transaction succeeds; one that breaks after its commit has happened, and nobody is told so."""
    real = backend.transact

    def broken(change: Callable[[Connection], Any], *, exclusive: bool = False) -> Any:
        if after_the_commit:
            real(change, exclusive=exclusive)
        raise HomeError("The table cannot be reached.")

    with mock.patch.object(backend, "transact", broken):
        yield
