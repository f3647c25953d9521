"""Data sets by name: what they are (`describe`), their images (`load`), their parts.

NumPy, Pillow and safetensors only: the coordinator splits data without TensorFlow.  Where each data set comes from
stands in its own module; what happens to the images in training is `models.training.augmentation`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.datasets import cifar10, cifar100, npz, own_arrays, synthetic
from models.datasets.description import Description
from models.datasets.errors import DatasetError, DatasetMissing
from models.datasets.splits import Split, joined, load_split, save_split, stratified_shards, subset

__all__ = [
    "NAMES",
    "Dataset",
    "DatasetError",
    "DatasetMissing",
    "Description",
    "Split",
    "describe",
    "is_code",
    "is_described",
    "is_known",
    "joined",
    "load",
    "load_split",
    "save_split",
    "stratified_shards",
    "subset",
]

NAMES = ("cifar10", "cifar100", "synthetic", "folder:DIR", "npz:FILE", "FILE.py:FUNCTION")
"""What may stand as `dataset` in a study; DIR and FILE are paths."""

_FIXED = {"cifar10": cifar10.DESCRIPTION, "cifar100": cifar100.DESCRIPTION, "synthetic": synthetic.DESCRIPTION}
_CIFAR = {"cifar10": cifar10.read, "cifar100": cifar100.read}
_OWN = re.compile(r"(?P<kind>folder|npz):(?P<path>.+)", re.DOTALL)


@dataclass(frozen=True)
class Dataset:
    """A data set in memory."""

    description: Description
    train: Split
    test: Split


def is_known(name: str) -> bool:
    """Whether `name` is a data set that `load` could be asked for; a person's own files are not looked at."""
    return name in _FIXED or _OWN.fullmatch(name) is not None or is_code(name)


def is_code(name: str) -> bool:
    """Whether it is a function in a person's own file, which lies beside the study and not where data are."""
    return own_arrays.is_named(name)


def is_described(name: str) -> bool:
    """Whether `describe` knows the data set without reading it."""
    return name in _FIXED


def describe(name: str, directory: Path | None = None) -> Description:
    """What is known of a data set without its images (a person's own has to be read for it).

    Raises:
        DatasetError: the name is unknown, or the person's own files are unusable.
    """
    _check_name(name)
    return _FIXED[name] if name in _FIXED else _read_own(name, directory).description


def load(
    name: str,
    directory: Path | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    download: bool = True,
) -> Dataset:
    """The images of a data set.

    Args:
        directory: where the files are (the `--data` option); a relative path of a person's own starts there.
            Of data that a function loads it is the folder that the function's file is named from.
        progress: called with (bytes so far, bytes in all) while something is downloaded.
        download: whether the network may be used.

    Raises:
        DatasetError: the name is unknown, or a file is altered, truncated or not what it should be.
        DatasetMissing: the files are nowhere to be had.
    """
    _check_name(name)
    if name in _CIFAR:
        return Dataset(_FIXED[name], *_CIFAR[name](directory, progress=progress, download=download))
    if name == "synthetic":
        return Dataset(synthetic.DESCRIPTION, *synthetic.make())
    return _read_own(name, directory)


def _check_name(name: str) -> None:
    if not is_known(name):
        raise DatasetError(f"There is no data set {name!r}; the ones there are: {', '.join(NAMES)}.")


def _read_own(name: str, directory: Path | None) -> Dataset:
    if is_code(name):
        return Dataset(*own_arrays.read(name, directory or Path()))
    matched = _OWN.fullmatch(name)
    assert matched is not None, "only a known name comes here"
    path = Path(directory or ".", matched["path"])
    if matched["kind"] == "npz":
        return Dataset(*npz.read(name, path))
    # Pillow, which it needs, would slow every command down.
    from models.datasets import folder

    return Dataset(*folder.read(name, path))
