from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.measurement.evaluation import accuracy, guesses, label_ranks, wilson_interval


def test_top1_and_top5_count_the_images_whose_label_comes_early_enough() -> None:
    logits = np.tile(np.arange(10.0), (4, 1))  # class 9 first, class 0 last
    result = accuracy(logits, np.array([9, 8, 5, 4]))
    assert (result.top1, result.top5, result.images) == (0.25, 0.75, 4)
    assert result.top1_interval == wilson_interval(1, 4)


def test_of_equal_logits_the_lower_class_goes_first() -> None:
    assert label_ranks(np.zeros((3, 3)), np.array([0, 1, 2])).tolist() == [0, 1, 2]


def test_an_image_with_a_nan_among_its_logits_counts_as_wrong_for_top1_and_top5() -> None:
    logits = np.array([[9.0, np.nan, 0.0], [9.0, 1.0, 0.0]])
    result = accuracy(logits, np.array([0, 0]))
    assert (result.top1, result.top5) == (0.5, 0.5)


def test_the_guess_is_the_class_of_rank_0_and_none_where_a_logit_is_nan() -> None:
    logits = np.array([[0.0, 2.0, 1.0], [1.0, 1.0, 0.0], [np.nan, 1.0, 0.0]])
    first, second, none = guesses(logits).tolist()
    assert (first, second) == (1, 0) and none > 65_535


def test_an_infinite_logit_still_ranks() -> None:
    assert label_ranks(np.array([[np.inf, 1.0, -np.inf]]), np.array([2])).tolist() == [2]


def test_labels_of_uint8_as_data_sets_store_them_give_the_same_accuracy() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 10))
    labels = np.arange(50) % 10
    assert accuracy(logits, labels.astype(np.uint8)) == accuracy(logits, labels)


@pytest.mark.parametrize(
    ("logits", "labels"),
    [((0, 10), (0,)), ((3, 10), (2,)), ((3,), (3,)), ((3, 10), (3, 1))],
)
def test_arrays_that_do_not_belong_together_are_refused_with_their_shapes(
    logits: tuple[int, ...], labels: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="logits"):
        accuracy(np.zeros(logits), np.zeros(labels, int))


def test_a_label_beyond_the_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 10, but the logits have 10 classes"):
        accuracy(np.zeros((2, 10)), np.array([0, 10]))


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilsons_interval_agrees_with_published_values(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 10_000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_wilsons_interval_lies_within_0_and_1_and_holds_the_share(counts: tuple[int, int]) -> None:
    low, high = wilson_interval(*counts)
    assert 0.0 <= low <= counts[0] / counts[1] + 1e-12
    assert counts[0] / counts[1] - 1e-12 <= high <= 1.0
