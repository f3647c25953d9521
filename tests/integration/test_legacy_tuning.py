"""tensorflow-model-optimization's methods, in processes of their own with legacy Keras, killed on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from models.compression.quantization import export_dynamic_int8
from models.measurement.litert import LiteRTClassifier
from models.training import checkpoint
from models.training.trainer import load_weights
from tests.support import legacy_tuning
from tests.support.exact_training import digest
from tests.support.legacy_tuning import OPTIONS, VISIT, small
from workers.runner.legacy_packages import packages_in

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
KILLED_AT = 5


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by pip beside a Python that has no tensorflow-model-optimization, and keeps what it has."""
    found = packages_in(tmp_path_factory.mktemp("cache"))
    assert found is not None, "this Python has no tensorflow-model-optimization"
    return found


@pytest.fixture(scope="module", params=list(OPTIONS))
def tuned(request: pytest.FixtureRequest, packages: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The method, and where the files of an undisturbed fine-tuning lie."""
    method, directory = request.param, tmp_path_factory.mktemp("tuned")
    assert run(packages, method, directory, "-", VISIT.last_step).returncode == 0
    return method, directory


@pytest.mark.parametrize("tuned", ["tfmot-prune", "cluster+zeros", "qat"], indirect=True, scope="module")
def test_a_tuning_that_was_killed_ends_in_the_same_bits(
    packages: Path, tuned: tuple[str, Path], tmp_path: Path
) -> None:
    method, directory = tuned
    assert run(packages, method, tmp_path, "-", KILLED_AT, "killed").returncode == -9

    ended = run(packages, method, tmp_path, str(tmp_path / f"{KILLED_AT}.safetensors"), VISIT.last_step)

    assert ended.returncode == 0, ended.stderr[-3000:]
    undisturbed, _ = checkpoint.load(directory / f"{VISIT.last_step}.safetensors")
    assert json.loads(ended.stdout)["digest"] == digest(undisturbed)


def test_what_was_tuned_is_a_network_of_keras_3(tuned: tuple[str, Path], tmp_path: Path) -> None:
    method, directory = tuned
    state, _ = checkpoint.load(directory / f"{VISIT.last_step}.safetensors")
    network = small(keras)
    load_weights(network, state.arrays)
    export_dynamic_int8(network, tmp_path / "model.tflite")
    kernels = {name: network.get_layer(name).kernel.numpy() for name in ("conv1", "conv2", "dense1", "logits")}
    values = {name: len(np.unique(kernel)) for name, kernel in kernels.items()}
    zeros = {name: float(np.mean(kernel == 0)) for name, kernel in kernels.items()}
    if method == "tfmot-prune":
        assert zeros == {"conv1": 0.0, "conv2": 0.75, "dense1": 0.75, "logits": 0.0}
    if method == "cluster+zeros":
        assert min(zeros["conv2"], zeros["dense1"]) >= 0.75
    if method.startswith("cluster"):
        assert max(values["conv2"], values["dense1"]) <= OPTIONS[method]["clusters"] < values["conv1"]


@pytest.mark.parametrize("tuned", ["qat"], indirect=True, scope="module")
def test_qat_gives_an_int8_file_that_answers_as_its_network(tuned: tuple[str, Path]) -> None:
    _, directory = tuned
    state, _ = checkpoint.load(directory / f"{VISIT.last_step}.safetensors")
    network = small(keras)
    load_weights(network, state.arrays)
    images = legacy_tuning.shard().images
    file = directory / "model.tflite"
    found = LiteRTClassifier(file, batch=len(images), threads=1).predict(images)
    expected = network.predict(images.astype(np.float32), verbose=0)
    assert float(np.mean(found.argmax(axis=1) == expected.argmax(axis=1))) > 0.9


def test_a_network_that_is_another_in_legacy_keras_is_refused(packages: Path, tmp_path: Path) -> None:
    refused = run(packages, "cluster", tmp_path, "-", VISIT.last_step, "unlike")
    assert refused.returncode == 1
    assert "Legacy Keras computes other logits with these weights" in refused.stderr


def run(
    packages: Path, method: str, directory: Path, begin: str, end: int, ending: str = "ends"
) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(packages)])
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "PYTHONPATH": path, "KERAS_BACKEND": "tensorflow"}
    program = [sys.executable, "-m", "tests.support.legacy_tuning"]
    command = [*program, method, str(directory), begin, str(end), ending]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
