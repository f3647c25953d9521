"""A trained network, compressed: the LiteRT file that a method makes of it, packed too, and what the files weigh."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from models.compression import methods, packing
from models.measurement.sizes import Sizes, measure_sizes


@dataclass(frozen=True)
class CompressedModel:
    """A LiteRT file with the method that made it."""

    method: str
    path: Path
    packed: Path
    """The same file as `models.compression.packing` packs it."""
    sizes: Sizes


def compress(method: str, model: Any, path: Path, images: NDArray[Any] | None = None) -> CompressedModel:
    """Write `model`, a trained Keras model, to `path` (a `.tflite` file) by `method`, pack the file and weigh it.

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
    return weighed(method, path, parameters=model.count_params())


def weighed(method: str, path: Path, *, parameters: int) -> CompressedModel:
    """The file at `path` that a method has made of a network with so many parameters, now packed beside it."""
    packed = packing.pack(path)
    return CompressedModel(method, path, packed, measure_sizes(path, packed, parameters=parameters))
