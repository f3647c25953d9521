"""Data sets by name: what they are (`describe`), their images (`load`), their parts.

NumPy and safetensors only: the coordinator splits data without TensorFlow.  Where each data set comes from
stands in its own module; what happens to the images in training is `models.training.augmentation`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.datasets import cifar10, npz, synthetic
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
    "is_known",
    "joined",
    "load",
    "load_split",
    "save_split",
    "stratified_shards",
    "subset",
]

NAMES = ("cifar10", "synthetic", "npz:FILE")
"""What may stand as `dataset` in a study; FILE is a path."""

_NPZ = "npz:"


@dataclass(frozen=True)
class Dataset:
    """A data set in memory."""

    description: Description
    train: Split
    test: Split


def is_known(name: str) -> bool:
    """Whether `name` is a data set that `load` could be asked for; the file of an npz is not looked at."""
    return name in ("cifar10", "synthetic") or (name.startswith(_NPZ) and len(name) > len(_NPZ))


def describe(name: str, directory: Path | None = None) -> Description:
    """What is known of a data set without its images (an npz file has to be read for it).

    Raises:
        DatasetError: the name is unknown, or the npz file is unusable.
    """
    _check_name(name)
    if name == "cifar10":
        return cifar10.DESCRIPTION
    if name == "synthetic":
        return synthetic.DESCRIPTION
    return npz.read(name, _npz_path(name, directory))[0]


def load(
    name: str,
    directory: Path | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    download: bool = True,
) -> Dataset:
    """The images of a data set.

    Args:
        directory: where the files are (the `--data` option); a relative npz path starts there.
        progress: called with (bytes so far, bytes in all) while something is downloaded.
        download: whether the network may be used.

    Raises:
        DatasetError: the name is unknown, or a file is altered, truncated or not what it should be.
        DatasetMissing: the files are nowhere to be had.
    """
    _check_name(name)
    if name == "cifar10":
        return Dataset(cifar10.DESCRIPTION, *cifar10.read(directory, progress=progress, download=download))
    if name == "synthetic":
        return Dataset(synthetic.DESCRIPTION, *synthetic.make())
    return Dataset(*npz.read(name, _npz_path(name, directory)))


def _check_name(name: str) -> None:
    if not is_known(name):
        raise DatasetError(f"There is no data set {name!r}; the ones there are: {', '.join(NAMES)}.")


def _npz_path(name: str, directory: Path | None) -> Path:
    return Path(directory or ".", name.removeprefix(_NPZ))
