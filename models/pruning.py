"""Pruning by masks: what is asked for, as plain data, and which weights it takes away when.

Pure functions of a plan's values and of a kernel's weights; nothing here needs Keras, so a plan can be checked where
there is none.  The masks of a network in training are `models.training.masks`.

Sources: Zhu and Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model compression", 2017;
Mishra et al., "Accelerating sparse deep neural networks", 2021, for the pattern 2:4.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.failures import PermanentFailure

KINDS = ("dense", "conv")
"""Kinds of layers whose kernels can be pruned: dense layers, and convolutions that are not depthwise."""

TWO_OF_FOUR = "2:4"
"""NVIDIA's pattern: its sparse tensor cores, from the A100 on, skip two weights in each four."""

_GROUP, _KEPT_OF_GROUP = 4, 2
_INPUT_AXIS = -2
"""Of a dense kernel [inputs, outputs] as of a convolution's [..., inputs, outputs]."""


class CannotPrune(PermanentFailure, ValueError):
    """What is asked for is no pruning, or none of this network; says why in one sentence."""


@dataclass(frozen=True)
class Kernel:
    """A layer's weights that could be pruned, described."""

    path: str
    """The variable's key in a state after its prefix, as in `dense1/kernel`."""
    layer: str
    """Name of its layer."""
    kind: str
    """One of `KINDS`."""
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Pruning:
    """Which kernels lose how many of their weights, and over which steps of the training.

    Raises:
        CannotPrune: the values are no pruning.
    """

    sparsity: float | Mapping[str, float] | None = None
    """Share of each kernel's weights that are zero at the end: one for all, or one for each name in `layers`, where a
    layer's own name goes before its kind.  None with a pattern, which has its own."""
    layers: tuple[str, ...] = KINDS
    """Kinds of layers ("dense", "conv"), and other names, which are single layers'.  A network's first layer and its
    last one, which gives the logits, are pruned only when named: they are small, and feel each weight that is gone."""
    pattern: str | None = None
    """"2:4", or None for the smallest weights of a kernel wherever they are."""
    initial_sparsity: float = 0.0
    begin: float = 0.0
    """Share of the training's steps before the first mask."""
    end: float = 0.25
    """Share of the training's steps after which masks stay as they are.  In the others what remains recovers: after a
    short fine-tuning a network was the more accurate the sooner its masks stood."""
    interval: int = 50
    """Steps from one mask to the next: half of what Zhu and Gupta take at least, because fine-tunings are short."""

    def __post_init__(self) -> None:
        self._check_layers()
        if self.pattern is None:
            self._check_sparsity()
        elif self.pattern != TWO_OF_FOUR:
            raise CannotPrune(f"There is no pattern {self.pattern!r}; the one that there is is {TWO_OF_FOUR!r}.")
        elif self.sparsity is not None:
            raise CannotPrune(f"The pattern {TWO_OF_FOUR} is half of the weights; leave sparsity out.")
        if not (_is_share(self.begin) and _is_share(self.end) and self.begin <= self.end):
            raise CannotPrune(
                f"Pruning from {self.begin!r} to {self.end!r} of the steps cannot be; give shares from 0 to 1, the "
                "begin not after the end."
            )
        if not isinstance(self.interval, int) or self.interval < 1:
            raise CannotPrune(f"The interval {self.interval!r} is no number of steps; give 1 or more.")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Pruning:
        """The pruning that a job's spec holds.

        Raises:
            CannotPrune: it holds none.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if strangers := sorted(values.keys() - set(known)):
            raise CannotPrune(f"Pruning has no key {strangers[0]!r}; it has {', '.join(known)}.")
        layers = values.get("layers", KINDS)
        if isinstance(layers, str) or not isinstance(layers, Sequence):
            raise CannotPrune(f"The layers to prune are {layers!r}; give a list of names.")
        return cls(**{**values, "layers": tuple(layers)})

    def chosen(self, kernels: Sequence[Kernel]) -> dict[Kernel, float]:
        """The kernels that are pruned, with the share of each that is zero in the end.

        Args:
            kernels: all of a network, from its input to its logits.

        Raises:
            CannotPrune: a layer is named that is not there, one has no sparsity, or nothing is left to prune.
        """
        names = {kernel.layer for kernel in kernels} - set(KINDS)
        if missing := [name for name in self.layers if name not in KINDS and name not in names]:
            raise CannotPrune(
                f"The network has no layer {missing[0]!r} that could be pruned; it has {', '.join(sorted(names))}."
            )
        taken = self._taken(kernels)
        fitting = {kernel: self._share_of(kernel) for kernel in taken if not self._misfits(kernel)}
        if not fitting:
            raise CannotPrune(self._nothing_left(taken))
        return fitting

    def left_alone(self, kernels: Sequence[Kernel]) -> list[Kernel]:
        """The kernels that are asked for and stay dense because the pattern does not fit their shape."""
        return [kernel for kernel in self._taken(kernels) if self._misfits(kernel)]

    def update_steps(self, total_steps: int) -> range:
        """After how many steps of a training the masks are made anew.

        The last one is less than `interval` steps before `end`; from it on a kernel has all of its sparsity.  The
        pattern is chosen once, before the first step.
        """
        if self.pattern:
            return range(1)
        first, last = int(self.begin * total_steps), int(self.end * total_steps)
        return range(first, last + 1, min(self.interval, max(1, last - first)))

    def mask(self, weights: NDArray[Any], sparsity: float, step: int, total_steps: int) -> NDArray[np.bool_]:
        """Which weights of a kernel stay from `step` on until the next update: True is kept.

        Args:
            weights: the kernel at the last of the `update_steps` that is not after `step`.
            sparsity: what the kernel shall have in the end.
        """
        updates = self.update_steps(total_steps)
        done = bisect.bisect_right(updates, step)
        if not done:
            return np.ones(weights.shape, np.bool_)
        if self.pattern:
            return two_of_four_mask(weights)
        return magnitude_mask(weights, scheduled_sparsity(done - 1, len(updates) - 1, self.initial_sparsity, sparsity))

    def _taken(self, kernels: Sequence[Kernel]) -> list[Kernel]:
        # Keras calls a first dense layer "dense", too: in `layers` this is the kind.
        named = {kernel for kernel in kernels if kernel.layer in self.layers and kernel.layer not in KINDS}
        of_kind = {kernel for kernel in kernels[1:-1] if kernel.kind in self.layers}
        return [kernel for kernel in kernels if kernel in named | of_kind]

    def _share_of(self, kernel: Kernel) -> float:
        if self.pattern:
            return _KEPT_OF_GROUP / _GROUP
        if not isinstance(self.sparsity, Mapping):
            assert self.sparsity is not None, "checked when the pruning was made"
            return self.sparsity
        by_kind = self.sparsity.get(kernel.kind)
        share = by_kind if kernel.layer in KINDS else self.sparsity.get(kernel.layer, by_kind)
        if share is None:
            raise CannotPrune(
                f"The layer {kernel.layer!r} has no sparsity; give one under its name or {kernel.kind!r}."
            )
        return share

    def _misfits(self, kernel: Kernel) -> bool:
        return self.pattern is not None and not fits_two_of_four(kernel.shape)

    def _nothing_left(self, taken: Sequence[Kernel]) -> str:
        if taken:
            return f"No layer to prune has inputs in whole fours, which {TWO_OF_FOUR} needs; prune without the pattern."
        return (
            f"Nothing would be pruned: the network has no layer of {' and '.join(self.layers)} between its first and "
            "its last one; name the layers to prune."
        )

    def _check_layers(self) -> None:
        if not self.layers or not all(isinstance(name, str) for name in self.layers):
            raise CannotPrune(f"The layers to prune are {list(self.layers)}; give at least one name.")
        if isinstance(self.sparsity, Mapping) and (strangers := sorted(self.sparsity.keys() - set(self.layers))):
            raise CannotPrune(f"There is a sparsity for {strangers[0]!r}, which is not among the layers to prune.")

    def _check_sparsity(self) -> None:
        if self.sparsity is None:
            raise CannotPrune("Pruning needs a sparsity, as 0.8 for eight weights in ten.")
        every = list(self.sparsity.values()) if isinstance(self.sparsity, Mapping) else [self.sparsity]
        for share in every:
            if not _is_share(share) or not 0 < share < 1:
                raise CannotPrune(f"The sparsity {share!r} cannot be; give a share between 0 and 1, as 0.8.")
            if not _is_share(self.initial_sparsity) or self.initial_sparsity > share:
                raise CannotPrune(
                    f"The initial sparsity {self.initial_sparsity!r} cannot be; give a share from 0 to the final one."
                )


def scheduled_sparsity(update: int, updates: int, initial: float, final: float) -> float:
    """The sparsity at update number `update` of `updates`, counted from 0: s_f + (s_i - s_f) (1 - t)^3.

    Most goes early, when there is much to spare; Zhu and Gupta, 2017, section 3.
    """
    done = update / updates if updates else 1.0
    return final + (initial - final) * (1.0 - done) ** 3


def magnitude_mask(weights: NDArray[Any], sparsity: float) -> NDArray[np.bool_]:
    """True but for the smallest magnitudes, which are this share of the weights to within one; one at least stays.

    Of equal magnitudes those that come first in memory's order (C) stay, so the mask of given weights is one mask.  The
    masked weights have the same mask again.
    """
    magnitudes = np.abs(weights).reshape(-1)
    kept = max(1, magnitudes.size - round(sparsity * magnitudes.size))
    # A partition's order depends on the machine, but not the value that it finds.
    least = np.partition(magnitudes, magnitudes.size - kept)[magnitudes.size - kept]
    mask: NDArray[np.bool_] = magnitudes > least
    equal = np.flatnonzero(magnitudes == least)
    mask[equal[: kept - np.count_nonzero(mask)]] = True
    return mask.reshape(weights.shape)


def two_of_four_mask(weights: NDArray[Any]) -> NDArray[np.bool_]:
    """True for the two largest magnitudes of each four consecutive weights along a kernel's input axis.

    Of equal ones the first stay.  The pattern is that of Mishra et al., 2021, along the axis over which a product sums.
    """
    assert fits_two_of_four(weights.shape), f"a kernel of {weights.shape} has no whole fours along its inputs"
    last = np.moveaxis(np.abs(weights), _INPUT_AXIS, -1)
    groups = last.reshape(*last.shape[:-1], -1, _GROUP)
    kept = np.argsort(-groups, axis=-1, kind="stable")[..., :_KEPT_OF_GROUP]
    mask = np.zeros(groups.shape, np.bool_)
    np.put_along_axis(mask, kept, True, axis=-1)
    return np.ascontiguousarray(np.moveaxis(mask.reshape(last.shape), -1, _INPUT_AXIS))


def fits_two_of_four(shape: Sequence[int]) -> bool:
    """Whether a kernel [..., inputs, outputs] has inputs in whole fours."""
    return len(shape) >= 2 and shape[_INPUT_AXIS] % _GROUP == 0


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
