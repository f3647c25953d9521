"""A `.tflite` file loaded for inference on the CPU, with its threads and its batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from models.measurement.classifier import UnusableModel, predict_in_batches, random_pixels, row_length, sides

_UNKNOWN_HERE = "Didn't find op"
"""What LiteRT says of an operation that is newer than itself: another machine's may know it, so the file is not bad."""


class LiteRTClassifier:
    """Runs one network at one batch size; XNNPACK computes what it can, on `threads` threads.

    The batch is fixed when the network is loaded, because memory is planned for it then.
    """

    def __init__(
        self, path: Path, *, batch: int = 1, threads: int = 1, image_shape: tuple[int, ...] | None = None
    ) -> None:
        """Load a file.

        Args:
            image_shape: height, width and channels of the images that it must take; None takes any.

        Raises:
            UnusableModel: it is damaged, takes no float32 images of that shape, or gives no float32 [batch, classes].
        """
        self.batch = batch
        self._interpreter = _loaded(path, threads)
        self._input = _only("input", self._interpreter.get_input_details())
        self._output = _only("output", self._interpreter.get_output_details())["index"]
        takes = tuple(int(side) for side in self._input["shape"][1:])
        if image_shape is not None and takes != image_shape:
            raise UnusableModel(f"The file takes images {sides(takes)}, not {sides(image_shape)}.")
        self._run_once((batch, *takes))
        self.classes = row_length(self._interpreter.get_tensor(self._output).shape, batch)

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Logits [N, classes] of pixels 0..255 [N, H, W, C]; the last batch is filled up with zeros."""
        return predict_in_batches(self._predict_batch, images, self.batch)

    def run(self) -> None:
        """One inference on the images that stand in the input (random pixels at first): what latency measures."""
        self._interpreter.invoke()

    def _predict_batch(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        self._interpreter.set_tensor(self._input["index"], pixels)
        self.run()
        return np.asarray(self._interpreter.get_tensor(self._output), np.float32)

    def _run_once(self, shape: tuple[int, ...]) -> None:
        """Plan memory for this batch and run it: some shapes are only known, and some faults only seen, then."""
        try:
            self._interpreter.resize_tensor_input(self._input["index"], shape)
            self._interpreter.allocate_tensors()
            self._interpreter.set_tensor(self._input["index"], random_pixels(shape))
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise _unusable(error, f"The file does not take {shape[0]} images {sides(shape[1:])} at once") from error


def _loaded(path: Path, threads: int) -> Any:
    try:
        return Interpreter(model_path=str(path), num_threads=threads)
    except (ValueError, RuntimeError) as error:
        raise _unusable(error, "The file is no whole LiteRT file") from error


def _unusable(error: Exception, what: str) -> Exception:
    """What to raise for LiteRT's error: of a LiteRT that is too old here, its own."""
    return error if _UNKNOWN_HERE in str(error) else UnusableModel(f"{what}: {error}")


def _only(end: str, details: list[dict[str, Any]]) -> dict[str, Any]:
    """The one input, or the one output, of a file, which is float32.

    One of int8 would take pixels above 127 for negative ones, and its accuracy would be wrong without a word.
    """
    kinds = [np.dtype(each["dtype"]).name for each in details]
    if kinds != ["float32"]:
        raise UnusableModel(f"The file must have one {end} of float32, and has {', '.join(kinds) or 'none'}.")
    return details[0]
