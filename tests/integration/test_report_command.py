"""What `orch report` makes of the files that benchmarks have left in a home."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import datasets
from models.predictions import NAME, Predictions
from orchestrator.commands.report import collect
from orchestrator.errors import StoreError
from orchestrator.home import Home
from orchestrator.jobs import Stage, WorkerInfo
from orchestrator.report.comparison import Paired, mcnemar
from orchestrator.study import Study
from tests.support import done_jobs
from tests.support.jobtable_backends import complete

TEST = datasets.subset(datasets.load("synthetic").test, 30, 0)


@pytest.fixture
def benchmarked(planned_home: Callable[[Study], Home], small_study: Study, tmp_path: Path) -> Home:
    """A study of which all is done, as a worker leaves it: float16 alone is wrong on three images of thirty."""
    home = planned_home(small_study)
    while lease := home.jobs.claim(WorkerInfo("worker", "host", "CPU")):
        outputs = {name: done_jobs.kept(home, name) for name in done_jobs.OUTPUTS[lease.stage]}
        if lease.stage is Stage.BENCHMARK:
            wrong = 3 if lease.spec["method"] == "float16" else 0
            Predictions.of(TEST, np.arange(30) < wrong).save(tmp_path / "said")
            outputs[NAME] = home.artifacts.put(tmp_path / "said")
        complete(home.jobs, lease, outputs, done_jobs.metrics(lease))
    return home


def path_of(home: Home, method: str) -> Path:
    job = next(job for job in home.jobs.jobs() if job.name == f"alexnet-tiny/seed0/benchmark/{method}")
    found = home.directory
    assert found is not None
    return next(path for path in found.rglob("*") if home.jobs.outputs(job.id)[NAME].sha256 in path.name)


def test_a_method_is_compared_with_float32_from_the_files_in_the_home(benchmarked: Home) -> None:
    results = collect(benchmarked)
    told = {row.method: row.against_float32 for row in results.rows}
    assert told == {"float32": None, "float16": Paired(3, 0, 30, mcnemar(3, 0))}
    assert results.problems == ()


@pytest.mark.parametrize("content", [b"", b"cut", None])
def test_predictions_that_are_damaged_or_gone_leave_the_rest_of_the_report(
    benchmarked: Home, content: bytes | None
) -> None:
    file = path_of(benchmarked, "float16")
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    results = collect(benchmarked)
    assert [row.against_float32 for row in results.rows] == [None, None]
    assert [row.top1 for row in results.rows] == [0.5, 0.5]
    (problem,) = results.problems
    assert problem.job == "alexnet-tiny/seed0/benchmark/float16"
    assert problem.what.startswith("The file of its predictions cannot be used, so it is not compared image by image: ")


def test_a_store_that_is_away_is_asked_once(benchmarked: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def away(_: object, artifact: Any, *__: Any) -> None:
        asked.append(artifact)
        raise StoreError("The store does not answer.")

    monkeypatch.setattr(type(benchmarked.artifacts), "fetch", away)
    results = collect(benchmarked)
    assert len(asked) == len(results.problems) == 1 and len(results.rows) == 2


def test_a_home_of_an_earlier_version_is_reported_as_before(
    planned_home: Callable[[Study], Home], small_study: Study
) -> None:
    home = planned_home(small_study)
    done_jobs.finish(home)
    results = collect(home)
    assert [row.against_float32 for row in results.rows] == [None, None] and results.problems == ()
