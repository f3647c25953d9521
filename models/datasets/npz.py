"""A person's own data set: one .npz file with x_train, y_train, x_test and y_test, as Keras' own have.

What the arrays must be stands in `models.datasets.arrays`.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets import arrays
from models.datasets.description import Description
from models.datasets.errors import DatasetError, DatasetMissing
from models.datasets.splits import Split

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def read(name: str, path: Path) -> tuple[Description, Split, Split]:
    """The description (named `name`), the training and the test images of the file at `path`.

    Raises:
        DatasetMissing: there is no such file.
        DatasetError: it is not an npz file, or its arrays are not images with labels.
    """
    found = _read_arrays(path)
    try:
        train, test = (_split(found, part) for part in ("train", "test"))
        if train.images.shape[1:] != test.images.shape[1:]:
            raise DatasetError(
                f"x_train has images of {train.images.shape[1:]} and x_test of {test.images.shape[1:]}; "
                "make them one shape."
            )
        return _description(name, path, train, test), train, test
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from None


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise DatasetMissing(f"There is no file {path}; give its path after npz:, from the --data directory if named.")
    try:
        # A pickle inside an npz can run code when it is read.
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in _ARRAYS if name not in file]
            if missing:
                raise DatasetError(f"{path} has no {' and no '.join(missing)}; it needs {', '.join(_ARRAYS)}.")
            return {name: _array(path, file, name) for name in _ARRAYS}
    except MemoryError as error:
        raise DatasetError(f"{path} holds more than the memory of this machine; plan with fewer images.") from error
    except _UNREADABLE as error:
        if isinstance(error, OSError) and error.strerror:
            raise DatasetError(f"{path} cannot be read: {error.strerror}.") from error
        raise DatasetError(
            f"{path} cannot be read as an npz file: it is damaged, or none; write it again with numpy.savez."
        ) from error


_UNREADABLE = (
    ValueError,
    OSError,
    EOFError,
    AttributeError,
    TypeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy and zipfile raise for a file that is truncated, encrypted, altered, or of another kind."""


def _array(path: Path, file: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    try:
        return file[name]
    except ValueError as error:
        if "Object arrays" not in str(error):
            raise
        raise DatasetError(
            f"{path}: {name} is an array of Python objects, as images of unlike sizes and lists of unlike lengths "
            "become; make it one array of numbers."
        ) from None


def _split(found: Mapping[str, NDArray[Any]], part: str) -> Split:
    images = arrays.as_images(f"x_{part}", found[f"x_{part}"])
    return Split.whole(images, arrays.as_labels(f"y_{part}", found[f"y_{part}"], len(images)))


def _description(name: str, path: Path, train: Split, test: Split) -> Description:
    classes = arrays.count_classes(train, test)
    height, width, channels = train.images.shape[1:]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Description(
        name=name,
        classes=tuple(str(number) for number in range(classes)),
        image_shape=(height, width, channels),
        train_images=len(train),
        test_images=len(test),
        digest=digest,
        smallest_class=arrays.smallest_class(train),
        notes=arrays.notes(train, test, classes),
    )
