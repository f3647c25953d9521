"""How much a network computes: the multiplications, each with its addition, that one image takes.

Counted from the Keras graph: convolutions, dense layers and matrix products.  Biases, pooling, activations and
normalisation (which is folded into a convolution, or takes a few operations a number) are not counted, as is usual
where such figures are published.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

_PRODUCTS = frozenset({"Matmul", "Dot", "Einsum", "Tensordot"})
"""Functions of two tensors that multiply matrices."""

_NO_FACTORS = frozenset({"PositionEmbedding", "LocalityScores", "Embedding"})
"""Layers whose weights of two or more dimensions are added, scaled with or looked up, and multiply no matrix."""


def count(model: Any) -> int | None:
    """Multiply-adds of one image.

    None where they cannot be told: a layer with a matrix, or a product of tensors, is of no kind that is known here, or
    is called more than once; or the model is no graph of layers.

    Args:
        model: a built Keras 3 model.
    """
    calls = _calls(model)
    if calls is None or any(_is_product(each) and not _is_told(each, calls) for each in _operations(model)):
        return None
    return sum(by_operation(model).values())


def by_operation(model: Any) -> dict[str, int]:
    """The same by the operation's name; an operation that is not counted is not in it."""
    counted = ((operation.name, _multiply_adds(operation)) for operation in _operations(model))
    return {name: number for name, number in counted if number is not None}


def _operations(model: Any) -> Iterable[Any]:
    """The graph's layers and functions; a sequential model, which has no functions, names its layers alone."""
    return getattr(model, "operations", model.layers)  # type: ignore[no-any-return]


def _calls(model: Any) -> dict[str, int] | None:
    """How often each operation is called in the graph, by its name; None if there is no graph."""
    try:
        layers = model.get_config()["layers"]
    except (KeyError, NotImplementedError, TypeError):
        return None
    return {layer["config"]["name"]: len(layer.get("inbound_nodes", [None])) for layer in layers}


def _is_product(operation: Any) -> bool:
    kind = type(operation).__name__
    if kind in _PRODUCTS:
        return True
    return kind not in _NO_FACTORS and any(len(weight.shape) > 1 for weight in getattr(operation, "weights", ()))


def _is_told(operation: Any, calls: Mapping[str, int]) -> bool:
    return _multiply_adds(operation) is not None and calls.get(operation.name, 1) == 1


def _multiply_adds(operation: Any) -> int | None:
    """Of one image in this operation; None if it is of no kind that is counted."""
    match type(operation).__name__:
        case "Conv2D":
            # Each number of the output is a sum over the kernel's window and the channels of its group.
            return _numbers(operation.output) * math.prod(map(int, operation.kernel.shape[:-1]))
        case "DepthwiseConv2D":
            return _numbers(operation.output) * math.prod(map(int, operation.kernel.shape[:2]))
        case "Dense":
            return _numbers(operation.output) * int(operation.kernel.shape[0])
        case "Matmul" if isinstance(operation.input, list | tuple):
            return _numbers(operation.output) * int(operation.input[0].shape[-1])
        case _:
            return None


def _numbers(tensor: Any) -> int:
    """How many numbers a tensor [B, ...] has for one image."""
    return math.prod(map(int, tensor.shape[1:]))
