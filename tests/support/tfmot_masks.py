"""The masks that tensorflow-model-optimization makes of given kernels; a program for a process with legacy Keras.

Its arguments are a file of kernels and the file to write: NumPy archives.  The first has the kernels by name and
`schedule`, five numbers: initial and final sparsity, first and last step, interval.  The second has the mask of each
kernel at each step from the first on, which tfmot counts as 1, `NAME/STEP`, and its mask by the pattern 2:4,
`NAME/2:4`.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras

sparsity = tfmot.sparsity.keras


def masks_by_step(kernel: Any, schedule: Any) -> dict[int, Any]:
    """Up to the schedule's last step; between them nothing is trained."""
    initial, final, begin, end, interval = schedule.tolist()
    decay = sparsity.PolynomialDecay(initial, final, int(begin), int(end), frequency=int(interval))
    model = wrapped(kernel, pruning_schedule=decay)
    callback = sparsity.UpdatePruningStep()
    callback.set_model(model)
    callback.on_train_begin()
    return {step: next_mask(model, callback) for step in range(1, int(end) + 1)}


def two_of_four(kernel: Any) -> Any:
    once = sparsity.ConstantSparsity(0.5, begin_step=0, frequency=100)
    model = wrapped(kernel, pruning_schedule=once, sparsity_m_by_n=(2, 4))
    callback = sparsity.UpdatePruningStep()
    callback.set_model(model)
    callback.on_train_begin()
    return next_mask(model, callback)


def wrapped(kernel: Any, **options: Any) -> Any:
    """A network of one layer with this kernel."""
    layers = tf_keras.layers
    *window, inputs, outputs = kernel.shape
    layer = layers.Conv2D(outputs, window, use_bias=False) if window else layers.Dense(outputs, use_bias=False)
    shape = (*window, inputs)
    model = tf_keras.Sequential([layers.InputLayer(shape), sparsity.prune_low_magnitude(layer, **options)])
    model.layers[0].layer.set_weights([kernel])
    model.compile("sgd", "mse")
    return model


def next_mask(model: Any, callback: Any) -> Any:
    callback.on_train_batch_begin(batch=0)
    model(np.zeros((1, *model.input_shape[1:]), np.float32), training=True)
    ((_, mask, _),) = model.layers[0].pruning_vars
    return mask.numpy().astype(bool)


def main(kernels: str, masks: str) -> None:
    given = dict(np.load(kernels))
    schedule = given.pop("schedule")
    made: dict[str, Any] = {}
    for name, kernel in given.items():
        made |= {f"{name}/{step}": mask for step, mask in masks_by_step(kernel, schedule).items()}
        made[f"{name}/2:4"] = two_of_four(kernel)
    np.savez(masks, **made)


if __name__ == "__main__":
    main(*sys.argv[1:])
