"""The masks of a network that is pruned while it trains: variables that say which weights stay.

Each optimizer step moves every weight, and then the masks take away what they do not keep.  At fixed steps of the
training they are made anew from the weights, on the host and by `models.pruning`, so that it is the same mask on every
machine.  A weight that was taken away is zero then, and so stays away.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.pruning import Kernel, Pruning
from models.training.moving_average import MovingAverage

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


class Masks:
    """One mask for each kernel that is pruned.

    Args:
        model: layers inside of a person's own layers (or of Keras' `MultiHeadAttention`) are left alone.
        total_steps: of the training, which the pruning's shares are of.
        average: is masked, too, where there is one.

    Raises:
        CannotPrune: the pruning does not fit the network.
    """

    def __init__(self, model: Any, pruning: Pruning, total_steps: int, average: MovingAverage | None) -> None:
        self._pruning = pruning
        self._total_steps = total_steps
        self._updates = pruning.update_steps(total_steps)
        kernels = dict(_kernels(model))
        averages = {id(weight): variable for weight, variable in average.pairs} if average else {}
        self._kernels: list[tuple[Any, Any, float]] = []
        self.by_path: dict[str, Any] = {}
        """The masks, bool of their kernels' shapes, by the paths of the kernels."""
        self._masked: list[tuple[Any, Any]] = []
        for number, (kernel, sparsity) in enumerate(pruning.chosen(list(kernels)).items()):
            variable = kernels[kernel]
            everything = np.ones(kernel.shape, np.bool_)
            mask = keras.Variable(everything, trainable=False, dtype="bool", name=f"mask_{number}")
            self.by_path[kernel.path] = mask
            self._kernels.append((variable, mask, sparsity))
            self._masked.append((variable, mask))
            if id(variable) in averages:
                self._masked.append((averages[id(variable)], mask))

    @property
    def variables(self) -> list[Any]:
        return list(self.by_path.values())

    def steps_left(self, step: int) -> int | None:
        """How many steps may be taken from `step` on with the masks as they are; None for as many as there are."""
        following = bisect.bisect_right(self._updates, step)
        return self._updates[following] - step if following < len(self._updates) else None

    def update(self, step: int) -> None:
        """Make the masks anew if `step` is one of the pruning's; twice at one step is as once."""
        if step in self._updates:
            self.make(step)

    def make(self, step: int) -> None:
        """The masks that hold at `step`, from the weights as they are."""
        for variable, mask, sparsity in self._kernels:
            mask.assign(self._pruning.mask(_on_host(variable), sparsity, step, self._total_steps))
        self.apply()

    def apply(self) -> None:
        """Take away what the masks do not keep; for use inside of a compiled step, too."""
        for variable, mask in self._masked:
            variable.assign(keras.ops.where(mask.value, variable.value, 0.0))


def kernels(model: Any) -> list[Kernel]:
    """The kernels of a network that could be pruned, from its input to its logits."""
    return [kernel for kernel, _ in _kernels(model)]


def _kernels(model: Any) -> Iterator[tuple[Kernel, Any]]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _kernels(layer)
        elif kind := _kind(layer):
            variable = layer.kernel
            yield Kernel(variable.path, layer.name, kind, tuple(variable.shape)), variable


def _kind(layer: Any) -> str | None:
    if isinstance(layer, keras.layers.Dense):
        return "dense"
    return "conv" if isinstance(layer, _CONVOLUTIONS) else None


def _on_host(variable: Any) -> NDArray[Any]:
    array: NDArray[Any] = keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable))
    return array
