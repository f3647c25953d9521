"""A compress job as a runner does it."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import zstandard

from models import datasets
from models.architectures import catalog
from models.compression import methods
from models.measurement.litert import LiteRTClassifier
from models.recipes import Recipe, Training
from models.training import checkpoint
from models.training.trainer import Trainer
from orchestrator.planning.planner import make_plan
from orchestrator.study import Study
from tests.conftest import SMALL
from workers.checkpoint_policy import CheckpointPolicy
from workers.runner.connection import Connection
from workers.runner.messages import CheckpointDiscarded, Finished, RunJob
from workers.runner.stages import compress


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a training's `state` and a `shard`."""
    directory = tmp_path_factory.mktemp("given")
    training = Training("alexnet-tiny", Recipe(), seed=0, classes=10, image_shape=(32, 32, 3), total_steps=1)
    checkpoint.save(Trainer(training).state(), directory / "state", {})
    datasets.save_split(datasets.subset(datasets.load("synthetic").train, 200, 0), directory / "shard")
    return directory


def run(method: str, given: Path, directory: Path, **keys: str) -> Finished | CheckpointDiscarded:
    """Do the job that a plan has for the method, with these keys beside it."""
    entry = ", ".join(f'{key} = "{value}"' for key, value in {"method": method, **keys}.items())
    study = Study.parse(SMALL.replace('"float16"', f"{{ {entry} }}"))
    job = next(job for job in make_plan(study).jobs if job.name == f"alexnet-tiny/seed0/compress/{method}")
    inputs = {name: str(given / name) for name in job.inputs}
    state = inputs.pop("state")
    order = RunJob(job.id, job.stage, job.spec, inputs, state, None, str(directory), CheckpointPolicy(1800.0, 10.0))
    # Its writing end stays open: a runner ends when its supervisor's pipe closes.
    reading, _ = os.pipe()
    ended = compress.run(order, Connection(os.fdopen(reading), io.StringIO()))
    assert isinstance(ended, Finished | CheckpointDiscarded), "an export ends at once"
    return ended


def test_a_method_that_needs_images_is_calibrated_on_those_of_its_shard(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    load = methods.Method.load

    def export(model: Any, path: Path, *, images: Any) -> None:
        seen.append(images)
        load(methods.get("static-int8"))(model, path, images=images)

    monkeypatch.setattr(methods.Method, "load", lambda _: export)
    finished = run("static-int8", given, tmp_path)
    assert isinstance(finished, Finished)
    (images,) = seen
    shard = datasets.load_split(given / "shard")
    labels = [shard.labels[(shard.images == image).all(axis=(1, 2, 3))][0] for image in images]
    assert np.bincount(labels).tolist() == [methods.CALIBRATION_IMAGES // 10] * 10
    logits = LiteRTClassifier(Path(finished.outputs["model"]), batch=10).predict(shard.images[:10])
    assert logits.shape == (10, 10) and np.isfinite(logits).all()


def test_the_reference_stands_beside_the_network_that_keras_loads(given: Path, tmp_path: Path) -> None:
    finished = run("float32", given, tmp_path)
    assert isinstance(finished, Finished)
    pixels = datasets.load_split(given / "shard").images[:10].astype(np.float32)
    file, network = (Path(finished.outputs[name]) for name in ("model", "keras"))
    expected = LiteRTClassifier(file, batch=10).predict(pixels)
    np.testing.assert_allclose(catalog.load(keras, network).predict(pixels, verbose=0), expected, atol=1e-4)


def test_a_file_that_a_study_ships_packed_holds_the_one_that_it_ships_as_it_is(given: Path, tmp_path: Path) -> None:
    plain, packed = (tmp_path / name for name in ("plain", "packed"))
    plain.mkdir()
    packed.mkdir()
    as_it_is, shipped = run("dynamic-int8", given, plain), run("dynamic-int8", given, packed, ship="zst")
    assert isinstance(as_it_is, Finished) and isinstance(shipped, Finished)
    file = Path(shipped.outputs["model"])
    assert file.name == "model.tflite.zst" and list(shipped.outputs) == list(as_it_is.outputs)
    assert zstandard.decompress(file.read_bytes()) == Path(as_it_is.outputs["model"]).read_bytes()
    assert shipped.metrics == {**as_it_is.metrics, "ship": "zst"}
    assert file.stat().st_size == shipped.metrics["compressed_bytes"]


def test_a_damaged_state_is_given_back(given: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes((given / "state").read_bytes()[:-1])
    assert isinstance(run("float32", tmp_path, tmp_path), CheckpointDiscarded)
