"""Threads and determinism of a process; each test has a process of its own, because they are set once."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from models.runtime import precision_of


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_configured_threads_stand_in_the_description_of_the_device() -> None:
    finished = run(
        "import json; from models.runtime import configure_runtime, device_description;"
        "configure_runtime(2); configure_runtime(2); print(json.dumps(device_description()))"
    )
    description = json.loads(finished.stdout)

    assert description["threads"] == 2
    assert description["device_type"] in {"CPU", "GPU"}
    assert description.keys() >= {"device", "onednn_max_cpu_isa", "tensorflow", "keras", "numpy"}


def test_as_many_operations_run_at_once_as_there_are_threads() -> None:
    finished = run(
        "import tensorflow as tf; from models.runtime import configure_runtime; configure_runtime(3);"
        "print(tf.config.threading.get_inter_op_parallelism_threads())"
    )

    assert finished.stdout == "3\n"


def test_threads_cannot_change_once_something_was_computed() -> None:
    finished = run(
        "import tensorflow as tf; from models.runtime import configure_runtime;"
        "configure_runtime(1); tf.zeros(1) + 1; configure_runtime(2)"
    )

    assert "already running, so its threads cannot be set to 2" in finished.stderr


def test_an_operation_that_cannot_repeat_its_result_is_refused() -> None:
    finished = run(
        "import tensorflow as tf; from models.runtime import configure_runtime;"
        "configure_runtime(1); tf.random.normal([2])"
    )

    assert "determinism" in finished.stderr.lower()


@pytest.mark.parametrize(
    ("details", "precision"),
    [
        ({"device_name": "Tesla T4", "compute_capability": (7, 5)}, "mixed_float16"),
        ({"device_name": "Tesla P100-PCIE-16GB", "compute_capability": (6, 0)}, "float32"),
        ({}, "float32"),
    ],
    ids=["T4", "P100", "CPU"],
)
def test_only_a_gpu_with_tensor_cores_trains_in_float16(details: dict[str, Any], precision: str) -> None:
    assert precision_of(details) == precision
