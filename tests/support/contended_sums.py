"""Sums of three parts of which slow operations still read two as they are added; run in a process of its own.

`AddN`, as TensorFlow makes it of them, begins with the first part that nobody else holds at that moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.training.backends.tensorflow import gradients

SIZE = 100_000
PARTS = range(3)

Summation = Callable[[int], Callable[[], Any]]


def outcomes(summation: Summation, runs: int) -> int:
    """The most different results that one function gave, run again and again, whichever part was not read besides."""
    return max(len({result().numpy().tobytes() for _ in range(runs)}) for result in map(summation, PARTS))


def of_gradients(free: int) -> Callable[[], Any]:
    """The sum of the three gradients that a variable gets which is used three times."""
    scales = [values(part) for part in PARTS]
    shared, *others = (keras.Variable(np.linspace(0, 1, SIZE), dtype="float32") for _ in (None, *PARTS))

    @tf.function  # type: ignore[untyped-decorator]
    def gradient() -> Any:
        # The gradient of such a sum is a part of that of `shared`, and what the other's is accumulated from.
        sums = [shared * 3.0 if part == free else shared + tf.cumsum(others[part].value) for part in PARTS]
        loss = sum(tf.reduce_sum(tf.sin(scales[part] * sums[part])) for part in PARTS)
        return gradients(loss, [shared, *others])

    return lambda: gradient()[0]


def of_additions(free: int) -> Callable[[], Any]:
    """The sum of two additions."""

    @tf.function  # type: ignore[untyped-decorator]
    def added(*given: Any) -> Any:
        first, second, third = parts = [tf.sin(one) * 10.0**number for number, one in enumerate(given)]
        read = [tf.reduce_sum(tf.cumsum(part)) for number, part in enumerate(parts) if number != free]
        return (first + second) + third, read

    given = [values(part) for part in PARTS]
    return lambda: added(*given)[0]


def values(part: int) -> Any:
    """float32[SIZE], of a size of its own for every part: what their sum is rounded to depends on the order."""
    return tf.constant(np.random.default_rng(part).standard_normal(SIZE, np.float32) * 10.0**part)
