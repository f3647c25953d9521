"""A `.tflite` file loaded for inference on the CPU, with its threads and its batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray


class LiteRTClassifier:
    """Runs one network at one batch size; XNNPACK computes what it can, on `threads` threads.

    The batch is fixed when the network is loaded, because memory is planned for it then.
    """

    def __init__(self, path: Path, *, batch: int = 1, threads: int = 1) -> None:
        self.batch = batch
        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]["index"]
        shape = (batch, *self._input["shape"][1:])
        self._interpreter.resize_tensor_input(self._input["index"], shape)
        self._interpreter.allocate_tensors()
        # What `run` measures before anything was predicted: on zeros a kernel could take a short cut.
        pixels = np.random.default_rng(0).integers(0, 256, shape)
        self._interpreter.set_tensor(self._input["index"], pixels.astype(self._input["dtype"]))

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Logits [N, classes] of pixels 0..255 [N, H, W, C]; the last batch is filled up with zeros."""
        batches = [
            self._predict_batch(images[start : start + self.batch]) for start in range(0, len(images), self.batch)
        ]
        return np.concatenate(batches)

    def run(self) -> None:
        """One inference on the images that stand in the input (random pixels at first): what latency measures."""
        self._interpreter.invoke()

    def _predict_batch(self, images: NDArray[Any]) -> NDArray[np.float32]:
        filled = np.zeros((self.batch, *images.shape[1:]), self._input["dtype"])
        filled[: len(images)] = images
        self._interpreter.set_tensor(self._input["index"], filled)
        self.run()
        logits = self._interpreter.get_tensor(self._output)[: len(images)]
        return np.asarray(logits, np.float32)
