"""A Keras network as an ONNX file, and the file loaded into ONNX Runtime on the CPU.

The packages are those of the extra `onnx`; they are imported when they are needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.measurement.classifier import predict_in_batches, random_pixels, row_length

_PACKAGES = ("onnx", "onnxruntime", "tf2onnx")


class MissingRuntime(Exception):
    """Packages are not installed here that another machine may have."""


def require() -> None:
    """Raises MissingRuntime, which names them, unless all of the packages are here."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingRuntime(f"ONNX Runtime cannot be measured without {', '.join(missing)}")


def export(network: Any, path: Path) -> None:
    """Write a Keras network, under the TensorFlow backend, as an ONNX file with float32 pixels in and logits out.

    Raises:
        MissingRuntime: a package of the extra `onnx` is not installed.
    """
    require()
    import onnx

    # Keras exports what was called before, and no other.
    network(np.zeros((1, *network.input_shape[1:]), np.float32))
    network.export(path, format="onnx", verbose=False)
    model = onnx.load(path)
    nodes = [part for node in model.graph.node for part in _known_to_onnx(node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)


def _known_to_onnx(node: Any) -> Iterator[Any]:
    """The node, or what it is in ONNX: tf2onnx leaves the `Erfc` of a GELU as it is, and ONNX has `Erf` alone."""
    import onnx
    from onnx import helper

    if node.op_type != "Erfc":
        yield node
        return
    one, erf = f"{node.name}/one", f"{node.name}/erf"
    yield helper.make_node("Constant", [], [one], value=helper.make_tensor(one, onnx.TensorProto.FLOAT, [], [1.0]))
    yield helper.make_node("Erf", node.input, [erf])
    yield helper.make_node("Sub", [one, erf], node.output, name=node.name)


class OnnxClassifier:
    """Runs one ONNX file at one batch size, on `threads` threads of the CPU."""

    def __init__(self, path: Path, *, batch: int = 1, threads: int = 1) -> None:
        """Load a file that `export` wrote.

        Raises:
            MissingRuntime: a package of the extra `onnx` is not installed.
        """
        require()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.batch = batch
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        (pixels,) = self._session.get_inputs()
        self._input = pixels.name
        self._pixels = random_pixels((batch, *pixels.shape[1:]))
        self.classes = row_length(self.run().shape, batch)

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Logits [N, classes] of pixels 0..255 [N, H, W, C]; the last batch is filled up with zeros."""
        return predict_in_batches(self._logits, images, self.batch)

    def run(self) -> NDArray[np.float32]:
        """One inference on random pixels."""
        return self._logits(self._pixels)

    def _logits(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = self._session.run(None, {self._input: pixels})[0]
        return logits
