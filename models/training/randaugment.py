"""A fixed list of operations on images, of which each image goes through a few drawn ones.

After Cubuk et al., "RandAugment: practical automated data augmentation", 2020, with the strength of each operation
drawn up to the largest, as in Müller and Hutter, "TrivialAugment", ICCV 2021.  Equalize is left out: it needs a
histogram of every image.

Operations that move pixels are put together on the host to one map from a pixel to the one that it is taken from, in
whole numbers: the compiled step moves each pixel once.  Those that change colours are computed in the step, on values
0..255 that are whole after each of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPERATIONS = (
    "identity",
    "rotate",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "brightness",
    "colour",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
)
"""Their places in this list are part of every result: add at the end only."""
UNIT = 1 << 10
"""One, in the map's whole numbers: far finer than a pixel, and within 32 bits for images of 100,000 pixels a side."""
_WHOLE_LEVEL = 1 << 16
"""The level of an operation at its largest strength."""
_MAP = ("xx", "xy", "x0", "yx", "yy", "y0")
_LARGEST = {"rotate": math.radians(30), "shear": 0.3, "translate": 0.3, "blend": 0.9, "posterize": 4.0}
_LUMA = (0.299, 0.587, 0.114)


def columns(operations: int) -> list[str]:
    """The names of the columns of `draws`: the map of the pixels, then each operation with its level in 1/65536."""
    if not operations:
        return []
    return [*_MAP, *(f"{name}{number}" for number in range(operations) for name in ("operation", "level"))]


def draws(
    chosen: NDArray[np.int64], strengths: NDArray[np.int64], magnitude: int, height: int, width: int
) -> list[NDArray[np.int64]]:
    """The columns from two drawn half words, 32 bits, for each image and operation: int64[N, K] each.

    The map takes the pixel (x, y) from u' = xx u + xy v + x0 and v' = yx u + yy v + y0, in 1/1024 half pixels, where
    u and v are twice the place of (x, y) from the middle.
    """
    operations = chosen % len(OPERATIONS)
    signs = np.where(strengths & 1, 1, -1)
    levels = signs * ((strengths >> 1) * magnitude * _WHOLE_LEVEL // (10 << 31))
    matrices = np.broadcast_to(np.eye(3), (len(chosen), 3, 3))
    for number in range(chosen.shape[1]):
        matrices = matrices @ _matrices(operations[:, number], levels[:, number] / _WHOLE_LEVEL, height, width)
    moved = np.rint(matrices[:, :2] * UNIT).astype(np.int64).reshape(len(chosen), 6)
    return [*moved.T, *(column for pair in zip(operations.T, levels.T, strict=True) for column in pair)]


def _matrices(
    operations: NDArray[np.int64], strengths: NDArray[np.float64], height: int, width: int
) -> NDArray[np.float64]:
    """[N, 3, 3] of (u, v, 1); the unit matrix for what moves no pixels."""
    matrices = np.tile(np.eye(3), (len(operations), 1, 1))

    def put(name: str, row: int, column: int, values: NDArray[np.float64]) -> None:
        ours = operations == OPERATIONS.index(name)
        matrices[ours, row, column] = values[ours]

    angles = _LARGEST["rotate"] * strengths
    put("rotate", 0, 0, np.cos(angles))
    put("rotate", 0, 1, np.sin(angles))
    put("rotate", 1, 0, -np.sin(angles))
    put("rotate", 1, 1, np.cos(angles))
    put("shear_x", 0, 1, _LARGEST["shear"] * strengths)
    put("shear_y", 1, 0, _LARGEST["shear"] * strengths)
    put("translate_x", 0, 2, 2 * width * _LARGEST["translate"] * strengths)
    put("translate_y", 1, 2, 2 * height * _LARGEST["translate"] * strengths)
    return matrices


def sources(ops: Any, drawn: Mapping[str, Any], height: int, width: int) -> tuple[Any, Any]:
    """The pixels that each is taken from, y and x int[B, H, W], which may lie outside of the image.

    Args:
        drawn: whole numbers [B] by the names of the map's columns.
    """
    xx, xy, x0, yx, yy, y0 = (drawn[name][:, None, None] for name in _MAP)
    u = (2 * ops.arange(width, dtype=x0.dtype) - (width - 1))[None, None, :]
    v = (2 * ops.arange(height, dtype=y0.dtype) - (height - 1))[None, :, None]
    # Half a pixel is added, so that the floor of the division by two is the nearest.
    y = ops.floor_divide(yx * u + yy * v + y0 + UNIT * height, 2 * UNIT)
    x = ops.floor_divide(xx * u + xy * v + x0 + UNIT * width, 2 * UNIT)
    return y, x


def recoloured(ops: Any, images: Any, operation: Any, level: Any) -> Any:
    """Images float32[B, H, W, C], whole numbers 0..255, after one operation each that changes colours, or none.

    Args:
        operation: whole numbers [B], places in `OPERATIONS`.
        level: whole numbers [B], signed strengths in 1/65536.
    """
    strength = ops.cast(level, "float32")[:, None, None, None] / _WHOLE_LEVEL
    blend = 1.0 + _LARGEST["blend"] * strength
    changed = images
    for name, result in (
        ("brightness", images * blend),
        ("colour", _blended(_grey(ops, images), images, blend)),
        ("contrast", _blended(_mean_grey(ops, images), images, blend)),
        ("sharpness", _blended(_smoothed(ops, images), images, blend)),
        ("posterize", _posterized(ops, images, ops.absolute(strength))),
        ("solarize", ops.where(images < 256.0 * (1.0 - ops.absolute(strength)), images, 255.0 - images)),
        ("autocontrast", _stretched(ops, images)),
    ):
        ours = (operation == OPERATIONS.index(name))[:, None, None, None]
        changed = ops.where(ours, result, changed)
    return ops.clip(ops.round(changed), 0.0, 255.0)


def _blended(plain: Any, images: Any, factor: Any) -> Any:
    return plain + (images - plain) * factor


def _grey(ops: Any, images: Any) -> Any:
    """[B, H, W, 1], rounded; images that are not red, green and blue are as grey as their mean."""
    channels = images.shape[-1]
    shares = _LUMA if channels == 3 else (1.0 / channels,) * channels
    grey = sum(images[..., number : number + 1] * share for number, share in enumerate(shares))
    return ops.round(grey)


def _mean_grey(ops: Any, images: Any) -> Any:
    return ops.round(ops.mean(_grey(ops, images), axis=(1, 2, 3), keepdims=True))


def _smoothed(ops: Any, images: Any) -> Any:
    """Pillow's SMOOTH, a mean of 3x3 in which the middle counts five times; the image's edge stays."""
    height, width = images.shape[1:3]
    around = sum(
        images[:, down : height - 2 + down, right : width - 2 + right] for down in range(3) for right in range(3)
    )
    inner = ops.round((around + 4.0 * images[:, 1:-1, 1:-1]) / 13.0)
    middle = ops.concatenate([images[:, 1:-1, :1], inner, images[:, 1:-1, -1:]], axis=2)
    return ops.concatenate([images[:, :1], middle, images[:, -1:]], axis=1)


def _posterized(ops: Any, images: Any, strength: Any) -> Any:
    """Fewer bits for each value: up to four of the eight are lost."""
    lost = ops.round(_LARGEST["posterize"] * strength)
    # By comparisons: a power of two that is one only nearly would put whole numbers a step lower.
    step = sum(ops.cast(lost >= bits, "float32") * 2.0 ** max(0, bits - 1) for bits in range(5))
    return ops.floor(images / step) * step


def _stretched(ops: Any, images: Any) -> Any:
    """Each channel's least value to 0 and its most to 255."""
    least = ops.min(images, axis=(1, 2), keepdims=True)
    range_ = ops.max(images, axis=(1, 2), keepdims=True) - least
    return ops.where(range_ > 0, (images - least) * (255.0 / ops.maximum(range_, 1.0)), images)
