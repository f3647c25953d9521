"""The order of the images and their random changes, keyed by (seed, epoch, index) and never by process state.

The host draws a few whole numbers per image (NumPy's Philox, the same bits under every backend); the compiled training
step changes the pixels with them (`models.training.pixels`).  What changes an image and how much is
`models.recipes.Augmentation`.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from models.keyed_random import Purpose, blocks
from models.recipes import Augmentation
from models.training import randaugment

WHOLE_SHARE = 1 << 16
"""The share of an image that is not mixed with another."""
_ALWAYS = ("dy", "dx", "flip", "top", "left", "share")
_BOX = ("box_top", "box_left", "box_bottom", "box_right")
_ERASED = ("erased_top", "erased_left", "erased_bottom", "erased_right", "colour")
_ERASED_AREA = (0.02, 0.33)
"""Smallest and largest share of the image, as in Zhong et al., "Random erasing data augmentation", AAAI 2020."""
_ERASED_ASPECT = (0.3, 1 / 0.3)


def columns(augmentation: Augmentation) -> dict[str, int]:
    """The columns of `draws` by name: six that are always there, and those of the changes that are on.

    dy and dx: how far the crop's window moves down and right, -padding..padding.  flip: 0 or 1.  top and left: the
    corner of the cut-out square, whose centre lies anywhere in the image.  share: how much of the image is left when
    it is mixed with another, in 1/65536.  box_...: what is pasted from another image, empty where nothing is.
    erased_... and colour: what is painted over, and with which red, green and blue, a byte each.  Besides those of
    `models.training.randaugment`.
    """
    names = [*_ALWAYS]
    if augmentation.cutmix:
        names += _BOX
    if augmentation.erasing:
        names += _ERASED
    names += randaugment.columns(augmentation.randaugment)
    return {name: number for number, name in enumerate(names)}


def epoch_order(indices: NDArray[np.int64], seed: int, epoch: int, repeats: int = 1) -> NDArray[np.int64]:
    """Positions int64[N] in which one pass takes the images with these indices.

    The images are sorted by a draw of their own, so which of two comes first depends on nothing but their
    indices.  With repeats, a pass takes a part of such an order, each image so often in a row; `repeats` passes
    together take every image.
    """
    whole, part = divmod(epoch, repeats)
    draw = blocks(seed, whole, Purpose.ORDER, indices)[:, 0]
    order = np.lexsort((indices, draw))
    images = -(-len(order) // repeats)
    # Where the images cannot be divided evenly, the last of a pass are the first of another.
    taken = order[(part + repeats * np.arange(images)) % len(order)]
    return np.repeat(taken, repeats)[: len(order)]


def draws(
    indices: NDArray[np.int64],
    seed: int,
    epoch: int,
    augmentation: Augmentation,
    image_shape: tuple[int, int, int],
) -> NDArray[np.int64]:
    """What happens to each image in one pass: int64[N, C], C the `columns`.

    int64 because TensorFlow's int32 arithmetic runs on the host even when a GPU is there.
    """
    height, width, _ = image_shape
    shift, mixed, flip, centre = blocks(seed, epoch, Purpose.AUGMENTATION, indices).T
    positions = 2 * augmentation.crop_padding + 1
    half_square = augmentation.cutout // 2
    drawn = [
        _low(shift) % positions - augmentation.crop_padding,
        _high(shift) % positions - augmentation.crop_padding,
        _low(flip) % 2 if augmentation.flip else np.zeros(len(indices), np.int64),
        _low(centre) % height - half_square,
        _high(centre) % width - half_square,
        _shares(mixed, augmentation.mixup),
    ]
    if augmentation.cutmix:
        words = blocks(seed, epoch, Purpose.CUTMIX, indices)
        pasted = _low(words[:, 0]) % 2 == 1
        drawn[-1] = np.where(pasted, WHOLE_SHARE, drawn[-1])
        drawn += [np.where(pasted, side, 0) for side in _pasted_box(words, augmentation.cutmix, height, width)]
    if augmentation.erasing:
        drawn += _erasure(blocks(seed, epoch, Purpose.ERASING, indices), augmentation.erasing, height, width)
    if augmentation.randaugment:
        words = blocks(seed, epoch, Purpose.RANDAUGMENT, indices)[:, : augmentation.randaugment]
        drawn += randaugment.draws(_low(words), _high(words), augmentation.magnitude, height, width)
    return np.stack(drawn, axis=1)


def _pasted_box(
    words: NDArray[np.uint64], alpha: float, height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Top, left, bottom, right of a box whose share of the area is Beta(alpha, alpha), but for what leaves the image.

    Yun et al., "CutMix: regularization strategy to train strong classifiers", ICCV 2019.
    """
    sides = np.sqrt(1.0 - _shares(words[:, 1], alpha) / WHOLE_SHARE)
    tall, wide = (np.rint(size * sides).astype(np.int64) for size in (height, width))
    top = _low(words[:, 2]) % height - tall // 2
    left = _high(words[:, 2]) % width - wide // 2
    return (
        np.clip(top, 0, height),
        np.clip(left, 0, width),
        np.clip(top + tall, 0, height),
        np.clip(left + wide, 0, width),
    )


def _erasure(words: NDArray[np.uint64], chance: float, height: int, width: int) -> list[NDArray[np.int64]]:
    """Top, left, bottom, right of a rectangle, none at all where it is not erased, and its colour."""
    erased = _fraction(_low(words[:, 0])) < chance
    (least, most), (flat, steep) = _ERASED_AREA, _ERASED_ASPECT
    area = height * width * (least + (most - least) * _fraction(_high(words[:, 0])))
    aspect = flat * (steep / flat) ** _fraction(_low(words[:, 1]))
    tall = np.clip(np.rint(np.sqrt(area * aspect)), 1, height).astype(np.int64)
    wide = np.clip(np.rint(np.sqrt(area / aspect)), 1, width).astype(np.int64)
    top = _high(words[:, 1]) % (height - tall + 1)
    left = _low(words[:, 2]) % (width - wide + 1)
    box = (top, left, top + tall, left + wide)
    return [*(np.where(erased, side, 0) for side in box), _high(words[:, 2]) & 0xFFFFFF]


def _shares(words: NDArray[np.uint64], alpha: float) -> NDArray[np.int64]:
    """Beta(alpha, alpha) by its quantiles, in 1/65536; whole where mixing is off."""
    if not alpha:
        return np.full(len(words), WHOLE_SHARE, np.int64)
    chance = _fraction(_high(words))
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


def _fraction(halves: NDArray[np.int64]) -> NDArray[np.float64]:
    """Half words, 32 bits, to 0..1."""
    return halves / 2**32


def _low(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (words & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _high(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (words >> np.uint64(32)).astype(np.int64)
