"""Threads and determinism of a process; each test has a process of its own, because they are set once."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from models.training import backends
from models.training.backends import Accelerator
from models.training.backends import tensorflow as tensorflow_backend

T4 = Accelerator("GPU", "Tesla T4", (7, 5))
P100 = Accelerator("GPU", "Tesla P100-PCIE-16GB", (6, 0))
A100 = Accelerator("GPU", "NVIDIA A100-SXM4-40GB", (8, 0))
TPU = Accelerator("TPU", "TPU v5 lite")


def run(code: str, backend: str = "tensorflow") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, backends.VARIABLE: backend}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(
    ("backend", "circumstances"),
    [("tensorflow", {"onednn_max_cpu_isa", "tensorflow"}), ("jax", {"xla_flags", "jax"})],
)
def test_what_the_bits_depend_on_stands_in_the_description_of_the_device(backend: str, circumstances: set[str]) -> None:
    finished = run(
        "import json; from models.runtime import configure_runtime, device_description;"
        "configure_runtime(2); configure_runtime(2); print(json.dumps(device_description()))",
        backend,
    )
    description = json.loads(finished.stdout)

    assert (description["backend"], description["threads"]) == (backend, 2)
    assert description["device_type"] in {"CPU", "GPU", "TPU"}
    assert description.keys() == {"device_type", "device", "backend", "precision", "threads", "keras", "numpy"} | (
        circumstances
    )


def test_a_process_computes_with_the_backend_that_was_chosen() -> None:
    finished = run(
        "from models.training import backends; backends.choose('jax'); import keras, models.training.trainer;"
        "import sys; print(keras.config.backend(), 'tensorflow' in sys.modules)"
    )

    assert finished.stdout == "jax False\n"


def test_a_backend_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(backends.UnknownBackend, match="no backend 'jacks'; allowed are tensorflow, jax"):
        backends.choose("jacks")


def test_a_keras_on_a_backend_that_orch_does_not_know_is_told_what_to_set() -> None:
    finished = run("from models.training import backends; backends.current()", "numpy")

    assert "set KERAS_BACKEND to one of tensorflow, jax" in finished.stderr


def test_as_many_operations_run_at_once_as_there_are_threads() -> None:
    finished = run(
        "import tensorflow as tf; from models.runtime import configure_runtime; configure_runtime(3);"
        "print(tf.config.threading.get_inter_op_parallelism_threads())"
    )

    assert finished.stdout == "3\n"


@pytest.mark.parametrize("backend", backends.NAMES)
def test_threads_cannot_change_once_something_was_computed(backend: str) -> None:
    finished = run(
        "import keras; from models.runtime import configure_runtime;"
        "configure_runtime(1); configure_runtime(3); configure_runtime(1);"
        "keras.ops.zeros(1) + 1; configure_runtime(1); configure_runtime(2)",
        backend,
    )

    assert "already running, so its threads cannot be set to 2" in finished.stderr


def test_an_operation_that_cannot_repeat_its_result_is_refused() -> None:
    finished = run(
        "import tensorflow as tf; from models.runtime import configure_runtime;"
        "configure_runtime(1); tf.random.normal([2])"
    )

    assert "determinism" in finished.stderr.lower()


@pytest.mark.parametrize(
    ("device", "tensorflow", "jax"),
    [
        (T4, "mixed_float16", "mixed_float16"),
        (P100, "float32", "float32"),
        (A100, "mixed_float16", "mixed_bfloat16"),
        (TPU, None, "mixed_bfloat16"),
        (None, "float32", "float32"),
    ],
    ids=["T4", "P100", "A100", "TPU", "CPU"],
)
def test_a_device_trains_in_the_precision_that_it_is_fast_in(
    device: Accelerator | None, tensorflow: str | None, jax: str
) -> None:
    if tensorflow:
        assert tensorflow_backend.precision_of(device) == tensorflow
    told = run(f"from models.training.backends import Accelerator, jax; print(jax.precision_of({device!r}))", "jax")

    assert told.stdout.strip() == jax
