"""A network with other widths than its builder gives it: what is left of one that was slimmed, as plain data.

Which widths these are is found by `models.compression.slimming`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.compression.channel_spaces import Widths
from models.training.trainer import NetworkBuilder


def narrowed(keras: Any, network: Any, widths: Widths) -> Any:
    """A fresh network like `network`, built by Keras 3 or legacy Keras, with other numbers in its configuration.

    Its weights are yet to be loaded, by name.

    Raises:
        ValueError: `widths` are of another network.
    """
    if strangers := sorted(widths.keys() - {layer.name for layer in network.layers}):
        raise ValueError(f"The widths are of another network: {network.name!r} has no layer {strangers[0]!r}.")

    def remade(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), **widths.get(layer.name, {})})

    return cloned(keras, network, remade)


def cloned(keras: Any, network: Any, remade: Callable[[Any], Any]) -> Any:
    """A network like `network` of the layers that `remade` gives for its own; its weights are yet to be loaded."""
    clone = keras.models.clone_model(network, clone_function=remade)
    for layer in clone.layers:
        if isinstance(layer, keras.layers.Normalization):
            # It computes with a copy of its weights, which loading weights by name would not reach.
            layer.set_weights(network.get_layer(layer.name).get_weights())
            layer.finalize_state()
    return clone


def narrowed_builder(build: NetworkBuilder, widths: Widths) -> NetworkBuilder:
    """What makes the network that `build` makes, with other widths; `build` itself where there are none."""

    def narrow(keras: Any, image_shape: tuple[int, int, int] = (32, 32, 3), classes: int = 10) -> Any:
        return narrowed(keras, build(keras, image_shape=image_shape, classes=classes), widths)

    return narrow if widths else build
