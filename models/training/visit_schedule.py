"""Which images each step of a visit takes, and what happens to them: it follows from (seed, epoch, index) alone."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from models.datasets import Split
from models.recipes import Training, Visit
from models.training.augmentation import draws, epoch_order


class VisitSchedule:
    """The batches of one visit over one shard."""

    def __init__(self, training: Training, shard: Split, visit: Visit) -> None:
        self._training = training
        self._shard = shard
        self._visit = visit
        self._steps_per_epoch = training.recipe.steps_per_epoch(len(shard))
        self._epoch = functools.lru_cache(maxsize=1)(self._draw_epoch)

    def batches(self, first: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows int64[S, B] of the shard and their draws int64[S, B, C], for `count` steps or as many as are left."""
        steps = [self._batch(step) for step in range(first, min(first + count, self._visit.last_step))]
        if not steps:
            return np.empty((0, 0), np.int64), np.empty((0, 0, 0), np.int64)
        return np.stack([rows for rows, _ in steps]), np.stack([drawn for _, drawn in steps])

    def _batch(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        passes, position = divmod(step - self._visit.first_step, self._steps_per_epoch)
        order, drawn = self._epoch(self._visit.first_epoch + passes)
        size = self._training.recipe.batch_size
        batch = slice(position * size, (position + 1) * size)
        return order[batch], drawn[batch]

    def _draw_epoch(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows in their order, and the draws of each."""
        seed, shape = self._training.seed, self._training.image_shape
        augmentation = self._training.recipe.augmentation
        repeats = augmentation.repeats
        order = epoch_order(self._shard.indices, seed, epoch, repeats)
        # An image that comes again is changed as in a pass of its own.
        drawn = [
            draws(self._shard.indices[order[number::repeats]], seed, epoch * repeats + number, augmentation, shape)
            for number in range(repeats)
        ]
        in_order = np.empty((len(order), drawn[0].shape[1]), np.int64)
        for number, of_number in enumerate(drawn):
            in_order[number::repeats] = of_number
        return order, in_order
