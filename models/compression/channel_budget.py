"""A budget for what slimming leaves, and the count of what is left while units are removed one by one.

NumPy alone; which units are removed first is decided in `models.compression.slimming`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from models.compression.channel_labels import Labels
from models.compression.channel_spaces import ChannelSpaces, Cost, Kept, kept_sizes

_SMALLEST_SHARE = 1 / 8
_SMALLEST_WIDTH = 4
"""Channels.  A layer keeps this many and `_SMALLEST_SHARE` of its own at least, or what it had: through fewer nothing
much passes, and no fine-tuning brings it back."""


@dataclass(frozen=True)
class Budget:
    """The shares of the whole network that may be left; None where all of it may."""

    parameters: float | None = None
    multiply_adds: float | None = None

    def __post_init__(self) -> None:
        shares = [share for share in (self.parameters, self.multiply_adds) if share is not None]
        if not shares or not all(0 < share < 1 for share in shares):
            raise ValueError("Slimming needs a share between 0 and 1 of the parameters, the multiply-adds, or both.")

    def is_met(self, left: Cost, whole: Cost) -> bool:
        """Whether no more than the budget is left of the whole."""
        return all(
            share is None or now <= share * before
            for share, now, before in (
                (self.parameters, left.parameters, whole.parameters),
                (self.multiply_adds, left.multiply_adds, whole.multiply_adds),
            )
        )


def mean_share(part: Cost, whole: Cost) -> float:
    """The mean of a part's shares of the whole's parameters and multiply-adds."""
    return (part.parameters / whole.parameters + part.multiply_adds / max(1, whole.multiply_adds)) / 2


class Tally:
    """What is left of a network, counted on with each unit that is removed."""

    def __init__(self, spaces: ChannelSpaces, kept: Kept) -> None:
        self._spaces = spaces
        self.kept = kept.copy()
        self.cost = spaces.cost(kept)
        self._sizes = [kept_sizes(block, kept) for block in spaces.blocks]
        self._lost = self._losses()
        self._left = [int(np.count_nonzero(kept[source.labels])) for source in spaces.sources]
        self._smallest = [_smallest(len(source.labels)) for source in spaces.sources]
        self._made = self._channels_made()

    def may_remove(self, unit: int) -> bool:
        """Whether the unit is there, and each layer that makes it would stay wide enough."""
        return bool(self.kept[unit]) and all(
            self._left[source] - channels >= self._smallest[source] for source, channels in self._made[unit].items()
        )

    def saving(self, unit: int) -> Cost:
        """What removing the unit would save now."""
        parameters = multiply_adds = 0
        for number, lost in self._lost[unit].items():
            block, sizes = self._spaces.blocks[number], self._sizes[number]
            saved = math.prod(sizes) - math.prod(size - less for size, less in zip(sizes, lost, strict=True))
            parameters += saved if block.path is not None else 0
            multiply_adds += saved * block.uses
        return Cost(parameters, multiply_adds)

    def remove(self, unit: int) -> None:
        """Remove a unit that may be removed."""
        saved = self.saving(unit)
        self.cost = Cost(self.cost.parameters - saved.parameters, self.cost.multiply_adds - saved.multiply_adds)
        for number, lost in self._lost[unit].items():
            self._sizes[number] = [size - less for size, less in zip(self._sizes[number], lost, strict=True)]
        for source, channels in self._made[unit].items():
            self._left[source] -= channels
        self.kept[self._spaces.roots == unit] = False

    def _losses(self) -> dict[int, dict[int, list[int]]]:
        """By unit and number of the block, what each axis of the block loses with the unit."""
        losses: dict[int, dict[int, list[int]]] = defaultdict(dict)
        for number, block in enumerate(self._spaces.blocks):
            for axis, labels in enumerate(block.axes):
                for unit, count in self._counted(labels) if labels is not None else ():
                    losses[unit].setdefault(number, [0] * len(block.axes))[axis] = count
        return losses

    def _channels_made(self) -> dict[int, dict[int, int]]:
        """By unit and number of the source, how many of the source's channels the unit has."""
        made: dict[int, dict[int, int]] = defaultdict(dict)
        for number, source in enumerate(self._spaces.sources):
            for unit, count in self._counted(source.labels):
                made[unit][number] = count
        return made

    def _counted(self, labels: Labels) -> list[tuple[int, int]]:
        units, counts = np.unique(self._spaces.roots[labels], return_counts=True)
        return list(zip(units.tolist(), counts.tolist(), strict=True))


def _smallest(channels: int) -> int:
    return min(channels, max(_SMALLEST_WIDTH, math.ceil(_SMALLEST_SHARE * channels)))
