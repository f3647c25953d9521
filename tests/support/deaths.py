"""Killing workers at chosen moments, and what must hold of the attempts afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from itertools import pairwise

from orchestrator.home import Home
from orchestrator.jobs import Ending, Job, JobState, Stage
from tests.support.processes import Worker, alive, wait_until

OFTEN = ("--checkpoint-seconds", "0.4")
"""Options of a worker that takes checkpoints within trainings of seconds."""

Moment = Callable[[Home, Job], bool]


def just_claimed(_: Home, job: Job) -> bool:
    return job.stage is Stage.TRAIN and step(job) == 0


def before_any_checkpoint(home: Home, job: Job) -> bool:
    return job.stage is Stage.TRAIN and step(job) > 0 and not home.jobs.checkpoints(job.id)


def after_a_checkpoint(home: Home, job: Job) -> bool:
    return job.stage is Stage.TRAIN and len(home.jobs.checkpoints(job.id)) > 0


def between_two_checkpoints(home: Home, job: Job) -> bool:
    kept = home.jobs.checkpoints(job.id)
    return len(kept) == 2 and step(job) > kept[0].step


def near_its_end(_: Home, job: Job) -> bool:
    return job.stage is Stage.TRAIN and step(job) >= 0.8 * job.spec["visit"]["steps"]


def while_compressing(_: Home, job: Job) -> bool:
    return job.stage is Stage.COMPRESS


def while_measuring(_: Home, job: Job) -> bool:
    return job.stage is Stage.BENCHMARK


def step(job: Job) -> int:
    return int(job.progress.get("step", 0))


def held_at(home: Home, moments: list[Moment], crew: Container[str | None]) -> str | None:
    """Who of the crew holds a job at the next moment that is wanted; the moment is then taken from the list.

    A worker that was killed seems to hold its job until the lease expires.
    """
    for job in home.jobs.jobs():
        if job.state is not JobState.RUNNING or job.worker not in crew:
            continue
        for moment in moments:
            if moment(home, job):
                moments.remove(moment)
                return job.worker
    return None


def kill_with_its_runner(worker: Worker) -> None:
    """SIGKILL; the runner, which nobody told, must end by itself."""
    runner = worker.runner_pid()
    worker.kill()
    wait_until(lambda: not alive(runner), "the end of a runner whose supervisor was killed")


def kill_one_after_a_checkpoint(home: Home, crew: dict[str, Worker]) -> None:
    """The others of the crew finish the study."""
    victim = None
    while victim is None and not any(worker.ended for worker in crew.values()):
        victim = held_at(home, [after_a_checkpoint], crew)
        time.sleep(0.01)
    assert victim is not None, "a worker ended before any had a checkpoint"
    kill_with_its_runner(crew.pop(victim))
    for survivor in crew.values():
        survivor.wait()

    assert {job.state for job in home.jobs.jobs()} == {JobState.DONE}
    (death,) = [attempt for attempt in home.jobs.attempts() if attempt.outcome is Ending.EXPIRED]
    assert death.worker == victim
    assert home.jobs.attempts(death.job)[1].from_step > 0, "a survivor goes on from the victim's checkpoint"
    assert_one_holder_at_a_time(home)


def assert_one_holder_at_a_time(home: Home) -> None:
    for job in home.jobs.jobs():
        attempts = home.jobs.attempts(job.id)
        assert [attempt.number for attempt in attempts] == list(range(1, len(attempts) + 1))
        assert [attempt.outcome for attempt in attempts].count(Ending.DONE) == 1
        for before, after in pairwise(attempts):
            assert before.ended is not None
            assert before.ended <= after.started, f"{job.name} had two holders"
