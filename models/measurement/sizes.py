"""What a LiteRT file weighs: four numbers of bytes that are never mixed up, and the share of zeros."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from models.compression import packing


@dataclass(frozen=True)
class Sizes:
    """The sizes of one network in one LiteRT file."""

    parameters: int
    """Weights of the trained network as Keras counts them, trainable or not; optimizer slots are no weights."""
    parameters_bytes: int
    """What these take as float32, in which they were trained."""
    weights_bytes: int
    """Bytes of the file's weights and biases as they are stored: no graph, no shapes, no scales."""
    file_bytes: int
    compressed_bytes: int
    """Bytes of the file after `compression`: what a download takes, and where zeros begin to pay."""
    sparsity: float
    """Share of exact zeros among the stored weights and biases."""
    compression: str = packing.COMPRESSION
    """What compressed the file.  Older workers wrote none: theirs was gzip."""


def measure_sizes(path: Path, packed: Path, *, parameters: int) -> Sizes:
    """Weigh a LiteRT file made from a network with so many parameters, as it is and packed."""
    content = path.read_bytes()
    weights = list(_weights(content))
    stored = sum(weight.values.size for weight in weights)
    zeros = sum(weight.values.size - np.count_nonzero(weight.values) for weight in weights)
    return Sizes(
        parameters=parameters,
        parameters_bytes=parameters * np.dtype(np.float32).itemsize,
        weights_bytes=sum(weight.stored_bytes for weight in weights),
        file_bytes=len(content),
        compressed_bytes=packed.stat().st_size,
        sparsity=float(zeros / stored) if stored else 0.0,
    )


@dataclass(frozen=True)
class _Weight:
    """A constant tensor of the file, flat."""

    values: NDArray[Any]
    stored_bytes: int


def _weights(content: bytes) -> Iterator[_Weight]:
    """The file's constant tensors, each buffer once; shapes and axes (plain integers) are left out."""
    model = schema.Model.GetRootAs(content)
    seen: set[int] = set()
    for subgraph in range(model.SubgraphsLength()):
        graph = model.Subgraphs(subgraph)
        for index in range(graph.TensorsLength()):
            tensor = graph.Tensors(index)
            data = _constant(model.Buffers(tensor.Buffer()), content)
            if tensor.Buffer() in seen or not data or not _is_weight(tensor):
                continue
            seen.add(tensor.Buffer())
            yield _Weight(_values(tensor, data), len(data))


def _values(tensor: Any, data: bytes) -> NDArray[Any]:
    if tensor.Type() != schema.TensorType.INT4:
        return np.frombuffer(data, _DTYPES[tensor.Type()])
    # Two a byte, the first in the low half; of an odd number the last half is none of them.
    pairs = np.frombuffer(data, np.uint8)
    return np.stack([pairs & 15, pairs >> 4], axis=1).reshape(-1)[: np.prod(tensor.ShapeAsNumpy(), dtype=int)]


def _constant(buffer: Any, content: bytes) -> bytes:
    """A buffer's bytes; none for a tensor that is computed."""
    # litert-quantizer puts the buffers of files over 256 KiB behind the graph, and there only their place.
    if buffer.Size() > 0:
        return content[buffer.Offset() : buffer.Offset() + buffer.Size()]
    return b"" if buffer.DataIsNone() else bytes(buffer.DataAsNumpy())


def _is_weight(tensor: Any) -> bool:
    if tensor.Type() in _INDEX_TYPES:
        # A bias of a quantized layer is an int32 with a scale; a shape has none.
        return tensor.Quantization() is not None and tensor.Quantization().ScaleLength() > 0
    return True


_INDEX_TYPES = frozenset({schema.TensorType.INT32, schema.TensorType.INT64})

_DTYPES = {
    schema.TensorType.FLOAT32: "<f4",
    schema.TensorType.FLOAT16: "<f2",
    schema.TensorType.INT8: "i1",
    schema.TensorType.INT32: "<i4",
    schema.TensorType.INT64: "<i8",
}
"""NumPy's types for what is stored as weights; a type that is missing here raises rather than going uncounted."""
