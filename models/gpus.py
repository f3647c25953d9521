"""The GPUs of this machine, as NVIDIA's driver tells of them; the runner tells which device it computes on."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"
"""The devices that CUDA shows a process, by number or UUID."""

_PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Gpu:
    number: str
    """As nvidia-smi counts, which is not always how CUDA counts."""
    uuid: str
    name: str


def visible_gpus() -> tuple[Gpu, ...]:
    """The GPUs that a process started here would be shown; none where there is no driver, or it does not answer."""
    there, visible = _gpus(), os.environ.get(VISIBLE_VARIABLE)
    if visible is None:
        return there
    wanted = [entry.strip() for entry in visible.split(",") if entry.strip()]
    return tuple(gpu for entry in wanted for gpu in there if gpu.number == entry or gpu.uuid.startswith(entry))


def _gpus() -> tuple[Gpu, ...]:
    query = ["nvidia-smi", "--query-gpu=index,uuid,name", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=True).stdout
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()
    lines = [[part.strip() for part in line.split(",", 2)] for line in told.splitlines()]
    return tuple(Gpu(*parts) for parts in lines if len(parts) == 3)
