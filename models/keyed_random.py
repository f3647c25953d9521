"""Random numbers that are a function of their key: (seed, epoch, purpose, index), never of process state.

The Philox counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) has
no state to carry: block number `index` of the stream with key (seed, epoch, purpose) is the same on every
machine and in every order of asking.  Only its raw 64-bit words are used, because NumPy fixes those for ever
and the distributions made from them not.
"""

from __future__ import annotations

import enum

import numpy as np
from numpy.typing import NDArray

WORDS_PER_BLOCK = 4
"""Philox 4x64 gives four words per counter value."""


class Purpose(enum.IntEnum):
    """What a stream is for, so that no two uses share numbers.

    The values are part of every result: never renumber them.
    """

    ORDER = 0
    AUGMENTATION = 1
    SHARDS = 2
    SUBSET = 3
    SYNTHETIC_PATTERNS = 4
    SYNTHETIC_IMAGES = 5
    SYNTHETIC_NOISE = 6
    DROPOUT = 7
    CUTMIX = 8
    RANDAUGMENT = 9
    ERASING = 10


def blocks(seed: int, epoch: int, purpose: Purpose, indices: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Four words for each index: uint64[n, 4]; a row depends on the key and its own index alone."""
    if len(indices) == 0:
        return np.empty((0, WORDS_PER_BLOCK), np.uint64)
    stream = words(seed, epoch, purpose, (int(np.max(indices)) + 1) * WORDS_PER_BLOCK)
    return stream.reshape(-1, WORDS_PER_BLOCK)[indices]


def words(seed: int, epoch: int, purpose: Purpose, count: int) -> NDArray[np.uint64]:
    """The first `count` words of the stream with this key: uint64[count]."""
    key = np.array([seed, (epoch << 8) | purpose], dtype=np.uint64)
    stream: NDArray[np.uint64] = np.random.Philox(key=key).random_raw(count)
    return stream
