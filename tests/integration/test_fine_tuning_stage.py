"""A fine-tuning as a runner does it, and the file that is exported of it."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import datasets
from models.measurement.litert import LiteRTClassifier
from models.recipes import Recipe, Training
from models.training import checkpoint
from models.training.trainer import Trainer, TrainState
from orchestrator.jobs import PlannedJob
from orchestrator.planning.planner import make_plan
from orchestrator.study import Study
from tests.conftest import SMALL
from workers.checkpoint_policy import CheckpointPolicy
from workers.runner.connection import Connection
from workers.runner.messages import CheckpointDiscarded, Finished, RunJob
from workers.runner.stages import compress
from workers.runner.stages.states import InputUnusable


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a training's state, which teaches, too, and two shards."""
    directory = tmp_path_factory.mktemp("given")
    training = Training("alexnet-tiny", Recipe(), seed=0, classes=10, image_shape=(32, 32, 3), total_steps=1)
    for name in ("trained", "teacher"):
        checkpoint.save(Trainer(training).state(), directory / name, {})
    images = datasets.subset(datasets.load("synthetic").train, 400, 0)
    for number, shard in enumerate(datasets.stratified_shards(images, 2, 0)):
        datasets.save_split(shard, directory / f"shard{number}")
    return directory


def planned(entry: str) -> list[PlannedJob]:
    """The fine-tunings and the export of one entry of `compress`."""
    study = Study.parse(SMALL.replace('"float32", "float16"', entry))
    jobs = [job for job in make_plan(study).jobs if "/fine-tune/" in job.name or "/compress/" in job.name]
    return [job for job in jobs if "twin" not in job.name]


def run(job: PlannedJob, files: dict[str, str], directory: Path, state: str | None = None) -> Any:
    directory.mkdir(parents=True, exist_ok=True)
    order = RunJob(job.id, job.stage, job.spec, files, state, None, str(directory), CheckpointPolicy(1800.0, 10.0))
    # Its writing end stays open: a runner ends when its supervisor's pipe closes.
    reading, _ = os.pipe()
    ended = compress.run(order, Connection(os.fdopen(reading), io.StringIO()))
    return ended() if callable(ended) else ended


def done(entry: str, given: Path, place: Path) -> tuple[TrainState, Finished]:
    """The state after the last fine-tuning of an entry, and what its export gave."""
    *tunings, export = planned(entry)
    trained = given / "trained"
    for number, job in enumerate(tunings):
        files = {name: str(given / name) for name in job.inputs} | {"trained": str(trained)}
        trained = Path(run(job, files, place / str(number)).outputs["state"])
    exported = run(export, {"shard": str(given / "shard0")} if "shard" in export.inputs else {}, place, str(trained))
    assert isinstance(exported, Finished)
    return checkpoint.load(trained)[0], exported


def dense(state: TrainState) -> list[Any]:
    """The kernels that are pruned when nothing else is said of layers."""
    return [state.arrays[f"model/{key.removeprefix('mask/')}"] for key in state.arrays if key.startswith("mask/")]


def test_what_was_pruned_is_zero_in_the_file(given: Path, tmp_path: Path) -> None:
    state, exported = done('{ method = "prune", sparsity = 0.75, epochs = 1 }', given, tmp_path)
    kernels = dense(state)
    assert kernels and all(np.mean(kernel == 0) == pytest.approx(0.75, abs=0.01) for kernel in kernels)
    pruned = sum(0.75 * kernel.size for kernel in kernels)
    assert exported.metrics["sparsity"] == pytest.approx(pruned / exported.metrics["parameters"], abs=0.02)


@pytest.mark.slow
def test_the_pattern_is_kept_through_the_fine_tuning(given: Path, tmp_path: Path) -> None:
    state, _ = done('{ method = "prune-2:4+dynamic-int8", epochs = 1 }', given, tmp_path)
    for kernel in dense(state):
        fours = np.moveaxis(kernel, -2, -1).reshape(-1, 4)
        assert (np.count_nonzero(fours, axis=-1) <= 2).all()


@pytest.mark.slow
def test_a_slimmed_network_is_pruned_and_quantized_as_narrow_as_it_is(given: Path, tmp_path: Path) -> None:
    entry = '{ method = "slim+prune+dynamic-int8", keep_parameters = 0.5, epochs = 1 }'
    state, exported = done(entry, given, tmp_path)
    whole = sum(array.size for key, array in checkpoint.load(given / "trained")[0].arrays.items() if "model/" in key)
    assert exported.metrics["parameters"] < 0.51 * whole
    assert any(key.startswith("mask/") for key in state.arrays)
    pixels = datasets.load_split(given / "shard0").images[:10]
    assert LiteRTClassifier(Path(exported.outputs["model"]), batch=10).predict(pixels).shape == (10, 10)


@pytest.mark.slow
def test_how_much_a_teacher_counts_decides_where_its_pupil_ends(given: Path, tmp_path: Path) -> None:
    pupil, _ = done('{ method = "distil", teacher = "alexnet-tiny", epochs = 1 }', given, tmp_path / "pupil")
    louder, _ = done(
        '{ method = "distil", teacher = "alexnet-tiny", soft_share = 1.0, epochs = 1 }', given, tmp_path / "louder"
    )
    assert pupil.arrays.keys() == louder.arrays.keys()
    assert any(not np.array_equal(pupil.arrays[key], louder.arrays[key]) for key in pupil.arrays)


def test_a_checkpoint_of_another_fine_tuning_is_given_back(given: Path, tmp_path: Path) -> None:
    job, _ = planned('{ method = "prune", epochs = 1 }')
    files = {name: str(given / name) for name in job.inputs}
    assert isinstance(run(job, files, tmp_path, state=str(given / "trained")), CheckpointDiscarded)


def test_a_damaged_network_to_begin_with_fails_the_job(given: Path, tmp_path: Path) -> None:
    job, _ = planned('{ method = "prune", epochs = 1 }')
    (tmp_path / "trained").write_bytes((given / "trained").read_bytes()[:-1])
    files = {name: str(given / name) for name in job.inputs} | {"trained": str(tmp_path / "trained")}
    with pytest.raises(InputUnusable, match="'trained' cannot be fine-tuned"):
        run(job, files, tmp_path)
