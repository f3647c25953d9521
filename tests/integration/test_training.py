"""What a trainer does, refuses and keeps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from models import datasets
from models.datasets import Split
from models.recipes import Augmentation, Recipe, Training, Visit
from models.training.trainer import (
    Diverged,
    Progress,
    StateMismatch,
    Trainer,
    TrainState,
    _CallLength,
    inference_weights,
    load_weights,
    network_weights,
    weights_digest,
)
from tests.support import exact_training
from tests.support.exact_training import VISIT, convolutional, run, shard


def trainer(network: str, precision: str = "float32", **changes: Any) -> Trainer:
    """A fresh trainer that only flips images: every change more costs seconds of tracing in each of these tests."""
    return exact_training.trainer(network, precision, **{"augmentation": Augmentation(), **changes})


def small_network(keras: Any, image_shape: tuple[int, int, int] = (32, 32, 3), classes: int = 10) -> Any:
    layers = keras.layers
    pixels = keras.Input(image_shape)
    x = layers.AveragePooling2D(4)(layers.Rescaling(1 / 128, offset=-1)(pixels))
    return keras.Model(pixels, layers.Dense(classes)(layers.Flatten()(x)))


@dataclass(frozen=True)
class Whole:
    """A training that has come to its visit's end."""

    trainer: Trainer
    first: TrainState
    first_digest: str
    """Of `first`, taken before the first step."""
    progress: tuple[Progress, ...]
    last: TrainState


@pytest.fixture(scope="module")
def whole() -> Whole:
    """Calls of seven steps.  What a test does with the trainer ends at the visit's end again."""
    current = trainer("convolutional")
    first = current.state()
    digest = weights_digest(first)
    progress = tuple(current.advance(shard(), VISIT, steps_per_call=7))
    return Whole(current, first, digest, progress, current.state())


@pytest.fixture(scope="module")
def untrained() -> Trainer:
    """For what is refused, and so changes nothing."""
    return trainer("convolutional")


@dataclass(frozen=True)
class Averaged:
    """The end of a training with a moving average of its weights, and that average as it was reckoned by hand."""

    state: TrainState
    expected: dict[str, Any]


@pytest.fixture(scope="module")
def averaged() -> Averaged:
    current = trainer("convolutional", ema=0.6)
    expected = {key: array.astype(np.float64) for key, array in network_weights(current.model).items()}
    for step, _ in enumerate(current.advance(shard(), VISIT, steps_per_call=1), start=1):
        decay = min(0.6, (1 + step) / (10 + step))
        for key, array in network_weights(current.model).items():
            expected[key] = decay * expected[key] + (1 - decay) * array
    return Averaged(current.state(), expected)


def test_two_passes_over_the_synthetic_images_teach_a_small_network_nine_in_ten() -> None:
    data = datasets.load("synthetic")
    recipe = Recipe(batch_size=50, learning_rate=5e-3, augmentation=Augmentation(flip=False))
    part = datasets.subset(data.train, 2_500, seed=0)
    visit = Visit(0, 2, 0, 2 * recipe.steps_per_epoch(len(part)))
    current = Trainer(Training("small", recipe, 0, 10, (32, 32, 3), visit.steps), build=small_network)

    losses = [progress.loss for progress in current.advance(part, visit)]

    correct = current.model.predict(data.test.images.astype(np.float32), verbose=0).argmax(1) == data.test.labels
    assert losses[-1] < losses[0]
    assert correct.mean() > 0.9


def test_what_a_network_adds_to_the_loss_is_trained_on() -> None:
    def norm(penalty: float) -> float:
        def penalized(keras: Any, image_shape: tuple[int, int, int] = (16, 16, 3), classes: int = 4) -> Any:
            pixels = keras.Input(image_shape)
            x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
            return keras.Model(
                pixels, keras.layers.Dense(classes, kernel_regularizer=keras.regularizers.L2(penalty))(x)
            )

        state = run(Trainer(trainer("convolutional").training, build=penalized), VISIT.last_step)
        return sum(float(np.square(array).sum()) for key, array in state.arrays.items() if key.endswith("kernel"))

    assert norm(penalty=10.0) < 0.9 * norm(penalty=0.0)


def test_a_second_trainer_of_the_process_has_the_same_keys_and_first_weights(whole: Whole) -> None:
    first, second = whole.first, trainer("convolutional").state()

    assert list(first.arrays) == list(second.arrays)
    assert weights_digest(first) == weights_digest(second)


def test_a_trainer_goes_on_working_after_another_was_made(whole: Whole) -> None:
    first = whole.trainer
    first.restore(whole.first)
    run(first, 5)
    trainer("attention")

    assert weights_digest(run(first, VISIT.last_step)) == weights_digest(whole.last)


def test_a_state_is_a_copy_that_later_training_leaves_alone(whole: Whole) -> None:
    assert weights_digest(whole.first) == whole.first_digest != weights_digest(whole.last)


def test_progress_counts_steps_and_images_to_the_visits_end(whole: Whole) -> None:
    assert [report.step for report in whole.progress] == [7, 14, 18]
    assert [report.images for report in whole.progress] == [7 * 16, 7 * 16, 4 * 16]
    assert all(np.isfinite(report.loss) for report in whole.progress)


def test_where_steps_are_quick_a_call_takes_more_and_more_and_where_they_are_slow_one() -> None:
    quick, slow = _CallLength(), _CallLength()
    lengths = []
    for _ in range(6):
        lengths.append((quick.steps, slow.steps))
        quick.took(quick.steps, 0.001 * quick.steps)
        slow.took(slow.steps, 1.5 * slow.steps)
    assert lengths == [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (16, 1)]


def test_a_compilation_is_not_taken_for_slow_steps_for_long() -> None:
    length = _CallLength()
    length.took(1, 40.0)
    for _ in range(4):
        length.took(length.steps, 0.001 * length.steps)
    assert length.steps == 16


def test_a_shard_smaller_than_a_batch_is_one_batch() -> None:
    part = shard().take(np.arange(5))

    progress = list(trainer("convolutional").advance(part, Visit(0, 2, 0, 2), steps_per_call=16))

    assert [(report.step, report.images) for report in progress] == [(2, 10)]


def test_a_finished_visit_has_nothing_left_to_do(whole: Whole) -> None:
    assert list(whole.trainer.advance(shard(), VISIT)) == []


def test_a_state_outside_the_visit_is_refused(untrained: Trainer) -> None:
    later = dataclasses.replace(VISIT, first_step=5)

    with pytest.raises(ValueError, match="step 0, outside the visit of steps 5 to 23"):
        next(untrained.advance(shard(), later))


def test_a_visit_that_does_not_fit_the_shard_is_refused(untrained: Trainer) -> None:
    with pytest.raises(ValueError, match="2 passes over 20 images are 2"):
        next(untrained.advance(shard().take(np.arange(20)), VISIT))


@pytest.mark.parametrize(("size", "label"), [(8, 0), (16, 4)])
def test_a_shard_of_other_images_or_classes_is_refused(untrained: Trainer, size: int, label: int) -> None:
    other = Split.whole(np.zeros((150, size, size, 3), np.uint8), np.full(150, label))

    with pytest.raises(ValueError, match=f"images of .{size}, {size}, 3. in {label + 1} classes"):
        next(untrained.advance(other, VISIT))


def test_the_catalogue_builds_the_network_that_the_training_names() -> None:
    training = Training("tests.support.exact_training:attention", Recipe(), 0, 4, (16, 16, 3), total_steps=1)

    assert "model/multi_head_attention/query/kernel" in Trainer(training).state().arrays


def test_a_loss_that_is_no_number_stops_the_training_and_names_the_step() -> None:
    current = trainer("attention", optimizer="sgd", learning_rate=1e38, gradient_clip=None, warmup_fraction=0.0)

    with pytest.raises(Diverged, match=r"became nan at step \d+") as caught:
        list(current.advance(shard(), VISIT, steps_per_call=18))
    assert 1 < caught.value.step < 18


def test_every_model_optimizer_and_generator_variable_is_in_the_state(whole: Whole) -> None:
    keys = whole.first.arrays

    assert "model/batch_normalization/moving_mean" in keys
    assert "optimizer/iteration" in keys
    assert {key for key in keys if key.startswith("random/")} == {"random/0", "random/1"}


def test_the_digest_is_of_the_network_and_not_of_the_optimizer(whole: Whole) -> None:
    state = whole.first
    other_optimizer = {**state.arrays, "optimizer/iteration": np.array(7)}
    other_weights = {**state.arrays, "model/dense/bias": np.ones(4, np.float32)}

    assert weights_digest(TrainState(0, other_optimizer)) == weights_digest(state)
    assert weights_digest(TrainState(0, other_weights)) != weights_digest(state)


def test_the_moving_average_follows_the_weights_as_by_hand(averaged: Averaged) -> None:
    found = inference_weights(averaged.state)

    assert found.keys() == averaged.expected.keys()
    for key, array in found.items():
        np.testing.assert_allclose(array, averaged.expected[key], rtol=1e-3, atol=1e-5)
        assert array.dtype == averaged.state.arrays[key].dtype


def test_a_moving_average_leaves_the_training_as_it_is(averaged: Averaged, whole: Whole) -> None:
    assert all(np.array_equal(array, averaged.state.arrays[key]) for key, array in whole.last.arrays.items())


def test_the_digest_is_of_the_weights_that_are_evaluated(averaged: Averaged) -> None:
    state = averaged.state
    evaluated = TrainState(state.step, inference_weights(state))
    trained = TrainState(state.step, {key: array for key, array in state.arrays.items() if key.startswith("model/")})

    assert weights_digest(state) == weights_digest(evaluated) != weights_digest(trained)


@pytest.mark.slow
def test_an_average_is_kept_with_float16_arithmetic_too() -> None:
    state = run(trainer("attention", precision="mixed_float16", ema=0.9), 6)

    averaged = inference_weights(state)["model/dense/kernel"]
    assert np.isfinite(averaged).all() and not np.array_equal(averaged, state.arrays["model/dense/kernel"])


def test_a_state_of_another_network_is_refused_and_changes_nothing(untrained: Trainer) -> None:
    before = weights_digest(untrained.state())

    with pytest.raises(StateMismatch, match="does not fit this network"):
        untrained.restore(trainer("attention").state())
    assert weights_digest(untrained.state()) == before


def test_an_array_of_another_shape_is_refused_with_its_name(untrained: Trainer) -> None:
    arrays = untrained.state().arrays | {"model/dense/bias": np.zeros(5, np.float32)}

    with pytest.raises(StateMismatch, match=r"'model/dense/bias' is \(\(5,\), 'float32'\)"):
        untrained.restore(TrainState(3, arrays))
    assert untrained.step == 0


@pytest.mark.slow
def test_a_state_passes_between_float32_and_float16_arithmetic() -> None:
    single, mixed = trainer("attention"), trainer("attention", precision="mixed_float16")
    assert any(key.startswith("loss_scale/") for key in mixed.state().arrays)

    mixed.restore(run(single, 3))
    single.restore(run(mixed, 6))

    assert single.step == 6
    assert keras.config.dtype_policy().name == "float32"


def test_weights_are_put_into_a_network_by_name(whole: Whole) -> None:
    keras.utils.clear_session()
    network = convolutional(keras)

    load_weights(network, whole.last.arrays)

    images = shard().images[:8].astype(np.float32)
    np.testing.assert_array_equal(network.predict(images, verbose=0), whole.trainer.model.predict(images, verbose=0))


def test_two_layers_of_one_name_are_refused_with_the_name() -> None:
    weights = [SimpleNamespace(path="head/kernel"), SimpleNamespace(path="head/kernel")]

    with pytest.raises(StateMismatch, match="called 'model/head/kernel'"):
        load_weights(SimpleNamespace(weights=weights), {})


def test_a_split_of_the_same_images_in_another_order_gives_the_same_batches() -> None:
    """The order belongs to the images' indices, not to where they lie in a shard's file."""
    images = shard()
    mixed = np.random.default_rng(1).permutation(len(images))
    current = exact_training.trainer("attention")
    first = current.state()
    there = run(current, VISIT.last_step)
    current.restore(first)
    list(current.advance(images.take(mixed), VISIT))

    assert weights_digest(current.state()) == weights_digest(there)
