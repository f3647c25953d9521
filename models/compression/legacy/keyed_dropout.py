"""Dropout whose masks follow from the training's seed, the layer and the step, and from nothing else.

Legacy Keras' own draws from generators that no state of a training holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf
import tf_keras

_SEEDS = 2**16
"""More than a network has layers: each layer of each seed has a key of its own."""


@tf_keras.saving.register_keras_serializable(package="orch")
class KeyedDropout(tf_keras.layers.Layer):  # type: ignore[misc]
    """`Dropout` of the same rate and noise shape."""

    def __init__(self, rate: float, noise_shape: list[int | None] | None, key: int, **options: Any) -> None:
        super().__init__(**options)
        self.rate = rate
        self.noise_shape = noise_shape
        self.key = key
        self._step: Any = None

    def follow(self, step: Any) -> None:
        """Draw by `step`, a variable int64, from now on."""
        # In a list, so that Keras takes it for none of the layer's own weights.
        self._step = (lambda: step,)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if not training or not self.rate:
            return inputs
        (step,) = self._step
        seed = tf.stack([tf.constant(self.key, tf.int64), tf.cast(step(), tf.int64)])
        return tf.nn.experimental.stateless_dropout(
            inputs, self.rate, seed, rng_alg="philox", noise_shape=self._shape_of(inputs)
        )

    def _shape_of(self, inputs: Any) -> Any:
        if self.noise_shape is None:
            return None
        shape = tf.shape(inputs)
        return tf.stack([shape[axis] if size is None else size for axis, size in enumerate(self.noise_shape)])

    def get_config(self) -> dict[str, Any]:
        own = {"rate": self.rate, "noise_shape": self.noise_shape, "key": self.key}
        return {**super().get_config(), **own}


def keyed(layer: Any, seed: int, number: int) -> KeyedDropout:
    """What takes the place of the Dropout `layer`, the network's layer number `number`."""
    return KeyedDropout(layer.rate, layer.noise_shape, seed * _SEEDS + number, name=layer.name)


def follow(layers: Iterable[Any], step: Any) -> None:
    """Have every keyed dropout among these layers draw by `step`."""
    for layer in layers:
        if isinstance(layer, KeyedDropout):
            layer.follow(step)
