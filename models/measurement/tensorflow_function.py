"""A Keras network as one compiled TensorFlow function, on the GPU if this process has one, else on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.measurement.classifier import predict_in_batches, random_pixels, row_length


class FunctionClassifier:
    """Runs one network at one batch size, with the threads and the kernels that this process trains with."""

    def __init__(self, network: Any, *, batch: int = 1) -> None:
        """Compile a Keras network, of float32 pixels [B, H, W, C], for this batch."""
        shape = (batch, *network.input_shape[1:])
        self.batch = batch
        self._logits = tf.function(
            lambda pixels: network(pixels, training=False),
            input_signature=(tf.TensorSpec(shape, tf.float32),),
            autograph=False,
            jit_compile=False,
        )
        # It stays on the device, as LiteRT's input stays in its place: what is measured is the network.
        self._pixels = tf.constant(random_pixels(shape))
        self.classes = row_length(self.run().shape, batch)

    def predict(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Logits [N, classes] of pixels 0..255 [N, H, W, C]; the last batch is filled up with zeros."""
        return predict_in_batches(lambda pixels: self._logits(tf.constant(pixels)).numpy(), images, self.batch)

    def run(self) -> NDArray[np.float32]:
        """One inference on random pixels; the logits are on the host when it returns, so a GPU has finished."""
        logits: NDArray[np.float32] = self._logits(self._pixels).numpy()
        return logits
