"""What vision transformers share: positions of tokens, and pre-norm blocks of self-attention and MLP.

Attention's projections are `Dense` layers, so that pruning and quantization see them; its two matrix products
are the `@` of symbolic tensors, which both Keras save and both convert to LiteRT.

Sources: Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020; Huang et al., "Deep Networks with Stochastic Depth",
2016; Lee, Lee, Song, "Vision Transformer for Small-Size Datasets", 2021.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_BLIND = -30_000.0
"""What a token's score for itself is set to: its share is zero, and float16 still holds it."""


@dataclass(frozen=True)
class Encoder:
    """The shape of a stack of transformer blocks."""

    blocks: int
    heads: int
    head_width: int
    mlp_width: int
    mlp_last_activation: str = "linear"
    dropout: float = 0.0
    """The share of the attention's weights and of the MLP's activations that is dropped."""
    stochastic_depth: float = 0.0
    """Chance that an image skips a residual branch of the last block, rising linearly from the first one."""
    locality: bool = False
    """Locality self-attention: a learned temperature for each head, and no token attends to itself."""


def register_layers(keras: Any) -> None:
    """Make the layer classes of this Keras known to it, so that saved models can be loaded."""
    position_embedding(keras)
    locality_scores(keras)


@functools.cache
def position_embedding(keras: Any) -> Any:
    """The layer class `PositionEmbedding` of this Keras.

    No built-in layer adds a weight to its input and does nothing else; `Embedding` wants indices as a second
    input.  The class has no arguments of its own, so its inherited config is complete.
    """

    @keras.saving.register_keras_serializable(package="orch")
    class PositionEmbedding(keras.layers.Layer):  # type: ignore[misc]
        """Adds a learned vector to every token: [B, T, D] -> [B, T, D]."""

        def build(self, input_shape: Sequence[int | None]) -> None:
            initializer = keras.initializers.TruncatedNormal(stddev=0.02)
            self.table = self.add_weight(name="table", shape=tuple(input_shape[1:]), initializer=initializer)
            super().build(input_shape)

        def call(self, tokens: Any) -> Any:
            return tokens + self.table

        def compute_output_shape(self, input_shape: Sequence[int | None]) -> Sequence[int | None]:
            return input_shape

    return PositionEmbedding


@functools.cache
def locality_scores(keras: Any) -> Any:
    """The layer class `LocalityScores` of this Keras."""

    @keras.saving.register_keras_serializable(package="orch")
    class LocalityScores(keras.layers.Layer):  # type: ignore[misc]
        """Attention's scores [B, heads, T, T] times each head's learned scale, and none of a token for itself."""

        def __init__(self, initial_scale: float, **options: Any) -> None:
            super().__init__(**options)
            self.initial_scale = initial_scale

        def build(self, input_shape: Sequence[int]) -> None:
            self.scale = self.add_weight(
                name="scale",
                shape=(input_shape[1], 1, 1),
                initializer=keras.initializers.Constant(self.initial_scale),
            )
            self._itself = _BLIND * np.eye(input_shape[-1], dtype=np.float32)
            super().build(input_shape)

        def call(self, scores: Any) -> Any:
            return scores * self.scale + self._itself.astype(self.compute_dtype)

        def compute_output_shape(self, input_shape: Sequence[int | None]) -> Sequence[int | None]:
            return input_shape

        def get_config(self) -> dict[str, Any]:
            config: dict[str, Any] = super().get_config()
            return {**config, "initial_scale": self.initial_scale}

    return LocalityScores


def encoder(keras: Any, x: Any, shape: Encoder) -> Any:
    """[B, T, D] -> [B, T, D]: the blocks and the last normalisation."""
    for number in range(1, shape.blocks + 1):
        name = f"block{number}"
        skip = shape.stochastic_depth * (number - 1) / max(1, shape.blocks - 1)
        branch = _attention(keras, normalised(keras, x, f"{name}_attention_norm"), f"{name}_attention", shape)
        x = _residual(keras, x, branch, f"{name}_attention", skip)
        branch = _mlp(keras, normalised(keras, x, f"{name}_mlp_norm"), f"{name}_mlp", shape)
        x = _residual(keras, x, branch, f"{name}_mlp", skip)
    return normalised(keras, x, "norm")


def dense(keras: Any, x: Any, name: str, width: int, *, activation: str, dropout: float) -> Any:
    """A dense layer and its dropout."""
    x = keras.layers.Dense(width, activation=activation, name=name)(x)
    return _dropout(keras, x, dropout, f"{name}_dropout")


def normalised(keras: Any, x: Any, name: str) -> Any:
    """Each token's features to mean 0 and variance 1, then scaled and shifted by learned numbers."""
    return keras.layers.LayerNormalization(epsilon=1e-6, name=name)(x)


def _attention(keras: Any, x: Any, name: str, shape: Encoder) -> Any:
    """Multi-head self-attention, [B, T, D] -> [B, T, D]."""
    layers = keras.layers
    tokens, width = x.shape[1:]
    # Keys come transposed, [B, heads, head_width, T], so that `@` needs no further argument.
    orders = {"query": (2, 1, 3), "key": (2, 3, 1), "value": (2, 1, 3)}
    query, key, value = (
        layers.Permute(order, name=f"{name}_{part}_heads")(
            layers.Reshape((tokens, shape.heads, shape.head_width), name=f"{name}_{part}_split")(
                layers.Dense(shape.heads * shape.head_width, name=f"{name}_{part}")(x)
            )
        )
        for part, order in orders.items()
    )
    scores = _scores(keras, query, key, name, shape)
    weights = layers.Softmax(name=f"{name}_softmax")(scores)
    weights = _dropout(keras, weights, shape.dropout, f"{name}_dropout")
    mixed = layers.Permute((2, 1, 3), name=f"{name}_tokens")(weights @ value)
    mixed = layers.Reshape((tokens, shape.heads * shape.head_width), name=f"{name}_merge")(mixed)
    return layers.Dense(width, name=f"{name}_output")(mixed)


def _scores(keras: Any, query: Any, key: Any, name: str, shape: Encoder) -> Any:
    scale = shape.head_width**-0.5
    if shape.locality:
        return locality_scores(keras)(scale, name=f"{name}_locality")(query @ key)
    return keras.layers.Rescaling(scale, name=f"{name}_scale")(query) @ key


def _residual(keras: Any, x: Any, branch: Any, name: str, skip: float) -> Any:
    branch = _dropout(keras, branch, skip, f"{name}_skip", whole_images=True)
    return keras.layers.Add(name=f"{name}_add")([x, branch])


def _mlp(keras: Any, x: Any, name: str, shape: Encoder) -> Any:
    """The two dense layers of a block, [B, T, D] -> [B, T, D]."""
    width = x.shape[-1]
    x = dense(keras, x, f"{name}_dense1", shape.mlp_width, activation="gelu", dropout=shape.dropout)
    return dense(keras, x, f"{name}_dense2", width, activation=shape.mlp_last_activation, dropout=shape.dropout)


def _dropout(keras: Any, x: Any, rate: float, name: str, *, whole_images: bool = False) -> Any:
    if not rate:
        return x
    noise_shape = (None, 1, 1) if whole_images else None
    return keras.layers.Dropout(rate, noise_shape=noise_shape, name=name)(x)
