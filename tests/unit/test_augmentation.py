"""The order and the changes of the images, against plain NumPy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.recipes import Augmentation
from models.training import pixels
from models.training.augmentation import WHOLE_SHARE, columns, draws, epoch_order

OFF = Augmentation(crop_padding=0, flip=False, cutout=0)
NUMPY = SimpleNamespace(**vars(np), cast=lambda array, dtype: array.astype(dtype))
"""As `keras.ops`, which is called like NumPy but for the cast."""
EVERYTHING = Augmentation(cutout=4, mixup=0.3, cutmix=1.0, erasing=0.5, randaugment=2)


def named(drawn: NDArray[np.int64], augmentation: Augmentation) -> dict[str, NDArray[np.int64]]:
    return {name: drawn[:, number] for name, number in columns(augmentation).items()}


def augmented(
    shard: NDArray[np.uint8], rows: NDArray[np.int64], drawn: NDArray[np.int64], augmentation: Augmentation
) -> NDArray[np.float32]:
    changed: NDArray[np.float32] = pixels.augment(NUMPY, shard, rows, named(drawn, augmentation), augmentation)
    return changed


def mixed(
    images: NDArray[Any], targets: NDArray[Any], drawn: NDArray[np.int64], augmentation: Augmentation
) -> tuple[NDArray[Any], NDArray[Any]]:
    pair: tuple[NDArray[Any], NDArray[Any]] = pixels.mix(
        NUMPY, images, targets, named(drawn, augmentation), augmentation
    )
    return pair


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

    result = augmented(shard, rows, drawn, OFF)

    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, shard[rows])


@pytest.mark.parametrize(
    "drawn",
    [
        (3, 0, 0, 0, 0, 0),
        (-2, 4, 0, 0, 0, 0),
        (0, 0, 1, 0, 0, 0),
        (1, -3, 1, 0, 0, 0),
        (0, 0, 0, -2, 5, 0),
        (2, 2, 1, 6, 8, 0),
    ],
)
def test_a_known_change_is_what_plain_numpy_makes_of_it(shard: NDArray[np.uint8], drawn: tuple[int, ...]) -> None:
    one = np.array([drawn])

    result = augmented(shard, np.array([2]), one, Augmentation(cutout=4))

    np.testing.assert_array_equal(result[0], plainly_augmented(shard[2], one[0], cutout=4))


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

    images, targets = mixed(values.reshape(3, 1, 2, 1), values, drawn, Augmentation(mixup=0.2))

    np.testing.assert_array_equal(targets, [[6.0, 2.5], [5.0, 5.0], [4.0, 2.0]])
    np.testing.assert_array_equal(images.reshape(3, 2), targets)


def test_what_is_off_draws_nothing_and_what_is_on_leaves_the_other_draws_as_they_are() -> None:
    plain = Augmentation(cutout=4, mixup=0.3)

    few, many = (draws(np.arange(200), 3, 1, augmentation, (32, 32, 3)) for augmentation in (plain, EVERYTHING))

    assert few.shape[1] == len(columns(plain)) == 6 < len(columns(EVERYTHING)) == many.shape[1]
    np.testing.assert_array_equal(many[:, :5], few[:, :5])


def test_all_draws_fit_into_32_bits() -> None:
    drawn = draws(np.arange(20_000), 5, 1, EVERYTHING, (96, 64, 3))

    assert np.array_equal(drawn.astype(np.int32), drawn)


def test_half_of_the_images_get_a_box_and_those_are_not_mixed_besides() -> None:
    drawn = named(draws(np.arange(5000), 1, 2, EVERYTHING, (32, 24, 3)), EVERYTHING)
    height, width = drawn["box_bottom"] - drawn["box_top"], drawn["box_right"] - drawn["box_left"]
    pasted = height * width > 0

    assert 0.45 < pasted.mean() < 0.53
    assert set(drawn["share"][pasted]) == {WHOLE_SHARE}
    assert np.min(drawn["box_top"]) == np.min(drawn["box_left"]) == 0
    assert np.max(drawn["box_bottom"]) == 32 and np.max(drawn["box_right"]) == 24


def test_a_box_is_pasted_from_the_image_that_it_meets_and_the_targets_share_as_the_areas() -> None:
    augmentation = Augmentation(cutmix=1.0)
    drawn = np.zeros((2, 10), np.int64)
    drawn[:, 5] = WHOLE_SHARE
    drawn[0, 6:] = 1, 0, 3, 2  # two rows of two pixels, of the four by four

    images, targets = mixed(
        np.stack([np.zeros((4, 4, 1)), np.ones((4, 4, 1))]).astype(np.float32), np.eye(2), drawn, augmentation
    )

    assert images[0, 1:3, 0:2].all() and images[0].sum() == 4
    np.testing.assert_array_equal(images[1], 1)
    np.testing.assert_array_equal(targets, [[0.75, 0.25], [0, 1]])


@pytest.mark.parametrize("seed", range(5))
def test_no_label_is_lost_and_shares_sum_to_one(seed: int) -> None:
    drawn = draws(np.arange(64), seed, 3, EVERYTHING, (16, 16, 3))
    labels = np.eye(10, dtype=np.float32)[np.arange(64) % 7]
    images = np.random.default_rng(seed).integers(0, 256, (64, 16, 16, 3)).astype(np.float32)

    shown, targets = mixed(images, labels, drawn, EVERYTHING)

    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
    assert (targets >= 0).all() and not targets[:, 7:].any()
    either = labels.astype(bool) | labels[::-1].astype(bool)
    assert not targets[~either].any()
    assert (shown >= 0).all() and (shown <= 255).all()


def test_an_erased_rectangle_has_one_colour_and_its_chance() -> None:
    augmentation = Augmentation(crop_padding=0, flip=False, erasing=0.25)
    images = np.full((4000, 16, 24, 3), 7, np.uint8)
    drawn = draws(np.arange(4000), 0, 0, augmentation, (16, 24, 3))

    result = augmented(images, np.arange(4000), drawn, augmentation)

    changed = (result != 7).any(axis=3)
    erased = changed.any(axis=(1, 2))
    assert 0.22 < erased.mean() < 0.28
    areas = changed[erased].mean(axis=(1, 2))
    assert areas.min() > 0.01 and areas.max() < 0.37 and 0.12 < areas.mean() < 0.23
    for image, where in zip(result[erased][:50], changed[erased], strict=False):
        colours = np.unique(image[where], axis=0)
        assert len(colours) == 1
        rows, columns_ = np.where(where)
        assert where.sum() == (np.ptp(rows) + 1) * (np.ptp(columns_) + 1)


def test_repeated_images_stand_side_by_side_and_some_passes_take_every_one() -> None:
    indices = np.arange(100, 112)
    passes = [epoch_order(indices, 0, epoch, repeats=3) for epoch in range(3)]

    for order in passes:
        assert len(order) == 12
        assert (order.reshape(4, 3) == order[::3, None]).all()
    assert sorted(position for order in passes for position in order[::3]) == list(range(12))


@pytest.mark.parametrize("images", [7, 8, 9])
def test_a_pass_of_repeated_images_is_as_long_as_one_without(images: int) -> None:
    passes = [epoch_order(np.arange(images), 0, epoch, repeats=4) for epoch in range(4)]

    assert {position for order in passes for position in order} == set(range(images))
    assert all(len(order) == images for order in passes)
