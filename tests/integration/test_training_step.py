"""A step's pixels and loss on the device, against plain NumPy."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from models.datasets import Split
from models.recipes import Augmentation
from models.training import backends
from models.training.augmentation import draws
from models.training.residents import Residents
from models.training.training_step import cross_entropy, training_batch
from tests.unit.test_augmentation import NUMPY

CHANGES = [
    Augmentation(crop_padding=3, cutout=4),
    Augmentation(mixup=0.4),
    Augmentation(cutmix=1.0),
    Augmentation(mixup=0.4, cutmix=1.0),
    Augmentation(erasing=0.5),
    Augmentation(randaugment=1, magnitude=10),
    Augmentation(cutout=4, mixup=0.4, cutmix=1.0, erasing=0.5, randaugment=3),
]


@pytest.mark.parametrize("augmentation", CHANGES, ids=str)
def test_the_device_changes_a_batch_as_numpy_does(augmentation: Augmentation) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 12, 16, 3), dtype=np.uint8)
    shard = Split.whole(pixels, np.arange(40) % 4)
    rows = np.arange(39, 3, -1)
    drawn = draws(shard.indices[rows], 0, 0, augmentation, (12, 16, 3))
    one_hot = SimpleNamespace(
        **vars(NUMPY), one_hot=lambda labels, classes, dtype: np.eye(classes, dtype=dtype)[labels]
    )

    expected = training_batch(one_hot, pixels, shard.labels, rows, drawn, augmentation, 4)
    images, labels = backends.current().resident(shard)
    as_tensor = keras.ops.convert_to_tensor
    found = training_batch(keras.ops, images, labels, as_tensor(rows), as_tensor(drawn), augmentation, 4)

    for theirs, ours in zip(expected, found, strict=True):
        # What is rounded after an operation may be rounded otherwise where it lies just between.
        difference = np.abs(np.asarray(ours) - theirs)
        assert difference.max() <= (1.001 if augmentation.randaugment else 1e-4)
        assert (difference > 1e-4).mean() < 1e-3


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
