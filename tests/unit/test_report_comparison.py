from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report.comparison import Estimate, difference, over_seeds, spread


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
