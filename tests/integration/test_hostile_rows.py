"""Whatever stands in any column of any row: every reader of the table shows it harmlessly, or refuses in a sentence."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orchestrator.commands import logs
from orchestrator.commands.report import collect, default_directory
from orchestrator.errors import OrchError
from orchestrator.home import Home
from orchestrator.jobs import (
    Artifact,
    Checkpoint,
    MeasuringDevices,
    Stage,
    WorkerInfo,
)
from orchestrator.planning.planner import make_plan
from orchestrator.planning.publishing import publish
from orchestrator.progress import terminal
from orchestrator.progress.summary import snapshot
from orchestrator.report import tables
from orchestrator.report.page import render
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.support.hostile import MARKER, columns, plant, values_for
from tests.support.jobtable_backends import complete

JOB = "alexnet-tiny/seed0/train/r00.s0"
ON_ONE_DEVICE = make_plan(Study.parse(SMALL))


@pytest.fixture(scope="module")
def half_done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with jobs in several states, with outputs, checkpoints, a failure and a benchmark's metrics."""
    directory = tmp_path_factory.mktemp("homes")
    each = SMALL.replace("[benchmark]", '[benchmark]\ndevices = "each"')
    home = Home.open(publish(Study.parse(each), directory / "home", None).home)
    with closing(home.jobs):
        while lease := home.jobs.claim(WorkerInfo("w1", "host", "CPU")):
            lease = home.jobs.renew(lease, {"step": 1, "steps": 6}, Checkpoint(1, kept(home, directory, lease.job)))
            if lease.stage is Stage.BENCHMARK:
                home.jobs.fail(lease, "it did not work\nTraceback")
                break
            name = "state" if lease.stage is Stage.TRAIN else "model"
            outputs = {name: kept(home, directory, lease.name), "log": kept(home, directory, f"log {lease.name}")}
            complete(home.jobs, lease, outputs, {"step": 6, "loss": 1.5, "weights_sha256": "ab" * 32, "device": "CPU"})
        lease = home.jobs.claim(WorkerInfo("w1", "host", "CPU"))
        assert lease is not None
        latencies = [{"batch": 1, "threads": 1, "p50": 1.0, "p90": 1.1, "p99": 1.2, "runs": 200, "speedup": 1.0}]
        measured = {"device": "CPU", "runtime": "LiteRT", "top1": 0.5, "top5": 0.9, "latencies": latencies}
        complete(home.jobs, lease, {}, measured)
        assert home.jobs.copy_benchmarks(MeasuringDevices("a Xeon", "a Xeon")) == 1
    with closing(sqlite3.connect(directory / "home" / "jobs.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the file alone is copied
    return directory / "home"


def kept(home: Home, directory: Path, text: str) -> Artifact:
    file = directory / "file"
    file.write_text(text)
    return home.artifacts.put(file)


def everything(home: Home, place: Path) -> None:
    """All that commands and a worker's supervisor make of a home, one after another, each whatever the others say."""
    jobs = home.jobs

    def status() -> None:
        study = jobs.study()
        if study is None:
            return
        seen = snapshot(study.name, home.url, jobs.overview())
        seen.to_json()
        shown(terminal.render(seen))
        shown(terminal.render_jobs(jobs.jobs()))

    def report() -> None:
        results = collect(home)
        results.to_json()
        tables.to_csv(results)
        tables.to_markdown(results)
        shown(tables.terminal(results))
        assert "<script>alert" not in render(results, ())
        assert default_directory(home, results.study).is_relative_to(place)

    def claim() -> None:
        lease = jobs.claim(WorkerInfo("w3", "host", "CPU"))
        if lease is None:
            return
        assert (place / lease.job).parent == place
        for artifact in lease.inputs.values():
            assert (place / artifact.sha256).parent == place
            home.artifacts.fetch(artifact, place / "fetched")
            home.artifacts.delete(Artifact("ab" * 32, 1, artifact.location))
        jobs.following(lease.job)
        jobs.release(lease)

    def copy() -> None:
        jobs.copy_benchmarks(MeasuringDevices("an EPYC", "a T4"))
        jobs.publish(ON_ONE_DEVICE, cautious=True)

    def log() -> None:
        assert "\x1b" not in logs.text(home, JOB)

    looks: list[Callable[[], object]] = [status, report, claim, copy, status, log]
    looks += [jobs.failure_statistics, jobs.data, jobs.attempts, jobs.referenced_locations, lambda: jobs.retry(JOB)]
    for look in looks:
        with suppress(OrchError):
            look()


def shown(renderable: Any) -> None:
    stream = StringIO()
    Console(file=stream, width=100).print(renderable)
    assert not {"\x1b", "\x9b", "\x00", "\u202e"} & set(stream.getvalue())


@pytest.mark.parametrize("every", [11, pytest.param(5, marks=pytest.mark.slow)])
@pytest.mark.parametrize("table", ["study", "jobs", "edges", "attempts", "checkpoints", "outputs", "data"])
def test_no_value_in_any_column_does_anything_but_stand_there(
    half_done: Path, tmp_path: Path, table: str, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("a person's own")
    place = tmp_path / "a" / "b" / "c"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    planted = 0
    columns_here = [column for name, column in columns(half_done / "jobs.db") if name == table]
    for number, column in enumerate(columns_here):
        for value in list(values_for(column))[number % every :: every]:
            shutil.rmtree(place / "home", ignore_errors=True)
            shutil.copytree(half_done, place / "home")
            if not plant(place / "home" / "jobs.db", table, column, value):
                continue
            planted += 1
            with suppress(OrchError):
                home = Home.open(place / "home")
                with closing(home.jobs):
                    everything(home, place)
            assert outside.read_text() == "a person's own"
    assert planted > len(columns_here)
    assert not list(tmp_path.rglob(MARKER))
    assert {path.name for path in place.iterdir()} <= {"home", "fetched"}
