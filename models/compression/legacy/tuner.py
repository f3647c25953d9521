"""Fine-tuning by tensorflow-model-optimization that can stop anywhere and resumes to the same bits.

It has the interface of `models.training.trainer.Trainer`, and the same order and changes of images, schedule and loss;
what legacy Keras computes with them is compiled here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras
from numpy.typing import NDArray

from models.architectures import catalog
from models.compression.legacy.keyed_dropout import follow
from models.compression.legacy.optimizer import build_optimizer
from models.compression.legacy.wrapping import Wrapped, wrap
from models.datasets import Split
from models.failures import PermanentFailure
from models.recipes import Training, Visit
from models.training.augmentation import columns
from models.training.backends.tensorflow import gradients, resident
from models.training.trainer import (
    OPTIMIZER,
    Arrays,
    NetworkBuilder,
    Progress,
    TrainState,
    assign,
    check_finite,
    check_images,
    check_visit,
    load_weights,
)
from models.training.training_step import cross_entropy, training_batch
from models.training.visit_schedule import VisitSchedule

_AGREEMENT = 1e-5
"""Largest difference of a logit, as a share of the largest logit."""


class NotTheSame(PermanentFailure):
    """Legacy Keras computes something else with these weights than Keras 3 did."""


class Tuner:
    """One network in its wrappers with its optimizer, at some step of its fine-tuning.

    Args:
        method: "tfmot-prune", "cluster" or "qat".
        training: the fine-tuning; without a moving average.
        options: the method's, as `models.compression.legacy.wrapping.wrap` takes them.
        weights: `model/...`, those that it begins with; for one that is restored next, those of its state.
        build: makes the network; the catalogue's by default.

    Raises:
        NotTheSame: the logits in legacy Keras are not those of Keras 3.
        CannotTune: the method cannot be done to this network.
        CannotPrune: the layers that are asked for are not there.
        StateMismatch: the weights are another network's.
    """

    def __init__(
        self,
        method: str,
        training: Training,
        options: Mapping[str, Any],
        weights: Arrays,
        *,
        build: NetworkBuilder | None = None,
    ) -> None:
        assert training.recipe.ema is None, "a fine-tuning has no moving average"
        self.training = training
        self.step = 0
        self._wrapped = _wrapped(method, training, options, weights, build)
        self._model = self._wrapped.model
        self._optimizer = build_optimizer(training.recipe, training.total_steps, self._model.trainable_variables)
        follow(self._model.layers, self._optimizer.iterations)
        self._variables = {
            **self._wrapped.variables,
            **{f"{OPTIMIZER}{number}": each for number, each in enumerate(self._optimizer.variables)},
        }
        self._one_step = self._compile()

    def state(self) -> TrainState:
        """A copy in host memory; training may go on while it is written."""
        derived = {key: np.array(compute()) for key, compute in self._wrapped.derived.items()}
        return TrainState(self.step, {**_on_host(self._variables), **derived})

    def restore(self, state: TrainState) -> None:
        """Go on from `state`, bit for bit.

        Raises:
            StateMismatch: it is of another network, optimizer or method; nothing was changed.
        """
        derived = self._wrapped.derived
        assign(self._variables, {key: array for key, array in state.arrays.items() if key not in derived})
        self.step = state.step

    def advance(self, shard: Split, visit: Visit, *, steps_per_call: int = 1) -> Iterator[Progress]:
        """Train from where the state is to the visit's end, and stop after each `steps_per_call` steps.

        Raises: as `Trainer.advance`.
        """
        check_visit(self.training, self.step, shard, visit)
        check_images(self.training, shard)
        images, labels = resident(shard)
        schedule = VisitSchedule(self.training, shard, visit)
        rows, drawn = schedule.batches(self.step, steps_per_call)
        while len(rows):
            losses = np.array([self._take(images, labels, *batch, shard) for batch in zip(rows, drawn, strict=True)])
            yield Progress(self.step, float(losses.mean()), rows.size)
            rows, drawn = schedule.batches(self.step, steps_per_call)

    def _take(self, images: Any, labels: Any, rows: NDArray[Any], drawn: NDArray[Any], shard: Split) -> float:
        loss = float(self._one_step(images, labels, rows, drawn))
        check_finite(self.step, np.array([loss]))
        self.step += 1
        if self.step % self.training.recipe.steps_per_epoch(len(shard)) == 0:
            self._wrapped.end_epoch()
        return loss

    def _compile(self) -> Any:
        recipe, classes, model, optimizer = self.training.recipe, self.training.classes, self._model, self._optimizer

        def step(images: Any, labels: Any, rows: Any, draws: Any) -> Any:
            batch, targets = training_batch(keras.ops, images, labels, rows, draws, recipe.augmentation, classes)
            loss = cross_entropy(keras.ops, targets, model(batch, training=True), recipe.label_smoothing)
            variables = model.trainable_variables
            optimizer.apply_gradients(zip(gradients(sum(model.losses, start=loss), variables), variables, strict=True))
            return loss

        return tf.function(
            tf.autograph.experimental.do_not_convert(step),
            input_signature=(
                tf.TensorSpec((None, *self.training.image_shape), tf.float16),
                tf.TensorSpec((None,), tf.int64),
                tf.TensorSpec((None,), tf.int64),
                tf.TensorSpec((None, len(columns(recipe.augmentation))), tf.int64),
            ),
        )


def export_int8(state: TrainState, training: Training, path: Path, *, build: NetworkBuilder | None = None) -> None:
    """Write the network of a state that "qat" ended with as an int8 LiteRT file, float32 in and out.

    Args:
        training: of the state; of its values architecture, image shape and classes matter.

    Raises:
        StateMismatch: the state is of another network, or of another method.
    """
    weights = {key: array for key, array in state.arrays.items() if not key.startswith(OPTIMIZER)}
    wrapped = _wrapped("qat", training, {}, weights, build)
    assign(wrapped.variables, weights)
    converter = tf.lite.TFLiteConverter.from_keras_model(wrapped.model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    path.write_bytes(converter.convert())


def _wrapped(
    method: str, training: Training, options: Mapping[str, Any], weights: Arrays, build: NetworkBuilder | None
) -> Wrapped:
    build = build or catalog.get(training.architecture).build
    tf_keras.backend.clear_session()
    tf_keras.utils.set_random_seed(training.seed)
    network = build(tf_keras, image_shape=training.image_shape, classes=training.classes)
    load_weights(network, weights)
    _check_logits(network, training, weights, build)
    return wrap(method, network, training, options)


def _check_logits(network: Any, training: Training, weights: Arrays, build: NetworkBuilder) -> None:
    keras.utils.clear_session()  # layers without a name of their own are counted from the start
    original = build(keras, image_shape=training.image_shape, classes=training.classes)
    load_weights(original, weights)
    images = np.random.default_rng(0).integers(0, 256, (8, *training.image_shape)).astype(np.float32)
    # On the CPU: a GPU may round what it multiplies to ten bits.
    with tf.device("/CPU:0"):
        expected, found = (np.asarray(model(images, training=False)) for model in (original, network))
    apart = float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))
    if not apart <= _AGREEMENT:
        raise NotTheSame(
            f"Legacy Keras computes other logits with these weights, {apart:.1e} of the largest apart; leave this "
            "method out for this network."
        )


def _on_host(variables: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Copies: what a variable hands out may be the memory that the next step overwrites."""
    return {key: np.array(variable.numpy()) for key, variable in variables.items()}
