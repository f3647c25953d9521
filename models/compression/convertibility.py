"""Whether a network of a person's own becomes a LiteRT file: asked before hours of training, and not after them."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from models.compression.quantization import export_float32
from models.measurement.classifier import UnusableModel
from models.measurement.litert import LiteRTClassifier
from models.own_code import importing
from models.own_code.errors import OwnCodeFault
from models.own_code.reference import Reference
from models.training.trainer import fresh_network

_OPERATION = re.compile(r"'tf\.(\w+)' op is neither")
_SCOPES = re.compile(r'fused\["\w+:", "([^"@]+)@')


@functools.lru_cache(maxsize=8)
def check(reference: Reference, image_shape: tuple[int, int, int], classes: int) -> None:
    """Build the network and export it once.

    Raises:
        OwnCodeFault: it does not convert; names the layer and the person's line, where the converter gives them away.
        Exception: what the person's own code raises.
    """
    network = fresh_network(str(reference), image_shape, classes)
    with TemporaryDirectory() as directory:
        path = Path(directory) / "network.tflite"
        try:
            export_float32(network, path)
            LiteRTClassifier(path, image_shape=image_shape)
        except (MemoryError, OSError):
            raise
        except UnusableModel as error:
            place = importing.place_of_definition(reference)
            raise OwnCodeFault(f"{place}: the LiteRT file of the network cannot be used: {error}") from error
        except Exception as error:
            if importing.place_of(error) is not None:
                raise
            raise OwnCodeFault(_sentence(reference, network, str(error))) from error


def _sentence(reference: Reference, network: Any, said: str) -> str:
    layer = _blamed(network, said)
    operation = _OPERATION.search(said)
    why = f"LiteRT has no operation {operation[1]}" if operation else next(iter(said.splitlines()), "no reason given")
    if layer is None:
        return f"{importing.place_of_definition(reference)}: the network does not convert to LiteRT: {why}."
    kind = type(layer)
    place = importing.place_of_code(kind.call) or importing.place_of_definition(reference)
    return f"{place}: the layer {layer.name!r} ({kind.__name__}) does not convert to LiteRT: {why}."


def _blamed(network: Any, said: str) -> Any | None:
    """The layer in whose scope the converter found what it does not know; Keras numbers scopes that come again."""
    scopes = _SCOPES.search(said)
    if scopes is None:
        return None
    parts = {re.sub(r"_\d+$", "", part) for part in scopes[1].split("/")} | set(scopes[1].split("/"))
    return next((layer for layer in network.layers if layer.name in parts), None)
