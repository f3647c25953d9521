"""The order of the images and their random changes, keyed by (seed, epoch, index) and never by process state.

The host draws a few numbers per image (NumPy's Philox, the same bits under every backend); the compiled
training step moves the pixels with them in one gather.  What changes an image and how much is
`models.recipes.Augmentation`.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.keyed_random import Purpose, blocks
from models.recipes import Augmentation

DRAWS_PER_IMAGE = 6
"""Columns of `draws`: dy, dx, flip, top, left, share."""
_MOVES = 5
"""Of them, those that move or blank pixels."""
WHOLE_SHARE = 1 << 16
"""The share of an image that is not mixed with another."""


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
    """What happens to each image in one pass: int64[N, 6] for `augment` and `mix`.

    Columns: dy and dx, how far the crop's window moves down and right, -padding..padding; flip, 0 or 1; top
    and left, the corner of the cut-out square, whose centre lies anywhere in the image; share, how much of the image
    is left when it is mixed with another, in 1/65536.

    int64 because TensorFlow's int32 arithmetic runs on the host even when a GPU is there.
    """
    height, width, _ = image_shape
    shift, mixed, flip, centre = blocks(seed, epoch, Purpose.AUGMENTATION, indices).T
    positions = 2 * augmentation.crop_padding + 1
    half_square = augmentation.cutout // 2
    columns = (
        _low(shift) % positions - augmentation.crop_padding,
        _high(shift) % positions - augmentation.crop_padding,
        _low(flip) % 2 if augmentation.flip else np.zeros(len(indices), np.int64),
        _low(centre) % height - half_square,
        _high(centre) % width - half_square,
        _shares(mixed, augmentation.mixup),
    )
    return np.stack(columns, axis=1)


def _shares(words: NDArray[np.uint64], alpha: float) -> NDArray[np.int64]:
    """Beta(alpha, alpha) by its quantiles, in 1/65536; whole where mixing is off."""
    if not alpha:
        return np.full(len(words), WHOLE_SHARE, np.int64)
    chance = _high(words) / 2**32
    lower = np.interp(np.minimum(chance, 1 - chance), *_beta_quantiles(alpha)) ** (1 / alpha)
    shares: NDArray[np.float64] = np.where(chance < 0.5, lower, 1 - lower)
    return np.rint(shares * WHOLE_SHARE).astype(np.int64)


@functools.cache
def _beta_quantiles(alpha: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Beta(alpha, alpha)'s distribution function up to the middle, and s = t^alpha at the quantiles t that have it.

    Below 1 the density t^(alpha-1) (1-t)^(alpha-1) dt has a pole at 0, which no sum over strips of t, or of an angle,
    comes close to.  In s it is (1-t)^(alpha-1) ds / alpha, without one.
    """
    strips = np.linspace(0.0, 1.0, 1 << 12)
    t = 0.5 * strips ** max(1.0, 1 / alpha)
    s = 0.5**alpha * strips ** max(1.0, alpha)
    density = (1 - t) ** (alpha - 1)
    sums = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) * np.diff(s))))
    return sums / sums[-1] / 2, s


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
        drawn: int64[B, 6], their rows of `draws`.
        cutout: side of the cut-out square in pixels; 0 is off.
    """
    height, width, channels = shard.shape[1:]
    dy, dx, flip, top, left = (drawn[:, column, None] for column in range(_MOVES))
    y = ops.arange(height, dtype=drawn.dtype)[None, :]
    x = ops.arange(width, dtype=drawn.dtype)[None, :]
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


def mix(ops: Any, values: Any, drawn: Any) -> Any:
    """Each row of a batch mixed with the row as far from the end as it is from the beginning.

    Which rows meet follows from the order of the images, which is keyed; images and targets are mixed alike.
    Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018.

    Args:
        values: float32[B, ...].
        drawn: int64[B, 6], the images' rows of `draws`.
    """
    share = ops.cast(drawn[:, -1], "float32") / WHOLE_SHARE
    share = ops.reshape(share, (-1,) + (1,) * (len(values.shape) - 1))
    return values * share + ops.flip(values, axis=0) * (1.0 - share)


def _within(ops: Any, values: Any, start: Any, stop: Any) -> Any:
    return ops.logical_and(values >= start, values < stop)


def _both(ops: Any, by_row: Any, by_column: Any) -> Any:
    """[B, H] and [B, W] to [B, H, W]."""
    return ops.logical_and(by_row[:, :, None], by_column[:, None, :])
