"""CIFAR-10 packed into two files that each fit into one call of a lent GPU machine, and back.

    python benchmarks/gpu/pack.py .gpu --data DIR     writes .gpu/part1/cifar10.npz and .gpu/part2/cifar10.npz

The files never go into the repository: `.gpu/` is ignored.  Packing takes minutes, unpacking seconds.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import packed_images
from numpy.typing import NDArray

from models import datasets
from models.datasets import Split

PARTS = 2
FILE = "cifar10.npz"


class PartsDiffer(ValueError):
    """The files are not all the parts of one data set, or they are damaged."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--data", type=Path, help="where the official batches lie")
    arguments = parser.parse_args()
    data = datasets.load("cifar10", arguments.data)
    files = [arguments.directory / f"part{number}" / FILE for number in range(1, PARTS + 1)]
    pack(data.train, data.test, files)
    for file in files:
        print(f"{file}: {file.stat().st_size / 2**20:.1f} MiB")


def pack(train: Split, test: Split, files: Sequence[Path]) -> None:
    """Write training and test images, in this order, in as many parts as there are files."""
    images, labels = np.concatenate([train.images, test.images]), np.concatenate([train.labels, test.labels])
    bounds = np.linspace(0, len(images), len(files) + 1).astype(int)
    for file, first, last in zip(files, bounds[:-1], bounds[1:], strict=True):
        chunks = packed_images.pack(images[first:last])
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            file,
            chunks=np.frombuffer(b"".join(chunks), np.uint8),
            lengths=np.array([len(chunk) for chunk in chunks]),
            labels=labels[first:last].astype(np.uint8),
            image_shape=np.array(images.shape[1:]),
            train=np.array(len(train)),
            sha256=np.frombuffer(_digest(images, labels), np.uint8),
        )


def unpack(files: Sequence[Path]) -> tuple[Split, Split]:
    """Training and test images from all the parts, in their order.

    Raises:
        PartsDiffer: their images are not those that were packed.
    """
    parts = [dict(np.load(file, allow_pickle=False)) for file in files]
    images = np.concatenate([_images(part) for part in parts])
    labels = np.concatenate([part["labels"] for part in parts]).astype(np.int64)
    if any(part["sha256"].tobytes() != _digest(images, labels) for part in parts):
        raise PartsDiffer(f"{', '.join(map(str, files))} are not all the parts of one data set; pack it again.")
    train = int(parts[0]["train"])
    return Split.whole(images[:train], labels[:train]), Split.whole(images[train:], labels[train:])


def _images(part: dict[str, NDArray[Any]]) -> NDArray[np.uint8]:
    ends = np.cumsum(part["lengths"])
    packed = part["chunks"].tobytes()
    chunks = [packed[end - length : end] for end, length in zip(ends, part["lengths"], strict=True)]
    height, width, channels = (int(size) for size in part["image_shape"])
    return packed_images.unpack(chunks, (height, width, channels))


def _digest(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> bytes:
    return hashlib.sha256(images.tobytes() + labels.astype(np.uint8).tobytes()).digest()


if __name__ == "__main__":
    main()
