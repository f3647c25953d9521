"""A recipe's schedule and weight decay."""

from __future__ import annotations

from typing import Literal

import keras
import numpy as np
import pytest

from models.optimizers import build_optimizer, learning_rate
from models.recipes import Recipe


def test_the_learning_rate_rises_from_zero_and_falls_as_a_cosine_to_zero() -> None:
    rate = learning_rate(Recipe(learning_rate=0.4, warmup_fraction=0.2), total_steps=100)

    rates = [float(rate(step)) for step in (0, 10, 20, 60, 100)]

    assert rates == pytest.approx([0.0, 0.2, 0.4, 0.2, 0.0], abs=1e-6)


def test_a_constant_learning_rate_stays_after_its_rise() -> None:
    rate = learning_rate(Recipe(learning_rate=0.4, schedule="constant", warmup_fraction=0.1), total_steps=100)

    assert [float(rate(step)) for step in (5, 10, 50, 100)] == pytest.approx([0.2, 0.4, 0.4, 0.4])


@pytest.mark.parametrize("total_steps", [1, 10])
def test_a_training_too_short_to_warm_up_begins_at_the_peak(total_steps: int) -> None:
    assert float(learning_rate(Recipe(learning_rate=0.4), total_steps)(0)) == pytest.approx(0.4)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_weights_decay_and_biases_and_normalisation_do_not(optimizer: Literal["adamw", "sgd"]) -> None:
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, bias_initializer="ones"), keras.layers.BatchNormalization()]
    )
    recipe = Recipe(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5, warmup_fraction=0.0)
    before = {variable.path: variable.numpy() for variable in model.trainable_variables}
    applied = build_optimizer(recipe, 10, model.trainable_variables, "float32")

    applied.apply([np.zeros(variable.shape, np.float32) for variable in model.trainable_variables])

    for variable in model.trainable_variables:
        factor = 0.95 if variable.name == "kernel" else 1.0
        np.testing.assert_allclose(variable.numpy(), before[variable.path] * factor, rtol=1e-6)


def test_gradients_are_clipped_by_their_common_norm() -> None:
    weights = [keras.Variable(np.zeros(1, np.float32)), keras.Variable(np.zeros(1, np.float32))]
    recipe = Recipe(
        optimizer="sgd", learning_rate=1.0, momentum=0.0, weight_decay=0.0, gradient_clip=1.0, warmup_fraction=0.0
    )

    build_optimizer(recipe, 10, weights, "float32").apply([np.full(1, 3.0, np.float32), np.full(1, 4.0, np.float32)])

    assert [float(weight.numpy()[0]) for weight in weights] == pytest.approx([-0.6, -0.8])
