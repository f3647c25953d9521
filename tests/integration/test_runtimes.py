"""One trained network in every runtime: the same answers, and each compared with its own float32."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from models import datasets
from models.architectures import catalog
from models.compression.compressed_model import compress
from models.compression.rounding import rounded
from models.measurement import multiply_adds, onnx_runtime
from models.measurement.classifier import Classifier
from models.measurement.litert import LiteRTClassifier
from models.measurement.onnx_runtime import OnnxClassifier
from models.measurement.tensorflow_function import FunctionClassifier
from models.predictions import Predictions
from models.recipes import Recipe, Training
from models.training import checkpoint
from models.training.trainer import Trainer, fresh_network, inference_weights, load_weights, weights_digest
from orchestrator.installation import distribution
from orchestrator.planning.planner import make_plan
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.support.repetitions import repetitions
from workers.checkpoint_policy import CheckpointPolicy
from workers.runner.connection import Connection
from workers.runner.messages import CheckpointDiscarded, Finished, RunJob, Unsuitable
from workers.runner.stages import benchmark

IMAGES = datasets.subset(datasets.load("synthetic").test, 30, 0).images


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a training's `state`, and a `test` set."""
    directory = tmp_path_factory.mktemp("given")
    training = Training("alexnet-tiny", Recipe(), seed=0, classes=10, image_shape=(32, 32, 3), total_steps=1)
    checkpoint.save(Trainer(training).state(), directory / "state", {})
    datasets.save_split(datasets.subset(datasets.load("synthetic").test, 20, 0), directory / "test")
    return directory


def network_of(given: Path, method: str = "float32") -> Any:
    network = fresh_network("alexnet-tiny", (32, 32, 3), 10)
    load_weights(network, rounded(inference_weights(checkpoint.load(given / "state")[0]), method))
    return network


def order(method: str, runtime: str, given: Path, directory: Path) -> RunJob:
    """The job that a plan has for the method in the runtime."""
    study = Study.parse(SMALL.replace("[benchmark]", f'[benchmark]\nruntimes = ["{runtime}"]'))
    name = f"alexnet-tiny/seed0/benchmark/{method}/{runtime}"
    job = next(job for job in make_plan(study).jobs if job.name == name)
    inputs = {"test": str(given / "test")}
    policy = CheckpointPolicy(1800.0, 10.0)
    return RunJob(job.id, job.stage, job.spec, inputs, str(given / "state"), None, str(directory), policy)


def run(job: RunJob) -> Any:
    # Its writing end stays open: a runner ends when its supervisor's pipe closes.
    reading, _ = os.pipe()
    return benchmark.run(job, Connection(os.fdopen(reading), io.StringIO()))


@pytest.fixture(scope="module")
def benchmarked(given: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """What the benchmark of float32 in a runtime ended with."""
    return functools.cache(lambda runtime: run(order("float32", runtime, given, tmp_path_factory.mktemp(runtime))))


@pytest.mark.parametrize(
    ("runtime", "title"),
    [pytest.param("tensorflow", "TensorFlow", marks=pytest.mark.slow), ("onnxruntime", "ONNX Runtime")],
)
def test_a_benchmark_of_another_runtime_gives_the_answers_of_litert(
    given: Path, tmp_path: Path, benchmarked: Callable[[str], Any], runtime: str, title: str
) -> None:
    finished = benchmarked(runtime)
    assert isinstance(finished, Finished)
    assert finished.metrics["runtime"] == f"{title} {version(runtime)}"
    (latency,) = finished.metrics["latencies"]
    assert (latency["batch"], latency["threads"], latency["speedup"]) == (1, 1, 1.0) and latency["p50"] > 0

    compress("float32", network_of(given), tmp_path / "float32.tflite")
    test = datasets.load_split(given / "test")
    answers = LiteRTClassifier(tmp_path / "float32.tflite", batch=20).predict(test.images).argmax(1)
    ranks = Predictions.load(Path(finished.outputs["predictions"])).label_ranks
    assert ((ranks == 0) == (answers == test.labels)).all()


@pytest.mark.parametrize("runtime", ["tensorflow", "onnxruntime"])
def test_a_benchmark_of_a_rebuilt_network_says_what_it_weighs(
    given: Path, benchmarked: Callable[[str], Any], runtime: str
) -> None:
    metrics = benchmarked(runtime).metrics
    network, (state, _) = network_of(given), checkpoint.load(given / "state")
    assert metrics["parameters"] == network.count_params() == metrics["parameters_bytes"] // 4
    assert (metrics["multiply_adds"], metrics["weights_sha256"]) == (
        multiply_adds.count(network),
        weights_digest(state),
    )
    assert ("file_bytes" in metrics) == (runtime == "onnxruntime")
    assert ("peak_memory_bytes" in metrics["latencies"][0]) == (runtime == "onnxruntime")


def test_float16_is_compared_with_float32_in_the_same_runtime(given: Path, tmp_path: Path) -> None:
    metrics = run(order("float16", "tensorflow", given, tmp_path)).metrics
    assert metrics["latencies"][0]["speedup"] > 0


def test_a_damaged_state_is_given_back(given: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes((given / "state").read_bytes()[:-1])
    job = replace(order("float32", "tensorflow", given, tmp_path), state=str(tmp_path / "state"))
    assert isinstance(run(job), CheckpointDiscarded)


def test_a_worker_without_the_packages_leaves_the_benchmark_to_others(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_runtime, "find_spec", lambda name: None if name == "tf2onnx" else object())
    ending = run(order("float32", "onnxruntime", given, tmp_path))
    assert isinstance(ending, Unsuitable)
    assert ending.reason == (
        "ONNX Runtime cannot be measured without tf2onnx; install Orch's onnx part: "
        f"pip install '{distribution.requirement('onnx')}'."
    )


def classifiers(network: Any, directory: Path, batch: int) -> list[Classifier]:
    compress("float32", network, directory / "model.tflite")
    onnx_runtime.export(network, directory / "model.onnx")
    return [
        LiteRTClassifier(directory / "model.tflite", batch=batch),
        FunctionClassifier(network, batch=batch),
        OnnxClassifier(directory / "model.onnx", batch=batch),
    ]


@pytest.mark.parametrize("architecture", repetitions(["alexnet-tiny", "vit-tiny"], often=["alexnet-tiny"]))
def test_every_runtime_gives_the_same_logits_and_fills_up_the_last_batch(tmp_path: Path, architecture: str) -> None:
    network = catalog.get(architecture).build(keras)
    expected = np.asarray(network(IMAGES.astype(np.float32)))
    for classifier in classifiers(network, tmp_path, batch=8):
        assert classifier.classes == 10
        np.testing.assert_allclose(classifier.predict(IMAGES), expected, atol=2e-5)


def test_float16_has_the_kernels_of_the_litert_file_and_keeps_the_biases(given: Path, tmp_path: Path) -> None:
    compress("float16", network_of(given), tmp_path / "float16.tflite")
    file = LiteRTClassifier(tmp_path / "float16.tflite", batch=10).predict(IMAGES)

    def distance(network: Any) -> float:
        logits: NDArray[np.float32] = FunctionClassifier(network, batch=10).predict(IMAGES)
        return float(np.abs(logits - file).max())

    exact, rounded_off = network_of(given), network_of(given, "float16")
    assert distance(rounded_off) < distance(exact)
    for before, after in zip(exact.weights, rounded_off.weights, strict=True):
        same = np.array_equal(np.asarray(before), np.asarray(after))
        assert same or len(before.shape) > 1
