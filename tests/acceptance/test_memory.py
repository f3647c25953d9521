"""A worker that does hundreds of jobs needs no more memory at the end than at the beginning."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.home import Home
from orchestrator.jobs import JobState
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support.processes import resident_bytes, wait_until, workers

STUDY = Study.parse("""
name = "many"
dataset = "synthetic"
train_images = 200
test_images = 100
shards = 2

[training]
epochs = 80
epochs_per_visit = 1
threads = 1

[[models]]
architecture = "alexnet-tiny"
compress = []
""")
WARM, LAST = 50, 150
LARGEST_GROWTH = 16 << 20
"""Bytes over 100 jobs.  One state of this network more for each of them would be 100 MB."""


@pytest.mark.slow
def test_a_hundred_jobs_leave_no_memory_behind(tmp_path: Path) -> None:
    home = Home.open(publish(STUDY, tmp_path / "home", None).home)
    with workers(home.url, tmp_path) as start:
        worker = start()
        wait_until(lambda: done(home) >= WARM, f"{WARM} jobs")
        processes = (worker.process.pid, worker.runner_pid())
        before = [resident_bytes(pid) for pid in processes]
        wait_until(lambda: done(home) >= LAST, f"{LAST} jobs")
        after = [resident_bytes(pid) for pid in processes]
        worker.wait()
    assert all(late - early < LARGEST_GROWTH for early, late in zip(before, after, strict=True)), (before, after)
    assert len({attempt.worker for attempt in home.jobs.attempts()}) == 1
    told = worker.log.read_text()
    assert told.count("begins") == 1, "all of it is one chain, gone on with from memory"
    assert told.count("goes on from it") > LAST / 10


def done(home: Home) -> int:
    return home.jobs.overview().counts[JobState.DONE]
