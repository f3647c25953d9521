from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.predictions import Predictions
from orchestrator.report.comparison import (
    Estimate,
    Paired,
    RightAnswers,
    Verdict,
    difference,
    mcnemar,
    over_seeds,
    paired,
    ratio_over_seeds,
    spread,
)


@st.composite
def estimates(draw: st.DrawFn) -> Estimate:
    low, value, high = sorted(draw(st.lists(st.floats(0, 1), min_size=3, max_size=3)))
    return Estimate(value, low, high)


def test_a_difference_of_two_symmetric_intervals_adds_their_widths_in_quadrature() -> None:
    result = difference(Estimate(0.60, 0.57, 0.63), Estimate(0.55, 0.51, 0.59))

    assert result.value == pytest.approx(0.05)
    assert (result.low, result.high) == pytest.approx((0.0, 0.10))


def test_newcombes_published_example_is_reproduced() -> None:
    # Newcombe 1998, table II, (a) 56/70 against 48/80, method 10: 0.0524 to 0.3339.
    first, second = Estimate(0.8, 0.6920, 0.8769), Estimate(0.6, 0.4904, 0.7004)

    result = difference(first, second)

    assert (result.low, result.high) == pytest.approx((0.0524, 0.3339), abs=2e-4)


@given(estimates(), estimates())
def test_a_difference_turned_round_is_its_mirror_image(first: Estimate, second: Estimate) -> None:
    there, back = difference(first, second), difference(second, first)

    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert there.low <= there.value <= there.high


def test_one_seed_keeps_its_own_interval() -> None:
    assert over_seeds([Estimate(0.6, 0.59, 0.61)]) == Estimate(0.6, 0.59, 0.61)


def test_seeds_that_disagree_widen_the_interval_to_students_t() -> None:
    seeds = [Estimate(value, value - 0.001, value + 0.001) for value in (0.58, 0.60, 0.62)]

    result = over_seeds(seeds)

    reach = 4.303 * 0.02 / math.sqrt(3)
    assert result is not None
    assert (result.value, result.low, result.high) == pytest.approx((0.6, 0.6 - reach, 0.6 + reach))


def test_seeds_that_agree_do_not_hide_that_the_test_set_is_finite() -> None:
    result = over_seeds([Estimate(0.6, 0.59, 0.61)] * 3)

    assert result is not None
    assert (result.low, result.high) == pytest.approx((0.59, 0.61))


def test_two_wildly_different_seeds_give_an_interval_that_stays_a_share() -> None:
    result = over_seeds([Estimate(0.1, 0.09, 0.11), Estimate(0.9, 0.89, 0.91)])

    assert result is not None
    assert (result.low, result.high) == (0.0, 1.0)


def test_a_single_value_has_no_standard_deviation() -> None:
    one, several = spread([0.6]), spread([0.5, 0.6, 0.7])

    assert one is not None and one.deviation is None
    assert several is not None and several.deviation == pytest.approx(0.1)
    assert spread([]) is None and over_seeds([]) is None


def test_a_published_example_of_the_paired_interval_is_reproduced() -> None:
    # Fagerland, Lydersen and Laake 2014, airway hyper-responsiveness: 1 against 7 of 21 children, -0.508 to -0.013.
    result = Paired(7, 1, 21, p=0.01).difference

    assert result.value == pytest.approx(-6 / 21)
    assert (result.low, result.high) == pytest.approx((-0.508, -0.013), abs=5e-4)


def test_where_mcnemars_test_finds_no_difference_the_paired_interval_takes_in_zero() -> None:
    assert mcnemar(7, 1) == pytest.approx(0.0703, abs=1e-4)
    assert Paired(7, 1, 21, mcnemar(7, 1)).difference.high == 0.0


@given(st.integers(0, 60), st.integers(0, 60), st.integers(120, 10_000))
def test_a_paired_interval_leaves_out_zero_only_where_mcnemars_test_finds_a_difference(
    first: int, second: int, images: int
) -> None:
    pair = Paired(first, second, images, mcnemar(first, second))

    assert pair.difference.low <= pair.difference.value <= pair.difference.high
    assert pair.p < 0.05 or not pair.difference.excludes_zero


@given(st.integers(0, 50), st.integers(0, 50))
def test_a_paired_difference_turned_round_is_its_mirror_image(first: int, second: int) -> None:
    p = mcnemar(first, second)
    there, back = Paired(first, second, 100, p).difference, Paired(second, first, 100, p).difference

    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))


@pytest.mark.parametrize(("worse", "better"), [(0.10, 0.10), (0.05, 0.12), (0.01, 0.002)])
def test_a_paired_interval_covers_the_true_difference_as_often_as_it_says(worse: float, better: float) -> None:
    random = np.random.default_rng(0)
    counts = random.multinomial(1000, (worse, better, 1 - worse - better), size=2000)
    intervals = (Paired(int(b), int(c), 1000, mcnemar(int(b), int(c))).difference for b, c, _ in counts)

    covered = [each.low <= better - worse <= each.high for each in intervals]

    assert np.mean(covered) > 0.935


def test_a_verdict_needs_the_whole_interval_on_one_side() -> None:
    assert Estimate(0.02, 0.01, 0.03).verdict() is Verdict.BETTER
    assert Estimate(-0.02, -0.03, -0.01).verdict() is Verdict.WORSE
    assert Estimate(0.02, 0.0, 0.04).verdict() is Verdict.OPEN
    assert Estimate(1.2, 1.1, 1.3).verdict(level=1.0) is Verdict.BETTER


def test_a_speed_over_seeds_has_students_interval_and_a_single_one_has_none() -> None:
    several = ratio_over_seeds([2.9, 3.0, 3.1])

    assert ratio_over_seeds([3.0]) is None and several is not None
    assert (several.low, several.high) == pytest.approx(
        (3 - 0.1 * 4.303 / math.sqrt(3), 3 + 0.1 * 4.303 / math.sqrt(3))
    )


def test_right_answers_are_kept_as_bits_and_compared_as_the_predictions_would_be() -> None:
    ranks = np.random.default_rng(1).integers(0, 3, size=(2, 1003)).astype(np.uint16)
    one, other = (RightAnswers.of(Predictions(each, "ab" * 32)) for each in ranks)

    pair = paired(one, other)

    assert pair is not None and one.bits.nbytes == 126
    right = ranks == 0
    assert (pair.only_first, pair.only_second) == (int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum()))
    assert paired(one, RightAnswers.of(Predictions(ranks[1], "cd" * 32))) is None, "other test images"
    assert paired(one, RightAnswers.of(Predictions(ranks[1][:1000], "ab" * 32))) is None, "not all of them"
