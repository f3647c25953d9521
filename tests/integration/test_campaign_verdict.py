"""The campaign's verdict finds what it is there for: a campaign that finds nothing must not be one that cannot."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from fast_motion.files import Contents, LocalContents
from fast_motion.quick_worker import Access
from fast_motion.schedule import Blow
from fast_motion.verdict import Wrong, judge, lacks_what_was_taken_away, read

from orchestrator.artifacts import ArtifactDamaged, LocalStore
from orchestrator.jobs import Stage, WorkerInfo
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.sqlite import SqliteBackend
from tests.support.jobtable_backends import (
    complete,
    plan_of,
    planned_job,
)

BITS = {"a": "right"}


@dataclass
class Finished:
    """A site with one job, which is done."""

    jobs: JobTable
    contents: Contents
    database: Path
    files: LocalStore

    def access(self, worker: int) -> Access:
        raise AssertionError(f"worker {worker} would begin where the only job is done")

    def blows(self) -> dict[str, Blow]:
        return {}

    def change(self, statement: str) -> None:
        with sqlite3.connect(self.database) as table:
            table.execute(statement)


@pytest.fixture(name="site")
def fixture_site(tmp_path: Path) -> Iterator[Finished]:
    database, store = tmp_path / "jobs.db", LocalStore(tmp_path / "artifacts")
    with closing(JobTable(SqliteBackend(database), "here")) as jobs:
        jobs.create()
        jobs.publish(plan_of([planned_job("a", Stage.TRAIN)]))
        lease = jobs.claim(WorkerInfo("w1"))
        assert lease is not None
        (tmp_path / "state").write_text("the state of a")
        complete(jobs, lease, {"state": store.put(tmp_path / "state")}, {"weights_sha256": "right"})
        yield Finished(jobs, LocalContents(store), database, store)


def undone(site: Finished) -> None:
    site.change("UPDATE jobs SET state = 'ready', metrics = NULL")


def doubled(site: Finished) -> None:
    site.change(
        "INSERT INTO attempts (job, number, worker, host, device, started, seen, ended, from_step, to_step, outcome)"
        " SELECT job, 2, 'w2', host, device, started, seen, ended, from_step, to_step, outcome FROM attempts"
    )


def never_closed(site: Finished) -> None:
    site.change(
        "INSERT INTO attempts (job, number, worker, host, device, started, seen, from_step, to_step)"
        " SELECT job, 2, 'w2', host, device, started, seen, from_step, to_step FROM attempts"
    )


def without_its_file(site: Finished) -> None:
    (output,) = site.jobs.outputs(site.jobs.jobs()[0].id).values()
    site.contents.remove(output)


def with_an_altered_file(site: Finished) -> None:
    (output,) = site.jobs.outputs(site.jobs.jobs()[0].id).values()
    site.contents.change(output, lambda content: content[::-1])


def other_weights(site: Finished) -> None:
    site.change("""UPDATE jobs SET metrics = '{"weights_sha256": "wrong"}'""")


def without_weights(site: Finished) -> None:
    site.change("UPDATE jobs SET metrics = '{}'")


def test_a_study_that_came_out_as_undisturbed_has_no_findings(site: Finished) -> None:
    assert list(judge(site, BITS)) == []


@pytest.mark.parametrize(
    ("harm", "wrong"),
    [
        (undone, Wrong.LOST),
        (doubled, Wrong.DOUBLED),
        (never_closed, Wrong.OPEN_END),
        (without_its_file, Wrong.FILE_LOST),
        (with_an_altered_file, Wrong.FILE_LOST),
        (other_weights, Wrong.OTHER_BITS),
        (without_weights, Wrong.OTHER_BITS),
    ],
)
def test_every_kind_of_harm_is_found(harm: Callable[[Finished], None], wrong: Wrong, site: Finished) -> None:
    harm(site)
    assert wrong in {finding.wrong for finding in judge(site, BITS)}


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("Traceback (most recent call last):\n  File ...\nKeyError: 'x'\n", Wrong.TRACEBACK),
        ("10:00 w1 The home holds 'x' as a job's id, which no Orch writes: somebody ...\n", Wrong.FALSE_ALARM),
        ("orch: the table is in state 3, and was in state 4 before: somebody has restored it\n", Wrong.FALSE_ALARM),
    ],
)
def test_what_no_worker_may_say_is_found(said: str, wrong: Wrong, tmp_path: Path) -> None:
    (tmp_path / "w1.log").write_text(f"w1 works on a machine\n{said}")
    assert [finding.wrong for finding in read(tmp_path / "w1.log")] == [wrong]
    (tmp_path / "w2.log").write_text("w2 works on a machine\n")
    assert list(read(tmp_path / "w2.log")) == []


def test_a_job_that_failed_for_want_of_what_the_campaign_took_is_told_from_one_that_failed_of_itself(
    site: Finished, tmp_path: Path
) -> None:
    (job,) = site.jobs.jobs()
    (taken,) = site.jobs.outputs(job.id).values()
    site.contents.remove(taken)
    with pytest.raises(ArtifactDamaged) as refused:
        site.files.fetch(taken, tmp_path / "fetched")
    failed = dataclasses.replace(job, error=f"The input 'shard' cannot be used: {refused.value}")
    assert lacks_what_was_taken_away(failed, {taken.location})
    assert not lacks_what_was_taken_away(failed, {"elsewhere"})
    assert not lacks_what_was_taken_away(dataclasses.replace(job, error="KeyError: 'x'"), {taken.location})
    assert not lacks_what_was_taken_away(job, {taken.location})
