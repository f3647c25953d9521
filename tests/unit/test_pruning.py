"""Which weights a pruning takes away when, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.pruning import (
    CannotPrune,
    Kernel,
    Pruning,
    fits_two_of_four,
    magnitude_mask,
    scheduled_sparsity,
    two_of_four_mask,
)

STEM = Kernel("stem/kernel", "stem", "conv", (3, 3, 3, 8))
CONVOLUTION = Kernel("conv2/kernel", "conv2", "conv", (3, 3, 8, 16))
HIDDEN = Kernel("dense1/kernel", "dense1", "dense", (50, 20))
SECOND = Kernel("dense/kernel", "dense", "dense", (20, 20))
LOGITS = Kernel("logits/kernel", "logits", "dense", (20, 4))
NETWORK = [STEM, CONVOLUTION, HIDDEN, SECOND, LOGITS]

few_values = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 12), st.integers(1, 6)), elements=st.sampled_from([-2.0, -1.0, 0.0, 1.0, 3.0])
)
"""Kernels with many equal magnitudes."""


@given(few_values, st.floats(0.0, 0.99))
def test_the_smallest_magnitudes_go_and_their_share_is_met_to_within_one(weights: Any, sparsity: float) -> None:
    mask = magnitude_mask(weights, sparsity)

    gone, kept = np.abs(weights[~mask]), np.abs(weights[mask])
    assert kept.size >= 1
    assert gone.max(initial=0.0) <= kept.min()
    assert gone.size == min(round(sparsity * weights.size), weights.size - 1)


@given(few_values, st.floats(0.0, 0.99))
def test_masked_weights_have_the_same_mask_again(weights: Any, sparsity: float) -> None:
    mask = magnitude_mask(weights, sparsity)

    np.testing.assert_array_equal(magnitude_mask(np.where(mask, weights, 0), sparsity), mask)


def test_of_equal_magnitudes_the_first_stay() -> None:
    weights = np.array([[1, -1], [1, 2], [-1, 1]], np.float32)

    np.testing.assert_array_equal(magnitude_mask(weights, 0.5).astype(int), [[1, 1], [0, 1], [0, 0]])


def test_two_of_each_four_along_a_dense_kernels_inputs_stay() -> None:
    weights = np.array([[1, 5], [-4, 5], [3, -5], [2, 5], [0, 0], [0, 0], [0, 7], [1, 0]], np.float32)

    np.testing.assert_array_equal(
        two_of_four_mask(weights).astype(int), [[0, 1], [1, 1], [1, 0], [0, 0], [1, 1], [0, 0], [0, 1], [1, 0]]
    )


def test_two_of_each_four_along_a_convolutions_inputs_stay_at_every_place_and_output() -> None:
    weights = np.random.default_rng(0).normal(size=(3, 3, 8, 5)).astype(np.float32)
    mask = two_of_four_mask(weights)

    groups = np.abs(weights).reshape(3, 3, 2, 4, 5), mask.reshape(3, 3, 2, 4, 5)
    assert (groups[1].sum(axis=3) == 2).all()
    gone, kept = (np.where(chosen, groups[0], fill) for chosen, fill in ((~groups[1], -1.0), (groups[1], np.inf)))
    assert (gone.max(axis=3) < kept.min(axis=3)).all()
    np.testing.assert_array_equal(two_of_four_mask(np.where(mask, weights, 0)), mask)


def test_a_kernel_whose_inputs_are_no_whole_fours_is_left_alone_by_the_pattern() -> None:
    pruning = Pruning(pattern="2:4")

    assert list(pruning.chosen(NETWORK).values()) == [0.5, 0.5]
    assert list(pruning.chosen(NETWORK)) == [CONVOLUTION, SECOND]
    assert pruning.left_alone(NETWORK) == [HIDDEN]
    assert not Pruning(0.5).left_alone(NETWORK)
    assert not fits_two_of_four((8,))


def test_the_sparsity_rises_as_zhu_and_gupta_have_it() -> None:
    rises = [scheduled_sparsity(update, 4, 0.1, 0.9) for update in range(5)]

    assert rises == pytest.approx([0.1, 0.9 - 0.8 * 0.75**3, 0.9 - 0.8 / 8, 0.9 - 0.8 / 64, 0.9])
    assert scheduled_sparsity(0, 0, 0.1, 0.9) == 0.9


@pytest.mark.parametrize(
    ("begin", "end", "interval", "steps"),
    [
        (0.0, 0.5, 10, [0, 10, 20, 30, 40, 50]),
        (0.1, 0.5, 15, [10, 25, 40]),
        (0.2, 0.3, 50, [20, 30]),
        (0.4, 0.4, 50, [40]),
        (1.0, 1.0, 50, [100]),
    ],
)
def test_masks_are_made_at_every_interval_and_last_before_the_end(
    begin: float, end: float, interval: int, steps: list[int]
) -> None:
    pruning = Pruning(0.8, begin=begin, end=end, interval=interval)
    weights = np.random.default_rng(0).normal(size=(10, 10))

    assert list(pruning.update_steps(100)) == steps
    assert pruning.mask(weights, 0.8, 100, 100).sum() == pruning.mask(weights, 0.8, steps[-1], 100).sum() == 20
    assert pruning.mask(weights, 0.8, steps[0] - 1, 100).all()


def test_the_first_layer_and_the_logits_are_pruned_only_when_named() -> None:
    assert list(Pruning(0.8).chosen(NETWORK)) == [CONVOLUTION, HIDDEN, SECOND]
    assert list(Pruning(0.8, ("dense",)).chosen(NETWORK)) == [HIDDEN, SECOND]
    assert list(Pruning(0.8, ("dense", "logits", "stem")).chosen(NETWORK)) == [STEM, HIDDEN, SECOND, LOGITS]


def test_a_layer_that_keras_called_as_its_kind_is_no_layer_that_was_named() -> None:
    last = Kernel("dense/kernel", "dense", "dense", (20, 4))

    assert list(Pruning(0.8, ("dense",)).chosen([STEM, HIDDEN, last])) == [HIDDEN]


def test_a_layers_own_sparsity_goes_before_its_kinds() -> None:
    pruning = Pruning({"dense": 0.9, "dense1": 0.6}, ("dense", "dense1"))

    assert pruning.chosen(NETWORK) == {HIDDEN: 0.6, SECOND: 0.9}


def test_a_pruning_is_the_same_from_a_jobs_spec() -> None:
    pruning = Pruning({"dense": 0.9, "conv": 0.6}, interval=20)

    assert Pruning.from_dict(json.loads(json.dumps(dataclasses.asdict(pruning)))) == pruning
    assert Pruning.from_dict({"sparsity": 0.8}) == Pruning(0.8)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "Pruning needs a sparsity"),
        ({"sparsity": 1.0}, "The sparsity 1.0 cannot be"),
        ({"sparsity": {"dense": 0}}, "The sparsity 0 cannot be"),
        ({"sparsity": float("nan")}, "The sparsity nan cannot be"),
        ({"sparsity": "most"}, "The sparsity 'most' cannot be"),
        ({"sparsity": {"conv": 0.5}, "layers": ["dense"]}, "'conv', which is not among the layers"),
        ({"sparsity": 0.5, "layers": []}, "give at least one name"),
        ({"sparsity": 0.5, "layers": "dense"}, "give a list of names"),
        ({"sparsity": 0.5, "initial_sparsity": 0.6}, "The initial sparsity 0.6 cannot be"),
        ({"sparsity": 0.5, "begin": 0.5, "end": 0.4}, "Pruning from 0.5 to 0.4"),
        ({"sparsity": 0.5, "interval": 0}, "The interval 0"),
        ({"pattern": "1:4"}, "There is no pattern '1:4'"),
        ({"pattern": "2:4", "sparsity": 0.5}, "leave sparsity out"),
        ({"sparcity": 0.5}, "Pruning has no key 'sparcity'"),
    ],
)
def test_what_is_no_pruning_is_refused_in_a_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CannotPrune, match=sentence):
        Pruning.from_dict(values)


@pytest.mark.parametrize(
    ("pruning", "network", "sentence"),
    [
        (Pruning(0.5, ("dense9",)), NETWORK, "no layer 'dense9' that could be pruned; it has conv2, dense1, logits"),
        (Pruning({"dense": 0.5}, ("dense", "conv")), NETWORK, "'conv2' has no sparsity"),
        (Pruning(0.5, ("conv",)), [STEM, HIDDEN, LOGITS], "no layer of conv between"),
        (Pruning(pattern="2:4"), [STEM, HIDDEN, LOGITS], "inputs in whole fours"),
    ],
)
def test_what_does_not_fit_the_network_is_refused_in_a_sentence(
    pruning: Pruning, network: list[Kernel], sentence: str
) -> None:
    with pytest.raises(CannotPrune, match=sentence):
        pruning.chosen(network)
