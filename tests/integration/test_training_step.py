"""A step's pixels and loss on the device, against plain NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from models import backends
from models.augmentation import augment, draws
from models.datasets import Split
from models.recipes import Augmentation
from models.residents import Residents
from models.training_step import cross_entropy


def test_the_device_moves_the_pixels_as_numpy_does() -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 12, 12, 3), dtype=np.uint8)
    shard = Split(images, np.zeros(9, np.int64), np.arange(9))
    drawn = draws(shard.indices, 0, 0, Augmentation(crop_padding=3, cutout=4), (12, 12, 3))
    resident_images, _ = backends.current().resident(shard)

    moved = augment(keras.ops, resident_images, shard.indices, drawn, cutout=4)

    for image, (dy, dx, flip, top, left, _), result in zip(images, drawn, np.asarray(moved), strict=True):
        padded = np.pad(image[:, ::-1] if flip else image, ((3, 3), (3, 3), (0, 0)))
        dx = -dx if flip else dx
        window = padded[3 + dy : 15 + dy, 3 + dx : 15 + dx].copy()
        window[max(0, top) : top + 4, max(0, left) : left + 4] = 0
        np.testing.assert_array_equal(result, window)


def black(images: int) -> Split:
    return Split.whole(np.zeros((images, 8, 8, 3), np.uint8), np.zeros(images, np.int64))


def test_a_shard_that_comes_back_is_not_uploaded_again() -> None:
    residents, (first, second) = Residents(backends.current().resident, limit_bytes=2**20), (black(9), black(9))

    images, _ = residents.get(first)
    others, _ = residents.get(second)

    assert residents.get(first)[0] is images is not others


def test_the_shards_that_were_used_longest_ago_make_room_for_others() -> None:
    residents, (first, second, third) = (
        Residents(backends.current().resident, limit_bytes=2 * 2 * 9 * 8 * 8 * 3),
        (black(9), black(9), black(9)),
    )
    images, others = residents.get(first)[0], residents.get(second)[0]
    residents.get(first)

    residents.get(third)

    assert residents.get(first)[0] is images
    assert residents.get(second)[0] is not others


def test_a_shard_larger_than_the_limit_is_still_trained_on() -> None:
    assert len(Residents(backends.current().resident, limit_bytes=1).get(black(9))[0]) == 9


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_cross_entropy_against_smoothed_targets(smoothing: float) -> None:
    logits = np.random.default_rng(0).normal(size=(5, 10)).astype(np.float32)
    targets = np.eye(10, dtype=np.float32)[[1, 5, 9, 0, 3]]
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -((targets * (1 - smoothing) + smoothing / 10) * log_softmax).sum(axis=1).mean()

    assert float(cross_entropy(keras.ops, targets, logits, smoothing)) == pytest.approx(expected, rel=1e-5)
