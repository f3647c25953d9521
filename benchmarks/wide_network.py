"""A network whose state is large for its speed: 100 MB, like that of a real network with Adam's slots."""

from __future__ import annotations

from typing import Any


def build(keras: Any, image_shape: tuple[int, int, int] = (32, 32, 3), classes: int = 10) -> Any:
    """Two dense layers of 8.3 million weights; with Adam's two slots 100 MB in float32."""
    pixels = keras.Input(image_shape)
    x = keras.layers.Rescaling(1 / 128, offset=-1, name="scaled")(pixels)
    x = keras.layers.Dense(2690, activation="relu", name="wide")(keras.layers.Flatten(name="flat")(x))
    return keras.Model(pixels, keras.layers.Dense(classes, name="logits")(x))
