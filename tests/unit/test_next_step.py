"""`orch` without a command says in a few lines what to do next."""

from __future__ import annotations

import dataclasses
from collections import Counter

from orchestrator.jobs import JobState
from orchestrator.progress.next_step import with_study, without_study
from orchestrator.progress.summary import Snapshot, WorkerProgress

PLANNED = Snapshot("mine", "/home/ann/mine.orch", Counter({JobState.READY: 2, JobState.BLOCKED: 6}), (), (), None, ())
WORKER = WorkerProgress("w1", "host", "CPU", "vit/seed0/train/r00.s0", 3.0, 50.0)


def test_where_nothing_is_one_is_told_how_to_begin() -> None:
    told = "\n".join(without_study(None))
    assert "orch init" in told and "orch demo" in told


def test_a_study_file_that_is_not_planned_wants_to_be() -> None:
    assert without_study("study.toml")[-1] == "Next: orch plan study.toml"


def test_a_planned_study_wants_a_worker() -> None:
    told = with_study(PLANNED)
    assert told[0] == "mine: 0 of 8 jobs done, and no worker has begun."
    assert "orch worker" in told[1]


def test_a_planned_study_on_drive_wants_a_cell() -> None:
    told = with_study(dataclasses.replace(PLANNED, home="gdrive://1abc"))
    assert "orch snippet --colab" in told[1]


def test_a_running_study_is_to_be_watched() -> None:
    running = dataclasses.replace(PLANNED, workers=(WORKER, dataclasses.replace(WORKER, job=None)), eta_seconds=3720.0)
    assert with_study(running) == [
        "mine: 0 of 8 jobs done, 1 worker at work, training for another 1 h 2 min.",
        "Next: orch status --watch",
    ]


def test_what_is_wrong_goes_first_and_takes_no_more_than_five_lines() -> None:
    wrong = dataclasses.replace(PLANNED, workers=(WORKER,), problems=tuple(f"problem {n}\nmore" for n in range(9)))
    told = with_study(wrong)
    assert len(told) == 5
    assert told[1] == "! problem 0 more"
    assert told[-1] == "All of it: orch status"


def test_a_study_that_is_done_wants_to_be_read() -> None:
    done = dataclasses.replace(PLANNED, counts=Counter({JobState.DONE: 8}), workers=(WORKER,))
    told = with_study(done)
    assert told[0] == "mine: 8 of 8 jobs done; nothing is left to do."
    assert "orch report" in told[1]
