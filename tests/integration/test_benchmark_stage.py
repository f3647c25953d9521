"""A benchmark job as a runner does it."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import zstandard

from models import datasets
from models.architectures import catalog
from models.compression import packing
from models.compression.compressed_model import compress
from models.failures import PermanentFailure
from models.measurement.classifier import UnusableModel
from models.measurement.litert import LiteRTClassifier
from models.predictions import Predictions
from models.runtime import cpu_name, device_description
from models.training.backends import Accelerator
from workers.checkpoint_policy import CheckpointPolicy
from workers.runner.connection import Connection
from workers.runner.messages import Finished, RunJob
from workers.runner.stages import benchmark

Measured = Callable[[str, str], dict[str, Any]]


def file_of(network: str) -> str:
    return network if network.endswith(".zst") else f"{network}.tflite"


@pytest.fixture(scope="module")
def float32(measured: Measured) -> dict[str, Any]:
    """float32 beside itself."""
    return measured("float32", "float32")


@pytest.fixture(scope="module")
def float16(measured: Measured) -> dict[str, Any]:
    """float16 beside float32."""
    return measured("float16", "float32")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Benchmarks a method's network beside a reference's; gives the figures of its latency."""
    directory = tmp_path_factory.mktemp("networks")
    network = catalog.get("alexnet-tiny").build(keras)
    for method in ("float32", "float16"):
        compress(method, network, directory / f"{method}.tflite")
    datasets.save_split(datasets.subset(datasets.load("synthetic").test, 20, 0), directory / "test")
    numbers = itertools.count()

    def measure(method: str, reference: str) -> dict[str, Any]:
        """Networks by the names of their files without `.tflite`, or with another ending."""
        scratch = directory / f"{next(numbers)}"
        scratch.mkdir()
        networks = {"model": file_of(method), "reference": file_of(reference)}
        spec = {"method": method, "batch_sizes": [1], "threads": [1]}
        inputs = {name: str(directory / file) for name, file in {**networks, "test": "test"}.items()}
        order = RunJob("job", "benchmark", spec, inputs, None, None, str(scratch), CheckpointPolicy(1800.0, 10.0))
        # Its writing end stays open: a runner ends when its supervisor's pipe closes.
        reading, _ = os.pipe()
        finished = benchmark.run(order, Connection(os.fdopen(reading), io.StringIO()))
        assert isinstance(finished, Finished)
        (latency,) = finished.metrics["latencies"]
        return {
            **latency,
            **finished.outputs,
            "device": finished.metrics["device"],
            "top1": finished.metrics["top1"],
            "top5": finished.metrics["top5"],
            "unpack_seconds": finished.metrics.get("unpack_seconds"),
        }

    return measure


def test_a_network_is_compared_with_float32(float16: dict[str, Any]) -> None:
    assert float16["speedup"] > 0


def test_float32_is_as_fast_as_itself(float32: dict[str, Any]) -> None:
    assert float32["speedup"] == 1.0


def test_where_there_is_no_float32_no_speed_is_claimed(measured: Measured) -> None:
    latency = measured("float16", "float16")
    assert latency["speedup"] is None and latency["p50"] > 0


def test_what_is_shipped_packed_is_unpacked_and_measured(
    measured: Measured, float32: dict[str, Any], float16: dict[str, Any]
) -> None:
    for method, plain in (("float16", float16), ("float32", float32)):
        packed = measured(f"{method}.tflite.zst", "float32.tflite.zst")
        assert packed["unpack_seconds"] > 0 and plain["unpack_seconds"] is None
        assert (packed["top1"], packed["top5"]) == (plain["top1"], plain["top5"])
        assert packed["p50"] > 0 and packed["peak_memory_bytes"] > 0


def test_a_packed_file_that_holds_too_much_fails_the_job_for_good_and_is_named(
    measured: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "MOST_BYTES", 1000)
    (tmp_path / "bomb.zst").write_bytes(zstandard.compress(bytes(1001)))
    with pytest.raises(
        UnusableModel, match=r"The input 'model' cannot be measured\. The packed file holds 1,001 bytes"
    ):
        measured(str(tmp_path / "bomb.zst"), "float32")


@pytest.mark.parametrize("which", ["model", "reference"])
def test_a_damaged_file_fails_the_job_for_good_and_is_named(measured: Measured, tmp_path: Path, which: str) -> None:
    (tmp_path / "cut.tflite").write_bytes(b"cut off")
    damaged = str(tmp_path / "cut")
    with pytest.raises(UnusableModel, match=f"The input '{which}' cannot be measured. The file is no whole LiteRT"):
        measured(*((damaged, "float32") if which == "model" else ("float32", damaged)))
    assert issubclass(UnusableModel, PermanentFailure)


def test_a_network_of_too_few_classes_is_not_measured(measured: Measured, tmp_path: Path) -> None:
    image = keras.Input((32, 32, 3))
    network = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image)))
    compress("float32", network, tmp_path / "two.tflite")
    with pytest.raises(UnusableModel, match="It knows 2 classes, and the test images have a class 9"):
        measured(str(tmp_path / "two"), "float32")


def test_a_benchmark_keeps_what_its_accuracy_was_counted_from(float32: dict[str, Any]) -> None:
    result = float32
    kept = Predictions.load(Path(result["predictions"]))
    ranks = kept.label_ranks
    assert len(ranks) == 20
    assert ((ranks < 1).mean(), (ranks < 5).mean()) == (result["top1"], result["top5"])
    directory = Path(result["predictions"]).parents[1]
    test = datasets.load_split(directory / "test")
    logits = LiteRTClassifier(directory / "float32.tflite", batch=20).predict(test.images)
    assert ((ranks == 0) == (logits.argmax(1) == test.labels)).all()
    assert kept.labels is not None and kept.guesses is not None
    assert kept.labels.tolist() == test.labels.tolist() and kept.guesses.tolist() == logits.argmax(1).tolist()


def test_two_methods_are_measured_on_the_same_images(float32: dict[str, Any], float16: dict[str, Any]) -> None:
    one, other = (Predictions.load(Path(result["predictions"])) for result in (float16, float32))
    assert one.test_set == other.test_set


def test_a_machine_with_a_gpu_measures_litert_on_its_cpu_and_says_so(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.training.backends.tensorflow.accelerator", lambda: Accelerator("GPU", "Tesla T4"))
    assert device_description()["device"] == "Tesla T4"
    assert measured("float32", "float32")["device"] == cpu_name()


def test_a_benchmark_says_what_memory_the_network_takes_beside_the_process(float32: dict[str, Any]) -> None:
    assert 0 < float32["peak_memory_bytes"] < float32["memory_before_bytes"], "alexnet-tiny is small beside NumPy"
