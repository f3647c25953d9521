"""The vision transformer family: an image's patches as tokens.

Written against the `keras` namespace that is handed in, so that the same lines build the network in Keras 3
and in legacy Keras.  Every layer has a name of its own: weights travel by name, and a name that Keras
counts up would depend on what else the process has built.

Patches are cut by a convolution with its stride, or by reshaping, because `extract_patches` has no LiteRT kernel.  The
blocks are `models.architectures.transformer`'s.

Every network takes float32 pixels 0..255, [B, H, W, C], and gives float32 logits, [B, classes].

Sources: Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020; Lee, Lee, Song, "Vision Transformer for Small-Size
Datasets", 2021.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from models.architectures.image_classifier import ImageShape, image_input, logits, rescaled
from models.architectures.transformer import Encoder, dense, encoder, normalised, position_embedding

CIFAR10_MEAN = (125.30691805, 122.95039414, 113.86538318)
"""Per channel, of the 50,000 training images of CIFAR-10, as pixels 0..255."""
CIFAR10_VARIANCE = (3968.14567502, 3855.00761641, 4449.54363607)
_PATCH = 4
"""Pixels that a patch of the networks for 32x32 is high and wide, which makes 64 tokens."""
_FULL = Encoder(blocks=9, heads=12, head_width=16, mlp_width=384, stochastic_depth=0.1)
_SMALL = Encoder(blocks=6, heads=6, head_width=16, mlp_width=192, stochastic_depth=0.1)


def vit_tiny(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """The smallest of the family: 8x8 patches and three blocks, for trials on two CPU cores."""
    image = image_input(keras, image_shape)
    x = _tokens(keras, rescaled(keras, image), patch=8, width=64)
    x = encoder(keras, x, Encoder(blocks=3, heads=4, head_width=16, mlp_width=128))
    return keras.Model(image, _pooled_logits(keras, x, classes), name="vit-tiny")


def vit(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """The plain ViT for small images: 4x4 patches, width 192, nine blocks, twelve heads; 2,697,226 weights.

    The baseline of Lee, Lee, Song, 2021, which reaches 93.6 % on CIFAR-10, with the mean of the tokens in place of a
    class token and stochastic depth (Huang et al., 2016).
    """
    return _plain(keras, image_shape, classes, _FULL, "vit")


def vit_small(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """`vit` with half the width, six blocks and six heads: 460,714 weights."""
    return _plain(keras, image_shape, classes, _SMALL, "vit-small")


def vit_spt(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """`vit` with shifted-patch tokens and locality self-attention: 2,734,678 weights.

    Lee, Lee, Song, 2021, whose network (SL-ViT) reaches 94.5 % on CIFAR-10, with the mean of the tokens in place of a
    class token.
    """
    return _shifted(keras, image_shape, classes, replace(_FULL, locality=True), "vit-spt")


def vit_spt_small(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """`vit-spt` with half the width, six blocks and six heads: 479,662 weights."""
    return _shifted(keras, image_shape, classes, replace(_SMALL, locality=True), "vit-spt-small")


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
    x = encoder(keras, x, shape)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.5, name="flatten_dropout")(x)
    x = dense(keras, x, "head_dense1", 2048, activation="gelu", dropout=0.5)
    x = dense(keras, x, "head_dense2", 1024, activation="gelu", dropout=0.5)
    return keras.Model(image, logits(keras, x, classes), name="vit-paper")


def _plain(keras: Any, image_shape: ImageShape, classes: int, shape: Encoder, name: str) -> Any:
    image = image_input(keras, image_shape)
    x = _tokens(keras, rescaled(keras, image), patch=_PATCH, width=shape.heads * shape.head_width)
    return keras.Model(image, _pooled_logits(keras, encoder(keras, x, shape), classes), name=name)


def _shifted(keras: Any, image_shape: ImageShape, classes: int, shape: Encoder, name: str) -> Any:
    image = image_input(keras, image_shape)
    x = _shifted_tokens(keras, rescaled(keras, image), patch=_PATCH, width=shape.heads * shape.head_width)
    return keras.Model(image, _pooled_logits(keras, encoder(keras, x, shape), classes), name=name)


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


def _shifted_tokens(keras: Any, x: Any, *, patch: int, width: int) -> Any:
    """Images [B, H, W, C] -> tokens [B, T, width] of patches that hold their neighbours' edges too.

    The image lies on itself, shifted by half a patch to each of the four corners; a patch of all five is normalised
    and projected.
    """
    layers = keras.layers
    shifted = [_shift(keras, x, patch // 2, down, right) for down in (False, True) for right in (False, True)]
    x = layers.Concatenate(name="shifted")([x, *shifted])
    _, height, wide, channels = x.shape
    rows, columns = height // patch, wide // patch
    x = layers.Reshape((rows, patch, columns, patch * channels), name="patch_rows")(x)
    x = layers.Permute((1, 3, 2, 4), name="patches")(x)
    x = layers.Reshape((rows * columns, patch * patch * channels), name="tokens")(x)
    x = layers.Dense(width, name="tokens_projection")(normalised(keras, x, "tokens_norm"))
    return position_embedding(keras)(name="position")(x)


def _shift(keras: Any, x: Any, pixels: int, down: bool, right: bool) -> Any:
    """Images moved to a corner, black where they came from."""
    name = f"shift_{'down' if down else 'up'}_{'right' if right else 'left'}"
    before, after = (pixels, 0), (0, pixels)
    sides = tuple(before if forward else after for forward in (down, right))
    opposite = tuple(after if forward else before for forward in (down, right))
    x = keras.layers.ZeroPadding2D(sides, name=f"{name}_padding")(x)
    return keras.layers.Cropping2D(opposite, name=name)(x)


def _pooled_logits(keras: Any, x: Any, classes: int) -> Any:
    return logits(keras, keras.layers.GlobalAveragePooling1D(name="pool")(x), classes)
