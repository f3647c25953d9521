"""The channels of a network: the walk over its graph that finds them, and what is left of it with some removed.

Channels that are tied make a *unit*, removed as a whole: a channel of a convolution with its batch norm, what a
residual adds at one place, a head of attention with its query, key, value and output.  Layers that share units make a
*space*.  What a network costs is counted here, too: parameters, and multiply-adds of dense, convolution and `@`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.compression.channel_labels import FROZEN, Block, ChannelLabels, Labels, Resize, Source
from models.compression.channel_rules import RULES, Call, type_name, unknown
from models.failures import PermanentFailure

Kept = NDArray[np.bool_]
"""For each label whether it is still there, [labels]; the labels of a unit are so together."""

Widths = Mapping[str, Mapping[str, int | list[int]]]
"""By layer the numbers of its configuration that changed, as in `{"conv1": {"filters": 12}}`; plain data for JSON."""


class CannotSlim(PermanentFailure, ValueError):
    """The network has no channels that could be removed, or too few for what is asked; says why in one sentence."""


@dataclass(frozen=True)
class Cost:
    """What a network takes."""

    parameters: int
    multiply_adds: int
    """For one image."""


@dataclass(frozen=True, eq=False)
class ChannelSpaces:
    """What a walk found, all of it about the network as it is, before anything is removed."""

    roots: Labels
    """For each label its unit, itself a label; `FROZEN` where nothing is removed."""
    blocks: Sequence[Block]
    resizes: Sequence[Resize]
    sources: Sequence[Source]
    obstacles: Sequence[str]
    """The layers that froze channels, each as `name (type)`."""

    @cached_property
    def units(self) -> Labels:
        """Every unit that may be removed, in the order of the graph."""
        return self._units_of(np.arange(len(self.roots)))

    @cached_property
    def spaces(self) -> tuple[Labels, ...]:
        """The units of each space, in the order of the graph."""
        space = np.arange(len(self.roots))
        for source in self.sources:
            joined = space[self._units_of(source.labels)]
            if len(joined):
                space[np.isin(space, joined)] = np.min(joined)
        return tuple(self.units[space[self.units] == one] for one in np.unique(space[self.units]))

    def everything(self) -> Kept:
        """What is kept before anything is removed."""
        return np.ones(len(self.roots), bool)

    def cost(self, kept: Kept) -> Cost:
        """What is left to pay."""
        sizes = [(block, math.prod(kept_sizes(block, kept))) for block in self.blocks]
        return Cost(
            parameters=sum(size for block, size in sizes if block.path is not None),
            multiply_adds=sum(size * block.uses for block, size in sizes),
        )

    def widths(self, kept: Kept) -> Widths:
        """What the configurations of the layers say with the rest removed; layers that lose nothing are left out."""
        found: dict[str, dict[str, int | list[int]]] = {}
        for resize in self.resizes:
            shape = _kept_shape(resize.labels, kept)
            if shape != list(resize.labels.shape):
                found[resize.layer] = {resize.key: shape if resize.key == "target_shape" else shape[0]}
        return found

    def kept_channels(self, kept: Kept) -> dict[str, tuple[int, ...]]:
        """By layer the output channels that are left, where it lost some."""
        return {
            source.layer: tuple(np.flatnonzero(kept[source.labels]).tolist())
            for source in self.sources
            if not kept[source.labels].all()
        }

    def cut_weights(self, weights: Mapping[str, NDArray[Any]], kept: Kept) -> dict[str, NDArray[Any]]:
        """The weights by path, without what was removed."""
        blocks = {block.path: block for block in self.blocks}
        return {path: _cut(weight, blocks[path], kept) for path, weight in weights.items()}

    def _units_of(self, labels: Labels) -> Labels:
        units = np.unique(self.roots[labels])
        return np.asarray(units[units != FROZEN])


def find_channels(network: Any, registered_name: Callable[[type], str]) -> ChannelSpaces:
    """Walk over a functional network's graph.

    Args:
        network: of Keras 3, its layers called once each.
        registered_name: `keras.saving.get_registered_name` of that Keras.

    Raises:
        CannotSlim: the network has no graph that could be walked, or one that uses a layer several times.
    """
    operations = _operations(network)
    labels = ChannelLabels()
    found: dict[int, Labels] = {id(tensor): _frozen(tensor) for tensor in network.inputs}
    for layer in operations:
        inputs, outputs = _tensors(layer.input), _tensors(layer.output)
        if not inputs:
            continue  # an input of the network itself
        entering = _labels_of(inputs, found, network)
        rule = RULES.get(type_name(layer, registered_name(type(layer))), unknown)
        if len(outputs) != 1:
            rule = unknown
        for tensor in outputs:
            found[id(tensor)] = rule(Call(labels, layer, entering, _shape(tensor)))
    for leaving in _labels_of(network.outputs, found, network):
        labels.freeze(leaving)
    labels.freeze_undivided()
    return ChannelSpaces(
        labels.roots(), _with_the_rest(network, labels.blocks), labels.resizes, labels.sources, labels.obstacles
    )


def kept_sizes(block: Block, kept: Kept) -> list[int]:
    """The size along each axis of what is left of a block."""
    return [
        size if labels is None else int(np.count_nonzero(kept[labels]))
        for size, labels in zip(block.shape, block.axes, strict=True)
    ]


def _operations(network: Any) -> list[Any]:
    operations: list[Any] | None = getattr(network, "operations", None)
    if operations is None:
        raise CannotSlim(
            f"Slimming needs a functional network, and {network.name!r} is a {type(network).__name__}; build it as "
            "`keras.Model(inputs, outputs)`."
        )
    return operations


def _labels_of(tensors: list[Any], found: Mapping[int, Labels], network: Any) -> list[Labels]:
    if any(id(tensor) not in found for tensor in tensors):
        # A layer shows the tensors of its first call alone.
        raise CannotSlim(
            f"Slimming cannot follow {network.name!r}, which calls one of its layers several times; give each call a "
            "layer of its own."
        )
    return [found[id(tensor)] for tensor in tensors]


def _with_the_rest(network: Any, blocks: Sequence[Block]) -> list[Block]:
    """The blocks, with one for each weight that no rule has noted: it stays whole."""
    noted = {block.path for block in blocks}
    rest = [variable for variable in network.weights if variable.path not in noted]
    return [
        *blocks,
        *(Block(one.path, tuple(one.shape), (None,) * len(one.shape), trainable=one.trainable) for one in rest),
    ]


def _tensors(structure: Any) -> list[Any]:
    if isinstance(structure, dict):
        return list(structure.values())
    return list(structure) if isinstance(structure, list | tuple) else [structure]


def _shape(tensor: Any) -> tuple[int, ...]:
    """Without the batch; 1 for a size that is open."""
    return tuple(int(size or 1) for size in tensor.shape[1:])


def _frozen(tensor: Any) -> Labels:
    return np.full(_shape(tensor), FROZEN, np.int64)


def _kept_shape(labels: Labels, kept: Kept) -> list[int]:
    """The shape of what is left of a tensor whose labels vary along one axis."""
    left = kept[labels]
    return [int(np.any(left, axis=tuple(set(range(left.ndim)) - {axis})).sum()) for axis in range(left.ndim)]


def _cut(weight: NDArray[Any], block: Block, kept: Kept) -> NDArray[Any]:
    for axis, labels in enumerate(block.axes):
        if labels is not None:
            weight = np.compress(kept[labels], weight, axis)
    return weight
