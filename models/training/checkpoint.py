"""A `TrainState` as one safetensors file, and back.

Which checkpoints there are, and whether a file is the one that was saved (its SHA-256), is the artifact
store's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from models.files import replace_file
from models.training.trainer import TrainState

SCHEMA = 1
"""Raise it when a file of today could be misread by the code of yesterday."""

_KEY = "orch"
"""One key only: safetensors writes several in no fixed order, and the same state must give the same bytes."""

Provenance = Mapping[str, str | int]


class CheckpointDamaged(Exception):
    """A file is not a whole checkpoint that this version can read."""


def save(state: TrainState, path: Path, provenance: Provenance) -> None:
    """Write `state` to `path` in one step; the same state and provenance give the same bytes.

    Args:
        provenance: what the state was made on (`models.runtime.device_description`) and with.
    """
    header = {"schema": SCHEMA, "step": state.step, "provenance": dict(provenance)}
    # safetensors writes a strided view's memory, not its elements.
    arrays = {key: np.asarray(array, order="C") for key, array in state.arrays.items()}
    replace_file(path, safetensors.numpy.save(arrays, {_KEY: json.dumps(header, sort_keys=True)}))


def load(path: Path) -> tuple[TrainState, dict[str, str | int]]:
    """The state and the provenance that were saved.

    Raises:
        CheckpointDamaged: the file is truncated, its header is altered, or it is of another schema.
    """
    try:
        header, arrays = _read(path)
        if header["schema"] != SCHEMA:
            raise CheckpointDamaged(
                f"{path} is a checkpoint of schema {header['schema']} and this version reads {SCHEMA}; use "
                "the version of Orch that wrote it."
            )
        return TrainState(int(header["step"]), arrays), dict(header["provenance"])
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointDamaged(f"{path} is not a whole checkpoint ({error}); go back to the one before.") from error


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    with safetensors.safe_open(path, framework="numpy") as file:
        header: dict[str, Any] = json.loads((file.metadata() or {})[_KEY])
        return header, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
