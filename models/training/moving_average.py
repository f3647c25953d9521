"""A moving average of a network's weights, which is steadier than the weights themselves at any one step.

Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


class MovingAverage:
    """Variables that follow the weights; batch normalisation's statistics are followed too.

    Args:
        weights: a network's; those that are whole numbers are not averaged.
        decay: the share that stays at every step.  The first steps count more, as in TensorFlow's
            `ExponentialMovingAverage`: a short training would otherwise end in an average with its random beginning.
    """

    def __init__(self, weights: Sequence[Any], decay: float) -> None:
        self._decay = decay
        self.pairs = [
            (weight, keras.Variable(_copy(weight), trainable=False, dtype=weight.dtype, name=f"average_{number}"))
            for number, weight in enumerate(weights)
            if keras.backend.is_float_dtype(weight.dtype)
        ]
        """Each weight with its average."""

    def update(self, step: Any) -> None:
        """Take in the weights after optimizer step number `step`, which counts from one."""
        ops = keras.ops
        step = ops.cast(step, "float32")
        decay = ops.minimum(self._decay, (1.0 + step) / (10.0 + step))
        for weight, average in self.pairs:
            average.assign(average + (weight - average) * (1.0 - decay))


def _copy(weight: Any) -> NDArray[Any]:
    """A copy with memory of its own: JAX would give both variables one array, and a step donates each array once."""
    return np.array(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(weight)))
