"""The compression methods by name, as data; what a method does lives in the module that its entry names.

Importing this module loads neither TensorFlow nor the quantizer.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass

Export = Callable[..., None]
"""`export(model, path)` writes a trained Keras model, compressed, as a LiteRT file.

The export of a method that needs images takes them besides, as `images`: uint8 or float32 pixels 0..255 [N, H, W, C].
"""

CALIBRATION_IMAGES = 160
"""How many training images a method is given that needs some, fewer if a shard has fewer.

Each is one call of the network, and of the first one's ranges a moving average of 160 calls keeps 0.03 %.
"""


class UnknownMethod(ValueError):
    """No compression method has that name."""


@dataclass(frozen=True)
class Method:
    """One way to make a trained network smaller or faster."""

    name: str
    exported_by: str
    """`module:function`, not the function: its module loads TensorFlow."""
    needs_images: bool = False
    """Whether it looks at training images: its job then has a shard as an input."""

    def load(self) -> Export:
        """The function that does it, its module now imported."""
        module, _, function = self.exported_by.partition(":")
        export: Export = getattr(importlib.import_module(module), function)
        return export


def names() -> tuple[str, ...]:
    """The methods, the uncompressed reference first, then by how much is cut: the order in which a report has them."""
    return tuple(_METHODS)


def is_known(name: str) -> bool:
    """Whether `get` will find it."""
    return name in _METHODS


def get(name: str) -> Method:
    """The method of that name; imports nothing.

    Raises:
        UnknownMethod: in one sentence that lists what is allowed.
    """
    if name not in _METHODS:
        close = difflib.get_close_matches(name, names(), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UnknownMethod(f"There is no compression method {name!r}; allowed are {', '.join(names())}.{hint}")
    return _METHODS[name]


_METHODS = {
    method.name: method
    for method in (
        Method("float32", "models.compression.quantization:export_float32"),
        Method("float16", "models.compression.quantization:export_float16"),
        Method("dynamic-int8", "models.compression.quantization:export_dynamic_int8"),
        Method("weight-int8", "models.compression.quantization:export_weight_int8"),
        Method("static-int8", "models.compression.quantization:export_static_int8", needs_images=True),
        Method("dense-int4", "models.compression.quantization:export_dense_int4"),
        Method("int4", "models.compression.quantization:export_int4"),
    )
}
