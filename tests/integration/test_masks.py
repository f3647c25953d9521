"""What a trainer prunes, keeps and refuses; which weights go when is `tests/unit/test_pruning`.

That masks end in the same bits however often a training stops is proved in `test_training_is_exact`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest

from models.architectures import catalog
from models.pruning import CannotPrune, Pruning
from models.recipes import Augmentation, Training
from models.training.masks import kernels
from models.training.trainer import MASK, StateMismatch, Trainer, TrainState, load_weights, network_weights
from tests.support import exact_training
from tests.support.architectures import each
from tests.support.exact_training import VISIT, run, shard

PRUNING = exact_training.PRUNING
PRUNED = "conv2d_1/kernel"
"""The kernel of the small convolutional network between its first layer and its logits."""


def trainer(pruning: Pruning | None = PRUNING, network: str = "convolutional", **changes: Any) -> Trainer:
    """A fresh trainer that only flips images: every change more costs seconds of tracing in each of these tests."""
    recipe = exact_training.RECIPE.replace(augmentation=Augmentation(), **changes)
    training = Training(network, recipe, 0, 4, (16, 16, 3), VISIT.steps)
    return Trainer(training, build=exact_training.NETWORKS[network], pruning=pruning)


@dataclass(frozen=True)
class Whole:
    """A pruned training, with a moving average besides, at its visit's end."""

    gone: dict[int, Any]
    """By step, which weights of the pruned kernel were zero."""
    end: TrainState


@pytest.fixture(scope="module")
def whole() -> Whole:
    current = trainer(ema=0.9)
    gone = {}
    for progress in current.advance(shard(), VISIT, steps_per_call=2):
        gone[progress.step] = current.state().arrays["model/" + PRUNED] == 0
    return Whole(gone, current.state())


def zeros(state: TrainState, key: str) -> int:
    return int(np.count_nonzero(state.arrays[key] == 0))


def test_a_kernel_loses_its_weights_by_the_schedule_and_never_gets_them_back(whole: Whole) -> None:
    gone = whole.gone
    size = gone[2].size
    assert {step: int(zero.sum()) for step, zero in gone.items()} == {
        step: round(size * 0.8 * (1 - (1 - min(step // 4, 3) / 3) ** 3)) for step in range(2, VISIT.last_step + 1, 2)
    }
    assert all((gone[step + 2] >= gone[step]).all() for step in range(2, VISIT.last_step, 2))


def test_at_the_end_exactly_what_was_asked_for_is_zero_and_nothing_else_is_pruned(whole: Whole) -> None:
    end = whole.end
    size = end.arrays["model/" + PRUNED].size
    assert [key for key in end.arrays if key.startswith(MASK)] == [MASK + PRUNED]
    for prefix in ("model/", "average/"):
        np.testing.assert_array_equal(end.arrays[prefix + PRUNED] != 0, end.arrays[MASK + PRUNED])
        assert zeros(end, prefix + PRUNED) == round(0.8 * size)
        assert not any(zeros(end, f"{prefix}{layer}/kernel") for layer in ("conv2d", "dense"))


def test_masks_that_are_due_at_the_last_step_are_applied_to_what_was_trained() -> None:
    once = Pruning(0.8, begin=1.0, end=1.0)

    end = run(trainer(once), VISIT.last_step, steps_per_call=16)

    assert zeros(end, "model/" + PRUNED) == round(0.8 * end.arrays["model/" + PRUNED].size)


@pytest.mark.parametrize(
    "pruning", [PRUNING, pytest.param(Pruning(pattern="2:4"), marks=pytest.mark.slow)], ids=["prune", "prune-2:4"]
)
def test_a_state_with_masks_comes_back_bit_for_bit(pruning: Pruning) -> None:
    restored, fresh = trainer(pruning), trainer(pruning)
    state = run(restored, 5)
    # One of the two has made masks of its own already.
    run(restored, 9)
    for current in (restored, fresh):
        current.restore(state)
        assert exact_training.digest(current.state()) == exact_training.digest(state)

    assert exact_training.digest(run(fresh, VISIT.last_step)) == exact_training.digest(run(restored, VISIT.last_step))


def test_a_training_without_masks_is_the_start_of_one_with_masks() -> None:
    dense = run(trainer(None), 9)
    begun, restored = trainer(Pruning(0.8, end=0.0)), trainer()
    load_weights(begun.model, dense.arrays)
    restored.restore(dense)

    begun_at_once = run(begun, 1)

    size = dense.arrays["model/" + PRUNED].size
    assert zeros(begun_at_once, "model/" + PRUNED) == round(0.8 * size)
    kept = np.abs(dense.arrays["model/" + PRUNED])[begun_at_once.arrays[MASK + PRUNED]]
    assert kept.min() >= np.sort(np.abs(dense.arrays["model/" + PRUNED]), axis=None)[round(0.8 * size)]
    assert zeros(restored.state(), "model/" + PRUNED) == round(size * 0.8 * (1 - (1 / 3) ** 3))


def test_a_state_with_masks_is_refused_by_a_training_that_prunes_otherwise(whole: Whole) -> None:
    with pytest.raises(StateMismatch, match="the network has no 'mask/conv2d_1/kernel'"):
        trainer(None, ema=0.9).restore(whole.end)
    with pytest.raises(StateMismatch, match="the state has no 'mask/conv2d/kernel'"):
        trainer(Pruning(0.8, ("conv", "conv2d")), ema=0.9).restore(whole.end)


def test_two_of_each_four_inputs_are_zero_from_the_first_step_to_the_last() -> None:
    current = trainer(Pruning(pattern="2:4"))
    first = network_weights(current.model)["model/" + PRUNED]
    masks = [current.state().arrays[MASK + PRUNED] for _ in current.advance(shard(), VISIT, steps_per_call=6)]

    end = current.state().arrays["model/" + PRUNED]
    groups = (end == 0).reshape(3, 3, 2, 4, 16)
    assert (groups.sum(axis=3) == 2).all()
    np.testing.assert_array_equal(masks[0], masks[-1])
    largest_two = np.sort(np.abs(first).reshape(3, 3, 2, 4, 16), axis=3)[:, :, :, 2:3]
    assert ((np.abs(first).reshape(groups.shape) >= largest_two) == ~groups).all()


@each()
def test_of_a_network_of_the_catalogue_all_but_the_ends_can_be_pruned(name: str) -> None:
    every = kernels(catalog.get(name).build(keras))

    chosen = list(Pruning(0.8).chosen(every))

    assert every[0].layer in ("conv1", "stem", "patches", "tokens_projection")
    assert every[-1].layer == "logits"
    assert chosen == every[1:-1]


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(CannotPrune, match="no layer 'fc7'"):
        trainer(Pruning(0.8, ("fc7",)))
