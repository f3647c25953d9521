"""How often a classifier is right, with the uncertainty of the number: NumPy only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Z95 = 1.959963984540054
"""The normal distribution's quantile at 0.975: two-sided 95 %."""

_NEVER = np.iinfo(np.intp).max


@dataclass(frozen=True)
class Accuracy:
    """Shares of the images whose label is the first, or among the first five, of the predictions."""

    top1: float
    top5: float
    images: int
    top1_interval: tuple[float, float]
    """Wilson's 95 % interval of `top1`."""


def accuracy(logits: NDArray[Any], labels: NDArray[Any]) -> Accuracy:
    """Accuracy of logits [N, C] against integer labels [N].

    Of equal logits the lower class goes first, and an image with a NaN among its logits counts as wrong.

    Raises:
        ValueError: there are no images, or the two arrays do not belong together.
    """
    ranks = label_ranks(logits, labels)
    top1 = int(np.count_nonzero(ranks < 1))
    top5 = int(np.count_nonzero(ranks < 5))
    images = len(ranks)
    return Accuracy(top1 / images, top5 / images, images, wilson_interval(top1, images))


def label_ranks(logits: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.intp]:
    """How many classes stand before the label, [N]: 0 is a right answer.

    Where a logit is NaN it is a number beyond any count of classes.

    Raises:
        ValueError: there are no images, or the two arrays do not belong together.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise ValueError(
            f"Accuracy needs logits [N, C] and labels [N] of at least one image, "
            f"but got {logits.shape} and {labels.shape}."
        )
    classes = logits.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"The labels reach from {labels.min()} to {labels.max()}, but the logits have {classes} classes."
        )
    of_label = np.take_along_axis(logits, labels[:, None].astype(np.intp), axis=1)
    lower_class = np.arange(classes) < labels[:, None]
    before = (logits > of_label) | ((logits == of_label) & lower_class)
    ranks: NDArray[np.intp] = np.where(np.isnan(logits).any(axis=1), _NEVER, before.sum(axis=1))
    return ranks


def guesses(logits: NDArray[Any]) -> NDArray[np.intp]:
    """The class that stands first, [N]; of equal logits the lower one.  Where a logit is NaN, as in `label_ranks`."""
    return np.where(np.isnan(logits).any(axis=1), _NEVER, logits.argmax(axis=1))


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (Wilson, 1927).

    It stays within 0..1 and keeps its coverage near the ends, where the textbook interval fails.
    """
    share = successes / trials
    z2 = _Z95**2 / trials
    centre = (share + z2 / 2) / (1 + z2)
    half = _Z95 / (1 + z2) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials))
    return max(0.0, centre - half), min(1.0, centre + half)
