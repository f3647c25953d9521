"""What strikes a study of the campaign follows from the seed and the study, and from nothing else."""

from __future__ import annotations

from fast_motion.schedule import Missed, Strike, Tempo, chosen, schedule

FAULTS = ["kill worker", "freeze worker", "disk full"]
TEMPO = Tempo(between=0.3, lasting=0.7, strikes=200)


def struck(key: str) -> list[Strike]:
    return list(schedule(key, FAULTS, TEMPO))


def test_a_seed_and_a_study_are_struck_the_same_again() -> None:
    assert struck("7/12") == struck("7/12")


def test_another_seed_and_another_study_are_struck_otherwise() -> None:
    assert struck("7/12") != struck("8/12")
    assert struck("7/12") != struck("7/13")


def test_a_study_is_left_in_peace_after_so_many_strikes() -> None:
    assert [strike.number for strike in struck("0/0")] == list(range(1, 201))


def test_every_fault_comes_and_none_lasts_for_ever() -> None:
    strikes = struck("0/0")
    assert {strike.fault for strike in strikes} == set(FAULTS)
    assert all(0 < strike.seconds <= 4 * TEMPO.lasting for strike in strikes)


def test_a_strike_befalls_one_of_what_there_is_or_misses() -> None:
    strikes = struck("0/0")
    assert {chosen("abc", strike) for strike in strikes} == {0, 1, 2}
    try:
        chosen("", strikes[0])
    except Missed:
        return
    raise AssertionError("there was nothing to befall")
