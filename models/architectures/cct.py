"""Compact convolutional transformers: convolutions make the tokens, attention pools them.

Written, as the other architectures are, against the `keras` namespace that is handed in, with a name for every layer.
The blocks are `models.architectures.transformer`'s.

Every network takes float32 pixels 0..255, [B, H, W, C], and gives float32 logits, [B, classes].

Source: Hassani, Walton, Shah, Abuduweili, Li, Shi, "Escaping the Big Data Paradigm with Compact Transformers", 2021.
"""

from __future__ import annotations

from typing import Any

from models.architectures.image_classifier import ImageShape, image_input, logits, rescaled
from models.architectures.transformer import Encoder, encoder, position_embedding

_STEM = 64
"""Channels of the first of two convolutions."""


def cct(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """CCT-7/3x2: two 3x3 convolutions make 64 tokens of width 256, seven blocks, four heads; 3,858,635 weights.

    Published: 95.0 % on CIFAR-10 after 300 epochs.  Without the dropout of its attention's weights.
    """
    shape = Encoder(blocks=7, heads=4, head_width=64, mlp_width=512, stochastic_depth=0.1)
    return _network(keras, image_shape, classes, shape, "cct")


def cct_small(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """CCT-2/3x2: tokens of width 128, two blocks, two heads; 284,491 weights.

    Published: 89.8 % on CIFAR-10 after 300 epochs.
    """
    shape = Encoder(blocks=2, heads=2, head_width=64, mlp_width=128)
    return _network(keras, image_shape, classes, shape, "cct-small")


def _network(keras: Any, image_shape: ImageShape, classes: int, shape: Encoder, name: str) -> Any:
    image = image_input(keras, image_shape)
    x = _tokens(keras, rescaled(keras, image), width=shape.heads * shape.head_width)
    x = _sequence_pooled(keras, encoder(keras, x, shape))
    return keras.Model(image, logits(keras, x, classes), name=name)


def _tokens(keras: Any, x: Any, *, width: int) -> Any:
    """Images [B, H, W, C] -> tokens [B, H/4 * W/4, width] that know their place."""
    layers = keras.layers
    for number, channels in enumerate((_STEM, width), start=1):
        name = f"conv{number}"
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False, activation="relu", name=name)(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"pool{number}")(x)
    x = layers.Reshape((x.shape[1] * x.shape[2], width), name="tokens")(x)
    return position_embedding(keras)(name="position")(x)


def _sequence_pooled(keras: Any, x: Any) -> Any:
    """[B, T, D] -> [B, D]: a mean of the tokens in which each says how much it counts."""
    layers = keras.layers
    scores = layers.Permute((2, 1), name="pool_scores")(layers.Dense(1, name="pool_score")(x))
    pooled = layers.Softmax(name="pool_softmax")(scores) @ x
    return layers.Reshape((x.shape[-1],), name="pool")(pooled)
