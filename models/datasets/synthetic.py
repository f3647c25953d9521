"""A made-up data set in the shape of CIFAR-10, for trying a study out without a download.

Each class is a smooth colour pattern; an image is its class's pattern, shifted at random and put under
noise.  A small network learns it to well over 90 %, a broken loop stays at 10 %.  Integers from a counter-
based generator only, so the images are the same bits everywhere.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from models.datasets.description import Description
from models.datasets.splits import Split
from models.keyed_random import Purpose, blocks, words

_VERSION = 1
"""Raise it when any bit of the images changes: it is the data set's identity."""
_SEED = 0
_CLASSES = 10
_SIDE = 32
_KNOTS = 4
"""A pattern is interpolated between this many random colours in each direction."""
_LARGEST_SHIFT = 4
"""Pixels; less than the distance between knots, so that a shifted pattern stays nearest to its own class."""

DESCRIPTION = Description(
    name="synthetic",
    classes=tuple(f"pattern {number}" for number in range(_CLASSES)),
    image_shape=(_SIDE, _SIDE, 3),
    train_images=5_000,
    test_images=1_000,
    digest=hashlib.sha256(f"synthetic {_VERSION}".encode()).hexdigest(),
    smallest_class=500,
)


def make() -> tuple[Split, Split]:
    """The training and the test images."""
    count = DESCRIPTION.train_images + DESCRIPTION.test_images
    labels = np.arange(count) % _CLASSES
    images = _noisy(_shifted(_patterns(), labels))
    train = DESCRIPTION.train_images
    return Split.whole(images[:train], labels[:train]), Split.whole(images[train:], labels[train:])


def _patterns() -> NDArray[np.int16]:
    """[classes, side, side, 3] in -64..63: random colours at the knots, interpolated around the edges."""
    knots = _random_bytes(Purpose.SYNTHETIC_PATTERNS, _CLASSES * _KNOTS * _KNOTS * 3)
    pattern = knots.reshape(_CLASSES, _KNOTS, _KNOTS, 3).astype(np.int64) - 128
    for axis in (1, 2):
        pattern = _interpolated(pattern, axis)
    step = _SIDE // _KNOTS
    return (pattern // (2 * step * step)).astype(np.int16)


def _interpolated(knots: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    """Linear interpolation along one axis, scaled by the distance between knots to stay in integers."""
    step = _SIDE // _KNOTS
    following = np.roll(knots, -1, axis)
    between = [knots * (step - offset) + following * offset for offset in range(step)]
    shape = [*knots.shape]
    shape[axis] = _SIDE
    return np.stack(between, axis + 1).reshape(shape)


def _shifted(patterns: NDArray[np.int16], labels: NDArray[np.int64]) -> NDArray[np.int16]:
    """[N, side, side, 3]: each label's pattern, moved around the edges by a few pixels."""
    block = blocks(_SEED, 0, Purpose.SYNTHETIC_IMAGES, np.arange(len(labels)))
    shift = (block[:, :2] % np.uint64(2 * _LARGEST_SHIFT + 1)).astype(np.int64) - _LARGEST_SHIFT
    rows = (np.arange(_SIDE) + shift[:, :1]) % _SIDE
    columns = (np.arange(_SIDE) + shift[:, 1:]) % _SIDE
    shifted: NDArray[np.int16] = patterns[labels[:, None, None], rows[:, :, None], columns[:, None, :]]
    return shifted


def _noisy(images: NDArray[np.int16]) -> NDArray[np.uint8]:
    noise = _random_bytes(Purpose.SYNTHETIC_NOISE, images.size).reshape(images.shape).astype(np.int16) - 128
    noisy: NDArray[np.int16] = 128 + images + noise // 2
    return noisy.clip(0, 255).astype(np.uint8)


def _random_bytes(purpose: Purpose, count: int) -> NDArray[np.uint8]:
    stream = words(_SEED, 0, purpose, -(-count // 8))
    return stream.astype("<u8").view(np.uint8)[:count]
