"""Training with TensorFlow: one compiled function that goes through several steps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.datasets import Split
from models.recipes import Recipe
from models.training.augmentation import columns
from models.training.backends import Accelerator
from models.training.learner import Learner
from models.training.training_step import Steps, steps_taken, training_batch, training_loss


def configure(threads: int) -> None:
    """Every operation, and operations that do not wait for each other, on `threads` threads.

    How many operations run at once (inter-op) changes no bit, but a ViT of small ones trains a third faster on two
    cores than with one at a time.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        for gpu in tf.config.list_physical_devices("GPU"):
            # Otherwise this process takes all of the GPU's memory, and one beside it (a benchmark) finds
            # none.
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as error:
        raise RuntimeError(
            f"TensorFlow is already running, so its threads cannot be set to {threads}; configure it first."
        ) from error
    tf.config.experimental.enable_op_determinism()
    # It makes one AddN of several additions, whose order depends on the scheduler: see `gradients`.
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})


def seed(number: int) -> None:
    keras.utils.set_random_seed(number)


def accelerator() -> Accelerator | None:
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None
    details = tf.config.experimental.get_device_details(gpus[0])
    return Accelerator("GPU", details.get("device_name", "GPU"), details.get("compute_capability", (0, 0)))


def precision() -> str:
    return precision_of(accelerator())


def precision_of(found: Accelerator | None) -> str:
    """float16 from compute capability 7.0 on (V100, T4), which brought tensor cores; before them it gains nothing."""
    return "mixed_float16" if found and found.compute_capability >= (7, 0) else "float32"


def circumstances() -> dict[str, str | int]:
    return {
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "onednn_max_cpu_isa": os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT"),
        "tensorflow": tf.__version__,
    }


def resident(shard: Split) -> tuple[Any, Any]:
    """The images are float16, which holds 0..255 exactly: TensorFlow has no GPU kernel to gather uint8, so it would
    silently gather on the host and move the whole shard there for every step.
    """
    return tf.constant(shard.images.astype(np.float16)), tf.constant(shard.labels)


def compile_steps(learner: Learner, recipe: Recipe, classes: int, batch: int) -> Steps:
    """Every step computes the same shapes in the same loop body, however many there are in a call: that is why the
    bits do not depend on where calls are cut.
    """
    model, optimizer, average, masks = learner.model, learner.optimizer, learner.average, learner.masks
    shape = (None, *model.input_shape[1:])

    def step(images: Any, labels: Any, rows: Any, draws: Any) -> Any:
        batch_images, targets = training_batch(keras.ops, images, labels, rows, draws, recipe.augmentation, classes)
        logits = model(batch_images, training=True)
        loss = training_loss(keras.ops, batch_images, targets, logits, recipe, learner.teacher)
        variables = model.trainable_variables
        scaled = optimizer.scale_loss(sum(model.losses, start=loss))
        optimizer.apply(gradients(scaled, variables), variables)
        if average:
            average.update(steps_taken(optimizer))
        if masks:
            masks.apply()
        return loss

    one_step = tf.autograph.experimental.do_not_convert(step)

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=(
            tf.TensorSpec(shape, tf.float16),
            tf.TensorSpec((None,), tf.int64),
            tf.TensorSpec((None, batch), tf.int64),
            tf.TensorSpec((None, batch, len(columns(recipe.augmentation))), tf.int64),
        ),
        jit_compile=False,
    )
    def steps(images: Any, labels: Any, rows: Any, draws: Any) -> Any:
        count = tf.shape(rows)[0]
        losses = tf.TensorArray(tf.float32, size=count)
        for number in tf.range(count):
            losses = losses.write(number, one_step(images, labels, rows[number], draws[number]))
        return losses.stack()

    compiled: Steps = steps
    return compiled


def gradients(loss: Any, variables: Sequence[Any]) -> list[Any]:
    """The gradients of a scalar, in a compiled function; None for a variable that it does not depend on.

    The variables are of Keras 3, or of TensorFlow, as legacy Keras' are.

    Where a tensor was used three times, its three gradients are added two by two.  A tape adds them in one operation,
    whose order depends on which of them is needed elsewhere at that moment, and so on the scheduler: TensorFlow's
    `AddN` reuses the first input that nobody else holds, and begins with it.
    """
    values = [variable.value if isinstance(variable, keras.Variable) else variable for variable in variables]
    return list(tf.gradients(loss, values, aggregation_method=tf.AggregationMethod.EXPERIMENTAL_TREE))
