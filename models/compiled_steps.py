"""The compiled training step, and the one place that speaks to TensorFlow instead of Keras.

Another backend needs the two names of this module: `resident`, which puts a shard on the device, and
`compile_steps`, which takes several optimizer steps in one call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.augmentation import DRAWS_PER_IMAGE, augment, mix
from models.datasets import Split
from models.moving_average import MovingAverage
from models.recipes import Recipe

Steps = Callable[[Any, Any, NDArray[np.int64], NDArray[np.int64]], Any]
"""(images, labels, rows int64[S, B], draws int64[S, B, 6]) to the losses float32[S] of S steps."""


class Residents:
    """Shards on the device: one that comes back in the next round is not uploaded again.

    Args:
        limit_bytes: of images; beyond it those that were used longest ago are dropped, but never the one in use.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[Split, tuple[Any, Any]] = OrderedDict()

    def get(self, shard: Split) -> tuple[Any, Any]:
        """Images and labels of this very object: a split is its own key, whatever it holds."""
        if shard not in self._kept:
            self._make_room(_device_bytes(shard))
            self._kept[shard] = resident(shard)
        self._kept.move_to_end(shard)
        return self._kept[shard]

    def _make_room(self, needed: int) -> None:
        while self._kept and needed + sum(map(_device_bytes, self._kept)) > self._limit_bytes:
            self._kept.popitem(last=False)


def _device_bytes(shard: Split) -> int:
    return 2 * shard.images.size


def resident(shard: Split) -> tuple[Any, Any]:
    """The shard's images and labels on the device.

    The images are float16, which holds 0..255 exactly: TensorFlow has no GPU kernel to gather uint8, so it
    would silently gather on the host and move the whole shard there for every step.
    """
    return tf.constant(shard.images.astype(np.float16)), tf.constant(shard.labels)


def compile_steps(
    model: Any, optimizer: Any, average: MovingAverage | None, recipe: Recipe, classes: int, batch: int
) -> Steps:
    """Optimizer steps on batches of `batch` images, as many as `rows` has.

    Every step computes the same shapes in the same loop body, however many there are in a call: that is why
    the bits do not depend on where calls are cut.
    """
    shape = (None, *model.input_shape[1:])

    def step(images: Any, labels: Any, rows: Any, draws: Any) -> Any:
        batch_images = augment(keras.ops, images, rows, draws, recipe.augmentation.cutout)
        targets = tf.one_hot(tf.gather(labels, rows), classes)
        if recipe.augmentation.mixup:
            batch_images, targets = (mix(keras.ops, values, draws) for values in (batch_images, targets))
        logits = tf.cast(model(batch_images, training=True), tf.float32)
        loss = cross_entropy(targets, logits, recipe.label_smoothing)
        variables = model.trainable_variables
        scaled = optimizer.scale_loss(sum(model.losses, start=loss))
        optimizer.apply(gradients(scaled, variables), variables)
        if average:
            average.update(_steps_taken(optimizer))
        return loss

    one_step = tf.autograph.experimental.do_not_convert(step)

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=(
            tf.TensorSpec(shape, tf.float16),
            tf.TensorSpec((None,), tf.int64),
            tf.TensorSpec((None, batch), tf.int64),
            tf.TensorSpec((None, batch, DRAWS_PER_IMAGE), tf.int64),
        ),
        jit_compile=False,
    )
    def steps(images: Any, labels: Any, rows: Any, draws: Any) -> Any:
        count = tf.shape(rows)[0]
        losses = tf.TensorArray(tf.float32, size=count)
        for number in tf.range(count):
            losses = losses.write(number, one_step(images, labels, rows[number], draws[number]))
        return losses.stack()

    compiled: Steps = steps
    return compiled


def gradients(loss: Any, variables: Sequence[Any]) -> list[Any]:
    """Of a scalar, in a compiled function; None for a variable that it does not depend on.

    Where a tensor was used three times, its three gradients are added two by two.  A tape adds them in one operation,
    whose order depends on which of them is needed elsewhere at that moment, and so on the scheduler: TensorFlow's
    `AddN` reuses the first input that nobody else holds, and begins with it.
    """
    values = [variable.value for variable in variables]
    return list(tf.gradients(loss, values, aggregation_method=tf.AggregationMethod.EXPERIMENTAL_TREE))


def _steps_taken(optimizer: Any) -> Any:
    """With a scaled loss only the optimizer within counts, and not the steps that an overflow made it skip."""
    return getattr(optimizer, "inner_optimizer", optimizer).iterations


def cross_entropy(targets: Any, logits: Any, label_smoothing: float) -> Any:
    """The batch's mean softmax cross-entropy in float32, against targets mixed with a share of the uniform
    ones.

    Szegedy et al., "Rethinking the inception architecture for computer vision", CVPR 2016.
    """
    uniform = 1.0 / targets.shape[-1]
    smoothed = targets * (1.0 - label_smoothing) + label_smoothing * uniform
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(smoothed, logits))
