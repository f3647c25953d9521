"""Workers are killed at any moment, and the study ends as if nobody had died."""

from __future__ import annotations

import signal
import time
from functools import partial
from pathlib import Path

import pytest

from orchestrator.errors import ExitCode
from orchestrator.home import Home
from orchestrator.jobs import Ending, JobState, Stage
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support import deaths
from tests.support.deaths import (
    OFTEN,
    Moment,
    assert_one_holder_at_a_time,
    held_at,
    kill_one_after_a_checkpoint,
    kill_with_its_runner,
    step,
)
from tests.support.postgres_server import fresh_database
from tests.support.processes import wait_until, workers

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


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The weights of every training when one worker does everything and nobody is killed."""
    place = tmp_path_factory.mktemp("undisturbed")
    home = Home.open(publish(TRAININGS, place / "home", None).home)
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


def test_killed_at_any_moment_the_weights_are_the_same_bits(undisturbed: dict[str, str], tmp_path: Path) -> None:
    home = Home.open(publish(STUDY, tmp_path / "home", None).home)
    moments: list[Moment] = [
        deaths.just_claimed,
        deaths.before_any_checkpoint,
        deaths.between_two_checkpoints,
        deaths.near_its_end,
        deaths.while_compressing,
        deaths.while_measuring,
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
            kill_one_after_a_checkpoint(home, crew)

        assert weights(home) == undisturbed
        home.jobs.close()


# Ten seconds at least from the first step to the last: whoever is asked to end in between has not ended by itself.
LONG = ONE_MODEL.model_copy(
    update={
        "shards": 1,
        "training": ONE_MODEL.training.model_copy(update={"epochs": 16, "epochs_per_visit": 16}),
    }
)


def gone_beyond(home: Home, reached: int) -> bool:
    return max(map(step, home.jobs.jobs())) > reached


def test_asked_to_end_a_worker_checkpoints_gives_back_and_ends_well(tmp_path: Path) -> None:
    alone, asked = (Home.open(publish(LONG, tmp_path / name, None).home) for name in ("alone", "asked"))
    with workers(alone.url, tmp_path) as start:
        start().wait()
    (tmp_path / "logs").mkdir()
    with workers(asked.url, tmp_path / "logs") as start:
        for request in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            reached = max(map(step, asked.jobs.jobs()))
            worker = start()
            wait_until(partial(gone_beyond, asked, reached), "the next steps")
            began = time.monotonic()
            worker.process.send_signal(request)
            worker.wait(ExitCode.TRY_LATER)
            assert time.monotonic() - began < 30
            attempt = asked.jobs.attempts()[-1]
            assert attempt.outcome is Ending.RELEASED
            assert attempt.to_step > reached
            assert asked.jobs.checkpoints(attempt.job)[0].step == attempt.to_step
        start().wait()
    attempts = asked.jobs.attempts()
    assert [attempt.from_step for attempt in attempts[1:]] == [attempt.to_step for attempt in attempts[:-1]]
    assert weights(asked) == weights(alone)
