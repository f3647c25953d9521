"""The process that computes: threads and determinism before TensorFlow starts, and what its device is.

On a CPU the bits of a result depend on the configured number of threads and on oneDNN's instruction set, so
both are set from outside and belong to the description of the device.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def configure_runtime(threads: int) -> None:
    """Fix what decides the bits: call it before anything computes.

    Every operation, and operations that do not wait for each other, on `threads` threads; only kernels that
    repeat their results.  How many operations run at once (inter-op) changes no bit, but a ViT of small ones
    trains a third faster on two cores than with one at a time.

    Raises:
        RuntimeError: TensorFlow has already computed something with other threads.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        for gpu in tf.config.list_physical_devices("GPU"):
            # Otherwise this process takes all of the GPU's memory, and one beside it (a benchmark) finds
            # none.
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as error:
        raise RuntimeError(
            f"TensorFlow is already running, so its threads cannot be set to {threads}; configure it first."
        ) from error
    tf.config.experimental.enable_op_determinism()
    # It makes one AddN of several additions, whose order depends on the scheduler: see `compiled_steps.gradients`.
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})


def device_description() -> dict[str, str | int]:
    """What the bits and the speed of this process depend on, as flat values for a record."""
    gpus = tf.config.list_physical_devices("GPU")
    return {
        "device_type": "GPU" if gpus else "CPU",
        "device": _gpu_name(gpus[0]) if gpus else _cpu_name(),
        "precision": precision(),
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "onednn_max_cpu_isa": os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT"),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def precision() -> str:
    """How this process trains: "float32", or "mixed_float16" on a GPU that has units for it."""
    gpus = tf.config.list_physical_devices("GPU")
    return precision_of(tf.config.experimental.get_device_details(gpus[0]) if gpus else {})


def precision_of(details: Mapping[str, Any]) -> str:
    """float16 from compute capability 7.0 on (V100, T4), which brought tensor cores; before them it gains nothing."""
    return "mixed_float16" if details.get("compute_capability", (0, 0)) >= (7, 0) else "float32"


def _gpu_name(gpu: object) -> str:
    name: str = tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
    return name


def _cpu_name() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
