"""The process that computes: what decides its bits is fixed before anything runs, and what its device is.

On a CPU the bits of a result depend on the configured number of threads and on the instruction set, so both are set
from outside and belong to the description of the device.  How a backend is told is the backend's
(`models.training.backends`).
"""

from __future__ import annotations

import platform
from pathlib import Path

import keras
import numpy as np

from models.training import backends


def configure_runtime(threads: int) -> None:
    """Fix what decides the bits: call it before anything computes.

    Only kernels that repeat their results, each on `threads` threads, whatever the machine has.

    Raises:
        RuntimeError: the backend has already computed something with other threads.
    """
    backends.current().configure(threads)


def device_description() -> dict[str, str | int]:
    """What the bits and the speed of this process depend on, as flat values for a record."""
    backend = backends.current()
    accelerator = backend.accelerator()
    return {
        "device_type": accelerator.type if accelerator else "CPU",
        "device": accelerator.name if accelerator else cpu_name(),
        "backend": keras.config.backend(),
        "precision": backend.precision(),
        **backend.circumstances(),
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def precision() -> str:
    """How this process trains: "float32", or "mixed_float16" or "mixed_bfloat16" where the device has units for it."""
    return backends.current().precision()


def cpu_name() -> str:
    """The model of this machine's CPU, whatever accelerator there is beside it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
