"""What the compiled training step does to pixels, with the numbers that `models.training.augmentation` has drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.recipes import Augmentation
from models.training import randaugment
from models.training.augmentation import WHOLE_SHARE


def augment(ops: Any, shard: Any, rows: Any, drawn: Mapping[str, Any], augmentation: Augmentation) -> Any:
    """A batch of changed images, float32[B, H, W, C] in 0..255; zero where the window left the image or is
    cut out.

    Args:
        ops: the `keras.ops` namespace to compute with.
        shard: images [N, H, W, C] of any numeric type.
        rows: whole numbers [B], the images' positions in `shard`.
        drawn: whole numbers [B] by the names of `models.training.augmentation.columns`.
    """
    images, visible = (_operated if augmentation.randaugment else _cropped)(ops, shard, rows, drawn)
    if augmentation.cutout:
        visible = ops.logical_and(visible, ops.logical_not(_square(ops, images, drawn, augmentation.cutout)))
    images = ops.cast(images, "float32") * _mask(ops, visible)
    return _erased(ops, images, drawn) if augmentation.erasing else images


def mix(ops: Any, images: Any, targets: Any, drawn: Mapping[str, Any], augmentation: Augmentation) -> tuple[Any, Any]:
    """Each row of a batch mixed with the row as far from the end as it is from the beginning, images and targets alike.

    Which rows meet follows from the order of the images, which is keyed.
    Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018.

    Args:
        images: float32[B, H, W, C].
        targets: float32[B, classes], each row's sum 1; so are the mixed ones'.
    """
    share = ops.cast(drawn["share"], "float32") / WHOLE_SHARE
    if augmentation.mixup:
        images = _shared(ops, images, share)
    if augmentation.cutmix:
        height, width = images.shape[1:3]
        pasted = _box(ops, images, *(drawn[f"box_{side}"] for side in ("top", "left", "bottom", "right")))
        images = ops.where(pasted[..., None], ops.flip(images, axis=0), images)
        share = share - ops.sum(ops.cast(pasted, "float32"), axis=(1, 2)) / (height * width)
    return images, _shared(ops, targets, share)


def _shared(ops: Any, values: Any, share: Any) -> Any:
    share = ops.reshape(share, (-1,) + (1,) * (len(values.shape) - 1))
    return values * share + ops.flip(values, axis=0) * (1.0 - share)


def _cropped(ops: Any, shard: Any, rows: Any, drawn: Mapping[str, Any]) -> tuple[Any, Any]:
    """The windows [B, H, W, C] in the shard's own type, and which of their pixels lie in the image, bool[B, H, W].

    A window's rows and columns move alike: only [B, H] and [B, W] places are computed.
    """
    height, width, channels = shard.shape[1:]
    y = ops.arange(height, dtype=rows.dtype)[None, :]
    x = ops.arange(width, dtype=rows.dtype)[None, :]
    source_y = y + drawn["dy"][:, None]
    source_x = x + drawn["flip"][:, None] * (width - 1 - 2 * x) + drawn["dx"][:, None]

    pixel = (rows[:, None] * height + ops.clip(source_y, 0, height - 1))[:, :, None] * width
    pixel = pixel + ops.clip(source_x, 0, width - 1)[:, None, :]
    images = ops.take(ops.reshape(shard, (-1, channels)), pixel, axis=0)
    return images, _both(ops, _within(ops, source_y, 0, height), _within(ops, source_x, 0, width))


def _operated(ops: Any, shard: Any, rows: Any, drawn: Mapping[str, Any]) -> tuple[Any, Any]:
    """As `_cropped`, of windows that have gone through their operations; float32, whole numbers 0..255."""
    height, width, channels = shard.shape[1:]
    y, x = randaugment.sources(ops, drawn, height, width)
    inside = ops.logical_and(_within(ops, y, 0, height), _within(ops, x, 0, width))
    dy, dx, flip = (drawn[name][:, None, None] for name in ("dy", "dx", "flip"))
    source_y = y + dy
    source_x = x + flip * (width - 1 - 2 * x) + dx

    pixel = rows[:, None, None] * height + ops.clip(source_y, 0, height - 1)
    pixel = pixel * width + ops.clip(source_x, 0, width - 1)
    images = ops.take(ops.reshape(shard, (-1, channels)), pixel, axis=0)
    visible = ops.logical_and(_within(ops, source_y, 0, height), _within(ops, source_x, 0, width))
    visible = ops.logical_and(visible, inside)

    images = ops.cast(images, "float32") * _mask(ops, visible)
    for number in range(sum(name.startswith("operation") for name in drawn)):
        images = randaugment.recoloured(ops, images, drawn[f"operation{number}"], drawn[f"level{number}"])
    return images, visible


def _square(ops: Any, images: Any, drawn: Mapping[str, Any], side: int) -> Any:
    top, left = drawn["top"], drawn["left"]
    return _box(ops, images, top, left, top + side, left + side)


def _erased(ops: Any, images: Any, drawn: Mapping[str, Any]) -> Any:
    """A box of each image overwritten with a colour; from a fourth channel on, the bytes of the colour come again."""
    box = _box(ops, images, *(drawn[f"erased_{side}"] for side in ("top", "left", "bottom", "right")))
    values = [ops.floor_divide(drawn["colour"], 1 << 8 * (channel % 3)) % 256 for channel in range(images.shape[-1])]
    colour = ops.cast(ops.stack(values, axis=-1), "float32")[:, None, None, :]
    return ops.where(box[..., None], colour, images)


def _box(ops: Any, images: Any, top: Any, left: Any, bottom: Any, right: Any) -> Any:
    """Which pixels lie in a box of each image, bool[B, H, W]; its sides are whole numbers [B]."""
    height, width = images.shape[1:3]
    y = ops.arange(height, dtype=top.dtype)[None, :]
    x = ops.arange(width, dtype=left.dtype)[None, :]
    return _both(ops, _within(ops, y, top[:, None], bottom[:, None]), _within(ops, x, left[:, None], right[:, None]))


def _mask(ops: Any, seen: Any) -> Any:
    return ops.cast(seen, "float32")[..., None]


def _within(ops: Any, values: Any, start: Any, stop: Any) -> Any:
    return ops.logical_and(values >= start, values < stop)


def _both(ops: Any, by_row: Any, by_column: Any) -> Any:
    """[B, H] and [B, W] to [B, H, W]."""
    return ops.logical_and(by_row[:, :, None], by_column[:, None, :])
