"""A network of AlexNet's kind that two cores train to more than 75 % of CIFAR-10 in minutes."""

from __future__ import annotations

from typing import Any


def build(keras: Any, image_shape: tuple[int, int, int] = (32, 32, 3), classes: int = 10) -> Any:
    """Four convolutions with batch normalisation, of which the first strides, and two dense layers: 1.56 M weights."""
    layers = keras.layers
    pixels = keras.Input(image_shape, name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="rescaled")(pixels)
    for number, (width, size, stride) in enumerate([(32, 5, 2), (64, 3, 1), (128, 3, 1), (128, 3, 1)], start=1):
        x = layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"conv{number}_norm")(x)
        x = layers.Activation("relu", name=f"conv{number}_relu")(x)
        if number in (2, 4):
            x = layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = layers.Flatten(name="flat")(x)
    for number in (1, 2):
        x = layers.Dense(512, activation="relu", name=f"dense{number}")(x)
        x = layers.Dropout(0.3, name=f"drop{number}")(x)
    return keras.Model(pixels, layers.Dense(classes, name="logits")(x), name="middle")
