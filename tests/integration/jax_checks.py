"""What is JAX's alone, for a process whose Keras runs on it: `test_jax_backend` starts one."""

from __future__ import annotations

import sys
from typing import Any

import jax
import keras
import numpy as np
import pytest

from models.architectures import catalog
from models.datasets import Split
from models.recipes import Training
from models.training.backends import UnknownBackend, choose
from models.training.backends import jax as backend
from models.training.backends.jax_pooling import ExactMaxPooling, with_exact_pooling
from models.training.learner import Learner
from models.training.moving_average import MovingAverage
from models.training.optimizers import build_optimizer
from tests.support import exact_training
from tests.support.architectures import OF_EVERY_KIND


def test_training_loads_no_tensorflow() -> None:
    exact_training.run(exact_training.trainer("convolutional"), 1)

    assert "tensorflow" not in sys.modules


def test_another_backend_than_the_processs_is_refused() -> None:
    with pytest.raises(UnknownBackend, match="Keras runs on jax already"):
        choose("tensorflow")


def test_a_state_that_was_restored_is_left_alone_by_the_steps_that_follow() -> None:
    """They may compute in the arrays' own memory."""
    first, second = (exact_training.trainer("attention") for _ in range(2))
    state = first.state()
    before = exact_training.digest(state)
    for trainer in (first, second):
        trainer.restore(state)
    exact_training.run(first, 2)

    assert exact_training.digest(state) == exact_training.digest(second.state()) == before


@pytest.mark.parametrize("name", OF_EVERY_KIND)
def test_no_step_scatters(name: str) -> None:
    """On a GPU a program that selects and scatters is refused where kernels must repeat their results; one that
    scatters is slow."""
    training = Training(name, catalog.get(name).recipe, 0, 10, (32, 32, 3), 10)
    recipe = training.recipe.replace(batch_size=2)
    model = catalog.get(name).build(keras)
    optimizer = build_optimizer(recipe, 10, model.trainable_variables, "float32")
    average = MovingAverage(model.weights, 0.9)
    learner = Learner(model, optimizer, average)
    state = backend.values_of(backend.state_variables(learner))
    step = backend.step_function(learner, recipe, 10)
    images, labels = backend.resident(Split.whole(np.zeros((2, 32, 32, 3), np.uint8), np.zeros(2, np.int64)))

    program = jax.jit(step).lower(state, ([], []), images, labels, np.zeros(2, np.int32), np.zeros((2, 6), np.int32))

    assert "scatter" not in program.as_text()


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("window", "stride", "size"), [(2, 2, 6), (3, 2, 7), (2, 2, 5), (3, 1, 6), (3, 2, 8)])
def test_pooling_has_keras_results_and_gradients(window: int, stride: int, size: int, padding: str) -> None:
    theirs = keras.layers.MaxPooling2D(window, stride, padding=padding)
    ours = ExactMaxPooling(theirs)
    images = np.random.default_rng(0).normal(size=(2, size, size + 1, 3)).astype(np.float32)

    def weighted(layer: Any, images: Any) -> Any:
        pooled = layer(images)
        return (pooled * np.arange(pooled.size).reshape(pooled.shape)).sum()

    np.testing.assert_array_equal(ours(images), theirs(images))
    for layer in (ours, theirs):
        assert layer.compute_output_shape(images.shape) == theirs(images).shape
    np.testing.assert_allclose(jax.grad(weighted, 1)(ours, images), jax.grad(weighted, 1)(theirs, images), rtol=1e-6)


def test_equal_pixels_share_a_windows_gradient() -> None:
    pool = ExactMaxPooling(keras.layers.MaxPooling2D(2))

    gradient = jax.grad(lambda images: pool(images).sum())(np.zeros((1, 2, 2, 1), np.float32))

    assert float(gradient.sum()) == 1.0


def nested() -> Any:
    layers = keras.layers
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.MaxPooling2D(2), layers.Conv2D(4, 3)], name="inner")
    outer = [keras.Input((16, 16, 3)), layers.Conv2D(3, 1), layers.MaxPooling2D(2), inner, layers.Dropout(0.5)]
    return keras.Sequential([*outer, layers.Flatten(), layers.Dense(2)])


def test_a_network_is_the_same_with_the_pooling_exchanged_inside_of_it_too() -> None:
    model = nested()
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.float32)

    exchanged = with_exact_pooling(model)

    assert "select_and_scatter" not in jax.jit(jax.grad(lambda x: exchanged(x).sum())).lower(images).as_text()
    assert [variable.path for variable in exchanged.variables] == [variable.path for variable in model.variables]
    np.testing.assert_array_equal(exchanged(images), model(images))
    dropped = exchanged(images, training=True)
    assert not np.array_equal(dropped, exchanged(images))
