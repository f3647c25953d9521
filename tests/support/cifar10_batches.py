"""Small batches in the format of the official CIFAR-10, which may not lie in the repository."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np

from models.datasets import cifar10


def small_batch(seed: int, images: int) -> dict[bytes, object]:
    data = np.random.default_rng(seed).integers(0, 256, (images, 3072), dtype=np.uint8)
    return {b"data": data, b"labels": [number % 10 for number in range(images)]}


def write_batches(folder: Path, images: int) -> dict[str, str]:
    """All six of them, under their official names; the MD5 of each."""
    folder.mkdir(parents=True)
    digests = {}
    for number, name in enumerate(cifar10.BATCH_MD5):
        content = pickle.dumps(small_batch(number, images))
        (folder / name).write_bytes(content)
        digests[name] = hashlib.md5(content).hexdigest()
    return digests
