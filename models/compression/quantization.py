"""Fewer bits for each weight: export to LiteRT, then litert-quantizer.

Every file takes float32 pixels and gives float32 logits, with a batch that is chosen when it is loaded.
(The quantization inside TFLiteConverter is deprecated in favour of litert-quantizer.)
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from litert_quantizer import Quantizer
from litert_quantizer.algorithm_manager import AlgorithmName
from litert_quantizer.qtyping import TFLOperationName

_EVERY_LAYER = ".*"
_EVERY_OPERATION = TFLOperationName.ALL_SUPPORTED


def export_float32(model: Any, path: Path) -> None:
    """The reference: batch normalisation is folded into its convolution, nothing else is changed."""
    with _quiet():
        model.export(path, format="litert", verbose=False)


def export_float16(model: Any, path: Path) -> None:
    """Weights of dense and convolution layers as float16; the arithmetic stays float32."""
    quantizer = _quantizer(model)
    quantizer.add_weight_only_config(
        _EVERY_LAYER, _EVERY_OPERATION, num_bits=16, algorithm_key=AlgorithmName.FLOAT_CASTING
    )
    _write(quantizer, path)


def export_dynamic_int8(model: Any, path: Path) -> None:
    """Weights as int8 with a scale for each output channel; activations are quantized while it runs."""
    quantizer = _quantizer(model)
    quantizer.add_dynamic_config(_EVERY_LAYER, _EVERY_OPERATION, num_bits=8)
    _write(quantizer, path)


def _quantizer(model: Any) -> Any:
    """A quantizer over the model's float32 export, without a recipe yet."""
    with TemporaryDirectory() as directory:
        reference = Path(directory) / "float32.tflite"
        export_float32(model, reference)
        return Quantizer(reference.read_bytes())


def _write(quantizer: Any, path: Path) -> None:
    with _quiet():
        path.write_bytes(quantizer.quantize().quantized_model)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's prints and the quantizer's progress bars, which would run into a worker's own line."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
