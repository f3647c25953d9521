"""The order of the images and their random changes, keyed by (seed, epoch, index) and never by process state.

The host draws a few numbers per image (NumPy's Philox, the same bits under every backend); the compiled
training step moves the pixels with them in one gather.  What changes an image and how much is
`models.recipes.Augmentation`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.keyed_random import Purpose, blocks
from models.recipes import Augmentation

DRAWS_PER_IMAGE = 5
"""Columns of `draws`: dy, dx, flip, top, left."""


def epoch_order(indices: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    """Positions int64[N] in which one pass takes the images with these indices.

    The images are sorted by a draw of their own, so which of two comes first depends on nothing but their
    indices.
    """
    draw = blocks(seed, epoch, Purpose.ORDER, indices)[:, 0]
    return np.lexsort((indices, draw))


def draws(
    indices: NDArray[np.int64],
    seed: int,
    epoch: int,
    augmentation: Augmentation,
    image_shape: tuple[int, int, int],
) -> NDArray[np.int64]:
    """What happens to each image in one pass: int64[N, 5] for `augment`.

    Columns: dy and dx, how far the crop's window moves down and right, -padding..padding; flip, 0 or 1; top
    and left, the corner of the cut-out square, whose centre lies anywhere in the image.

    int64 because TensorFlow's int32 arithmetic runs on the host even when a GPU is there.
    """
    height, width, _ = image_shape
    shift, _, flip, centre = blocks(seed, epoch, Purpose.AUGMENTATION, indices).T
    positions = 2 * augmentation.crop_padding + 1
    half_square = augmentation.cutout // 2
    columns = (
        _low(shift) % positions - augmentation.crop_padding,
        _high(shift) % positions - augmentation.crop_padding,
        _low(flip) % 2 if augmentation.flip else np.zeros(len(indices), np.int64),
        _low(centre) % height - half_square,
        _high(centre) % width - half_square,
    )
    return np.stack(columns, axis=1)


def _low(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (words & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _high(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (words >> np.uint64(32)).astype(np.int64)


def augment(ops: Any, shard: Any, rows: Any, drawn: Any, cutout: int) -> Any:
    """A batch of changed images, float32[B, H, W, C] in 0..255; zero where the window left the image or is
    cut out.

    Args:
        ops: the `keras.ops` namespace to compute with.
        shard: images [N, H, W, C] of any numeric type.
        rows: int64[B], the images' positions in `shard`.
        drawn: int64[B, 5], their rows of `draws`.
        cutout: side of the cut-out square in pixels; 0 is off.
    """
    height, width, channels = shard.shape[1:]
    dy, dx, flip, top, left = (drawn[:, column, None] for column in range(DRAWS_PER_IMAGE))
    y = ops.arange(height, dtype="int64")[None, :]
    x = ops.arange(width, dtype="int64")[None, :]
    source_y = y + dy
    source_x = x + flip * (width - 1 - 2 * x) + dx

    pixel = (rows[:, None] * height + ops.clip(source_y, 0, height - 1))[:, :, None] * width
    pixel = pixel + ops.clip(source_x, 0, width - 1)[:, None, :]
    images = ops.take(ops.reshape(shard, (-1, channels)), pixel, axis=0)

    visible = _both(ops, _within(ops, source_y, 0, height), _within(ops, source_x, 0, width))
    if cutout:
        square = _both(ops, _within(ops, y, top, top + cutout), _within(ops, x, left, left + cutout))
        visible = ops.logical_and(visible, ops.logical_not(square))
    return ops.cast(images, "float32") * ops.cast(visible, "float32")[..., None]


def _within(ops: Any, values: Any, start: Any, stop: Any) -> Any:
    return ops.logical_and(values >= start, values < stop)


def _both(ops: Any, by_row: Any, by_column: Any) -> Any:
    """[B, H] and [B, W] to [B, H, W]."""
    return ops.logical_and(by_row[:, :, None], by_column[:, None, :])
