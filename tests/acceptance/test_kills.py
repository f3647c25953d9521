"""Workers are killed at any moment, and the study ends as if nobody had died.

What is computed does not depend on where the home is: trainings in TensorFlow are disturbed in a directory (here, and
once in the usual suite in `test_damage.py`), those of the stand-in on PostgreSQL and in an object store.
"""

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
from tests.support.object_store import ObjectServer
from tests.support.object_store.signed_in import url_in
from tests.support.postgres_server import fresh_database
from tests.support.processes import wait_until, workers
from tests.support.runners import STAND_IN, TENSORFLOW, Runner

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


def without_compression(study: Study) -> Study:
    """Its trainings alone."""
    models = tuple(model.model_copy(update={"compress": ()}) for model in study.models)
    return study.model_copy(update={"models": models})


TRAININGS = without_compression(STUDY)
IN_ONE_VISIT = TRAININGS.model_copy(
    update={
        "models": TRAININGS.models[:1],
        "shards": 1,
        "training": STUDY.training.model_copy(update={"epochs": 2, "epochs_per_visit": 2}),
    }
)
"""One network, with seconds from the first step to the last: who dies or is asked to end in between has not ended."""


def undisturbed(study: Study, place: Path, runner: Runner = TENSORFLOW) -> dict[str, str]:
    """The weights of every training when one worker does everything and nobody is killed."""
    home = Home.open(publish(study, place / "alone", None).home)
    with workers(home.url, place, runner=runner) as start:
        start().wait()
    assert all(attempt.outcome is Ending.DONE for attempt in home.jobs.attempts())
    return weights(home)


def weights(home: Home) -> dict[str, str]:
    return {
        job.name: job.metrics["weights_sha256"]
        for job in home.jobs.jobs()
        if job.stage is Stage.TRAIN and job.metrics is not None
    }


MOMENTS: list[Moment] = [
    deaths.just_claimed,
    deaths.before_any_checkpoint,
    deaths.between_two_checkpoints,
    deaths.near_its_end,
    deaths.while_compressing,
    deaths.while_measuring,
]


# Each death costs a worker, which loads TensorFlow: one dies in `test_damage.py`.  At any moment at all, in any stage,
# workers of the campaign die, without it.
@pytest.mark.slow
def test_whenever_they_are_killed_the_weights_are_the_same_bits(tmp_path: Path) -> None:
    (tmp_path / "undisturbed").mkdir()
    expected = undisturbed(TRAININGS, tmp_path / "undisturbed")
    home = Home.open(publish(STUDY, tmp_path / "home", None).home)
    left = list(MOMENTS)
    with workers(home.url, tmp_path, *OFTEN) as start:
        crew = {worker.name: worker for worker in (start(), start())}
        while left and not all(worker.ended for worker in crew.values()):
            victim = held_at(home, left, crew)
            if victim is not None:
                kill_with_its_runner(crew.pop(victim))
                replacement = start()
                crew[replacement.name] = replacement
            time.sleep(0.01)
        for worker in crew.values():
            worker.wait()

    assert len(left) <= len(MOMENTS) / 3, f"too few moments came; left are {[moment.__name__ for moment in left]}"
    assert {job.state for job in home.jobs.jobs()} == {JobState.DONE}
    assert weights(home) == expected
    assert any(attempt.number > 1 and attempt.from_step > 0 for attempt in home.jobs.attempts())
    assert_one_holder_at_a_time(home)


def test_on_postgresql_a_killed_worker_changes_no_weight(postgres: str, tmp_path: Path) -> None:
    (tmp_path / "undisturbed").mkdir()
    expected = undisturbed(TRAININGS, tmp_path / "undisturbed", STAND_IN)
    files = str(tmp_path / "files")
    with fresh_database(postgres) as database:
        home = Home.open(publish(TRAININGS, database, None, artifacts=files).home, files)
        with workers(database, tmp_path, "--artifacts", files, *OFTEN, runner=STAND_IN) as start:
            crew = {worker.name: worker for worker in (start(), start())}
            kill_one_after_a_checkpoint(home, crew)

        assert weights(home) == expected
        home.jobs.close()


def test_in_an_object_store_a_killed_worker_changes_no_weight(
    object_server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "undisturbed").mkdir()
    expected = undisturbed(TRAININGS, tmp_path / "undisturbed", STAND_IN)
    # Its clock is told in whole seconds.
    home = Home.open(publish(TRAININGS.with_lease_seconds(4.0), url_in(object_server), None).home)
    monkeypatch.setattr(home.jobs._backend, "_reads_good_for", 0.0)
    with workers(home.url, tmp_path, *OFTEN, runner=STAND_IN) as start:
        crew = {worker.name: worker for worker in (start(), start())}
        kill_one_after_a_checkpoint(home, crew)
    assert weights(home) == expected
    named = {f"studies/one/artifacts/{location}" for location in home.jobs.referenced_locations()}
    assert named <= object_server.objects().keys()


def gone_beyond(home: Home, reached: int) -> bool:
    return max(map(step, home.jobs.jobs())) > reached


# With TensorFlow a worker is asked to end in `test_damage.py`.
def test_asked_to_end_a_worker_checkpoints_gives_back_and_ends_well(tmp_path: Path) -> None:
    (tmp_path / "undisturbed").mkdir()
    expected = undisturbed(IN_ONE_VISIT, tmp_path / "undisturbed", STAND_IN)
    asked = Home.open(publish(IN_ONE_VISIT, tmp_path / "asked", None).home)
    with workers(asked.url, tmp_path, runner=STAND_IN.paced(0.05)) as start:
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
    assert weights(asked) == expected
