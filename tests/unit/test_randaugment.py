"""The operations on images, against Pillow and plain NumPy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from models.recipes import Augmentation
from models.training import pixels, randaugment
from models.training.augmentation import columns, draws

NUMPY = SimpleNamespace(**vars(np), cast=lambda array, dtype: array.astype(dtype))
WHOLE = 1 << 16
ONE = Augmentation(crop_padding=0, flip=False, randaugment=1, magnitude=10)


@pytest.fixture
def image() -> NDArray[np.uint8]:
    smooth = np.random.default_rng(0).integers(40, 200, (6, 7, 3)).repeat(3, 0).repeat(3, 1)
    return (smooth + np.random.default_rng(1).integers(-20, 20, smooth.shape)).astype(np.uint8)


def drawn(name: str, strength: float, height: int, width: int) -> dict[str, NDArray[np.int64]]:
    """The columns of one image whose one operation has this signed strength."""
    chosen = np.array([[randaugment.OPERATIONS.index(name)]])
    half_word = np.array([[int(abs(strength) * (2**31 - 1)) * 2 + (strength > 0)]])
    values = [0, 0, 0, 0, 0, WHOLE, *np.ravel(randaugment.draws(chosen, half_word, 10, height, width))]
    return {key: np.array([value]) for key, value in zip(columns(ONE), values, strict=True)}


def operated(image: NDArray[np.uint8], name: str, strength: float) -> NDArray[np.float32]:
    height, width, _ = image.shape
    changed = pixels.augment(NUMPY, image[None], np.array([0]), drawn(name, strength, height, width), ONE)
    result: NDArray[np.float32] = changed[0]
    return result


def pillows(image: NDArray[np.uint8], name: str, strength: float) -> Any:
    picture = Image.fromarray(image)
    enhancers = {
        "brightness": ImageEnhance.Brightness,
        "colour": ImageEnhance.Color,
        "contrast": ImageEnhance.Contrast,
        "sharpness": ImageEnhance.Sharpness,
    }
    if name in enhancers:
        return np.asarray(enhancers[name](picture).enhance(1 + 0.9 * strength))
    if name == "posterize":
        return np.asarray(ImageOps.posterize(picture, 8 - round(4 * abs(strength))))
    if name == "solarize":
        return np.asarray(ImageOps.solarize(picture, int(np.ceil(256 * (1 - abs(strength))))))
    return np.asarray(ImageOps.autocontrast(picture))


@pytest.mark.parametrize("strength", [-1.0, -0.4, 0.3, 1.0])
@pytest.mark.parametrize("name", randaugment.OPERATIONS[6:])
def test_colours_change_as_pillow_changes_them(image: NDArray[np.uint8], name: str, strength: float) -> None:
    difference = operated(image, name, strength) - pillows(image, name, strength)

    # Pillow cuts off what we round.
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("name", randaugment.OPERATIONS)
def test_values_stay_whole_and_in_their_range(image: NDArray[np.uint8], name: str) -> None:
    for strength in (-1.0, -0.3, 0.7, 1.0):
        changed = operated(image, name, strength)
        assert np.array_equal(changed, np.clip(np.rint(changed), 0, 255))


@pytest.mark.parametrize("name", randaugment.OPERATIONS[:12])
def test_an_operation_without_strength_changes_nothing(image: NDArray[np.uint8], name: str) -> None:
    np.testing.assert_array_equal(operated(image, name, 0.0), image)


@pytest.mark.parametrize(("name", "axis"), [("translate_y", 0), ("translate_x", 1)])
@pytest.mark.parametrize("strength", [-1.0, 0.5])
def test_a_translation_shifts_and_leaves_black(image: NDArray[np.uint8], name: str, axis: int, strength: float) -> None:
    size = image.shape[axis]
    source = np.arange(size) + round(0.3 * strength * size)
    inside = (source >= 0) & (source < size)
    expected = np.take(image, np.clip(source, 0, size - 1), axis=axis)
    np.moveaxis(expected, axis, 0)[~inside] = 0

    np.testing.assert_array_equal(operated(image, name, strength), expected)


@pytest.mark.parametrize("name", ["rotate", "shear_x", "shear_y"])
def test_pixels_come_from_where_the_map_says(image: NDArray[np.uint8], name: str) -> None:
    strength, (height, width, _) = 0.8, image.shape
    angle = np.radians(30 * strength)
    matrix = {
        "rotate": [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]],
        "shear_x": [[1, 0.3 * strength], [0, 1]],
        "shear_y": [[1, 0], [0.3 * strength, 1]],
    }[name]
    y, x = np.mgrid[:height, :width]
    across, down = np.tensordot(np.array(matrix), np.stack([x - (width - 1) / 2, y - (height - 1) / 2]), axes=1)
    source_x, source_y = across + (width - 1) / 2, down + (height - 1) / 2
    # Not where the nearest pixel is decided by the last digits.
    sure = (np.abs(source_x % 1 - 0.5) > 0.02) & (np.abs(source_y % 1 - 0.5) > 0.02)
    near_x, near_y = np.rint(source_x).astype(int), np.rint(source_y).astype(int)
    inside = (near_x >= 0) & (near_x < width) & (near_y >= 0) & (near_y < height)
    expected = image[np.clip(near_y, 0, height - 1), np.clip(near_x, 0, width - 1)] * inside[..., None]

    result = operated(image, name, strength)

    assert sure.mean() > 0.9 and not inside.all()
    np.testing.assert_array_equal(result[sure], expected[sure])


def test_strengths_are_drawn_up_to_the_magnitude_and_in_both_directions() -> None:
    augmentation = Augmentation(randaugment=2, magnitude=4)
    table = draws(np.arange(5000), 0, 0, augmentation, (32, 32, 3))
    named = {name: table[:, number] for name, number in columns(augmentation).items()}

    for number in range(2):
        assert set(named[f"operation{number}"] % len(randaugment.OPERATIONS)) == set(range(13))
        assert -0.4 <= np.min(named[f"level{number}"]) / WHOLE < -0.39
        assert 0.39 < np.max(named[f"level{number}"]) / WHOLE <= 0.4


def test_pixels_that_two_operations_move_are_moved_once_by_both() -> None:
    image = np.arange(20 * 20 * 3, dtype=np.uint8).reshape(20, 20, 3)
    chosen = np.array([[randaugment.OPERATIONS.index(name) for name in ("translate_x", "translate_y")]])
    full = np.full((1, 2), 2**32 - 1)
    twice = Augmentation(crop_padding=0, flip=False, randaugment=2, magnitude=10)
    values = [0, 0, 0, 0, 0, WHOLE, *np.ravel(randaugment.draws(chosen, full, 10, 20, 20))]
    named = {key: np.array([value]) for key, value in zip(columns(twice), values, strict=True)}

    result = pixels.augment(NUMPY, image[None], np.array([0]), named, twice)[0]

    np.testing.assert_array_equal(result[:14, :14], image[6:, 6:])
    assert not result[14:].any() and not result[:, 14:].any()
