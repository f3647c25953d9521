"""Replicas become one, bit for bit the same whoever was first; and the next visits begin from it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from models.datasets import Split
from models.recipes import Augmentation, Outer
from models.training.averaging import OUTER, begin_visit, merge, recompute_statistics, with_statistics
from models.training.trainer import (
    AVERAGE,
    MODEL,
    OPTIMIZER,
    RANDOM,
    StateMismatch,
    Trainer,
    TrainState,
    inference_weights,
    load_weights,
    network_weights,
)
from tests.support import exact_training

NESTEROV = Outer("nesterov", learning_rate=0.7, momentum=0.9)


def state(*values: float, step: int = 4) -> TrainState:
    return TrainState(step, {f"{MODEL}w": np.array(values, np.float32), f"{OPTIMIZER}m": np.ones(2, np.float32)})


def weights(merged: TrainState) -> list[float]:
    return [float(value) for value in merged.arrays[f"{MODEL}w"]]


def test_the_mean_is_of_the_weights_alone_and_at_their_step() -> None:
    merged = merge([state(1, 2), state(3, 6)], None, Outer())
    assert (merged.step, set(merged.arrays), weights(merged)) == (4, {f"{MODEL}w"}, [2, 4])


def test_the_mean_of_one_is_itself_bit_for_bit() -> None:
    alone = TrainState(1, {f"{MODEL}w": np.random.default_rng(0).normal(size=1000).astype(np.float32)})
    assert merge([alone], None, Outer()).arrays[f"{MODEL}w"].tobytes() == alone.arrays[f"{MODEL}w"].tobytes()


def test_the_mean_is_taken_in_float64() -> None:
    assert weights(merge([state(2**24), state(1), state(1)], None, Outer())) == [np.float32((2**24 + 2) / 3)]


def test_nesterov_goes_as_by_hand() -> None:
    before, momentum, expected = 1.0, 0.0, []
    for mean in (0.5, 0.2, 0.4):
        gradient = before - mean
        momentum = 0.9 * momentum + gradient
        before = before - 0.7 * (gradient + 0.9 * momentum)
        expected.append(before)
    merged, found = state(1.0), []
    for mean in (0.5, 0.2, 0.4):
        merged = merge([state(mean - 0.1), state(mean + 0.1)], merged, NESTEROV)
        found += weights(merged)
    assert found == pytest.approx(expected, rel=1e-5)
    assert merged.arrays[f"{OUTER}w"].dtype == np.float64


def test_replicas_at_different_steps_or_of_different_networks_are_refused() -> None:
    with pytest.raises(StateMismatch, match="steps 4 and 5"):
        merge([state(1), state(1, step=5)], None, Outer())
    with pytest.raises(StateMismatch, match="different networks"):
        merge([state(1), state(1, 2)], None, Outer())
    with pytest.raises(StateMismatch, match="that the round began with"):
        merge([state(1)], None, NESTEROV)


def test_whole_numbers_are_kept_and_must_agree() -> None:
    one, other = (TrainState(1, {f"{MODEL}count": np.array(count)}) for count in (2**60 + 1, 7))
    assert merge([one, one], one, NESTEROV).arrays[f"{MODEL}count"] == 2**60 + 1
    with pytest.raises(StateMismatch, match="'model/count', whole numbers"):
        merge([one, other], None, Outer())


def test_the_moving_average_becomes_the_mean_whichever_the_outer_optimizer() -> None:
    replicas = [
        TrainState(1, {f"{MODEL}w": np.full(2, weight, np.float32), f"{AVERAGE}w": np.full(2, average, np.float32)})
        for weight, average in ((1, 10), (3, 20))
    ]
    for outer in (Outer(), NESTEROV):
        assert merge(replicas, replicas[0], outer).arrays[f"{AVERAGE}w"].tolist() == [15, 15]


@pytest.fixture(scope="module")
def fresh() -> TrainState:
    return exact_training.trainer("convolutional").state()


def test_a_visit_begins_with_the_merged_weights_and_its_shards_own_optimizer(fresh: TrainState) -> None:
    own = TrainState(8, {key: array + 1 for key, array in fresh.arrays.items()})
    merged = TrainState(8, {key: array * 2 for key, array in fresh.arrays.items() if key.startswith(MODEL)})
    begun = begin_visit(fresh, merged, own, seed=0, shard=1)
    assert begun.step == 8 and begun.arrays.keys() == fresh.arrays.keys()
    for key, array in begun.arrays.items():
        if not key.startswith(RANDOM):
            expected = merged.arrays[key] if key.startswith(MODEL) else own.arrays[key]
            np.testing.assert_array_equal(array, expected)


def test_an_optimizer_that_begins_anew_stands_at_the_merged_step_of_its_schedule(fresh: TrainState) -> None:
    merged = TrainState(8, {key: array for key, array in fresh.arrays.items() if key.startswith(MODEL)})
    begun = begin_visit(fresh, merged, None, seed=0, shard=0)
    assert begun.arrays[f"{OPTIMIZER}iteration"] == 8
    moments = [key for key in begun.arrays if key.startswith(OPTIMIZER) and "momentum" in key]
    assert moments and all(not begun.arrays[key].any() for key in moments)


def test_dropout_differs_between_shards_and_rounds_and_is_the_same_again(fresh: TrainState) -> None:
    def generators(seed: int, step: int, shard: int) -> bytes:
        merged = TrainState(step, {key: array for key, array in fresh.arrays.items() if key.startswith(MODEL)})
        begun = begin_visit(fresh, merged, None, seed=seed, shard=shard)
        return b"".join(begun.arrays[key].tobytes() for key in sorted(begun.arrays) if key.startswith(RANDOM))

    assert generators(0, 8, 1) == generators(0, 8, 1) != b""
    assert len({generators(0, 8, 0), generators(0, 8, 1), generators(0, 16, 0), generators(1, 8, 0)}) == 4


def test_a_begun_visit_is_what_a_trainer_restores(fresh: TrainState) -> None:
    trainer = exact_training.trainer("convolutional")
    trainer.restore(begin_visit(fresh, None, None, seed=0, shard=1))
    assert trainer.step == 0


def normalised() -> tuple[Trainer, Split]:
    trainer = exact_training.trainer("convolutional")
    return trainer, exact_training.shard()


def test_statistics_become_those_of_the_network_as_it_is() -> None:
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.BatchNormalization(momentum=0.99)])
    images = np.random.default_rng(0).integers(0, 256, (64, 2, 2, 1), dtype=np.uint8)
    shard = Split(images, np.zeros(64, np.int64), np.arange(64))
    recompute_statistics(model, shard, images=64, batch=16)
    batches = images.reshape(4, 16, 2, 2, 1).astype(np.float64)
    (layer,) = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert float(layer.moving_mean.numpy()[0]) == pytest.approx(batches.mean(), rel=1e-5)
    assert float(layer.moving_variance.numpy()[0]) == pytest.approx(batches.var(axis=(1, 2, 3)).mean(), rel=1e-4)
    assert layer.momentum == 0.99


@keras.saving.register_keras_serializable("tests")
class Block(keras.layers.Layer):  # type: ignore[misc]
    """A layer of a person's own with a batch normalisation inside."""

    def __init__(self) -> None:
        super().__init__()
        self.normalisation = keras.layers.BatchNormalization()

    def call(self, images: Any, training: bool = False) -> Any:
        return self.normalisation(images, training=training)


def test_statistics_inside_of_a_layer_of_ones_own_are_recomputed_too() -> None:
    model = keras.Sequential([keras.Input((2, 2, 1)), Block()])
    images = np.full((64, 2, 2, 1), 7, dtype=np.uint8)
    recompute_statistics(model, Split(images, np.zeros(64, np.int64), np.arange(64)), images=64, batch=16)
    assert float(model.layers[0].normalisation.moving_mean.numpy()[0]) == pytest.approx(7.0)


def test_recomputing_statistics_twice_gives_the_same_bits_and_touches_nothing_else() -> None:
    states = []
    for _ in range(2):
        trainer, shard = normalised()
        before = trainer.state()
        recompute_statistics(trainer.model, shard, images=128, batch=32)
        states.append(trainer.state())
    first, second = (found.arrays for found in states)
    changed = {key for key in first if not np.array_equal(first[key], before.arrays[key])}
    assert all(np.array_equal(first[key], second[key]) for key in first)
    assert {key.rpartition("/")[2] for key in changed if key.startswith(MODEL)} == {"moving_mean", "moving_variance"}


def test_the_moving_average_gets_the_statistics_of_its_own_weights() -> None:
    trainer = exact_training.trainer("convolutional", ema=0.9, augmentation=Augmentation())
    images = exact_training.shard()
    state = exact_training.run(trainer, 6)
    found = with_statistics(trainer.model, state, images)
    load_weights(trainer.model, inference_weights(state))
    recompute_statistics(trainer.model, images)
    expected = network_weights(trainer.model)
    # The first normalisation stands before any dropout.
    name = "batch_normalization/moving_mean"
    np.testing.assert_array_equal(found.arrays[AVERAGE + name], expected[MODEL + name])
    assert not np.array_equal(found.arrays[AVERAGE + name], found.arrays[MODEL + name])
    changed = {key for key in state.arrays if not np.array_equal(found.arrays[key], state.arrays[key])}
    assert found.arrays.keys() == state.arrays.keys()
    assert {key.rpartition("/")[2] for key in changed} == {"moving_mean", "moving_variance"}


def test_a_network_without_batch_normalisation_is_left_as_it_is() -> None:
    trainer = exact_training.trainer("attention")
    before = trainer.state()
    recompute_statistics(trainer.model, exact_training.shard())
    assert all(np.array_equal(array, before.arrays[key]) for key, array in trainer.state().arrays.items())
