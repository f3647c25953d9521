"""Jobs of average mode as a runner does them: what a merge reads and writes, and what a visit begins with."""

from __future__ import annotations

import dataclasses
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from models import datasets
from models.training import checkpoint
from models.training.averaging import OUTER
from models.training.trainer import MODEL, fresh_network, load_weights
from orchestrator.jobs import PlannedJob, Stage
from orchestrator.planning.planner import Plan, make_plan
from orchestrator.study import Study
from tests.conftest import SMALL
from workers.checkpoint_policy import CheckpointPolicy
from workers.runner.connection import Connection
from workers.runner.messages import CheckpointDiscarded, Finished, RunJob
from workers.runner.stages import merge, train
from workers.runner.stages.states import InputUnusable

STUDY = Study.parse(SMALL.replace("[training]", '[training]\nmode = "average"\nouter = "nesterov"'))


class Files:
    """A directory in which the jobs of a plan are done one by one, each reading what those before it wrote."""

    def __init__(self, directory: Path, connection: Connection) -> None:
        self.directory = directory
        self.plan: Plan = make_plan(STUDY)
        self._connection = connection
        parts = datasets.stratified_shards(datasets.subset(datasets.load("synthetic").train, 400, 0), STUDY.shards, 0)
        for name, part in zip(self.plan.shard_names, parts, strict=True):
            datasets.save_split(part, self.data(name))

    def data(self, name: str) -> Path:
        return self.directory / name.replace("/", "-")

    def state(self, end: str) -> Path:
        """What the job whose name ends so has written."""
        return self.directory / self.job(end).id / "state.safetensors"

    def job(self, end: str) -> PlannedJob:
        (job,) = [job for job in self.plan.jobs if job.name.endswith(end)]
        return job

    def do(self, end: str) -> Finished | CheckpointDiscarded:
        job = self.job(end)
        directory = self.directory / job.id
        directory.mkdir(exist_ok=True)
        paths = {
            called: str(self.directory / ref.job / "state.safetensors" if ref.job else self.data(ref.name))
            for called, ref in job.inputs.items()
        }
        state = paths.pop("state", None)
        order = RunJob(job.id, job.stage, job.spec, paths, state, None, str(directory), CheckpointPolicy(1800.0, 10.0))
        if job.stage is Stage.MERGE:
            return merge.run(order, self._connection)
        outcome = train.run(order, self._connection)
        ended = outcome() if callable(outcome) else outcome
        assert isinstance(ended, Finished | CheckpointDiscarded)
        return ended

    def do_all(self, *ends: str) -> dict[str, str]:
        """Digests of the weights, by job."""
        done = {end: self.do(end) for end in ends}
        return {end: ended.metrics["weights_sha256"] for end, ended in done.items() if isinstance(ended, Finished)}


ROUND = ("train/r00.s0", "train/r00.s1", "merge/r00")
NEXT = ("train/r01.s0", "train/r01.s1", "merge/r01")


@pytest.fixture(scope="module")
def connection() -> Connection:
    # Its reading end must stay open: a runner ends when its supervisor's pipe closes.
    reading, _ = os.pipe()
    return Connection(os.fdopen(reading), io.StringIO())


@dataclasses.dataclass(frozen=True)
class Round:
    """The first round, done once for all tests of this file."""

    directory: Path
    digests: dict[str, str]


@pytest.fixture(scope="module")
def first_round(tmp_path_factory: pytest.TempPathFactory, connection: Connection) -> Round:
    directory = tmp_path_factory.mktemp("round")
    return Round(directory, Files(directory, connection).do_all(*ROUND))


@pytest.fixture
def files(first_round: Round, tmp_path: Path, connection: Connection) -> Files:
    """A copy of the first round's."""
    shutil.copytree(first_round.directory, tmp_path, dirs_exist_ok=True)
    return Files(tmp_path, connection)


@pytest.mark.slow
def test_the_order_in_which_a_process_did_the_jobs_of_a_round_changes_no_bit(
    first_round: Round, files: Files, tmp_path_factory: pytest.TempPathFactory, connection: Connection
) -> None:
    found = first_round.digests | files.do_all(*NEXT)
    backwards = Files(tmp_path_factory.mktemp("backwards"), connection)
    again = backwards.do_all("train/r00.s1", "train/r00.s0", "merge/r00", "train/r01.s1", "train/r01.s0", "merge/r01")
    assert again == found
    assert len(set(found.values())) == 6
    assert files.state("merge/r01").read_bytes() == backwards.state("merge/r01").read_bytes()


def test_a_merged_state_is_at_the_step_of_its_replicas_and_holds_weights_and_momentum(files: Files) -> None:
    state, made_by = checkpoint.load(files.state("merge/r00"))
    assert state.step == files.job("merge/r00").spec["step"]
    assert made_by["job"] == files.job("merge/r00").id
    assert {key.partition("/")[0] + "/" for key in state.arrays} == {MODEL, OUTER}
    load_weights(fresh_network("alexnet-tiny", (32, 32, 3), 10), state.arrays)


def test_the_replicas_of_a_round_begin_alike_but_drop_other_units(files: Files) -> None:
    generators = [
        {key: array.tolist() for key, array in checkpoint.load(files.state(end))[0].arrays.items() if "random/" in key}
        for end in ("train/r00.s0", "train/r00.s1")
    ]
    assert generators[0].keys() == generators[1].keys() != set()
    assert all(generators[0][key] != generators[1][key] for key in generators[0])


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def of_another_training(file: Path) -> None:
    state, made_by = checkpoint.load(file)
    checkpoint.save(state, file, {**made_by, "training": "another"})


def at_another_step(file: Path) -> None:
    state, made_by = checkpoint.load(file)
    checkpoint.save(dataclasses.replace(state, step=99), file, made_by)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (truncated, "The input 'replica1' is damaged"),
        (of_another_training, "The input 'replica1' is of another training"),
        (at_another_step, "The input 'replica1' is at step 99, not 3"),
    ],
)
def test_a_replica_that_cannot_be_merged_is_named(files: Files, damage: Callable[[Path], None], told: str) -> None:
    damage(files.state("train/r00.s1"))
    with pytest.raises(InputUnusable, match=told):
        files.do("merge/r00")


def test_of_a_visit_a_damaged_merge_is_discarded_and_a_damaged_optimizer_is_named(files: Files) -> None:
    truncated(files.state("train/r00.s1"))
    with pytest.raises(InputUnusable, match="The input 'own' is damaged"):
        files.do("train/r01.s1")
    truncated(files.state("merge/r00"))
    assert isinstance(files.do("train/r01.s0"), CheckpointDiscarded)
