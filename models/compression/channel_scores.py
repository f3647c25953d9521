"""How much a network would miss each of its units: first-order Taylor, or the size of the weights.

Sources: Molchanov, Tyree, Karras, Aila, Kautz, "Pruning Convolutional Neural Networks for Resource Efficient
Inference", 2017; Molchanov, Mallya, Tyree, Frosio, Kautz, "Importance Estimation for Neural Network Pruning", 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.compression.channel_labels import Labels
from models.compression.channel_spaces import ChannelSpaces, Kept

_BATCH = 32
"""Images whose gradients are added before the absolute value is taken.  Small: over many images the gradients of a
trained network cancel."""

Scores = NDArray[np.float64]
"""For each label the score of its unit, where the label is a unit; 0 elsewhere."""


def taylor(network: Any, spaces: ChannelSpaces, kept: Kept, images: NDArray[Any], labels: NDArray[Any]) -> Scores:
    """What the loss would change by, to first order, without a unit: the mean over batches of its absolute value.

    It is the sum of gradient times weight over the kernels that read the unit's channels, which is the sum of gradient
    times activation over those channels.  Scores of different layers are not normalised: all are changes of the same
    loss, and with any normalisation that was tried the accuracy right after the cut was lower.

    Args:
        network: the Keras model on TensorFlow that is left of the one that was walked; its logits go into softmax
            cross-entropy, in inference mode.
        images: [N, H, W, C], pixels 0..255; N is at least 1.
        labels: [N], class numbers.
    """
    reads = [
        (block.path, block.read_axis, read[kept[read]])
        for block in spaces.blocks
        if block.path is not None
        if block.read_axis is not None
        if (read := block.axes[block.read_axis]) is not None
    ]
    sums = _gradient_sums(network, [(path, axis) for path, axis, _ in reads])
    changes = [
        np.abs(sum(_by_unit(spaces, read, found) for (_, _, read), found in zip(reads, of_batch, strict=True)))
        for of_batch in (sums(*batch) for batch in _batches(images, labels))
    ]
    return np.asarray(np.mean(changes, axis=0))


def magnitude(weights: Mapping[str, NDArray[Any]], spaces: ChannelSpaces, kept: Kept) -> Scores:
    """The L2 norm of all trained weights that a unit would take with it, as a share of its space's sum.

    Norms of layers of different size say nothing about each other, as Taylor's scores do, which are all changes of one
    loss.

    Args:
        weights: by path, those of the network that was walked.
    """
    squares = [
        _by_unit(spaces, labels, _sum_along(np.square(weights[block.path], dtype=np.float64), axis))
        for block in spaces.blocks
        if block.path is not None and block.trainable
        for axis, labels in enumerate(block.axes)
        if labels is not None
    ]
    norms = np.asarray(np.sqrt(np.sum(squares, axis=0)))
    for units in spaces.spaces:
        norms[units] /= max(float(np.sum(norms[units[kept[units]]])), np.finfo(np.float64).tiny)
    return norms


def _gradient_sums(network: Any, reads: list[tuple[str, int]]) -> Any:
    """A function of a batch: for each of `reads`, kernel and axis, the sums of gradient times weight along the axis."""
    values = {variable.path: variable.value for variable in network.trainable_variables}
    kernels = [values[path] for path, _ in reads]

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def sums(images: Any, labels: Any) -> list[Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(kernels)
            logits = network(images, training=False)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        gradients = tape.gradient(loss, kernels, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        products = [gradient * kernel for gradient, kernel in zip(gradients, kernels, strict=True)]
        return [
            tf.reduce_sum(product, [other for other in range(len(product.shape)) if other != axis])
            for product, (_, axis) in zip(products, reads, strict=True)
        ]

    return sums


def _batches(images: NDArray[Any], labels: NDArray[Any]) -> list[tuple[Any, Any]]:
    return [
        (
            tf.constant(images[start : start + _BATCH], tf.float32),
            tf.constant(labels[start : start + _BATCH], tf.int32),
        )
        for start in range(0, len(images), _BATCH)
    ]


def _sum_along(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The sums of the slices along an axis, [size of the axis]."""
    return np.asarray(np.sum(values, axis=tuple(other for other in range(values.ndim) if other != axis)))


def _by_unit(spaces: ChannelSpaces, labels: Labels, values: Any) -> Scores:
    return np.bincount(spaces.roots[labels], np.asarray(values, np.float64), minlength=len(spaces.roots))
