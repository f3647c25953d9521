"""The compression methods by name; what a method does lives in the module that its entry names.

Importing this module loads neither TensorFlow nor the quantizer.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

Export = Callable[[Any, Path], None]
"""`export(model, path)`: writes a trained Keras model, compressed, as a LiteRT file."""


class UnknownMethod(ValueError):
    """No compression method has that name."""


def names() -> tuple[str, ...]:
    """The methods, the uncompressed reference first."""
    return tuple(_EXPORTS)


def is_known(name: str) -> bool:
    """Whether `export_of` will find it; imports nothing."""
    return name in _EXPORTS


def export_of(name: str) -> Export:
    """The function that does it, its module now imported.

    Raises:
        UnknownMethod: in one sentence that lists what is allowed.
    """
    if name not in _EXPORTS:
        close = difflib.get_close_matches(name, names(), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UnknownMethod(f"There is no compression method {name!r}; allowed are {', '.join(names())}.{hint}")
    module, _, function = _EXPORTS[name].partition(":")
    export: Export = getattr(importlib.import_module(module), function)
    return export


# Names of functions, not functions: their modules load TensorFlow.
_EXPORTS = {
    "float32": "models.compression.quantization:export_float32",
    "float16": "models.compression.quantization:export_float16",
    "dynamic-int8": "models.compression.quantization:export_dynamic_int8",
}
