"""What each type of layer does to the labels of channels, and which types are known at all.

A rule notes the layer's weights and returns the labels of its output.  Layers are known by the name of their type and
asked through public attributes and their configuration, so neither Keras nor TensorFlow is loaded: `unknown_types` can
answer where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.compression.channel_labels import FROZEN, ChannelLabels, Labels, Shape, along, spread


@dataclass(frozen=True, eq=False)
class Call:
    """A layer that is met on the walk through a network, with what enters and what comes out."""

    labels: ChannelLabels
    layer: Any
    inputs: Sequence[Labels]
    shape: Shape
    """Of the output, without the batch."""


Rule = Callable[[Call], Labels]

_ELEMENTWISE = frozenset(
    {
        "celu",
        "elu",
        "exponential",
        "gelu",
        "hard_sigmoid",
        "hard_silu",
        "hard_swish",
        "hard_tanh",
        "leaky_relu",
        "linear",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "softplus",
        "softsign",
        "swish",
        "tanh",
    }
)
"""Activations that look at one number at a time; softmax, for one, does not."""


def unknown_types(types: Iterable[str]) -> tuple[str, ...]:
    """The types of layers, as `type_name` gives them, whose channels slimming leaves as they are; each once, sorted."""
    return tuple(sorted(set(types) - RULES.keys()))


def type_name(layer: Any, registered_name: str) -> str:
    """How `RULES` calls a layer: `Dense`, `orch>PositionEmbedding`, or `ops.Matmul` for what `a @ b` makes.

    Args:
        registered_name: what `keras.saving.get_registered_name` says of its class.
    """
    kind = type(layer)
    if ">" in registered_name:
        return registered_name
    if not kind.__module__.startswith("keras."):
        # A person's own class may be called Dense and do something else.
        return f"{kind.__module__}.{kind.__name__}"
    return kind.__name__ if hasattr(layer, "weights") else f"ops.{kind.__name__}"


def unknown(call: Call) -> Labels:
    """The rule for everything else: what goes in and what comes out keeps its channels."""
    for entering in call.inputs:
        call.labels.freeze(entering, call.layer)
    return np.full(call.shape, FROZEN, np.int64)


def _dense(call: Call) -> Labels:
    read = call.labels.confine(call.inputs[0], -1, call.layer)
    made = _opened(call, "units")
    call.labels.weight(call.layer.kernel, (read, made), uses=math.prod(call.shape[:-1]), read_axis=0)
    _bias(call, made)
    return spread(made, -1, call.shape)


def _convolution(call: Call) -> Labels:
    if not _is_channels_last(call.layer) or call.layer.get_config()["groups"] != 1:
        return unknown(call)
    read = call.labels.confine(call.inputs[0], -1, call.layer)
    made = _opened(call, "filters")
    space = (None,) * (len(call.layer.kernel.shape) - 2)
    call.labels.weight(call.layer.kernel, (*space, read, made), uses=math.prod(call.shape[:-1]), read_axis=len(space))
    _bias(call, made)
    return spread(made, -1, call.shape)


def _depthwise(call: Call) -> Labels:
    if not _is_channels_last(call.layer):
        return unknown(call)
    read = call.labels.confine(call.inputs[0], -1, call.layer)
    space = (None,) * (len(call.layer.kernel.shape) - 2)
    call.labels.weight(call.layer.kernel, (*space, read, None), uses=math.prod(call.shape[:-1]))
    made = np.repeat(read, call.layer.get_config()["depth_multiplier"])
    _bias(call, made)
    if not _is_elementwise(call.layer):
        call.labels.freeze(made, call.layer)
    return spread(made, -1, call.shape)


def _channels_kept(call: Call) -> Labels:
    """Pooling, padding, cropping: the last axis stays, the others change."""
    if not _is_channels_last(call.layer):
        return unknown(call)
    return spread(call.labels.confine(call.inputs[0], -1, call.layer), -1, call.shape)


def _activation(call: Call) -> Labels:
    return _unchanged(call) if _is_elementwise(call.layer) else unknown(call)


def _unchanged(call: Call) -> Labels:
    """Every entry by itself; no weights, no number for each channel."""
    return call.inputs[0]


def _dropout(call: Call) -> Labels:
    # A size in the noise's shape would not follow the tensor's.
    sizes = set(call.layer.get_config().get("noise_shape") or ())
    return call.inputs[0] if sizes <= {None, 1} else unknown(call)


def _rescaling(call: Call) -> Labels:
    config = call.layer.get_config()
    is_scalar = all(isinstance(config[key], int | float) for key in ("scale", "offset"))
    return call.inputs[0] if is_scalar else unknown(call)


def _batch_norm(call: Call) -> Labels:
    (axis,) = _axes(call.layer, len(call.shape))
    channels = call.labels.confine(call.inputs[0], axis, call.layer)
    for weight in call.layer.weights:
        call.labels.weight(weight, (channels,))
    return call.inputs[0]


def _across(call: Call) -> Labels:
    """Softmax and layer normalisation: with fewer channels along their axes the others would come out different."""
    if call.labels.axis(call.inputs[0]) in _axes(call.layer, len(call.shape)):
        call.labels.freeze(call.inputs[0], call.layer)
    return call.inputs[0]


def _weighted(call: Call) -> Labels:
    """Weights of the input's rank, added to it or multiplied with it; along axes of size 1 they are the same."""
    (entering,) = call.inputs
    for weight in call.layer.weights:
        sizes = enumerate(weight.shape)
        axes = [along(entering, axis) if size == entering.shape[axis] else None for axis, size in sizes]
        call.labels.weight(weight, axes)
    return entering


def _locality_scores(call: Call) -> Labels:
    call.labels.confine(call.inputs[0], 0, call.layer)  # the heads: along the others each token knows its own place
    return _weighted(call)


def _flatten(call: Call) -> Labels:
    return call.inputs[0].reshape(call.shape) if _is_channels_last(call.layer) else unknown(call)


def _reshape(call: Call) -> Labels:
    reshaped = call.labels.settled(call.inputs[0].reshape(call.shape))
    call.labels.resize(call.layer, "target_shape", reshaped)
    return reshaped


def _permute(call: Call) -> Labels:
    return call.inputs[0].transpose([axis - 1 for axis in call.layer.get_config()["dims"]])


def _merge(call: Call) -> Labels:
    """Add and its like: what stands at the same place is removed together; an input of size 1 serves all places."""
    axes = {call.labels.axis(entering) for entering in call.inputs} - {None}
    if len(call.inputs) < 2 or len(axes) > 1 or {entering.ndim for entering in call.inputs} != {len(call.shape)}:
        return unknown(call)  # one input: the other is a constant of the original's size
    if not axes:
        return np.broadcast_to(call.inputs[0], call.shape)
    (axis,) = axes
    assert axis is not None
    first, *others = [along(entering, axis) for entering in call.inputs if entering.shape[axis] == call.shape[axis]]
    for other in others:
        call.labels.tie(first, other)
    return spread(first, axis, call.shape)


def _concatenate(call: Call) -> Labels:
    (joined,) = _axes(call.layer, len(call.shape))
    axes = {call.labels.axis(entering) for entering in call.inputs} - {None}
    if axes <= {joined}:
        return np.concatenate(call.inputs, joined)
    if len(axes) > 1:
        return unknown(call)
    (axis,) = axes
    assert axis is not None
    first, *others = [along(entering, axis) for entering in call.inputs]
    for other in others:
        call.labels.tie(first, other)
    return spread(first, axis, call.shape)


def _matmul(call: Call) -> Labels:
    """[..., R, K] @ [..., K, C] -> [..., R, C]; heads are one of the leading axes, and tied."""
    if len(call.inputs) != 2 or {entering.ndim for entering in call.inputs} != {len(call.shape)} or len(call.shape) < 2:
        return unknown(call)
    left, right = call.inputs
    rows, columns = len(call.shape) - 2, len(call.shape) - 1
    if call.labels.axis(left) == columns or call.labels.axis(right) == rows:
        return unknown(call)  # removed along K, the sum would be another
    from_left, from_right = left[..., :1], right[..., :1, :]
    axes = {call.labels.axis(left), call.labels.axis(right)} - {None}
    if axes == {rows, columns} or any(entering.shape[:rows] != call.shape[:rows] for entering in call.inputs):
        return unknown(call)
    if axes - {rows, columns}:
        call.labels.tie(from_left, from_right)
    made = np.broadcast_to(from_right if columns in axes else from_left, call.shape)
    leading = [along(made, axis) for axis in range(rows)]
    call.labels.product(
        (*call.shape[:rows], call.shape[rows], left.shape[-1], call.shape[columns]),
        (*leading, along(made, rows), None, along(made, columns)),
    )
    return call.labels.settled(made)


def _opened(call: Call, key: str) -> Labels:
    made = call.labels.open(call.layer, call.shape[-1], key)
    if not _is_elementwise(call.layer):
        call.labels.freeze(made, call.layer)
    return made


def _bias(call: Call, made: Labels) -> None:
    if call.layer.bias is not None:
        call.labels.weight(call.layer.bias, (made,))


def _is_elementwise(layer: Any) -> bool:
    activation = layer.get_config()["activation"]
    return activation is None or (isinstance(activation, str) and activation in _ELEMENTWISE)


def _is_channels_last(layer: Any) -> bool:
    return layer.get_config().get("data_format", "channels_last") in (None, "channels_last")


def _axes(layer: Any, rank: int) -> tuple[int, ...]:
    """The axes of a layer's configuration, counted without the batch."""
    axis = layer.get_config()["axis"]
    return tuple((one - 1 if one > 0 else one) % rank for one in (axis if isinstance(axis, list | tuple) else (axis,)))


def _named(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


RULES: dict[str, Rule] = {
    **_named("Dense", _dense),
    **_named("Conv1D Conv2D", _convolution),
    **_named("DepthwiseConv2D", _depthwise),
    **_named("MaxPooling1D MaxPooling2D AveragePooling1D AveragePooling2D", _channels_kept),
    **_named("GlobalMaxPooling1D GlobalMaxPooling2D", _channels_kept),
    **_named("GlobalAveragePooling1D GlobalAveragePooling2D", _channels_kept),
    **_named("ZeroPadding1D ZeroPadding2D Cropping1D Cropping2D UpSampling1D UpSampling2D", _channels_kept),
    **_named("Activation", _activation),
    **_named("ReLU LeakyReLU ELU Identity GaussianNoise GaussianDropout", _unchanged),
    **_named("Dropout SpatialDropout1D SpatialDropout2D", _dropout),
    **_named("Rescaling", _rescaling),
    **_named("BatchNormalization", _batch_norm),
    **_named("LayerNormalization Softmax", _across),
    **_named("PReLU orch>PositionEmbedding", _weighted),
    **_named("orch>LocalityScores", _locality_scores),
    **_named("Flatten", _flatten),
    **_named("Reshape", _reshape),
    **_named("Permute", _permute),
    **_named("Add Subtract Multiply Average Maximum Minimum", _merge),
    **_named("ops.Add ops.Subtract ops.Multiply ops.Maximum ops.Minimum", _merge),
    **_named("Concatenate", _concatenate),
    **_named("ops.Matmul", _matmul),
}
"""The rule for each type of layer, by `type_name`."""
