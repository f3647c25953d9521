"""Shards on the device: one that comes back in the next round is not uploaded again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from models.datasets import Split


class Residents:
    """The shards that were used last.

    Args:
        upload: a shard to its images and labels on the device (`models.training.backends.Backend.resident`).
        limit_bytes: of images; beyond it those that were used longest ago are dropped, but never the one in use.
    """

    def __init__(self, upload: Callable[[Split], tuple[Any, Any]], limit_bytes: int) -> None:
        self._upload = upload
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[Split, tuple[Any, Any]] = OrderedDict()

    def get(self, shard: Split) -> tuple[Any, Any]:
        """Images and labels of this very object: a split is its own key, whatever it holds."""
        if shard not in self._kept:
            self._make_room(_most_bytes(shard))
            self._kept[shard] = self._upload(shard)
        self._kept.move_to_end(shard)
        return self._kept[shard]

    def _make_room(self, needed: int) -> None:
        while self._kept and needed + sum(map(_most_bytes, self._kept)) > self._limit_bytes:
            self._kept.popitem(last=False)


def _most_bytes(shard: Split) -> int:
    """On the device that takes the most for a pixel, which is two bytes."""
    return 2 * shard.images.size
