"""What every runtime is measured through: one network at one batch size, and the batches that it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.failures import PermanentFailure


class UnusableModel(PermanentFailure):
    """A network that is no classifier of such images: damaged, or of another input or output."""


class Classifier(Protocol):
    """A network that is loaded for one batch size.  One thread calls it."""

    classes: int

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Logits [N, classes] of pixels 0..255 [N, H, W, C], as many images as there are."""

    def run(self) -> object:
        """One inference of one batch, finished when it returns: what latency measures."""


def predict_in_batches(
    predict: Callable[[NDArray[np.float32]], NDArray[np.float32]], images: NDArray[Any], batch: int
) -> NDArray[np.float32]:
    """Logits [N, classes] of pixels 0..255 [N, H, W, C]; the last batch is filled up with zeros.

    Args:
        predict: logits [batch, classes] of float32 pixels [batch, H, W, C].
    """
    logits = []
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        filled = np.zeros((batch, *images.shape[1:]), np.float32)
        filled[: len(part)] = part
        logits.append(np.asarray(predict(filled)[: len(part)], np.float32))
    return np.concatenate(logits)


def random_pixels(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """What `run` measures before anything was predicted, too: on zeros a kernel could take a short cut."""
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8).astype(np.float32)


def sides(shape: tuple[int, ...]) -> str:
    """`32x32x3`."""
    return "x".join(map(str, shape))


def row_length(shape: tuple[int, ...], batch: int) -> int:
    """How many logits an image has, of an output of this shape.

    Raises:
        UnusableModel: it is not a row for each image of a batch.
    """
    if len(shape) != 2 or shape[0] != batch:
        raise UnusableModel(f"The file gives {sides(shape)} numbers for {batch} images, not a row of logits for each.")
    return int(shape[1])
