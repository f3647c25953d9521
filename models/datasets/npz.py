"""A person's own data set: one .npz file with x_train, y_train, x_test and y_test, as Keras' own have."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    arrays = _read_arrays(path)
    train = _split(path, arrays, "train")
    test = _split(path, arrays, "test")
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DatasetError(
            f"{path}: x_train has images of {train.images.shape[1:]} and x_test of {test.images.shape[1:]}; "
            "make them one shape."
        )
    return _description(name, path, train, test), train, test


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise DatasetMissing(f"There is no file {path}; give its path after npz:, from the --data directory if named.")
    try:
        # A pickle inside an npz can run code when it is read.
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in _ARRAYS if name not in file]
            if missing:
                raise DatasetError(f"{path} has no {' and no '.join(missing)}; it needs {', '.join(_ARRAYS)}.")
            return {name: file[name] for name in _ARRAYS}
    except (
        ValueError,
        OSError,
        EOFError,
        AttributeError,
        TypeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise DatasetError(
            f"{path} cannot be read as an npz file ({error}); write it again with numpy.savez."
        ) from error


def _split(path: Path, arrays: Mapping[str, NDArray[Any]], part: str) -> Split:
    images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) == 0:
        raise DatasetError(
            f"{path}: x_{part} is {images.dtype}{list(images.shape)}; it must be uint8 "
            "[images, height, width, channels]."
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.size != len(images) or labels.min() < 0:
        raise DatasetError(
            f"{path}: y_{part} is {labels.dtype}{list(labels.shape)} for {len(images)} images; it must be one "
            "class number, 0 or more, per image."
        )
    return Split.whole(images, labels.reshape(-1).astype(np.int64))


def _description(name: str, path: Path, train: Split, test: Split) -> Description:
    classes = int(max(train.labels.max(), test.labels.max())) + 1
    height, width, channels = train.images.shape[1:]
    return Description(
        name=name,
        classes=tuple(str(number) for number in range(classes)),
        image_shape=(height, width, channels),
        train_images=len(train),
        test_images=len(test),
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
