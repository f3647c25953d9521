"""A study that is trained with JAX: killed anywhere, the same bits, and no TensorFlow is needed to train."""

from __future__ import annotations

import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from orchestrator.errors import ExitCode
from orchestrator.home import Home
from orchestrator.jobs import JobState, Stage
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support.deaths import OFTEN, after_a_checkpoint, held_at, kill_with_its_runner
from tests.support.processes import wait_until, workers

STUDY = Study.parse("""
name = "on-jax"
dataset = "synthetic"
train_images = 1300
test_images = 100
shards = 2

[training]
mode = "average"
backend = "jax"
epochs = 8
epochs_per_visit = 8
threads = 1

[[models]]
architecture = "alexnet-tiny"
compress = ["dynamic-int8"]

[benchmark]
batch_sizes = [1]
threads = [1]

[leases]
seconds = 3
tries = 5
""")


# JAX compiles the network anew in every process.
@pytest.mark.slow
def test_machines_without_tensorflow_train_and_the_rest_is_done_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, disturbed = (planned(tmp_path / name) for name in ("undisturbed", "disturbed"))
    with workers(undisturbed.url, tmp_path / "undisturbed") as start:
        start().wait()

    with monkeypatch.context() as notebook, workers(disturbed.url, tmp_path / "disturbed", *OFTEN) as start:
        notebook.setattr(sys, "executable", without_tensorflow(tmp_path / "notebook"))
        victim = start()
        wait_until(
            lambda: held_at(disturbed, [after_a_checkpoint], {victim.name}) is not None, "a checkpoint of a training"
        )
        kill_with_its_runner(victim)
        other = start()
        other.wait(ExitCode.TRY_LATER)
        said = other.log.read_text()
    assert "Jobs that need TensorFlow are left to other workers." in said
    left = {job.stage for job in disturbed.jobs.jobs() if job.state is not JobState.DONE}
    assert left == {Stage.COMPRESS, Stage.BENCHMARK}

    (tmp_path / "elsewhere").mkdir()
    with workers(disturbed.url, tmp_path / "elsewhere") as start:
        start().wait()
    assert {job.state for job in disturbed.jobs.jobs()} == {JobState.DONE}
    assert weights(disturbed) == weights(undisturbed)


def planned(place: Path) -> Home:
    place.mkdir()
    return Home.open(publish(STUDY, place / "home", None).home)


def without_tensorflow(place: Path) -> str:
    """A Python that has all that this one has, but for TensorFlow, as in Colab's notebooks with a TPU."""
    venv.create(place, symlinks=True)
    (packages,) = (place / "lib").glob("python*/site-packages")
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if not package.name.startswith("tensorflow"):
            (packages / package.name).symlink_to(package)
    return str(place / "bin" / "python")


def weights(home: Home) -> dict[str, str]:
    measured = {job.name: job.metrics or {} for job in home.jobs.jobs()}
    return {name: metrics["weights_sha256"] for name, metrics in measured.items() if "weights_sha256" in metrics}
