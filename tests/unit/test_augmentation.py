"""The order and the changes of the images, against plain NumPy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.augmentation import WHOLE_SHARE, augment, draws, epoch_order, mix
from models.recipes import Augmentation

OFF = Augmentation(crop_padding=0, flip=False, cutout=0)
NUMPY = SimpleNamespace(
    arange=np.arange,
    cast=lambda array, dtype: array.astype(dtype),
    clip=np.clip,
    flip=np.flip,
    logical_and=np.logical_and,
    logical_not=np.logical_not,
    reshape=np.reshape,
    take=np.take,
)
"""What `augment` needs of `keras.ops`."""


@pytest.fixture
def shard() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(1, 256, (6, 8, 10, 3), dtype=np.uint8)


def plainly_augmented(image: NDArray[np.uint8], drawn: NDArray[np.int64], cutout: int) -> NDArray[Any]:
    """The textbook way: flip nothing yet, pad, cut the window out, mirror it, blank the square."""
    dy, dx, flip, top, left = drawn[:5]
    height, width, _ = image.shape
    pad = 8
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    window = padded[pad + dy : pad + dy + height, pad + dx : pad + dx + width].astype(np.float32)
    if flip:
        source = image[:, ::-1]
        padded = np.pad(source, ((pad, pad), (pad, pad), (0, 0)))
        window = padded[pad + dy : pad + dy + height, pad - dx : pad - dx + width].astype(np.float32)
    window[max(0, top) : max(0, top + cutout), max(0, left) : max(0, left + cutout)] = 0
    return window


def test_identity_draws_leave_the_images_alone(shard: NDArray[np.uint8]) -> None:
    rows = np.array([4, 0, 5])
    drawn = draws(rows, 0, 0, OFF, shard.shape[1:])

    result = augment(NUMPY, shard, rows, drawn, cutout=0)

    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, shard[rows])


@pytest.mark.parametrize(
    "drawn",
    [(3, 0, 0, 0, 0), (-2, 4, 0, 0, 0), (0, 0, 1, 0, 0), (1, -3, 1, 0, 0), (0, 0, 0, -2, 5), (2, 2, 1, 6, 8)],
)
def test_a_known_change_is_what_plain_numpy_makes_of_it(shard: NDArray[np.uint8], drawn: tuple[int, ...]) -> None:
    columns = np.array([drawn])

    result = augment(NUMPY, shard, np.array([2]), columns, cutout=4)

    np.testing.assert_array_equal(result[0], plainly_augmented(shard[2], columns[0], cutout=4))


def test_the_draws_stay_in_their_ranges_and_use_all_of_them() -> None:
    drawn = draws(np.arange(5000), 1, 2, Augmentation(crop_padding=4, flip=True, cutout=8), (32, 24, 3))
    dy, dx, flip, top, left, _ = drawn.T

    assert set(dy) == set(dx) == set(range(-4, 5))
    assert set(flip) == {0, 1} and 0.47 < flip.mean() < 0.53
    assert set(top) == set(range(-4, 28))
    assert set(left) == set(range(-4, 20))


def test_an_images_draws_do_not_depend_on_its_shard() -> None:
    augmentation = Augmentation(cutout=8)
    whole = draws(np.arange(300), 5, 1, augmentation, (32, 32, 3))
    shard = np.array([299, 7, 100])

    np.testing.assert_array_equal(draws(shard, 5, 1, augmentation, (32, 32, 3)), whole[shard])


def test_every_epoch_draws_anew() -> None:
    epochs = [draws(np.arange(50), 5, epoch, Augmentation(), (32, 32, 3)).tobytes() for epoch in range(3)]

    assert len(set(epochs)) == 3


def test_an_order_takes_every_image_once_and_changes_with_epoch_and_seed() -> None:
    indices = np.arange(1000, 1200)
    orders = [epoch_order(indices, seed, epoch) for seed, epoch in [(0, 0), (0, 1), (1, 0)]]

    assert all(sorted(order) == list(range(200)) for order in orders)
    assert len({order.tobytes() for order in orders}) == 3


def test_which_of_two_images_comes_first_does_not_depend_on_the_others() -> None:
    everything = np.arange(100)
    part = np.array([80, 3, 44, 10])

    whole_order = everything[epoch_order(everything, 0, 0)]
    part_order = part[epoch_order(part, 0, 0)]

    assert part_order.tolist() == [index for index in whole_order if index in part]


def test_without_mixup_every_image_is_whole() -> None:
    assert set(draws(np.arange(50), 0, 0, Augmentation(), (32, 32, 3))[:, 5].tolist()) == {WHOLE_SHARE}


def shares(alpha: float) -> NDArray[np.float64]:
    return draws(np.arange(40_000), 3, 1, Augmentation(mixup=alpha), (32, 32, 3))[:, 5] / WHOLE_SHARE


@pytest.mark.parametrize(
    ("alpha", "below"),
    [
        (0.5, lambda x: 2 / np.pi * np.arcsin(np.sqrt(x))),
        (1.0, lambda x: x),
        (2.0, lambda x: 3 * x**2 - 2 * x**3),
    ],
)
def test_shares_follow_the_beta_distribution_where_it_has_a_formula(alpha: float, below: Any) -> None:
    ranked = below(np.sort(shares(alpha)))
    expected = (np.arange(len(ranked)) + 0.5) / len(ranked)

    # Kolmogorov and Smirnov's distance is larger once in a thousand times.
    assert np.abs(ranked - expected).max() < 1.95 / np.sqrt(len(ranked))


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.2, 1.0, 4.0, 10.0])
def test_shares_are_spread_as_numpys_are(alpha: float) -> None:
    ours, theirs = shares(alpha), np.random.default_rng(0).beta(alpha, alpha, 40_000)
    edges = np.linspace(0, 1, 201)[1:-1]

    found, expected = (np.searchsorted(np.sort(drawn), edges) / len(drawn) for drawn in (ours, theirs))

    # As above, of two samples.
    assert np.abs(found - expected).max() < 1.95 * np.sqrt(2 / 40_000)
    assert ours.mean() == pytest.approx(0.5, abs=0.01)


def test_first_and_last_are_mixed_by_their_own_shares() -> None:
    drawn = np.zeros((3, 6), np.int64)
    drawn[:, 5] = WHOLE_SHARE // 4, WHOLE_SHARE, WHOLE_SHARE // 2
    values = np.array([[0.0, 1.0], [5.0, 5.0], [8.0, 3.0]], np.float32)
    np.testing.assert_array_equal(mix(NUMPY, values, drawn), [[6.0, 2.5], [5.0, 5.0], [4.0, 2.0]])
