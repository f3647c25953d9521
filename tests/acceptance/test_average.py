"""Several workers train one model at once, one of them is killed, and the weights are those of a worker alone.

A stand-in computes: to the same bits trains JAX in `test_jax_study.py`, and TensorFlow, with workers that die at any
step, in `integration/test_training_is_exact.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.home import Home
from orchestrator.jobs import Job, JobState, Stage
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support.deaths import OFTEN, kill_one_after_a_checkpoint
from tests.support.processes import wait_until, workers
from tests.support.runners import STAND_IN

STUDY = Study.parse("""
name = "average"
dataset = "synthetic"
train_images = 2600
test_images = 100
shards = 2

[training]
mode = "average"
outer = "nesterov"
epochs = 12
epochs_per_visit = 6
threads = 1

[[models]]
architecture = "alexnet-tiny"
compress = []

[leases]
seconds = 2
""")


@pytest.fixture
def alone(tmp_path: Path) -> Home:
    """The study when one worker does everything and nobody is killed."""
    home = Home.open(publish(STUDY, tmp_path / "alone", None).home)
    with workers(home.url, tmp_path, runner=STAND_IN) as start:
        start().wait()
    return home


def test_who_trained_which_shard_and_who_died_at_it_changes_no_bit(alone: Home, tmp_path: Path) -> None:
    place = tmp_path / "several"
    place.mkdir()
    home = Home.open(publish(STUDY, place / "home", None).home)
    with workers(home.url, place, *OFTEN, runner=STAND_IN) as start:
        crew = {worker.name: worker for worker in (start(), start())}
        wait_until(lambda: {job.worker for job in trained_now(home)} == crew.keys(), "a shard for each worker")
        kill_one_after_a_checkpoint(home, crew)

    assert weights(home) == weights(alone)
    assert kept_states(home) == kept_states(alone) == ["alexnet-tiny/seed0/merge/r01"]


def weights(home: Home) -> dict[str, str]:
    return {job.name: str(job.metrics["weights_sha256"]) for job in ends(home) if job.metrics is not None}


def kept_states(home: Home) -> list[str]:
    return [job.name for job in ends(home) if "state" in home.jobs.outputs(job.id)]


def trained_now(home: Home) -> list[Job]:
    return [job for job in home.jobs.jobs() if job.stage is Stage.TRAIN and job.state is JobState.RUNNING]


def ends(home: Home) -> list[Job]:
    return [job for job in home.jobs.jobs() if job.stage in (Stage.TRAIN, Stage.MERGE)]
