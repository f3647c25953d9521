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


def read(name: str, path: Path) -> tuple[Description, Split, Split]:
    """The description (named `name`), the training and the test images of the file at `path`.

    Raises:
        DatasetMissing: there is no such file.
        DatasetError: it is not an npz file, or its arrays are not images with labels.
    """
    found = _read_arrays(path)
    try:
        train, test = arrays.splits(found)
        description = arrays.described(name, train, test, arrays.numbered(train, test), _digest(path))
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from None
    return description, train, test


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise DatasetMissing(f"There is no file {path}; give its path after npz:, from the --data directory if named.")
    try:
        # A pickle inside an npz can run code when it is read.
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in arrays.NAMES if name not in file]
            if missing:
                raise DatasetError(f"{path} has no {' and no '.join(missing)}; it needs {', '.join(arrays.NAMES)}.")
            return {name: _array(path, file, name) for name in arrays.NAMES}
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
        raise DatasetError(f"{path}: {name} {arrays.OF_OBJECTS}.") from None
