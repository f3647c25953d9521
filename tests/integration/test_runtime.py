"""Threads and determinism of a process, told by processes of their own, because they are set once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from models.training import backends
from models.training.backends import Accelerator
from models.training.backends import tensorflow as tensorflow_backend
from tests.support.repetitions import repetitions

T4 = Accelerator("GPU", "Tesla T4", (7, 5))
P100 = Accelerator("GPU", "Tesla P100-PCIE-16GB", (6, 0))
A100 = Accelerator("GPU", "NVIDIA A100-SXM4-40GB", (8, 0))
TPU = Accelerator("TPU", "TPU v5 lite")
DEVICES = (T4, P100, A100, TPU, None)


def run(code: str, backend: str = "tensorflow") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, backends.VARIABLE: backend}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module", params=repetitions(backends.NAMES, often=["tensorflow"]))
def told(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a process with three threads says of itself; asked once for all tests, because it takes seconds to start."""
    program = PROGRAM + OF_TENSORFLOW if request.param == "tensorflow" else PROGRAM + OF_JAX
    finished = run(program, request.param)
    assert finished.returncode == 0, finished.stderr
    found: dict[str, Any] = json.loads(finished.stdout)
    return found


PROGRAM = """
import json
from models.runtime import configure_runtime, device_description
for threads in (1, 3, 1, 3):
    configure_runtime(threads)
told = {"described": device_description()}
import keras
keras.ops.zeros(1) + 1
configure_runtime(3)
try:
    configure_runtime(2)
except RuntimeError as error:
    told["threads refused"] = str(error)
"""
OF_TENSORFLOW = """
import tensorflow as tf
told["threads"] = tf.config.threading.get_inter_op_parallelism_threads()
try:
    tf.random.normal([2])
except Exception as error:
    told["refused"] = str(error)
print(json.dumps(told))
"""
OF_JAX = f"""
from models.training.backends import Accelerator, jax
told["precisions"] = list(map(jax.precision_of, {DEVICES}))
print(json.dumps(told))
"""
CIRCUMSTANCES = {"tensorflow": {"onednn_max_cpu_isa", "tensorflow"}, "jax": {"xla_flags", "jax"}}
OF = {
    name: pytest.mark.parametrize("told", repetitions([name], often=often), indirect=True, scope="module")
    for name, often in (("tensorflow", ["tensorflow"]), ("jax", []))
}


def test_what_the_bits_depend_on_stands_in_the_description_of_the_device(told: dict[str, Any]) -> None:
    description = told["described"]

    assert description["threads"] == 3
    assert description["device_type"] in {"CPU", "GPU", "TPU"}
    assert (
        description.keys()
        == {"device_type", "device", "backend", "precision", "threads", "keras", "numpy"}
        | (CIRCUMSTANCES[description["backend"]])
    )


def test_threads_cannot_change_once_something_was_computed(told: dict[str, Any]) -> None:
    assert "already running, so its threads cannot be set to 2" in told["threads refused"]


@OF["tensorflow"]
def test_as_many_operations_run_at_once_as_there_are_threads(told: dict[str, Any]) -> None:
    assert told["threads"] == 3


@OF["tensorflow"]
def test_an_operation_that_cannot_repeat_its_result_is_refused(told: dict[str, Any]) -> None:
    assert "determinism" in told["refused"].lower()


@OF["jax"]
def test_with_jax_newer_devices_train_in_bfloat16(told: dict[str, Any]) -> None:
    assert told["precisions"] == ["mixed_float16", "float32", "mixed_bfloat16", "mixed_bfloat16", "float32"]


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


@pytest.mark.parametrize(
    ("device", "precision"),
    [(T4, "mixed_float16"), (P100, "float32"), (A100, "mixed_float16"), (None, "float32")],
    ids=["T4", "P100", "A100", "CPU"],
)
def test_a_device_trains_in_the_precision_that_it_is_fast_in(device: Accelerator | None, precision: str) -> None:
    assert tensorflow_backend.precision_of(device) == precision
