"""What a student learns from a teacher, and what becomes of the teacher: nothing.

That a training with a teacher ends in the same bits however often it stops is proved in `test_training_is_exact`.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest

from models.recipes import Augmentation, Training
from models.training.distillation import CannotTeach, Teacher, distilled_loss
from models.training.trainer import Trainer, network_weights
from tests.support import exact_training
from tests.support.exact_training import VISIT, convolutional, run, shard


def trainer(teacher: Teacher | None, **changes: Any) -> Trainer:
    """A fresh trainer of a network without dropout; it only flips images, which is traced quickly."""
    recipe = exact_training.RECIPE.replace(augmentation=Augmentation(crop_padding=0), **changes)
    training = Training("student", recipe, 0, 4, (16, 16, 3), VISIT.steps)
    return Trainer(training, build=student, teacher=teacher)


def student(keras: Any, image_shape: tuple[int, int, int] = (16, 16, 3), classes: int = 4) -> Any:
    layers = keras.layers
    pixels = keras.Input(image_shape)
    x = layers.AveragePooling2D(4)(layers.Rescaling(1 / 128, offset=-1)(pixels))
    return keras.Model(pixels, layers.Dense(classes)(layers.Flatten()(x)))


def log_shares(logits: Any, temperature: float) -> Any:
    scaled = logits.astype(np.float64) / temperature
    return scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))


@pytest.mark.parametrize(("temperature", "weight"), [(1.0, 0.5), (4.0, 0.9), (2.5, 1.0)])
def test_the_loss_is_hintons(temperature: float, weight: float) -> None:
    logits, soft = np.random.default_rng(0).normal(size=(2, 5, 10)).astype(np.float32) * 3
    ours, theirs = log_shares(logits, temperature), log_shares(soft, temperature)
    divergence = (np.exp(theirs) * (theirs - ours)).sum(axis=1).mean()

    found = distilled_loss(keras.ops, np.float32(1.5), logits, soft, temperature, weight)

    assert float(found) == pytest.approx((1 - weight) * 1.5 + weight * temperature**2 * divergence, rel=1e-5)


def test_a_step_asks_the_teacher_about_the_very_images_that_the_student_sees() -> None:
    """A student that begins as its teacher has nothing to learn from it: with other images, it would have."""
    teacher = Teacher(trainer(None).model, 4.0, 1.0)
    first = next(trainer(teacher).advance(shard(), VISIT, steps_per_call=1))

    assert first.loss == pytest.approx(0.0, abs=1e-6)


def test_a_student_comes_near_its_teacher() -> None:
    keras.utils.set_random_seed(7)
    teacher = Teacher(student(keras), 4.0, 1.0)
    images = shard().images.astype(np.float32)

    def distance(model: Any) -> float:
        ours, theirs = (log_shares(np.asarray(network(images)), 1.0) for network in (model, teacher.network))
        return float(np.abs(ours - theirs).mean())

    learning = trainer(teacher, learning_rate=3e-2)
    before = distance(learning.model)
    losses = [progress.loss for progress in learning.advance(shard(), VISIT, steps_per_call=3)]

    assert losses[-1] < 0.3 * losses[0]
    assert distance(learning.model) < 0.7 * before


def test_a_teacher_stays_as_it_is_and_is_no_part_of_the_state() -> None:
    """This one has dropout and batch norm, which a network that trains would move."""
    teaching = exact_training.trainer("convolutional").model
    before = network_weights(teaching)
    taught = trainer(Teacher(teaching, 4.0, 0.5))

    state = run(taught, VISIT.last_step, steps_per_call=16)

    assert state.arrays.keys() == trainer(None).state().arrays.keys()
    after = network_weights(teaching)
    assert all(np.array_equal(after[key], array) for key, array in before.items())


def test_a_teacher_of_other_images_or_classes_is_refused() -> None:
    with pytest.raises(CannotTeach, match=r"images of \(16, 16, 3\) in 5 classes and the student \(16, 16, 3\) in 4"):
        trainer(Teacher(convolutional(keras, classes=5), 4.0, 0.5))
    with pytest.raises(CannotTeach, match=r"images of \(32, 32, 3\)"):
        trainer(Teacher(convolutional(keras, image_shape=(32, 32, 3)), 4.0, 0.5))


@pytest.mark.parametrize(
    ("temperature", "weight", "sentence"),
    [
        (0.0, 0.5, "The temperature 0.0 cannot be"),
        (math.inf, 0.5, "The temperature inf cannot be"),
        (4.0, 0.0, "The teacher's weight 0.0 cannot be"),
        (4.0, 1.5, "The teacher's weight 1.5 cannot be"),
    ],
)
def test_a_teacher_that_cannot_be_is_refused(temperature: float, weight: float, sentence: str) -> None:
    with pytest.raises(CannotTeach, match=sentence):
        Teacher(None, temperature, weight)
