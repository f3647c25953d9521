from __future__ import annotations

import pytest

from orchestrator.jobs import Ending
from orchestrator.report.history import History, Turn, trace
from tests.support.report_jobs import attempt, compress, small_study, train


def test_steps_after_the_last_checkpoint_of_a_dead_worker_count_as_repeated() -> None:
    history = trace(*small_study())

    (death,) = history.deaths
    assert (death.worker, death.repeated_steps) == ("bob", 22)
    assert (history.repeated_steps, history.steps) == (22, 100 + 70 + 52)


def test_the_json_tells_who_died_where_and_what_it_cost() -> None:
    told = trace(*small_study()).to_json()

    assert (told["workers"], told["attempts"], told["repeated_steps"]) == (["ann", "bob"], 3, 22)
    (death,) = told["deaths"]
    assert (death["worker"], death["to_step"], death["repeated_steps"], death["waited"]) == ("bob", 70, 22, 60)


def test_the_steps_of_a_fine_tuning_count_as_those_of_a_training() -> None:
    job = compress("vit", method="prune")
    attempts = [
        attempt(job, 1, steps=(0, 40), outcome=Ending.EXPIRED),
        attempt(job, 2, started=80, seen=90, ended=90, steps=(30, 100)),
    ]

    history = trace([job], attempts)

    assert (history.repeated_steps, history.steps) == (10, 40 + 70)


def test_a_death_is_dated_by_the_last_sign_of_life_and_not_by_when_it_was_noticed() -> None:
    (death,) = trace(*small_study()).deaths

    assert (death.stopped, death.waited) == (18, 60)


def test_a_resume_from_the_very_last_step_repeats_nothing() -> None:
    job = train("vit")
    attempts = [
        attempt(job, 1, steps=(0, 40), outcome=Ending.RELEASED),
        attempt(job, 2, started=11, seen=20, ended=20, steps=(40, 100)),
    ]

    history = trace([job], attempts)

    assert history.repeated_steps == 0 and not history.deaths


def test_a_running_attempt_lasts_until_it_was_last_seen() -> None:
    job = train("vit")

    (turn,) = trace([job], [attempt(job, started=5, seen=9, ended=None, outcome=None)]).turns

    assert (turn.started, turn.stopped, turn.outcome) == (5, 9, None)


def test_attempts_at_jobs_of_an_earlier_plan_are_left_out() -> None:
    assert trace([train("vit")], [attempt(train("gone"))]).turns == ()


def test_workers_are_listed_by_first_appearance() -> None:
    jobs, attempts = small_study()

    assert trace(jobs, attempts[::-1]).workers == ("ann", "bob")


def second_beside(
    first: Ending, second: Ending, *, at_work: tuple[float, float], beside: tuple[float, float]
) -> tuple[History, Turn, Turn]:
    """A holder, late at step 60 of 100 from step 0, and a second attempt beside it from step 40 on."""
    job = train("vit")
    attempts = [
        attempt(job, 1, started=at_work[0], seen=at_work[1], ended=at_work[1], steps=(0, 60), outcome=first),
        attempt(
            job, 2, worker="bob", started=beside[0], seen=beside[1], ended=beside[1], steps=(40, 100), outcome=second
        ),
    ]
    history = trace([job], attempts)
    holder, beside_it = history.turns
    return history, holder, beside_it


@pytest.mark.parametrize(("first", "second"), [(Ending.DONE, Ending.SUPERSEDED), (Ending.SUPERSEDED, Ending.DONE)])
def test_what_a_second_attempt_beside_a_late_one_does_is_not_lost(first: Ending, second: Ending) -> None:
    history, *_ = second_beside(first, second, at_work=(0, 100), beside=(50, 100))
    assert history.repeated_steps == 0


def test_a_second_attempt_that_dies_beside_a_living_holder_costs_no_steps_and_no_waiting() -> None:
    history, _, death = second_beside(Ending.DONE, Ending.EXPIRED, at_work=(0, 100), beside=(50, 70))
    assert (history.repeated_steps, death.died, death.waited) == (0, True, None)


def test_a_holder_that_dies_while_a_second_attempt_is_at_work_costs_no_steps_and_no_waiting() -> None:
    history, death, _ = second_beside(Ending.EXPIRED, Ending.DONE, at_work=(0, 60), beside=(50, 100))
    assert (history.repeated_steps, death.died, death.waited) == (0, True, None)


def test_a_holder_that_was_dead_when_the_second_attempt_began_costs_its_last_steps() -> None:
    """It was late because it was dead, and nobody knew: its lease had not expired yet."""
    history, death, _ = second_beside(Ending.EXPIRED, Ending.DONE, at_work=(0, 45), beside=(50, 100))
    assert (history.repeated_steps, death.waited) == (20, 5)


def test_after_a_clock_that_was_set_back_what_was_lost_is_still_what_the_next_attempt_repeats() -> None:
    job = train("vit")
    attempts = [
        attempt(job, 1, started=5000, seen=5010, ended=3000, steps=(0, 70), outcome=Ending.FAILED),
        attempt(job, 2, started=3010, seen=3020, ended=3020, steps=(48, 100)),
    ]
    history = trace([job], attempts)
    assert history.repeated_steps == 22
    assert all(turn.stopped >= turn.started for turn in history.turns)
