"""A worker at a chain of trainings: what computes while what is uploaded, what is completed when, and what is left.

Table, store, transfers and session are real; the runner is played by the test, which so decides the order of events.
"""

from __future__ import annotations

import math
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.artifacts import LocalStore, StoreFull
from orchestrator.errors import DiskError, OrchError, StoreError
from orchestrator.jobs import Artifact, Checkpoint, Ending, InputRef, JobState, PlannedJob, Stage, WorkerInfo
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.sqlite import SqliteBackend
from tests.support.jobtable_backends import artifact, plan_of, planned_job
from tests.support.processes import PATIENCE_SECONDS, wait_until
from workers import lease_keeper, session
from workers.checkpoint_policy import CheckpointPolicy
from workers.console import Console
from workers.inbox import Inbox
from workers.outage import Outage
from workers.runner import messages
from workers.runner.process import RunnerDied, RunnerProcess
from workers.session import Session
from workers.store.cache import InputCache
from workers.store.transfers import Threads, Transfers
from workers.store.trouble import StoreTrouble
from workers.worker import Result, Worker

WORKER = WorkerInfo("w1")


class GatedStore(LocalStore):
    """A store whose transfers wait until they are let through."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.open = threading.Event()
        self.put_files: list[str] = []
        self.refuses: Callable[[str], OrchError | None] = lambda _: None
        """What is wrong with putting, or fetching, a file of this name."""
        self.refused = 0
        self.nearly_full: str | None = None

    def shortage(self) -> str | None:
        return self.nearly_full

    def put(self, file: Path) -> Artifact:
        assert self.open.wait(PATIENCE_SECONDS), "nobody opened the gate"
        self._refuse(file.name)
        self.put_files.append(f"{file.parent.name}/{file.name}")
        return super().put(file)

    def fetch(self, artifact: Artifact, to: Path) -> None:
        assert self.open.wait(PATIENCE_SECONDS), "nobody opened the gate"
        self._refuse("input")
        super().fetch(artifact, to)

    def _refuse(self, name: str) -> None:
        if error := self.refuses(name):
            self.refused += 1
            raise error


FULL = StoreFull("The storage is full; free some space.")


def full(_name: str) -> StoreFull:
    return FULL


def willing(_name: str) -> None:
    return None


class PlayedRunner:
    """What a session has of a runner."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._sent: queue.SimpleQueue[messages.RunJob] = queue.SimpleQueue()
        self._under_way: list[messages.RunJob] = []
        self.asked_to_stop = False
        self.alive = True

    def send(self, message: messages.Message) -> None:
        assert isinstance(message, messages.RunJob), "a session sends jobs"
        self._under_way.append(message)
        self._sent.put(message)

    def stop_job(self) -> None:
        self.asked_to_stop = True
        for job in self._under_way:
            self._inbox.put(messages.Stopped(job.job))
        self._under_way = []

    def end(self) -> None:
        self._under_way = []

    def log_tail(self) -> str:
        return ""

    def next_job(self) -> messages.RunJob:
        return self._sent.get(timeout=PATIENCE_SECONDS)

    @property
    def has_nothing(self) -> bool:
        return not self._under_way and self._sent.empty()

    def computes(self, job: messages.RunJob) -> None:
        self._inbox.put(messages.Progress(job.job, 1, 40))

    def finish(self, job: messages.RunJob, printed: str = "") -> None:
        self._under_way.remove(job)
        outputs = {"state": written(job, "state", f"the state after {job.job}")}
        if printed:
            outputs["log"] = written(job, "log.txt", printed)
        self._inbox.put(messages.Finished(job.job, outputs, {"of": job.job}))

    def checkpoint(self, job: messages.RunJob, step: int) -> None:
        path = written(job, f"step{step}", f"{job.job} at {step}")
        self._inbox.put(messages.CheckpointWritten(job.job, step, path))


def written_file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def written(job: messages.RunJob, name: str, text: str) -> str:
    file = Path(job.directory, name)
    file.write_text(text)
    return str(file)


class Scene:
    """A session that begins with the first job of a chain, on a thread of its own."""

    subdirectory = "session"

    def __init__(self, table: JobTable, place: Path) -> None:
        self.table = table
        self.inbox = Inbox()
        self.runner = PlayedRunner(self.inbox)
        self.store = GatedStore(place / "store")
        self.threads = Threads()
        self.directory = place / self.subdirectory
        self.stopping = False
        self.results: list[Result] = []
        cache = InputCache(place / "cache", self.store)
        console = Console("w1", (place / "console").open("w"))
        worker = Worker(
            info=WORKER,
            runner=cast(RunnerProcess, self.runner),
            transfers=Transfers(self.store, cache, self.threads, self.inbox.put),
            inbox=self.inbox,
            console=console,
            outage=Outage(console, lambda _: None, in_notebook=False),
            directory=self.directory,
            checkpoint_policy=CheckpointPolicy(between_deaths=1800, restart=10),
            stopping=lambda: self.stopping,
            seconds_left=lambda: None,
            hung_seconds=PATIENCE_SECONDS,
            chained=True,
        )
        lease = table.claim(WORKER)
        assert lease is not None
        self.lease = lease
        self.session = Session(table, self.lease, worker)
        self._thread = threading.Thread(target=lambda: self.results.append(self.session.run()), daemon=True)
        self._thread.start()

    def ended(self) -> Result:
        self._thread.join(PATIENCE_SECONDS)
        assert self.results, "the session has not ended"
        return self.results[0]

    def shortage(self) -> str | None:
        (seen,) = self.table.overview().workers
        return cast(str | None, seen.progress.get("shortage"))

    def state(self, job: PlannedJob) -> JobState:
        return self.table.job(job.id).state

    def first_done_second_under_way(self) -> messages.RunJob:
        """The second, which the runner is at while the first one's state waits at the store's gate."""
        first, second = self.runner.next_job(), self.runner.next_job()
        self.runner.finish(first)
        self.runner.computes(second)
        return second

    def noted(self) -> None:
        """Wait until the session knows all that has happened."""
        wait_until(self.inbox.empty, "all of it noted")

    def stop(self, job: messages.RunJob) -> None:
        """Ask the worker to end, and wake it with a word of the runner's."""
        self.stopping = True
        self.inbox.put(messages.Progress(job.job, 10, 40))

    def close(self) -> None:
        """End what a test left under way; a hung session shows as a failure."""
        self.store.open.set()
        self.store.refuses = willing
        self.stopping = True
        self.inbox.put(messages.Progress("nothing", 0, 0))
        self.ended()
        self.threads.shut_down(wait=True)


@pytest.fixture
def chain() -> list[PlannedJob]:
    made: list[PlannedJob] = []
    for name in "abcd":
        made.append(planned_job(name, Stage.TRAIN, made[-1:]))
    return made


@pytest.fixture
def table(tmp_path: Path, chain: list[PlannedJob]) -> Iterator[JobTable]:
    with closing(SqliteBackend(tmp_path / "jobs.db")) as place:
        table = JobTable(place, "here")
        table.create()
        table.publish(plan_of(chain, seconds=3600))
        yield table


@pytest.fixture
def begin(tmp_path: Path, table: JobTable) -> Iterator[Callable[[], Scene]]:
    scenes: list[Scene] = []

    def one() -> Scene:
        scenes.append(Scene(table, tmp_path))
        return scenes[-1]

    yield one
    for scene in scenes:
        scene.close()


def test_the_next_training_computes_while_the_state_before_it_is_uploaded(
    begin: Callable[[], Scene], chain: list[PlannedJob]
) -> None:
    scene, (a, b, *_) = begin(), chain
    first = scene.runner.next_job()
    second = scene.runner.next_job()
    assert (first.job, first.follows, second.job, second.follows) == (a.id, None, b.id, a.id)
    scene.runner.finish(first)
    scene.runner.computes(second)
    assert scene.runner.next_job().job == chain[2].id, "the one after it is fetched, too"
    assert (scene.state(a), scene.state(b)) == (JobState.RUNNING, JobState.BLOCKED)
    scene.store.open.set()
    wait_until(lambda: scene.state(b) is JobState.RUNNING, "the claim of the second")
    assert scene.state(a) is JobState.DONE
    assert scene.table.job(b.id).worker == WORKER.name


def test_a_training_with_code_that_nobody_vouched_for_does_not_compute_ahead(
    tmp_path: Path, chain: list[PlannedJob]
) -> None:
    a, b = chain[0], replace(chain[1], spec={**chain[1].spec, "architecture": f"nets.py@{'a' * 64}:build"})
    with closing(SqliteBackend(tmp_path / "jobs.db")) as place:
        table = JobTable(place, "here")
        table.create()
        table.publish(plan_of([a, b], seconds=3600))
        scene = Scene(table, tmp_path)
        scene.store.open.set()
        scene.runner.finish(scene.runner.next_job())
        assert scene.ended() is Result.DONE
        assert scene.session.next is not None and scene.session.next.job == b.id, "the supervisor gives it back"
        assert scene.runner.has_nothing
        scene.close()


def test_trainings_that_are_shorter_than_an_upload_are_completed_as_a_run_with_one_state(
    begin: Callable[[], Scene], chain: list[PlannedJob]
) -> None:
    scene = begin()
    for _ in chain:
        job = scene.runner.next_job()
        scene.runner.computes(job)
        scene.runner.finish(job)
    scene.noted()
    scene.store.open.set()
    assert scene.ended() is Result.DONE
    assert scene.store.put_files == [f"{chain[0].id}/state", f"{chain[3].id}/state"]
    assert [scene.state(job) for job in chain] == [JobState.DONE] * 4
    assert [ended.outcome for ended in scene.table.attempts()] == [Ending.DONE] * 4
    assert {job.id: scene.table.job(job.id).metrics for job in chain} == {job.id: {"of": job.id} for job in chain}


def test_of_a_run_that_was_cancelled_in_the_middle_the_held_training_is_completed_with_all_that_is_its(
    begin: Callable[[], Scene], chain: list[PlannedJob]
) -> None:
    scene, (_, b, c, _) = begin(), chain
    held = scene.runner.next_job()
    scene.runner.finish(held)
    for _ in (b, c):
        job = scene.runner.next_job()
        scene.runner.computes(job)
        scene.runner.finish(job, printed=f"{job.job} printed this")
    scene.noted()
    scene.table.cancel(c.id)
    scene.store.open.set()
    assert scene.ended() is Result.DONE
    assert [scene.state(job) for job in (b, c)] == [JobState.DONE, JobState.CANCELLED]
    assert scene.table.outputs(b.id).keys() == {"state", "log"}
    assert scene.table.job(b.id).failures == 0


def test_beside_a_holder_that_has_gone_on_a_second_attempt_begins_at_the_newest_checkpoint(
    begin: Callable[[], Scene], table: JobTable, chain: list[PlannedJob], tmp_path: Path
) -> None:
    """What was named when it was claimed is gone by now: the other has named newer ones, and deleted those."""
    before = table.claim(WorkerInfo("w0"))
    assert before is not None
    for step in (10, 20):
        before = table.renew(before, {"step": step}, Checkpoint(step, artifact(f"at {step}")))
    table.release(before)
    scene = begin()
    newest = LocalStore(tmp_path / "store").put(written_file(tmp_path / "newest", "at 30"))
    table.renew(scene.lease, {"step": 30}, Checkpoint(30, newest))
    scene.store.open.set()
    job = scene.runner.next_job()
    assert job.state is not None and Path(job.state).read_text() == "at 30"
    assert [checkpoint.step for checkpoint in table.checkpoints(chain[0].id)] == [30]


def test_a_checkpoint_that_was_taken_ahead_of_the_claim_is_kept_once_the_job_is_held(
    begin: Callable[[], Scene], chain: list[PlannedJob]
) -> None:
    scene, (a, b, *_) = begin(), chain
    second = scene.first_done_second_under_way()
    scene.runner.checkpoint(second, 7)
    scene.runner.checkpoint(second, 9)
    scene.noted()
    assert scene.table.checkpoints(b.id) == ()
    scene.store.open.set()
    wait_until(lambda: [held.step for held in scene.table.checkpoints(b.id)] == [9], "the newest of them")
    assert scene.state(a) is JobState.DONE


def test_asked_to_stop_a_worker_completes_what_is_done_and_gives_back_what_it_was_at_with_its_checkpoint(
    begin: Callable[[], Scene], chain: list[PlannedJob]
) -> None:
    scene, (a, b, *_) = begin(), chain
    second = scene.first_done_second_under_way()
    scene.runner.checkpoint(second, 9)
    scene.noted()
    scene.stop(second)
    wait_until(lambda: scene.runner.asked_to_stop, "the wish to stop")
    scene.store.open.set()
    assert scene.ended() is Result.RELEASED
    assert (scene.state(a), scene.state(b)) == (JobState.DONE, JobState.READY)
    assert [held.step for held in scene.table.checkpoints(b.id)] == [9]


def test_while_the_store_is_full_a_finished_training_waits_and_nothing_is_lost(
    begin: Callable[[], Scene], chain: list[PlannedJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_STORE_WAIT_SECONDS", 0.05)
    scene, (a, b, *_) = begin(), chain
    scene.store.refuses = full
    scene.store.open.set()
    first, second = scene.runner.next_job(), scene.runner.next_job()
    scene.runner.checkpoint(first, 3)
    scene.runner.finish(first)
    scene.runner.computes(second)
    wait_until(lambda: scene.store.refused > 3, "several tries")
    assert (scene.state(a), scene.table.job(a.id).failures) == (JobState.RUNNING, 0)
    scene.store.refuses = willing
    wait_until(lambda: scene.state(b) is JobState.RUNNING, "the claim of the second")
    assert scene.state(a) is JobState.DONE
    assert [ended.outcome for ended in scene.table.attempts(a.id)] == [Ending.DONE]


def test_a_store_that_takes_the_state_and_is_full_at_the_log_gets_both_in_the_end(
    begin: Callable[[], Scene], chain: list[PlannedJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_STORE_WAIT_SECONDS", 0.05)
    scene, (a, b, *_) = begin(), chain
    scene.store.refuses = lambda name: FULL if name == "log.txt" else None
    scene.store.open.set()
    first, second = scene.runner.next_job(), scene.runner.next_job()
    scene.runner.finish(first, printed="what the first printed")
    scene.runner.computes(second)
    wait_until(lambda: scene.store.refused > 3, "several tries")
    scene.store.refuses = willing
    wait_until(lambda: scene.state(b) is JobState.RUNNING, "the claim of the second")
    assert scene.table.outputs(a.id).keys() == {"state", "log"}


def leave_a_checkpoint(scene: Scene, first: PlannedJob) -> None:
    """Leave a checkpoint of the first job of the chain, which then is given back."""
    scene.store.open.set()
    job = scene.runner.next_job()
    scene.runner.checkpoint(job, 3)
    wait_until(lambda: bool(scene.table.checkpoints(first.id)), "the checkpoint")
    scene.stop(job)
    assert scene.ended() is Result.RELEASED


def test_inputs_that_the_store_does_not_give_for_a_while_are_waited_for(
    begin: Callable[[], Scene], chain: list[PlannedJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_STORE_WAIT_SECONDS", 0.05)
    (a, *_) = chain
    leave_a_checkpoint(begin(), a)
    scene = begin()  # fetches it, which waits at the store's gate
    scene.store.refuses = lambda _: StoreError("The store cannot be reached.")
    scene.store.open.set()
    wait_until(lambda: scene.store.refused > 5, "several tries")
    assert (scene.state(a), scene.table.job(a.id).failures) == (JobState.RUNNING, 0)
    scene.store.refuses = willing
    begun = scene.runner.next_job()
    assert begun.state is not None and Path(begun.state).read_text() == f"{a.id} at 3"


@pytest.mark.parametrize(
    ("error", "result", "failures"),
    [
        (DiskError("There is no room on this disk."), Result.REJECTED, 0),
        (OrchError("TypeError: a fault in Orch"), Result.FAILED, 1),
    ],
)
def test_what_is_no_trouble_of_the_store_ends_the_session(
    begin: Callable[[], Scene], chain: list[PlannedJob], error: OrchError, result: Result, failures: int
) -> None:
    scene = begin()
    scene.store.refuses = lambda _: error
    scene.store.open.set()
    scene.runner.finish(scene.runner.next_job())
    assert scene.ended() is result
    job = scene.table.job(chain[0].id)
    assert (job.state, job.failures) == (JobState.READY, failures)
    assert str(error) in (job.error or "")


def test_a_storage_that_is_full_from_the_beginning_is_told_to_the_table(
    begin: Callable[[], Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_STORE_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(lease_keeper, "_HEARTBEATS_PER_LEASE", 3600 / 0.05)
    scene = begin()
    scene.store.refuses = full
    scene.store.open.set()
    scene.runner.finish(scene.runner.next_job())
    wait_until(lambda: scene.shortage() == str(FULL), "what the store said")


def test_a_storage_that_is_nearly_full_is_told_to_the_table_with_the_next_checkpoint(
    begin: Callable[[], Scene],
) -> None:
    scene = begin()
    scene.store.nearly_full = "The storage of ann@example.org is nearly full."
    scene.store.open.set()
    job = scene.runner.next_job()
    scene.runner.computes(job)
    scene.runner.checkpoint(job, 3)
    wait_until(lambda: scene.shortage() == scene.store.nearly_full, "what the store said")


def test_a_lost_lease_voids_the_whole_chain_and_leaves_no_file(
    begin: Callable[[], Scene], chain: list[PlannedJob]
) -> None:
    scene = begin()
    scene.first_done_second_under_way()
    scene.table.cancel(chain[0].id)
    scene.store.open.set()
    assert scene.ended() is Result.LOST
    assert scene.runner.asked_to_stop, "what was computed ahead is of no use"
    assert not scene.directory.exists()
    assert {scene.state(job) for job in chain} == {JobState.CANCELLED}


def test_a_training_that_fails_ahead_of_its_claim_fails_once_it_is_held(
    begin: Callable[[], Scene], chain: list[PlannedJob]
) -> None:
    scene, (a, b, *_) = begin(), chain
    first, second = scene.runner.next_job(), scene.runner.next_job()
    scene.runner.finish(first)
    scene.inbox.put(messages.Failed(second.job, "ValueError: no", "Traceback"))
    scene.store.open.set()
    assert scene.ended() is Result.FAILED
    job: Any = scene.table.job(b.id)
    assert (scene.state(a), job.failures) == (JobState.DONE, 1)
    assert job.error.startswith("ValueError: no")


def dies_unheard(scene: Scene) -> None:
    scene.runner.alive = False


def dies_meanwhile(scene: Scene) -> None:
    scene.inbox.put(RunnerDied("the runner was killed"))


@pytest.mark.parametrize("dies", [dies_unheard, dies_meanwhile])
def test_a_runner_that_dies_before_it_is_given_the_job_costs_the_job_nothing(
    begin: Callable[[], Scene], chain: list[PlannedJob], dies: Callable[[Scene], None]
) -> None:
    leave_a_checkpoint(begin(), chain[0])
    scene = begin()  # fetches the checkpoint, which waits at the store's gate
    dies(scene)
    if scene.runner.alive:
        assert scene.ended() is Result.RELEASED, "the fetch need not end for that"
    scene.store.open.set()
    assert scene.ended() is Result.RELEASED
    assert (scene.state(chain[0]), scene.table.job(chain[0].id).failures) == (JobState.READY, 0)


def test_of_a_chain_the_job_that_was_rejected_is_the_one_that_is_told(
    begin: Callable[[], Scene], chain: list[PlannedJob]
) -> None:
    scene, (a, b, *_) = begin(), chain
    first, second = scene.runner.next_job(), scene.runner.next_job()
    scene.runner.finish(first)
    scene.inbox.put(messages.Unsuitable(second.job, "There is too little memory here."))
    scene.store.open.set()
    assert scene.ended() is Result.REJECTED
    assert (scene.state(a), scene.state(b)) == (JobState.DONE, JobState.READY)
    assert scene.session.job == b.id


def test_as_the_last_of_a_chain_is_completed_another_job_is_claimed(
    begin: Callable[[], Scene], chain: list[PlannedJob]
) -> None:
    scene = begin()
    other = planned_job("other", Stage.COMPRESS)
    scene.table.publish(plan_of([*chain, other], seconds=3600))
    scene.store.open.set()
    for _ in chain:
        job = scene.runner.next_job()
        scene.runner.finish(job)
    assert scene.ended() is Result.DONE
    assert scene.session.next is not None
    assert (scene.session.next.job, scene.state(other)) == (other.id, JobState.RUNNING)


def test_whoever_is_asked_to_stop_claims_no_other_job(begin: Callable[[], Scene], chain: list[PlannedJob]) -> None:
    scene = begin()
    other = planned_job("other", Stage.COMPRESS)
    scene.table.publish(plan_of([*chain, other], seconds=3600))
    second = scene.first_done_second_under_way()
    scene.stop(second)
    scene.store.open.set()
    scene.ended()
    assert scene.session.next is None
    assert scene.state(other) is JobState.READY


def test_work_that_is_done_is_not_lost_for_another_job_whose_inputs_were_never_published(
    begin: Callable[[], Scene], chain: list[PlannedJob]
) -> None:
    scene = begin()
    lacking = replace(planned_job("lacking", Stage.COMPRESS), inputs={"shard": InputRef("nowhere", None)})
    scene.table.publish(plan_of([*chain, lacking], seconds=3600))
    scene.store.open.set()
    for _ in chain:
        job = scene.runner.next_job()
        scene.runner.finish(job)
    assert scene.ended() is Result.DONE
    assert [scene.state(job) for job in chain] == [JobState.DONE] * 4
    assert (scene.session.next, scene.state(lacking)) == (None, JobState.READY)


def test_inputs_that_do_not_come_for_long_are_left_to_other_workers(
    begin: Callable[[], Scene], chain: list[PlannedJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_STORE_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(session, "_FETCH_SECONDS", 0.2)
    leave_a_checkpoint(begin(), chain[0])
    scene = begin()
    scene.store.refuses = lambda _: StoreError("This account may not read that.")
    scene.store.open.set()
    assert scene.ended() is Result.RELEASED
    assert scene.store.refused > 1
    assert (scene.state(chain[0]), scene.table.job(chain[0].id).failures) == (JobState.READY, 0)


def test_a_failure_that_another_try_would_only_repeat_quarantines_at_once(
    begin: Callable[[], Scene], chain: list[PlannedJob]
) -> None:
    scene = begin()
    first = scene.runner.next_job()
    scene.inbox.put(messages.Failed(first.job, "Diverged: The loss became nan at step 3.", "Traceback", final=True))
    assert scene.ended() is Result.FAILED
    job = scene.table.job(chain[0].id)
    assert (job.state, job.attempts) == (JobState.QUARANTINED, 1)
    assert (job.error or "").startswith("Diverged: The loss became nan at step 3.")


def test_outputs_that_a_cleaner_has_deleted_cost_the_time_of_their_job_and_no_try(
    begin: Callable[[], Scene], chain: list[PlannedJob]
) -> None:
    scene = begin()
    first = scene.runner.next_job()
    scene.runner.finish(first)
    shutil.rmtree(first.directory)
    scene.store.open.set()
    assert scene.ended() is Result.RELEASED
    job = scene.table.job(chain[0].id)
    assert (job.state, job.failures, job.error) == (JobState.READY, 0, None)
    (given_back,) = scene.table.attempts(job.id)
    assert "Files of this worker have been deleted" in (given_back.error or "")
    assert begin().runner.next_job().job == job.id, "the same worker may do it"


def test_inputs_that_a_cleaner_has_deleted_cost_their_job_no_try(
    begin: Callable[[], Scene], chain: list[PlannedJob]
) -> None:
    scene = begin()
    scene.inbox.put(messages.Stopped(scene.runner.next_job().job, "Files of this worker have been deleted (shard)."))
    assert scene.ended() is Result.RELEASED
    assert scene.table.job(chain[0].id).failures == 0


@pytest.mark.parametrize(
    ("directory", "result"), [("gone/session", Result.RELEASED), ("a-file/session", Result.REJECTED)]
)
def test_a_job_for_whose_files_there_is_no_place_is_given_back(
    directory: str,
    result: Result,
    begin: Callable[[], Scene],
    chain: list[PlannedJob],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To whoever comes if the worker's own directory is gone, which is made anew; else to other machines."""
    (tmp_path / "a-file").touch()
    monkeypatch.setattr(Scene, "subdirectory", directory)
    scene = begin()
    assert scene.ended() is result
    job = scene.table.job(chain[0].id)
    assert (job.state, job.failures) == (JobState.READY, 0)


def at_once(monkeypatch: pytest.MonkeyPatch, scene: Scene) -> None:
    """A lease is over at once, as far as waiting for room is concerned."""
    monkeypatch.setattr(StoreTrouble, "gives_up_at", lambda trouble, _: trouble._full_since)
    scene.store.open.set()


@pytest.mark.parametrize("finished", [True, False])
def test_a_job_that_this_accounts_storage_cannot_keep_is_left_to_others_after_a_lease(
    begin: Callable[[], Scene], chain: list[PlannedJob], monkeypatch: pytest.MonkeyPatch, finished: bool
) -> None:
    """Whether it is done, or a checkpoint of it shows that it would be done for nothing."""
    scene = begin()
    scene.store.refuses = full
    at_once(monkeypatch, scene)
    first = scene.runner.next_job()
    if finished:
        scene.runner.finish(first)
    else:
        scene.runner.checkpoint(first, 3)
    assert scene.ended() is Result.UNKEPT
    assert scene.session.lacking is FULL
    job = scene.table.job(chain[0].id)
    assert (job.state, job.failures) == (JobState.READY, 0)
    assert str(FULL) in (job.error or ""), "others are told why"


def test_until_then_it_is_held_and_a_file_that_is_kept_begins_the_wait_anew() -> None:
    trouble = StoreTrouble()
    before = time.monotonic()
    trouble.answered(str(FULL), FULL)
    trouble.answered(str(FULL), StoreFull("Another file, later."))
    assert before + 900 <= trouble.gives_up_at(900.0) <= time.monotonic() + 900
    assert trouble.full is FULL
    trouble.answered(None)
    assert trouble.gives_up_at(900.0) == math.inf


def test_an_account_that_owns_no_storage_is_not_waited_for(begin: Callable[[], Scene], chain: list[PlannedJob]) -> None:
    """The lease is of an hour."""
    scene = begin()
    none = StoreFull("A service account owns no storage.", for_good=True)
    scene.store.refuses = lambda _: none
    scene.store.open.set()
    scene.runner.finish(scene.runner.next_job())
    assert scene.ended() is Result.UNKEPT
    assert scene.session.lacking is none
    assert scene.state(chain[0]) is JobState.READY
