"""Whether a person's arrays are images with labels; and if not, what they seem to be and what makes images of them.

Knows no files: where the arrays come from, and what they are called there, is told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets.description import Description
from models.datasets.errors import DatasetError
from models.datasets.splits import Split

NAMES = ("x_train", "y_train", "x_test", "y_test")
"""What the four arrays of a data set are called, as Keras' own are."""

_CHANNELS = (1, 3, 4)
"""Grey, colour, colour with transparency.  Others there may be, but not before height and width."""

_SHOWN = 5
"""Classes that are named; of more the number is told."""

OF_OBJECTS = (
    "is an array of Python objects, as images of unlike sizes and lists of unlike lengths become; make it one array of "
    "numbers"
)

RENUMBER = "numpy.unique(labels, return_inverse=True)[1] numbers them from 0 without gaps"


def splits(found: Mapping[str, NDArray[Any]]) -> tuple[Split, Split]:
    """The training and the test images of the four arrays.

    Raises:
        DatasetError: they are not images with labels, or not all of one shape.
    """
    train, test = (_split(found, part) for part in ("train", "test"))
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DatasetError(
            f"x_train has images of {train.images.shape[1:]} and x_test of {test.images.shape[1:]}; "
            "make them one shape."
        )
    return train, test


def _split(found: Mapping[str, NDArray[Any]], part: str) -> Split:
    images = as_images(f"x_{part}", found[f"x_{part}"])
    return Split.whole(images, as_labels(f"y_{part}", found[f"y_{part}"], len(images)))


def described(name: str, train: Split, test: Split, classes: Sequence[str], digest: str) -> Description:
    """What is known of these images.

    Args:
        classes: their names.

    Raises:
        DatasetError: there is nothing to tell apart.
    """
    if len(classes) < 2:
        raise DatasetError("There is one class alone: with one class there is nothing to tell apart.")
    height, width, channels = train.images.shape[1:]
    return Description(
        name=name,
        classes=tuple(classes),
        image_shape=(height, width, channels),
        train_images=len(train),
        test_images=len(test),
        digest=digest,
        smallest_class=smallest_class(train),
        notes=notes(train, test, classes),
    )


def numbered(train: Split, test: Split) -> tuple[str, ...]:
    """Names for classes of which only the numbers are known.  Raises DatasetError as `count_classes`."""
    return tuple(str(number) for number in range(count_classes(train, test)))


def digest(train: Split, test: Split, more: str = "") -> str:
    """SHA-256, in hexadecimal, of all images and labels, and of what else is part of the data set."""
    hashed = hashlib.sha256(more.encode("utf-8", "surrogateescape"))
    for split in (train, test):
        hashed.update(f"\n{split.images.shape}\n".encode())
        hashed.update(np.ascontiguousarray(split.images))
        hashed.update(split.labels.astype("<i8"))
    return hashed.hexdigest()


def as_images(name: str, array: NDArray[Any]) -> NDArray[np.uint8]:
    """The array as images, [N, H, W, C], pixels 0..255; [N, H, W] gets a channel.

    Raises:
        DatasetError: it is something else; says what it seems to be.
    """
    found = f"{name} is {array.dtype}{list(array.shape)}"
    if array.dtype != np.uint8:
        raise DatasetError(f"{found}; images are uint8: {_as_pixels(array)}.")
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.size == 0:
        flat = " (reshape it, if each row is an image)" if array.ndim == 2 else ""
        raise DatasetError(f"{found}; images are uint8 [images, height, width, channels]{flat}.")
    if array.shape[1] in _CHANNELS and array.shape[3] not in _CHANNELS:
        raise DatasetError(
            f"{found}, whose channels seem to come first; images are [images, height, width, channels]: "
            "keep array.transpose(0, 2, 3, 1)."
        )
    return array


def as_labels(name: str, array: NDArray[Any], images: int) -> NDArray[np.int64]:
    """The array as the class numbers of so many images, [N]; [N, 1] will do.

    Raises:
        DatasetError: it is something else; says what it seems to be.
    """
    found = f"{name} is {array.dtype}{list(array.shape)}"
    if array.ndim == 2 and array.shape[0] == images and array.shape[1] > 1:
        raise DatasetError(f"{found}, which seems to be one-hot; a label is one class number: keep labels.argmax(1).")
    if array.size != images:
        raise DatasetError(f"{found} for {images} images; there must be one class number for each.")
    if not np.issubdtype(array.dtype, np.integer):
        raise DatasetError(f"{found}; labels are integers: {_as_numbers(array)}.")
    if array.min() < 0:
        raise DatasetError(f"{name} has the label {array.min()}; class numbers count from 0.")
    if array.max() > np.iinfo(np.int64).max:
        raise DatasetError(f"{name} has the label {array.max()}; {RENUMBER}.")
    return array.reshape(-1).astype(np.int64)


def count_classes(train: Split, test: Split) -> int:
    """One more than the largest label.

    Raises:
        DatasetError: there cannot be so many classes, or there is nothing to tell apart.
    """
    largest = int(max(np.max(train.labels), np.max(test.labels)))
    if largest >= len(train):
        raise DatasetError(
            f"The label {largest} makes {largest + 1:,} classes, more than the {len(train):,} training images; "
            f"{RENUMBER}."
        )
    if largest == 0:
        raise DatasetError("All labels are 0: with one class there is nothing to tell apart.")
    return largest + 1


def notes(train: Split, test: Split, classes: Sequence[str]) -> tuple[str, ...]:
    """What a person should know of the data before they train on it, a sentence each."""
    trained, tested = (np.bincount(split.labels, minlength=len(classes)) > 0 for split in (train, test))
    nowhere = np.flatnonzero(~trained & ~tested)
    told = []
    if nowhere.tolist() == [0] and classes[0] == "0":
        told.append("No image has the label 0: the labels seem to count from 1, and one class is left over.")
    elif len(nowhere):
        told.append(
            f"There is no image of {_named(nowhere.tolist(), classes)}: the network gets outputs that mean nothing."
        )
    if len(only_tested := np.flatnonzero(tested & ~trained)):
        told.append(
            f"There are only test images of {_named(only_tested.tolist(), classes)}: none of them can be told right."
        )
    if len(untested := np.flatnonzero(trained & ~tested)):
        told.append(
            f"There are no test images of {_named(untested.tolist(), classes)}: "
            "nothing is measured of what is learned there."
        )
    if np.max(train.images) <= 1:
        told.append("No training image has a pixel above 1, of 255: shares from 0 to 1 may have been cut to integers.")
    return tuple(told)


def smallest_class(train: Split) -> int:
    """How many training images the class has that has the fewest, those without any left out."""
    counts = np.bincount(train.labels)
    return int(np.min(counts[counts > 0]))


def _named(numbers: Iterable[int], classes: Sequence[str]) -> str:
    names = [classes[number] for number in numbers]
    if len(names) == 1:
        return f"class {names[0]}"
    if len(names) <= _SHOWN:
        return f"the classes {', '.join(names[:-1])} and {names[-1]}"
    return f"{len(names):,} classes ({', '.join(names[:_SHOWN])}, ...)"


def _as_pixels(array: NDArray[Any]) -> str:
    """How pixels are made of an array of another type."""
    if array.dtype == np.bool_:
        return "keep 255 * array.astype('uint8')"
    if not np.issubdtype(array.dtype, np.number) or array.size == 0 or np.iscomplexobj(array):
        return "keep the pixels, from 0 to 255"
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        return "some are not finite"
    if low < 0 or high > 255:
        return f"these lie between {low:g} and {high:g}; keep the pixels, from 0 to 255, as they were before"
    if np.issubdtype(array.dtype, np.floating):
        scale = "255 * array" if high <= 1 else "array"
        return f"keep ({scale}).round().astype('uint8')"
    return "keep array.astype('uint8')"


def _as_numbers(array: NDArray[Any]) -> str:
    if array.dtype.kind in "US":
        return f"these are names; {RENUMBER}"
    return "keep labels.astype('int64')"
