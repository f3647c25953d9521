"""What every architecture shares: the image that goes in and the logits that come out.

Written, as the architectures are, against the `keras` namespace that is handed in: Keras 3 or legacy Keras.
"""

from __future__ import annotations

from typing import Any

ImageShape = tuple[int, int, int]
"""Height, width, channels."""


def image_input(keras: Any, image_shape: ImageShape) -> Any:
    """The input, float32 pixels 0..255, [B, H, W, C]."""
    return keras.Input(shape=image_shape, dtype="float32", name="image")


def rescaled(keras: Any, image: Any) -> Any:
    """Pixels 0..255 brought to -1..1, in float32 whatever the precision of the other layers.

    In bfloat16 half of the values above 1 that it goes through would be lost.
    """
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="rescale")(image)


def logits(keras: Any, features: Any, classes: int) -> Any:
    """Features [B, F] -> logits [B, classes], float32 whatever the precision of the other layers.

    In float16 the softmax cross-entropy of a confident network overflows.
    """
    return keras.layers.Dense(classes, dtype="float32", name="logits")(features)
