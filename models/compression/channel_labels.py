"""Labels of channels: which entries of a network's tensors and weights can only be removed together.

Every tensor carries an array of labels, of its own shape without the batch: entries that came from one output channel
of one layer have its label.  Reshaping, transposing or concatenating a tensor is the same done to its labels.  Labels
are tied where a removal of one must remove the other, and frozen where nothing may be removed.

A tensor stays a box when something is removed, so its labels may vary along one axis only; `settled` sees to it.  NumPy
alone: what a layer does to labels is `models.compression.channel_rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
Shape = tuple[int, ...]

FROZEN = 0
"""The label of what is never removed; the smallest, so that whatever is tied to it becomes it."""


@dataclass(frozen=True, eq=False)
class Block:
    """A box of numbers that loses slices with the channels: a weight, or a product of two activations."""

    path: str | None
    """The weight's path as in `conv1/kernel`; None where activations are multiplied, which are no parameters."""
    shape: Shape
    axes: tuple[Labels | None, ...]
    """Labels along each axis; None for an axis that loses nothing."""
    uses: int = 0
    """Multiply-adds that each entry takes for one image."""
    read_axis: int | None = None
    """The axis along which a kernel reads its input."""
    trainable: bool = True


@dataclass(frozen=True, eq=False)
class Resize:
    """A number in a layer's configuration that follows from how many channels are left."""

    layer: str
    key: str
    """`units`, `filters`: one number; `target_shape`: the shape of the labels."""
    labels: Labels


@dataclass(frozen=True, eq=False)
class Source:
    """A layer that makes channels, [C]."""

    layer: str
    labels: Labels


class ChannelLabels:
    """Labels as they are found, layer by layer, and what was learned of the layers on the way."""

    def __init__(self) -> None:
        self._roots: Labels = np.zeros(1, np.int64)
        self.blocks: list[Block] = []
        self.resizes: list[Resize] = []
        self.sources: list[Source] = []
        self.obstacles: list[str] = []
        """Layers that froze channels, each as `name (type)`, in the order of the graph."""

    def roots(self) -> Labels:
        """For each label that was given out the smallest one that it is tied to."""
        return self._roots.copy()

    def open(self, layer: Any, count: int, key: str) -> Labels:
        """Labels [count] for the channels that a layer makes, as many as its configuration says under `key`."""
        first = len(self._roots)
        labels = np.arange(first, first + count, dtype=np.int64)
        self._roots = np.concatenate([self._roots, labels])
        self.sources.append(Source(layer.name, labels))
        self.resize(layer, key, labels)
        return labels

    def resize(self, layer: Any, key: str, labels: Labels) -> None:
        """Note that the configuration of `layer` follows from `labels`."""
        self.resizes.append(Resize(layer.name, key, labels))

    def weight(
        self, variable: Any, axes: Sequence[Labels | None], *, uses: int = 0, read_axis: int | None = None
    ) -> None:
        """Note a weight of a layer, with the labels along its axes."""
        shape = tuple(int(size) for size in variable.shape)
        self.blocks.append(Block(variable.path, shape, tuple(axes), uses, read_axis, bool(variable.trainable)))

    def product(self, shape: Shape, axes: Sequence[Labels | None]) -> None:
        """Note a product of two activations, with a multiply-add for each entry of `shape`."""
        self.blocks.append(Block(None, shape, tuple(axes), uses=1))

    def tie(self, one: Labels, other: Labels) -> None:
        """Let entries at the same place be removed together; the two shapes broadcast."""
        one, other = np.broadcast_arrays(self._roots[one], self._roots[other])
        pairs = np.unique(one.ravel() * len(self._roots) + other.ravel())
        for pair in pairs.tolist():
            first, second = sorted(int(self._roots[label]) for label in divmod(pair, len(self._roots)))
            if first != second:
                self._roots[self._roots == second] = first

    def freeze(self, labels: Labels, layer: Any | None = None) -> None:
        """Let nothing of `labels` be removed, because of `layer`, or for a reason that needs no telling."""
        if layer is not None and np.any(self._roots[labels] != FROZEN):
            self.obstacles.append(f"{layer.name} ({type(layer).__name__})")
        self.tie(labels, np.array(FROZEN))

    def axis(self, labels: Labels) -> int | None:
        """The axis along which settled labels vary; None if they are all one."""
        varying = self._varying(labels)
        assert len(varying) <= 1, "labels are settled when they come out of a layer"
        return varying[0] if varying else None

    def settled(self, labels: Labels) -> Labels:
        """The labels, varying along one axis: the first of several, and all that differs along the others is tied."""
        varying = self._varying(labels)
        if len(varying) > 1:
            self.tie(labels, spread(along(labels, varying[0]), varying[0], labels.shape))
        return labels

    def confine(self, labels: Labels, axis: int, layer: Any) -> Labels:
        """The labels [C] along `axis`; frozen if they vary along another one, where `layer` mixes entries."""
        axis %= labels.ndim
        if self.axis(labels) not in (None, axis):
            self.freeze(labels, layer)
        return along(labels, axis)

    def freeze_undivided(self) -> None:
        """Freeze the channels of layers that could only lose all of them."""
        while undivided := [source.labels for source in self.sources if self._is_undivided(source.labels)]:
            for labels in undivided:
                self.freeze(labels)

    def _is_undivided(self, labels: Labels) -> bool:
        roots = np.unique(self._roots[labels])
        return len(roots) == 1 and roots[0] != FROZEN

    def _varying(self, labels: Labels) -> list[int]:
        found = self._roots[labels]
        return [axis for axis in range(found.ndim) if np.any(found != found.take([0], axis))]


def along(labels: Labels, axis: int) -> Labels:
    """Settled labels [C] along an axis."""
    axis %= labels.ndim
    return labels[tuple(slice(None) if number == axis else 0 for number in range(labels.ndim))]


def spread(labels: Labels, axis: int, shape: Shape) -> Labels:
    """Labels [C] along `axis` of a tensor of `shape`, the same at every place of the other axes."""
    axis %= len(shape)
    return np.broadcast_to(labels.reshape([-1 if number == axis else 1 for number in range(len(shape))]), shape)
