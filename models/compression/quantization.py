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

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from litert_quantizer import Quantizer
from litert_quantizer.algorithm_manager import AlgorithmName
from litert_quantizer.calibrator import CalibrationMode
from litert_quantizer.qtyping import TFLOperationName
from numpy.typing import NDArray

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


def export_weight_int8(model: Any, path: Path) -> None:
    """Weights as int8 with a scale for each output channel; the arithmetic stays float32."""
    quantizer = _quantizer(model)
    quantizer.add_weight_only_config(_EVERY_LAYER, _EVERY_OPERATION, num_bits=8)
    _write(quantizer, path)


def export_static_int8(model: Any, path: Path, *, images: NDArray[Any]) -> None:
    """Weights and activations as int8, the scales of activations fixed beforehand by what `images` gave.

    Args:
        images: pixels 0..255 [N, H, W, C] of the training set, at least one.
    """
    reference = _reference(model)
    quantizer = Quantizer(reference)
    quantizer.add_static_config(_EVERY_LAYER, _EVERY_OPERATION, activation_num_bits=8, weight_num_bits=8)
    for end in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
        # Else the file takes int8: pixels above 127 would wrap around, and accuracy fall without a word.
        quantizer.update_quantization_recipe(_EVERY_LAYER, end, algorithm_key=AlgorithmName.NO_QUANTIZE)
    with _quiet():
        # With its own mode, which looks at every tensor in Python, it takes five times as long; its 16 threads would
        # take cores on which other workers of this machine compute.
        ranges = quantizer.calibrate(
            _calls(reference, images), num_threads=1, mode=CalibrationMode.CALIBRATION_PROFILER_BASED
        )
    _write(quantizer, path, ranges)


def export_dense_int4(model: Any, path: Path) -> None:
    """As dynamic int8, but the weights of dense layers as int4: convolutions of int4 have no fast kernel."""
    quantizer = _quantizer(model)
    quantizer.add_dynamic_config(_EVERY_LAYER, _EVERY_OPERATION, num_bits=8)
    quantizer.add_dynamic_config(_EVERY_LAYER, TFLOperationName.FULLY_CONNECTED, num_bits=4)
    _write(quantizer, path)


def export_int4(model: Any, path: Path) -> None:
    """Weights as int4 with a scale for each output channel; activations are quantized while it runs."""
    quantizer = _quantizer(model)
    quantizer.add_dynamic_config(_EVERY_LAYER, _EVERY_OPERATION, num_bits=4)
    _write(quantizer, path)


def _quantizer(model: Any) -> Any:
    """A quantizer over the model's float32 export, without a recipe yet."""
    return Quantizer(_reference(model))


def _reference(model: Any) -> bytes:
    """The model's float32 export."""
    with TemporaryDirectory() as directory:
        file = Path(directory) / "float32.tflite"
        export_float32(model, file)
        return file.read_bytes()


def _calls(reference: bytes, images: NDArray[Any]) -> dict[str, list[dict[str, NDArray[np.float32]]]]:
    """What the float32 file is called with, by the name of its signature: an image at a time.

    The quantizer keeps a moving average over calls (0.95 of it stays), which a few large batches would leave at the
    range of the first.
    """
    ((signature, ends),) = Interpreter(model_content=reference).get_signature_list().items()
    (pixels,) = ends["inputs"]
    return {signature: [{pixels: image[None].astype(np.float32)} for image in images]}


def _write(quantizer: Any, path: Path, ranges: Any = None) -> None:
    with _quiet():
        path.write_bytes(quantizer.quantize(ranges).quantized_model)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's prints and the quantizer's progress bars, which would run into a worker's own line."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
