"""A recipe's schedule and weight decay."""

from __future__ import annotations

from typing import Literal

import keras
import numpy as np
import pytest

from models.recipes import Recipe
from models.training.optimizers import build_optimizer, learning_rate


def test_the_learning_rate_rises_from_zero_and_falls_as_a_cosine_to_zero() -> None:
    rate = learning_rate(Recipe(learning_rate=0.4, warmup_fraction=0.2), total_steps=100)

    rates = [float(rate(step)) for step in (0, 10, 20, 60, 100)]

    assert rates == pytest.approx([0.0, 0.2, 0.4, 0.2, 0.0], abs=1e-6)


def test_a_constant_learning_rate_stays_after_its_rise() -> None:
    rate = learning_rate(Recipe(learning_rate=0.4, schedule="constant", warmup_fraction=0.1), total_steps=100)

    assert [float(rate(step)) for step in (5, 10, 50, 100)] == pytest.approx([0.2, 0.4, 0.4, 0.4])


def test_one_cycle_rises_and_falls_in_straight_lines() -> None:
    rate = learning_rate(Recipe(learning_rate=0.4, schedule="one-cycle", warmup_fraction=0.2), total_steps=100)

    assert [float(rate(step)) for step in (0, 10, 20, 60, 100)] == pytest.approx([0.0, 0.2, 0.4, 0.2, 0.0], abs=1e-6)


def test_steps_go_down_to_a_tenth_twice() -> None:
    rate = learning_rate(Recipe(learning_rate=0.4, schedule="step", warmup_fraction=0.1), total_steps=100)

    rates = [float(rate(step)) for step in (5, 10, 49, 50, 74, 75, 99)]

    assert rates == pytest.approx([0.2, 0.4, 0.4, 0.04, 0.04, 0.004, 0.004])


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle", "step"])
@pytest.mark.parametrize("total_steps", [1, 10])
def test_a_training_too_short_to_warm_up_begins_at_the_peak(
    total_steps: int, schedule: Literal["cosine", "one-cycle", "step"]
) -> None:
    recipe = Recipe(learning_rate=0.4, schedule=schedule)

    assert float(learning_rate(recipe, total_steps)(0)) == pytest.approx(0.4)


@pytest.mark.parametrize("decay", [0.5, 0.0])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lion", "muon"])
def test_weights_decay_and_biases_and_normalisation_do_not(
    optimizer: Literal["adamw", "sgd", "lion", "muon"], decay: float
) -> None:
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, bias_initializer="ones"), keras.layers.BatchNormalization()]
    )
    recipe = Recipe(optimizer=optimizer, learning_rate=0.1, weight_decay=decay, warmup_fraction=0.0)
    before = {variable.path: variable.numpy() for variable in model.trainable_variables}
    applied = build_optimizer(recipe, 10, model.trainable_variables, "float32")

    applied.apply([np.zeros(variable.shape, np.float32) for variable in model.trainable_variables])

    for variable in model.trainable_variables:
        factor = 1.0 - 0.1 * decay if variable.name == "kernel" else 1.0
        np.testing.assert_allclose(variable.numpy(), before[variable.path] * factor, rtol=1e-6)


def test_gradients_are_clipped_by_their_common_norm() -> None:
    weights = [keras.Variable(np.zeros(1, np.float32)), keras.Variable(np.zeros(1, np.float32))]
    recipe = Recipe(
        optimizer="sgd", learning_rate=1.0, momentum=0.0, weight_decay=0.0, gradient_clip=1.0, warmup_fraction=0.0
    )

    build_optimizer(recipe, 10, weights, "float32").apply([np.full(1, 3.0, np.float32), np.full(1, 4.0, np.float32)])

    assert [float(weight.numpy()[0]) for weight in weights] == pytest.approx([-0.6, -0.8])


def test_muon_turns_matrices_and_leaves_the_last_layer_to_adamw() -> None:
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(4, name="hidden"), keras.layers.Dense(3, name="logits")]
    )
    recipe = Recipe(optimizer="muon", learning_rate=1.0, weight_decay=0.0, warmup_fraction=0.0, gradient_clip=None)
    hidden, last = (model.get_layer(name).kernel for name in ("hidden", "logits"))
    before = [kernel.numpy() for kernel in (hidden, last)]
    random = np.random.default_rng(0)
    gradients = [random.normal(size=variable.shape).astype(np.float32) for variable in model.trainable_variables]

    build_optimizer(recipe, 10, model.trainable_variables, "float32").apply(gradients)

    turned, stepped = (kernel.numpy() - old for kernel, old in zip((hidden, last), before, strict=True))
    assert np.linalg.svd(turned, compute_uv=False) / (0.2 * np.sqrt(6)) == pytest.approx(np.ones(4), abs=0.35)
    np.testing.assert_allclose(np.abs(stepped), 1.0, rtol=1e-3)
