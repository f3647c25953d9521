"""A trained network, compressed: the LiteRT file that a method makes of it, and what the file weighs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.compression.methods import export_of
from models.measurement.sizes import Sizes, measure_sizes


@dataclass(frozen=True)
class CompressedModel:
    """A LiteRT file with the method that made it."""

    method: str
    path: Path
    sizes: Sizes


def compress(method: str, model: Any, path: Path) -> CompressedModel:
    """Write `model`, a trained Keras model, to `path` (a `.tflite` file) by `method`, and weigh the file.

    Raises:
        UnknownMethod: there is no such method; nothing is written.
    """
    export_of(method)(model, path)
    return CompressedModel(method, path, measure_sizes(path, parameters=model.count_params()))
