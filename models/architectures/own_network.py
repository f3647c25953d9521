"""A network of a person's own, from the function in their file: built, and checked to be what a study can work with.

The code itself is `models.own_code`'s.  Written, as the architectures are, against the `keras` namespace that is handed
in: Keras 3 or legacy Keras.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from models.architectures.image_classifier import ImageShape
from models.own_code import importing
from models.own_code.errors import OwnCodeFault
from models.own_code.reference import Reference

CALL = "build(keras, image_shape=(32, 32, 3), classes=10)"
"""How the function is called; the values are examples."""


def builder(reference: Reference) -> Callable[..., Any]:
    """The person's function, whose networks are checked as they are built.

    Raises:
        OwnCodeFault, Exception: what `importing.function` raises.
    """
    function = importing.function(reference)

    def build(keras: Any, image_shape: ImageShape = (32, 32, 3), classes: int = 10) -> Any:
        network = function(keras, image_shape=image_shape, classes=classes)
        complaint = next(_complaints(keras, network, image_shape, classes), None)
        if complaint is not None:
            raise OwnCodeFault(f"{importing.place_of_definition(reference)}: {reference.function} gives {complaint}.")
        return network

    return build


def _complaints(keras: Any, network: Any, image_shape: ImageShape, classes: int) -> Iterator[str]:
    """What of a network does not go with everything else that a study does, the gravest first."""
    if not isinstance(network, keras.Model):
        yield f"{type(network).__name__}, which is no keras.Model"
        return
    inputs, outputs = getattr(network, "inputs", None), getattr(network, "outputs", None)
    if not inputs or not outputs:
        yield "a model that does not say what goes in; begin it with keras.Input(image_shape)"
        return
    if len(inputs) != 1 or tuple(inputs[0].shape) != (None, *image_shape):
        yield f"a model that takes {_shapes(inputs)}; it is given images {(None, *image_shape)}"
    if len(outputs) != 1 or tuple(outputs[0].shape) != (None, classes):
        yield f"a model whose output is {_shapes(outputs)}; logits of {classes} classes are {(None, classes)}"
    paths = Counter(getattr(weight, "path", weight.name) for weight in network.weights)
    yield from (f"two weights called {path!r}; give their layers different names" for path in paths if paths[path] > 1)
    for layer in _layers(keras, network):
        if layer.weights and _is_automatic(layer):
            kind = type(layer).__name__
            yield (
                f"a layer {layer.name!r} that has no name of its own, and checkpoints know weights by name; write "
                f'{kind}(..., name="...")'
            )


def _shapes(tensors: Any) -> str:
    return " and ".join(str(tuple(tensor.shape)) for tensor in tensors)


def _layers(keras: Any, network: Any) -> Iterator[Any]:
    """Every layer that a person wrote; a model inside a model is looked into."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(keras, layer)
        else:
            yield layer


def _is_automatic(layer: Any) -> bool:
    """Whether the layer is called as Keras calls one without a name: its class in small letters, perhaps numbered."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
    return re.fullmatch(rf"{re.escape(words)}(_\d+)?", layer.name) is not None
