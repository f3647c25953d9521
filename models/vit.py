"""The vision transformer family: patches, learned positions, pre-norm blocks of attention and MLP.

Written against the `keras` namespace that is handed in, so that the same lines build the network in Keras 3
and in legacy Keras.  Every layer has a name of its own: weights travel by name, and a name that Keras
counts up would depend on what else the process has built.

Attention's projections are `Dense` layers, so that pruning and quantization see them; its two matrix products
are the `@` of symbolic tensors, which both Keras save and both convert to LiteRT.  Patches are cut by a
convolution with its stride, because `extract_patches` has no LiteRT kernel.

Every network takes float32 pixels 0..255, [B, H, W, C], and gives float32 logits, [B, classes].

Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.image_classifier import ImageShape, image_input, logits, rescaled

CIFAR10_MEAN = (125.30691805, 122.95039414, 113.86538318)
"""Per channel, of the 50,000 training images of CIFAR-10, as pixels 0..255."""
CIFAR10_VARIANCE = (3968.14567502, 3855.00761641, 4449.54363607)


@dataclass(frozen=True)
class Encoder:
    """The shape of a stack of transformer blocks."""

    blocks: int
    heads: int
    head_width: int
    mlp_width: int
    mlp_last_activation: str = "linear"
    dropout: float = 0.0
    """Of the attention's weights and of the MLP's activations."""
    stochastic_depth: float = 0.0
    """Chance that an image skips a residual branch of the last block, rising linearly from the first one."""


def vit_tiny(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """The smallest of the family: 8x8 patches and three blocks, for trials on two CPU cores."""
    image = image_input(keras, image_shape)
    x = _tokens(keras, rescaled(keras, image), patch=8, width=64)
    x = _encoder(keras, x, Encoder(blocks=3, heads=4, head_width=16, mlp_width=128))
    return keras.Model(image, _pooled_logits(keras, x, classes), name="vit-tiny")


def vit(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """The plain ViT for small images: 4x4 patches, width 192, nine blocks, twelve heads.

    The baseline of Lee, Lee, Song, "Vision Transformer for Small-Size Datasets", 2021, with the mean of
    the tokens in place of a class token and stochastic depth (Huang et al., 2016).
    """
    image = image_input(keras, image_shape)
    x = _tokens(keras, rescaled(keras, image), patch=4, width=192)
    shape = Encoder(blocks=9, heads=12, head_width=16, mlp_width=384, stochastic_depth=0.1)
    x = _encoder(keras, x, shape)
    return keras.Model(image, _pooled_logits(keras, x, classes), name="vit")


def vit_paper(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """The original study's ViT: 6,061,578 trainable parameters for ten classes, and 7 of the normalization.

    It is the example "Image classification with Vision Transformer" of keras.io (K. Salama, 2021) at the
    images' own size: 6x6 patches, so that the last two rows and columns of 32x32 pixels go unused.
    """
    layers = keras.layers
    image = image_input(keras, image_shape)
    x = _cifar10_normalization(keras, image)
    x = _tokens(keras, x, patch=6, width=64)
    shape = Encoder(blocks=8, heads=4, head_width=64, mlp_width=128, mlp_last_activation="gelu", dropout=0.1)
    x = _encoder(keras, x, shape)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.5, name="flatten_dropout")(x)
    x = _dense(keras, x, "head_dense1", 2048, activation="gelu", dropout=0.5)
    x = _dense(keras, x, "head_dense2", 1024, activation="gelu", dropout=0.5)
    return keras.Model(image, logits(keras, x, classes), name="vit-paper")


@functools.cache
def position_embedding(keras: Any) -> Any:
    """The layer class `PositionEmbedding` of this Keras, registered so that saved models can be loaded.

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


def _cifar10_normalization(keras: Any, image: Any) -> Any:
    """`Normalization` as `adapt` leaves it: mean, variance and count are weights, seven in all."""
    layer = keras.layers.Normalization(name="normalization")
    x = layer(image)
    layer.set_weights([np.asarray(CIFAR10_MEAN), np.asarray(CIFAR10_VARIANCE), np.asarray(0)])
    layer.finalize_state()
    return x


def _tokens(keras: Any, x: Any, *, patch: int, width: int) -> Any:
    """Images [B, H, W, C] -> tokens [B, T, width] that know their place."""
    x = keras.layers.Conv2D(width, patch, strides=patch, name="patches")(x)
    x = keras.layers.Reshape((x.shape[1] * x.shape[2], width), name="tokens")(x)
    return position_embedding(keras)(name="position")(x)


def _encoder(keras: Any, x: Any, shape: Encoder) -> Any:
    """[B, T, D] -> [B, T, D]: the blocks and the last normalisation."""
    for number in range(1, shape.blocks + 1):
        name = f"block{number}"
        skip = shape.stochastic_depth * (number - 1) / max(1, shape.blocks - 1)
        branch = _attention(keras, _norm(keras, x, f"{name}_attention_norm"), f"{name}_attention", shape)
        x = _residual(keras, x, branch, f"{name}_attention", skip)
        branch = _mlp(keras, _norm(keras, x, f"{name}_mlp_norm"), f"{name}_mlp", shape)
        x = _residual(keras, x, branch, f"{name}_mlp", skip)
    return _norm(keras, x, "norm")


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
    query = layers.Rescaling(shape.head_width**-0.5, name=f"{name}_scale")(query)
    weights = layers.Softmax(name=f"{name}_softmax")(query @ key)
    weights = _dropout(keras, weights, shape.dropout, f"{name}_dropout")
    mixed = layers.Permute((2, 1, 3), name=f"{name}_tokens")(weights @ value)
    mixed = layers.Reshape((tokens, shape.heads * shape.head_width), name=f"{name}_merge")(mixed)
    return layers.Dense(width, name=f"{name}_output")(mixed)


def _residual(keras: Any, x: Any, branch: Any, name: str, skip: float) -> Any:
    branch = _dropout(keras, branch, skip, f"{name}_skip", whole_images=True)
    return keras.layers.Add(name=f"{name}_add")([x, branch])


def _mlp(keras: Any, x: Any, name: str, shape: Encoder) -> Any:
    """The two dense layers of a block, [B, T, D] -> [B, T, D]."""
    width = x.shape[-1]
    x = _dense(keras, x, f"{name}_dense1", shape.mlp_width, activation="gelu", dropout=shape.dropout)
    return _dense(keras, x, f"{name}_dense2", width, activation=shape.mlp_last_activation, dropout=shape.dropout)


def _dense(keras: Any, x: Any, name: str, width: int, *, activation: str, dropout: float) -> Any:
    x = keras.layers.Dense(width, activation=activation, name=name)(x)
    return _dropout(keras, x, dropout, f"{name}_dropout")


def _dropout(keras: Any, x: Any, rate: float, name: str, *, whole_images: bool = False) -> Any:
    if not rate:
        return x
    noise_shape = (None, 1, 1) if whole_images else None
    return keras.layers.Dropout(rate, noise_shape=noise_shape, name=name)(x)


def _norm(keras: Any, x: Any, name: str) -> Any:
    return keras.layers.LayerNormalization(epsilon=1e-6, name=name)(x)


def _pooled_logits(keras: Any, x: Any, classes: int) -> Any:
    return logits(keras, keras.layers.GlobalAveragePooling1D(name="pool")(x), classes)
