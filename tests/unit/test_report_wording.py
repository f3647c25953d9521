from __future__ import annotations

import pytest

from orchestrator.report import wording


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1.00 kB"),
        (98_400, "98.4 kB"),
        (999_960, "1.00 MB"),
        (94.2e6, "94.2 MB"),
    ],
)
def test_bytes_are_written_in_decimal_units_with_three_digits(count: float, text: str) -> None:
    assert wording.size(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01234, "0.0123"), (0.312, "0.312"), (0.9996, "1.00"), (3.125, "3.12"), (31.25, "31.2"), (1234.0, "1,234")],
)
def test_milliseconds_have_three_significant_digits_and_no_exponent(value: float, text: str) -> None:
    assert wording.milliseconds(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (42.4, "42 s"), (59.7, "1 min 0 s"), (200, "3 min 20 s"), (7_260, "2 h 1 min")],
)
def test_durations_are_written_in_the_units_people_use(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


def test_a_missing_figure_is_a_dash_and_never_a_zero() -> None:
    for show in (wording.percent, wording.points, wording.size, wording.milliseconds, wording.factor, wording.whole):
        assert show(None) == wording.MISSING


def test_a_difference_always_carries_its_sign() -> None:
    assert wording.points(0.0123) == "+1.2" and wording.points(-0.0123) == "\N{MINUS SIGN}1.2"


def test_lists_are_read_out_as_a_person_would() -> None:
    assert [wording.listed(items) for items in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
