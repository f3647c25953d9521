"""A built-in network's kernels known without a Keras: its builder runs against a stand-in that follows shapes alone.

So whoever plans can say what a pruning will find, where neither TensorFlow nor JAX is installed.  The stand-in has what
the built-in architectures use and no more; a person's own builder, which may do anything, is never run by it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from models.architectures import catalog
from models.architectures.image_classifier import ImageShape
from models.pruning import Kernel

Shape = tuple[Any, ...]
"""The batch, which is None, and the sides."""

_SHAPE_KEEPING = (
    *("Layer", "Rescaling", "Normalization", "BatchNormalization", "LayerNormalization"),
    *("ReLU", "Softmax", "Dropout", "Add"),
)
"""Layers that leave the shape of their first input as it is; `Layer` for those that an architecture brings along."""


@functools.cache
def kernels(architecture: str, image_shape: ImageShape, classes: int) -> tuple[Kernel, ...]:
    """Those of a built-in architecture that could be pruned, from its input to its logits.

    They are what `models.training.masks.kernels` finds in the network itself.
    """
    keras = _Keras()
    catalog.get(architecture).build(keras, image_shape=image_shape, classes=classes)
    return tuple(keras.kernels)


@dataclass(frozen=True)
class _Tensor:
    shape: Shape

    def __matmul__(self, other: _Tensor) -> _Tensor:
        return _Tensor((*self.shape[:-1], other.shape[-1]))


class _Layer:
    """A layer, one of `_SHAPE_KEEPING` unless it has a rule of its own."""

    def __init__(self, *sizes: Any, name: str = "", **options: Any) -> None:
        self.name, self.sizes, self.options = name, sizes, options

    def __call__(self, inputs: Any) -> _Tensor:
        return _Tensor(self.gives(_first(inputs).shape, inputs))

    def gives(self, shape: Shape, inputs: Any) -> Shape:  # noqa: ARG002
        return shape

    def set_weights(self, weights: Any) -> None:
        """Nothing: it has none."""

    def finalize_state(self) -> None:
        """Nothing, as above."""


class _Keras:
    """What a builder takes for the `keras` namespace; keeps the kernels in the order in which they are made."""

    def __init__(self) -> None:
        self.kernels: list[Kernel] = []
        rules: dict[str, Callable[[Any, Shape, Any], Shape]] = {
            "Conv2D": self._convolved,
            "Dense": self._dense,
            "MaxPooling2D": lambda layer, shape, _: _windows(layer, shape, layer.sizes[0], layer.sizes[0]),
            "Flatten": lambda _, shape, __: (None, math.prod(shape[1:])),
            "Reshape": lambda layer, _, __: (None, *layer.sizes[0]),
            "Permute": lambda layer, shape, _: (None, *(shape[axis] for axis in layer.sizes[0])),
            "Concatenate": lambda _, shape, inputs: (*shape[:-1], sum(each.shape[-1] for each in inputs)),
            "GlobalMaxPooling2D": lambda _, shape, __: (None, shape[-1]),
            "GlobalAveragePooling1D": lambda _, shape, __: (None, shape[-1]),
            "ZeroPadding2D": lambda layer, shape, _: _grown(shape, layer.sizes[0], 1),
            "Cropping2D": lambda layer, shape, _: _grown(shape, layer.sizes[0], -1),
        }
        ruled = {name: type(name, (_Layer,), {"gives": _rule(rule)}) for name, rule in rules.items()}
        self.layers = SimpleNamespace(**ruled, **dict.fromkeys(_SHAPE_KEEPING, _Layer))
        self.saving = SimpleNamespace(register_keras_serializable=lambda **_: lambda registered: registered)

    def Model(self, *_: Any, **__: Any) -> None:  # noqa: N802 - as Keras calls it
        """Nothing: the kernels are known by now."""

    def Input(self, shape: Sequence[int], **_: Any) -> _Tensor:  # noqa: N802 - as Keras calls it
        return _Tensor((None, *shape))

    def _convolved(self, layer: _Layer, shape: Shape, _: Any) -> Shape:
        width, side = layer.sizes
        self.kernels.append(Kernel(f"{layer.name}/kernel", layer.name, "conv", (side, side, shape[-1], width)))
        return (*_windows(layer, shape, side, 1)[:-1], width)

    def _dense(self, layer: _Layer, shape: Shape, _: Any) -> Shape:
        (width,) = layer.sizes
        self.kernels.append(Kernel(f"{layer.name}/kernel", layer.name, "dense", (shape[-1], width)))
        return (*shape[:-1], width)


def _rule(rule: Callable[[Any, Shape, Any], Shape]) -> Callable[[Any, Shape, Any], Shape]:
    """As a method: what is bound already would not be given its layer."""
    return lambda layer, shape, inputs: rule(layer, shape, inputs)


def _windows(layer: _Layer, shape: Shape, side: int, stride: int) -> Shape:
    """An image [B, H, W, C] of which each pixel is a window of the one before."""
    stride = layer.options.get("strides") or stride
    if layer.options.get("padding") == "same":
        return (None, *(-(-pixels // stride) for pixels in shape[1:-1]), shape[-1])
    return (None, *((pixels - side) // stride + 1 for pixels in shape[1:-1]), shape[-1])


def _grown(shape: Shape, sides: Sequence[Sequence[int]], sign: int) -> Shape:
    pairs = zip(shape[1:-1], sides, strict=True)
    return (None, *(pixels + sign * sum(side) for pixels, side in pairs), shape[-1])


def _first(inputs: Any) -> _Tensor:
    found: _Tensor = inputs[0] if isinstance(inputs, list) else inputs
    return found
