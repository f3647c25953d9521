"""What a benchmark measures in each runtime: the network of its job, and the float32 reference of the same runtime."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import numpy as np

from models import datasets, inference_runtimes
from models.compression import packing
from models.compression.rounding import rounded
from models.measurement import memory, multiply_adds, onnx_runtime
from models.measurement.classifier import Classifier, UnusableModel
from models.measurement.litert import LiteRTClassifier
from models.measurement.memory import PeakMemory
from models.runtime import cpu_name, device_description
from models.training.trainer import TrainState, fresh_network, inference_weights, load_weights, weights_digest
from orchestrator.installation import own_packages
from workers.runner.messages import RunJob
from workers.runner.stages.states import trained_state

_CHILD = own_packages.command(memory.__name__)
_UNPACKED_TIMES = 3


class MeasuredNetwork(Protocol):
    """The network of a benchmark's job, ready to be loaded as often as it is measured."""

    device: str
    runtime: str
    """With its version."""
    weighs: Mapping[str, Any]
    """What the network weighs where no compress job has said so, under the same keys; and `unpack_seconds`, from the
    packed file to the one that is loaded, where it was packed."""

    def candidate(self, batch: int, threads: int) -> Classifier:
        """Raises UnusableModel if it is no classifier of the test images."""

    def reference(self, batch: int, threads: int) -> Classifier | None:
        """What the candidate is compared with; None where that is the candidate itself."""

    def peak_memory(self, batch: int, threads: int) -> PeakMemory | None:
        """None where it is not measured."""


def open_network(job: RunJob, test: datasets.Split) -> MeasuredNetwork:
    """The network that a benchmark's job names, in the runtime that it names.

    Raises:
        MissingRuntime: the runtime is not installed here.
        UnusableModel: it was packed, and cannot be unpacked.
        CheckpointDamaged, StateMismatch: the state of which the network is rebuilt is damaged, or of another
            architecture.
    """
    match job.spec.get("runtime", inference_runtimes.LITERT):
        case inference_runtimes.TENSORFLOW:
            return _TensorFlowFunctions(job)
        case inference_runtimes.ONNX_RUNTIME:
            return _OnnxFile(job)
        case _:
            return _LiteRTFiles(job, test)


class _LiteRTFiles:
    """Files that compress jobs have written; packed ones are unpacked once, and measured as they are then."""

    def __init__(self, job: RunJob, test: datasets.Split) -> None:
        self.device = cpu_name()
        self.runtime = f"LiteRT {version('ai-edge-litert')}"
        self._test = test
        is_reference = job.inputs["model"] == job.inputs["reference"]
        names = ("model",) if is_reference else ("model", "reference")
        self._files = {name: _loadable(job, name) for name in names}
        seconds = self._files["model"].unpack_seconds
        self.weighs: Mapping[str, Any] = {} if seconds is None else {"unpack_seconds": seconds}

    def candidate(self, batch: int, threads: int) -> Classifier:
        return self._loaded("model", batch, threads)

    def reference(self, batch: int, threads: int) -> Classifier | None:
        return self._loaded("reference", batch, threads) if "reference" in self._files else None

    def peak_memory(self, batch: int, threads: int) -> PeakMemory | None:
        return memory.measure(_CHILD, self._files["model"].path, batch=batch, threads=threads)

    def _loaded(self, name: str, batch: int, threads: int) -> Classifier:
        """The job's input of this name, which must tell as many classes apart as the test images have."""
        shape, last_class = self._test.images.shape[1:], np.max(self._test.labels)
        try:
            loaded = LiteRTClassifier(self._files[name].path, batch=batch, threads=threads, image_shape=shape)
        except UnusableModel as error:
            raise UnusableModel(f"The input {name!r} cannot be measured. {error}") from error
        if last_class >= loaded.classes:
            raise UnusableModel(
                f"The input {name!r} cannot be measured. It knows {loaded.classes} classes, and the test images have a "
                f"class {last_class}, counted from 0."
            )
        return loaded


@dataclass(frozen=True)
class _LoadableFile:
    """A file as LiteRT loads it."""

    path: Path
    unpack_seconds: float | None = None
    """How long it took to unpack, the median of a few times; None where it was not packed."""


def _loadable(job: RunJob, name: str) -> _LoadableFile:
    """The job's input of this name.  Raises UnusableModel: it is packed, and cannot be unpacked."""
    given = Path(job.inputs[name])
    if not packing.is_packed(given):
        return _LoadableFile(given)
    unpacked = Path(job.directory) / f"unpacked-{name}.tflite"
    seconds = []
    for _ in range(_UNPACKED_TIMES):
        started = time.perf_counter()
        try:
            packing.unpack(given, unpacked)
        except packing.CannotUnpack as error:
            raise UnusableModel(f"The input {name!r} cannot be measured. {error}") from error
        seconds.append(time.perf_counter() - started)
    return _LoadableFile(unpacked, median(seconds))


class _TensorFlowFunctions:
    """The Keras network as a compiled function; its threads are those of this process, whatever it is asked for."""

    def __init__(self, job: RunJob) -> None:
        described = device_description()
        self.device = str(described["device"])
        self.runtime = f"TensorFlow {described['tensorflow']}"
        state = trained_state(job)
        method = job.spec["method"]
        self._network = _rebuilt(job, state, method)
        self._reference = None if method == "float32" else _rebuilt(job, state, "float32")
        self.weighs: Mapping[str, Any] = _weighs(self._network, state)

    def candidate(self, batch: int, threads: int) -> Classifier:  # noqa: ARG002
        return self._compiled(self._network, batch)

    def reference(self, batch: int, threads: int) -> Classifier | None:  # noqa: ARG002
        return None if self._reference is None else self._compiled(self._reference, batch)

    def peak_memory(self, batch: int, threads: int) -> PeakMemory | None:  # noqa: ARG002
        """None: beside what a process takes that has loaded TensorFlow, no network of a study would be seen."""
        return None

    def _compiled(self, network: Any, batch: int) -> Classifier:
        from models.measurement.tensorflow_function import FunctionClassifier

        return FunctionClassifier(network, batch=batch)


class _OnnxFile:
    """The network as an ONNX file, which is float32: its own reference."""

    def __init__(self, job: RunJob) -> None:
        onnx_runtime.require()
        self.device = cpu_name()
        self.runtime = f"ONNX Runtime {version('onnxruntime')}"
        self._path = Path(job.directory) / "model.onnx"
        state = trained_state(job)
        network = _rebuilt(job, state, job.spec["method"])
        onnx_runtime.export(network, self._path)
        self.weighs: Mapping[str, Any] = {**_weighs(network, state), "file_bytes": self._path.stat().st_size}

    def candidate(self, batch: int, threads: int) -> Classifier:
        return onnx_runtime.OnnxClassifier(self._path, batch=batch, threads=threads)

    def reference(self, batch: int, threads: int) -> Classifier | None:  # noqa: ARG002
        return None

    def peak_memory(self, batch: int, threads: int) -> PeakMemory | None:
        return memory.measure(_CHILD, self._path, batch=batch, threads=threads)


def _rebuilt(job: RunJob, state: TrainState, method: str) -> Any:
    """The Keras network of a benchmark's job with the weights that the method leaves it."""
    network = fresh_network(job.spec["architecture"], tuple(job.spec["image_shape"]), job.spec["classes"])
    load_weights(network, rounded(inference_weights(state), method))
    return network


def _weighs(network: Any, state: TrainState) -> dict[str, Any]:
    parameters = network.count_params()
    return {
        "parameters": parameters,
        "parameters_bytes": parameters * np.dtype(np.float32).itemsize,
        "multiply_adds": multiply_adds.count(network),
        "weights_sha256": weights_digest(state),
    }
