"""The AlexNet family: convolutions with pooling between them, then a classifier.

Written against the `keras` namespace that is handed in, so that the same lines build the network in Keras 3
and in legacy Keras.  Every layer has a name of its own: weights travel by name, and a name that Keras
counts up would depend on what else the process has built.

Every network takes float32 pixels 0..255, [B, H, W, C], and gives float32 logits, [B, classes].

Sources: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks",
2012; Ioffe, Szegedy, "Batch Normalization", 2015; He, Zhang, Ren, Sun, "Deep Residual Learning", 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.architectures.image_classifier import ImageShape, image_input, logits, rescaled


def alexnet_tiny(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """The smallest of the family: four convolutions, for trials on two CPU cores."""
    layers = keras.layers
    image = image_input(keras, image_shape)
    x = rescaled(keras, image)
    # The stem strides: at 32x32 it alone would take most of the time.
    x = _convolution(keras, x, "conv1", 24, size=3, stride=2)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = _convolution(keras, x, "conv2", 48, size=3)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = _convolution(keras, x, "conv3", 64, size=3)
    x = _convolution(keras, x, "conv4", 64, size=3)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    return keras.Model(image, logits(keras, x, classes), name="alexnet-tiny")


def alexnet(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """Eight 3x3 convolutions with batch normalisation and no residuals, at 32x32 from the first one; 4,692,426 weights.

    Of the shape of J. Wind's plain net ("94% on CIFAR-10 in 94 lines and 94 seconds", 2022), which reaches 94.0 % in
    94 s of an A10.
    """
    return _plain(keras, image_shape, classes, widths=(64, 128, 256, 512), name="alexnet")


def alexnet_small(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """`alexnet` with half as many channels: 1,175,786 weights."""
    return _plain(keras, image_shape, classes, widths=(32, 64, 128, 256), name="alexnet-small")


def alexnet_residual(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """Three groups of three 3x3 convolutions, a shortcut round the last two of each: 9,966,410 weights.

    Of the shape of K. Jordan's airbench96 ("94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024), which reaches
    96.0 % in 35 s of an A100; with a plain first convolution in place of its whitening, and narrower in the middle.
    """
    return _residual(keras, image_shape, classes, stem=64, widths=(128, 384, 512), name="alexnet-residual")


def alexnet_residual_small(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """`alexnet-residual` with half as many channels, a third in the middle: 1,941,546 weights."""
    return _residual(keras, image_shape, classes, stem=32, widths=(64, 128, 256), name="alexnet-residual-small")


def alexnet_paper(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """The original study's AlexNet, reconstructed from its sizes: 23,490,378 parameters for ten classes.

    Only the stem's stride of 2 leaves the 2x2x256 features that the first dense layer's size demands.
    """
    layers = keras.layers
    image = image_input(keras, image_shape)
    x = rescaled(keras, image)
    x = _plain_convolution(keras, x, "conv1", 64, size=11, stride=2)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = _plain_convolution(keras, x, "conv2", 192, size=5)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = _plain_convolution(keras, x, "conv3", 384, size=3)
    x = _plain_convolution(keras, x, "conv4", 256, size=3)
    x = _plain_convolution(keras, x, "conv5", 256, size=3)
    x = layers.MaxPooling2D(2, name="pool5")(x)
    x = _dense_layers(keras, x, widths=(4096, 4096))
    return keras.Model(image, logits(keras, x, classes), name="alexnet-paper")


def alexnet_residual_paper(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
    """The original study's residual AlexNet, reconstructed from its sizes.

    21,819,402 parameters for ten classes.  The third and the fifth convolution change the width, so a 1x1
    projection goes round each of them.
    """
    layers = keras.layers
    image = image_input(keras, image_shape)
    x = rescaled(keras, image)
    x = _plain_convolution(keras, x, "conv1", 96, size=11, stride=4)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = _plain_convolution(keras, x, "conv2", 256, size=5)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    for number, width in ((3, 384), (4, 384), (5, 256)):
        shortcut = x
        if x.shape[-1] != width:
            shortcut = layers.Conv2D(width, 1, name=f"conv{number}_projection")(x)
        x = _plain_convolution(keras, x, f"conv{number}", width, size=3)
        x = layers.Add(name=f"conv{number}_add")([shortcut, x])
    x = layers.MaxPooling2D(2, name="pool5")(x)
    x = _dense_layers(keras, x, widths=(4096, 4096))
    return keras.Model(image, logits(keras, x, classes), name="alexnet-residual-paper")


def _plain(keras: Any, image_shape: ImageShape, classes: int, *, widths: Sequence[int], name: str) -> Any:
    """Two convolutions of each width, a pooling after every width, the last one over the whole image."""
    layers = keras.layers
    image = image_input(keras, image_shape)
    x = rescaled(keras, image)
    for stage, width in enumerate(widths, start=1):
        for number in (2 * stage - 1, 2 * stage):
            x = _convolution(keras, x, f"conv{number}", width, size=3)
        if stage < len(widths):
            x = layers.MaxPooling2D(2, name=f"pool{stage}")(x)
    x = layers.GlobalMaxPooling2D(name=f"pool{len(widths)}")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    return keras.Model(image, logits(keras, x, classes), name=name)


def _residual(keras: Any, image_shape: ImageShape, classes: int, *, stem: int, widths: Sequence[int], name: str) -> Any:
    layers = keras.layers
    image = image_input(keras, image_shape)
    x = _convolution(keras, rescaled(keras, image), "stem", stem, size=3)
    for group, width in enumerate(widths, start=1):
        # Pooled before it is normalised: a quarter of the pixels to normalise.
        x = _bare_convolution(keras, x, f"group{group}_conv1", width)
        x = layers.MaxPooling2D(2, name=f"group{group}_pool")(x)
        x = shortcut = _normalised(keras, x, f"group{group}_conv1")
        x = _convolution(keras, x, f"group{group}_conv2", width, size=3)
        x = _bare_convolution(keras, x, f"group{group}_conv3", width)
        x = _norm(keras, x, f"group{group}_conv3")
        x = layers.Add(name=f"group{group}_add")([shortcut, x])
        x = layers.ReLU(name=f"group{group}_relu")(x)
    x = layers.GlobalMaxPooling2D(name="pool")(x)
    return keras.Model(image, logits(keras, x, classes), name=name)


def _convolution(keras: Any, x: Any, name: str, width: int, *, size: int, stride: int = 1) -> Any:
    return _normalised(keras, _bare_convolution(keras, x, name, width, size=size, stride=stride), name)


def _bare_convolution(keras: Any, x: Any, name: str, width: int, *, size: int = 3, stride: int = 1) -> Any:
    return keras.layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False, name=name)(x)


def _normalised(keras: Any, x: Any, name: str) -> Any:
    return keras.layers.ReLU(name=f"{name}_relu")(_norm(keras, x, name))


def _norm(keras: Any, x: Any, name: str) -> Any:
    # Keras' own momentum of 0.99 lags hundreds of steps behind, more than a short training has.
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)


def _plain_convolution(keras: Any, x: Any, name: str, width: int, *, size: int, stride: int = 1) -> Any:
    return keras.layers.Conv2D(width, size, strides=stride, padding="same", activation="relu", name=name)(x)


def _dense_layers(keras: Any, x: Any, widths: Sequence[int]) -> Any:
    layers = keras.layers
    x = layers.Flatten(name="flatten")(x)
    for number, width in enumerate(widths, start=1):
        x = layers.Dense(width, activation="relu", name=f"dense{number}")(x)
        x = layers.Dropout(0.5, name=f"dense{number}_dropout")(x)
    return x
