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

_INSTRUCTIONS = (
    ("avx512_vnni", "AVX-512 VNNI"),
    ("avx_vnni", "AVX VNNI"),
    ("avx512f", "AVX-512"),
    ("avx2", "AVX2"),
    ("i8mm", "I8MM"),
    ("asimddp", "DotProd"),
)
"""Linux' name for what a CPU can do, and the field's, the fastest for int8 first.  Clouds name machines of several
generations alike ("AMD EPYC", "Intel(R) Xeon(R) CPU @ 2.20GHz"), of which one computes int8 several times as fast as
float32 and another no faster, so a CPU that were called by its model alone would have rows compared that cannot be."""


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
    """The model of this machine's CPU with the instructions it has, whatever accelerator there is beside it."""
    information = Path("/proc/cpuinfo")
    described = described_cpu(information.read_text()) if information.exists() else None
    return described or platform.processor() or platform.machine()


def described_cpu(information: str) -> str | None:
    """Such as "AMD EPYC (AVX2)", out of what Linux says in /proc/cpuinfo; None if it names no model."""
    lines = (line.partition(":") for line in information.splitlines())
    about = {key.strip(): value.strip() for key, _, value in lines}
    if not (name := about.get("model name")):
        return None
    flags = about.get("flags", about.get("Features", "")).split()
    best = next((instructions for flag, instructions in _INSTRUCTIONS if flag in flags), None)
    return f"{name} ({best})" if best else name
