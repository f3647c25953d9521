"""Images with labels and their numbers: the parts of a data set, and how they become files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from models.datasets.errors import DatasetError
from models.files import replace_file
from models.keyed_random import Purpose, blocks


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled images, or some of them."""

    images: NDArray[np.uint8]
    """[N, H, W, C], 0..255."""
    labels: NDArray[np.int64]
    """[N]"""
    indices: NDArray[np.int64]
    """[N] the images' numbers in the whole split that they come from; they key order and augmentation."""

    def __post_init__(self) -> None:
        assert self.images.ndim == 4 and self.images.dtype == np.uint8, "images are uint8 [N, H, W, C]"
        assert self.labels.dtype == self.indices.dtype == np.int64, "labels and indices are int64"
        assert len(self.images) == len(self.labels) == len(self.indices), "one label and one index per image"

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def whole(cls, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Split:
        """A split that is not a part of another: its images are numbered from zero."""
        return cls(images, labels, np.arange(len(labels)))

    def take(self, positions: NDArray[np.int64]) -> Split:
        """The images at these positions."""
        return Split(self.images[positions], self.labels[positions], self.indices[positions])


def subset(split: Split, images: int, seed: int) -> Split:
    """That many images, as evenly from the classes as there are images, in the order of `split`."""
    if not 0 < images <= len(split):
        raise DatasetError(f"A subset of {images} images was asked for; between 1 and {len(split)} can be had.")
    by_class = _shuffled_within_classes(split, seed, Purpose.SUBSET)
    rank = _rank_within_class(split.labels[by_class])
    chosen = by_class[np.argsort(rank, kind="stable")[:images]]
    return split.take(np.sort(chosen))


def joined(splits: Sequence[Split]) -> Split:
    """All their images, one split after the other."""
    return Split(
        np.concatenate([split.images for split in splits]),
        np.concatenate([split.labels for split in splits]),
        np.concatenate([split.indices for split in splits]),
    )


def stratified_shards(split: Split, shards: int, seed: int) -> list[Split]:
    """Disjoint parts whose union is `split`; in sizes, and in each class, they differ by one image at most.

    A deal of cards: with the classes lying one behind the other, every `shards`-th image goes to the same
    shard.
    """
    if not 0 < shards <= len(split):
        raise DatasetError(f"{shards} shards were asked for; {len(split)} images make 1 to {len(split)}.")
    by_class = _shuffled_within_classes(split, seed, Purpose.SHARDS)
    return [split.take(np.sort(by_class[shard::shards])) for shard in range(shards)]


def _shuffled_within_classes(split: Split, seed: int, purpose: Purpose) -> NDArray[np.int64]:
    draw = blocks(seed, 0, purpose, split.indices)[:, 0]
    return np.lexsort((split.indices, draw, split.labels))


def _rank_within_class(sorted_labels: NDArray[np.int64]) -> NDArray[np.int64]:
    first = np.searchsorted(sorted_labels, sorted_labels, side="left")
    return np.arange(len(sorted_labels)) - first


def save_split(split: Split, path: Path) -> None:
    """Write one safetensors file; the same split gives the same bytes."""
    arrays = {"images": split.images, "labels": split.labels, "indices": split.indices}
    # safetensors writes a strided view's memory, not its elements.
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    replace_file(path, safetensors.numpy.save(contiguous))


def load_split(path: Path) -> Split:
    """Read what `save_split` wrote.

    Raises:
        DatasetError: the file is truncated or is not a split.
    """
    try:
        return Split(**safetensors.numpy.load_file(path))
    except (safetensors.SafetensorError, TypeError, AssertionError) as error:
        raise DatasetError(f"{path} is not a readable split ({error}); split the data again.") from error
