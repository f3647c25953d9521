"""Max pooling whose gradient repeats its results on a GPU, for networks that are trained with JAX.

XLA's own gradient of it (select-and-scatter) has no deterministic kernel on GPUs: a program with it does not compile
where kernels must be deterministic.
"""

from __future__ import annotations

import itertools
from typing import Any

import keras
from jax import lax
from jax import numpy as jnp

_POOLING = (keras.layers.MaxPooling1D, keras.layers.MaxPooling2D, keras.layers.MaxPooling3D)


def with_exact_pooling(model: Any) -> Any:
    """The same network on the same variables, with `ExactMaxPooling` in place of Keras' max pooling.

    What is no graph of layers, or pools inside of a layer of a person's own, is left as it is.
    """
    if not _pools(model):
        return model
    graph = keras.Model(model.inputs[0], model.outputs[0]) if isinstance(model, keras.Sequential) else model
    return keras.models.clone_model(graph, clone_function=_same_layer, call_function=_call)


def _pools(model: Any) -> bool:
    graph = isinstance(model, keras.Sequential) or hasattr(model, "operations")
    return graph and any(isinstance(layer, _POOLING) or _pools(layer) for layer in getattr(model, "layers", ()))


def _same_layer(layer: Any) -> Any:
    return with_exact_pooling(layer) if isinstance(layer, keras.Model) else layer


def _call(layer: Any, *inputs: Any, **options: Any) -> Any:
    if isinstance(layer, _POOLING) and layer.data_format == "channels_last":
        return ExactMaxPooling(layer)(*inputs)
    return layer(*inputs, **options)


class ExactMaxPooling(keras.layers.Layer):  # type: ignore[misc]
    """What a max pooling layer does, [B, ..., C] -> [B, ..., C], as the largest of shifted images.

    Its gradient is made of selections and paddings.  Where pixels of a window are equal they share it.
    """

    def __init__(self, like: Any) -> None:
        super().__init__(dtype=like.dtype_policy)
        self._like = like

    def call(self, images: Any) -> Any:
        windows, strides = self._like.pool_size, self._like.strides
        if self._like.padding == "same":
            images = _padded(images, windows, strides)
        sizes = images.shape[1:-1]
        counts = [(size - window) // stride + 1 for size, window, stride in zip(sizes, windows, strides, strict=True)]
        pooled = None
        for corner in itertools.product(*map(range, windows)):
            ends = [
                start + (count - 1) * stride + 1 for start, count, stride in zip(corner, counts, strides, strict=True)
            ]
            shifted = lax.slice(
                images,
                (0, *corner, 0),
                (images.shape[0], *ends, images.shape[-1]),
                (1, *strides, 1),
            )
            pooled = shifted if pooled is None else jnp.maximum(pooled, shifted)
        return pooled

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self._like.compute_output_shape(input_shape)


def _padded(images: Any, windows: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """Where a window leaves the image there is nothing that could be the largest."""
    around = [(0, 0)]
    for size, window, stride in zip(images.shape[1:-1], windows, strides, strict=True):
        missing = max(0, (-(-size // stride) - 1) * stride + window - size)
        around.append((missing // 2, missing - missing // 2))
    return jnp.pad(images, [*around, (0, 0)], constant_values=-jnp.inf)
