"""Workers are killed at any moment, and the study ends as if nobody had died."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Container
from itertools import pairwise
from pathlib import Path

import pytest

from orchestrator.home import Home
from orchestrator.jobs import Ending, Job, JobState, Stage
from orchestrator.planning import publish
from orchestrator.study import Study
from tests.postgres_server import fresh_database
from tests.processes import Worker, alive, wait_until, workers

STUDY = Study.parse("""
name = "kills"
dataset = "synthetic"
train_images = 2600
test_images = 200
shards = 2

[training]
epochs = 4
epochs_per_visit = 4
threads = 1

[[models]]
architecture = "alexnet-tiny"

[[models]]
architecture = "vit-tiny"

[benchmark]
batch_sizes = [1]
threads = [1]

[leases]
seconds = 2
tries = 3
""")
ONE_MODEL = STUDY.model_copy(update={"models": (STUDY.models[0].model_copy(update={"compress": ()}),)})
TRAININGS = STUDY.model_copy(
    update={"models": tuple(model.model_copy(update={"compress": ()}) for model in STUDY.models)}
)
OFTEN = ("--checkpoint-seconds", "0.4")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The weights of every training when one worker does everything and nobody is killed."""
    place = tmp_path_factory.mktemp("undisturbed")
    home = Home.open(publish(STUDY, place / "home", None).home)
    with workers(home.url, place) as start:
        start().wait()
    assert all(attempt.outcome is Ending.DONE for attempt in home.jobs.attempts())
    return weights(home)


def weights(home: Home) -> dict[str, str]:
    return {
        job.name: job.metrics["weights_sha256"]
        for job in home.jobs.jobs()
        if job.stage is Stage.TRAIN and job.metrics is not None
    }


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


def test_killed_at_any_moment_the_weights_are_the_same_bits(undisturbed: dict[str, str], tmp_path: Path) -> None:
    home = Home.open(publish(STUDY, tmp_path / "home", None).home)
    moments: list[Moment] = [
        just_claimed,
        before_any_checkpoint,
        between_two_checkpoints,
        near_its_end,
        while_compressing,
        while_measuring,
    ]
    with workers(home.url, tmp_path, *OFTEN) as start:
        crew = {worker.name: worker for worker in (start(), start())}
        killed = 0
        while moments and not all(worker.ended for worker in crew.values()):
            victim = held_at(home, moments, crew)
            if victim is not None:
                kill_with_its_runner(crew.pop(victim))
                killed += 1
                replacement = start()
                crew[replacement.name] = replacement
            time.sleep(0.01)
        for worker in crew.values():
            worker.wait()

    assert killed >= 4, f"only {killed} moments came; left are {[moment.__name__ for moment in moments]}"
    assert {job.state for job in home.jobs.jobs()} == {JobState.DONE}
    assert weights(home) == undisturbed
    assert_one_holder_at_a_time(home)


def test_on_postgresql_a_killed_worker_changes_no_weight(
    undisturbed: dict[str, str], postgres: str, tmp_path: Path
) -> None:
    files = str(tmp_path / "files")
    with fresh_database(postgres) as database:
        home = Home.open(publish(TRAININGS, database, None, artifacts=files).home, files)
        with workers(database, tmp_path, "--artifacts", files, *OFTEN) as start:
            crew = {worker.name: worker for worker in (start(), start())}
            victim = None
            while victim is None and not any(worker.ended for worker in crew.values()):
                victim = held_at(home, [after_a_checkpoint], crew)
                time.sleep(0.01)
            assert victim is not None, "a worker ended before any had a checkpoint"
            kill_with_its_runner(crew.pop(victim))
            for survivor in crew.values():
                survivor.wait()

        assert {job.state for job in home.jobs.jobs()} == {JobState.DONE}
        assert weights(home) == undisturbed
        (death,) = [attempt for attempt in home.jobs.attempts() if attempt.outcome is Ending.EXPIRED]
        assert death.worker == victim
        assert home.jobs.attempts(death.job)[1].from_step > 0, "the survivor goes on from the victim's checkpoint"
        assert_one_holder_at_a_time(home)
        home.jobs.close()


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


def assert_one_holder_at_a_time(home: Home) -> None:
    for job in home.jobs.jobs():
        attempts = home.jobs.attempts(job.id)
        assert [attempt.number for attempt in attempts] == list(range(1, len(attempts) + 1))
        assert [attempt.outcome for attempt in attempts].count(Ending.DONE) == 1
        for before, after in pairwise(attempts):
            assert before.ended is not None
            assert before.ended <= after.started, f"{job.name} had two holders"


def test_asked_to_end_a_worker_checkpoints_gives_back_and_ends_well(
    undisturbed: dict[str, str], tmp_path: Path
) -> None:
    home = Home.open(publish(ONE_MODEL, tmp_path / "home", None).home)
    with workers(home.url, tmp_path) as start:
        first = start()
        wait_until(lambda: any(step(job) > 0 for job in home.jobs.jobs()), "the first steps")
        asked = time.monotonic()
        first.process.send_signal(signal.SIGTERM)
        assert first.wait() == 0
        assert time.monotonic() - asked < 30
        (attempt,) = [attempt for attempt in home.jobs.attempts() if attempt.outcome is not Ending.DONE]
        assert attempt.outcome is Ending.RELEASED
        assert [kept.step for kept in home.jobs.checkpoints(attempt.job)] == [attempt.to_step]
        start().wait()
    assert weights(home).items() <= undisturbed.items()
    assert home.jobs.attempts(attempt.job)[1].from_step == attempt.to_step
