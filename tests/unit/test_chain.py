"""Jobs under way: which can be completed together, which files that takes, and what is void."""

from __future__ import annotations

from pathlib import Path

from orchestrator.jobs import Stage
from workers.chain import Chain, ChainStep, Status, uploads


def chain_step(job: str, status: Status) -> ChainStep:
    outputs = {"state": Path(job, "state"), "log": Path(job, "log")} if status is Status.FINISHED else {}
    return ChainStep(job, job, Stage.TRAIN, {}, Path(job), status=status, outputs=outputs)


def chain(*statuses: Status) -> Chain:
    made = Chain(chain_step("0", statuses[0]))
    for number, status in enumerate(statuses[1:], start=1):
        made.append(chain_step(str(number), status))
    return made


def jobs(chain: Chain) -> list[str]:
    return [chain_step.job for chain_step in chain]


def test_what_is_finished_from_the_held_job_on_is_completed_together() -> None:
    under_way = chain(Status.FINISHED, Status.FINISHED, Status.AT_RUNNER)
    assert [chain_step.job for chain_step in under_way.finished()] == ["0", "1"]
    under_way.drop(2)
    assert (under_way.held.job, under_way.after(1)) == ("2", None)


def test_nothing_is_completed_before_the_held_job_is_done() -> None:
    assert chain(Status.AT_RUNNER, Status.FINISHED).finished() == []


def test_of_a_run_only_the_last_state_is_uploaded_and_every_log() -> None:
    run = chain(Status.FINISHED, Status.FINISHED).finished()
    assert uploads(run) == {"0": {"log": Path("0/log")}, "1": {"state": Path("1/state"), "log": Path("1/log")}}


def test_what_goes_on_from_a_job_that_failed_is_void() -> None:
    under_way = chain(Status.FINISHED, Status.FAILED, Status.FETCHING)
    under_way.cut_after(next(chain_step for chain_step in under_way if chain_step.status is Status.FAILED))
    assert jobs(under_way) == ["0", "1"]


def test_a_newer_checkpoint_replaces_one_that_was_not_uploaded(tmp_path: Path) -> None:
    file = tmp_path / "step1"
    file.write_bytes(b"state")
    one = chain_step("0", Status.AT_RUNNER)
    one.checkpoint = (1, file)
    one.forget_checkpoint()
    assert one.checkpoint is None and not file.exists()
