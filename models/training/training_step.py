"""What one training step computes, whatever the backend: the batch, its targets, and their loss.

How the loss is differentiated and how the step is compiled is the backend's (`models.training.backends`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.recipes import Augmentation, Recipe
from models.training.augmentation import columns
from models.training.distillation import Teacher, distilled_loss
from models.training.pixels import augment, mix

Steps = Callable[[Any, Any, NDArray[np.int64], NDArray[np.int64]], Any]
"""(images, labels, rows int64[S, B], draws int64[S, B, C]) to the losses float32[S] of S steps.

The losses may still be computed when it returns: whoever reads them waits.
"""


def training_batch(
    ops: Any, images: Any, labels: Any, rows: Any, drawn: Any, augmentation: Augmentation, classes: int
) -> tuple[Any, Any]:
    """The changed images float32[B, H, W, C] in 0..255 and their targets float32[B, classes].

    Args:
        ops: the `keras.ops` namespace to compute with.
        images: the shard's, [N, H, W, C] of any numeric type; `labels` [N] beside them.
        rows: whole numbers [B], the positions of the batch's images in the shard.
        drawn: whole numbers [B, C], their rows of `models.training.augmentation.draws`.
    """
    by_name = {name: drawn[:, number] for name, number in columns(augmentation).items()}
    batch = augment(ops, images, rows, by_name, augmentation)
    targets = ops.one_hot(ops.take(labels, rows, axis=0), classes, dtype="float32")
    if augmentation.mixup or augmentation.cutmix:
        return mix(ops, batch, targets, by_name, augmentation)
    return batch, targets


def training_loss(ops: Any, images: Any, targets: Any, logits: Any, recipe: Recipe, teacher: Teacher | None) -> Any:
    """The batch's scalar loss in float32, before what the network adds to it.

    Args:
        images: float32[B, H, W, C], what gave the student's `logits` [B, classes], for the teacher to see, too.
        targets: float32[B, classes].
    """
    hard = cross_entropy(ops, targets, logits, recipe.label_smoothing)
    if not teacher:
        return hard
    return distilled_loss(ops, hard, logits, teacher.logits(images), teacher.temperature, teacher.weight)


def cross_entropy(ops: Any, targets: Any, logits: Any, label_smoothing: float) -> Any:
    """The batch's mean softmax cross-entropy in float32, against targets mixed with a share of the uniform ones.

    Szegedy et al., "Rethinking the inception architecture for computer vision", CVPR 2016.

    Args:
        targets: float32[B, classes], each row's sum 1.
        logits: [B, classes].
    """
    uniform = 1.0 / targets.shape[-1]
    smoothed = targets * (1.0 - label_smoothing) + label_smoothing * uniform
    return ops.mean(ops.categorical_crossentropy(smoothed, ops.cast(logits, "float32"), from_logits=True))


def steps_taken(optimizer: Any) -> Any:
    """The steps that the weights have taken: with a scaled loss only the optimizer within counts, and not the steps
    that an overflow made it skip."""
    return getattr(optimizer, "inner_optimizer", optimizer).iterations
