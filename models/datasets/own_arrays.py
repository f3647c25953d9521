"""A person's own data set: the arrays that a function in their file returns, checked as those of an npz file.

The function is called where the study is planned, and nowhere else: workers get shards.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets import arrays
from models.datasets.description import Description
from models.datasets.errors import DatasetError
from models.datasets.splits import Split
from models.own_code import bundle, importing, inspection, reference
from models.own_code.errors import OwnCodeFault
from models.own_code.reference import Reference

CALL = "load()"
_WANTED = f"a dictionary of {', '.join(arrays.NAMES)}, or ((x_train, y_train), (x_test, y_test))"


def is_named(name: str) -> bool:
    """Whether it names a function in a file: `my_data.py:load`."""
    own = reference.parse(name)
    return own is not None and own.digest is None


def read(name: str, folder: Path) -> tuple[Description, Split, Split]:
    """Call the function; the description (named `name`), the training and the test images.

    Args:
        folder: the study's, beside which the file lies.

    Raises:
        DatasetError: the code cannot be run or raises, with its line; or the arrays are not images with labels.
    """
    own = reference.parse(name)
    assert own is not None, "only what `is_named` takes comes here"
    try:
        train, test = arrays.splits(_arrays(_returned(own, folder)))
        described = arrays.described(name, train, test, arrays.numbered(train, test), arrays.digest(train, test))
    except OwnCodeFault as error:
        raise DatasetError(str(error)) from error
    except DatasetError as error:
        raise DatasetError(f"{name}: {error}") from None
    return described, train, test


def _returned(own: Reference, folder: Path) -> Any:
    gathered = bundle.gather(folder, own)
    inspection.check(gathered, own, folder, CALL)
    importing.install(gathered.to_bytes(), gathered.digest, folder)
    try:
        # What it prints is for the person, and no part of what a command prints as JSON.
        with contextlib.redirect_stdout(sys.stderr):
            return importing.function(own.pinned(gathered.digest))()
    except OwnCodeFault:
        raise
    except MemoryError as error:
        raise OwnCodeFault(f"{own}: it takes more than the memory of this machine; load fewer images.") from error
    except (Exception, SystemExit) as error:
        place = importing.place_of(error) or own.path
        if importing.is_missing_package(error):
            raise OwnCodeFault(f"{place}: {error}; install it here.") from error
        said = next(iter(str(error).splitlines()), "")
        raise OwnCodeFault(f"{place}: {type(error).__name__}{f': {said}' if said else ''}.") from error


def _arrays(returned: Any) -> dict[str, NDArray[Any]]:
    """The four arrays by their names.  Raises DatasetError: it is something else."""
    named = returned if isinstance(returned, Mapping) else _by_position(returned)
    if missing := [name for name in arrays.NAMES if name not in named]:
        raise DatasetError(f"what it returns has no {' and no '.join(missing)}; return {_WANTED}.")
    return {name: _array(name, named[name]) for name in arrays.NAMES}


def _by_position(returned: Any) -> dict[str, Any]:
    """As Keras' own data sets are returned."""
    try:
        (x_train, y_train), (x_test, y_test) = returned
    except (TypeError, ValueError):
        raise DatasetError(f"it returns {_kind(returned)}; return {_WANTED}.") from None
    return dict(zip(arrays.NAMES, (x_train, y_train, x_test, y_test), strict=True))


def _kind(returned: Any) -> str:
    if returned is None:
        return "nothing"
    return f"{type(returned).__name__}{f' of {len(returned)}' if isinstance(returned, tuple | list) else ''}"


def _array(name: str, value: Any) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise DatasetError(f"{name} cannot become an array: {next(iter(str(error).splitlines()), '')}.") from error
    if array.dtype == object:
        raise DatasetError(f"{name} {arrays.OF_OBJECTS}.")
    return array
