"""A trained network, compressed: the LiteRT file that a method makes of it, and what the file weighs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from models.compression import methods
from models.measurement.sizes import Sizes, measure_sizes


@dataclass(frozen=True)
class CompressedModel:
    """A LiteRT file with the method that made it."""

    method: str
    path: Path
    sizes: Sizes


def compress(method: str, model: Any, path: Path, images: NDArray[Any] | None = None) -> CompressedModel:
    """Write `model`, a trained Keras model, to `path` (a `.tflite` file) by `method`, and weigh the file.

    Args:
        images: training images for a method that needs some: pixels 0..255 [N, H, W, C].

    Raises:
        UnknownMethod: there is no such method; nothing is written.
        ValueError: the method needs images and there are none; nothing is written.
    """
    found = methods.get(method)
    if not found.needs_images:
        found.load()(model, path)
    elif images is None or not len(images):
        raise ValueError(f"The method {method!r} needs training images; give it some.")
    else:
        found.load()(model, path, images=images)
    return CompressedModel(method, path, measure_sizes(path, parameters=model.count_params()))
