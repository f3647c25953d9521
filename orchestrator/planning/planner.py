"""A study turned into a graph of jobs.  Pure: the same study gives the same plan, byte for byte.

What a job's spec means to the one who runs it lives in `workers.runner.stages`; putting a plan into the job
table in `orchestrator.jobtable`; making the shards in `orchestrator.planning.sharding`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models import datasets, inference_runtimes
from models.inference_runtimes import Runtime
from models.own_code.bundle import Bundle
from models.recipes import Training, Visit
from orchestrator import job_code
from orchestrator.errors import StudyError
from orchestrator.jobs import Device, InputRef, PlannedJob, Stage
from orchestrator.planning import feasibility
from orchestrator.planning.compression import Compression, Row
from orchestrator.planning.planned_jobs import planned_job, shard_name, test_name, train_images, trains_on
from orchestrator.study import ModelSection, Study

SHARDING_SEED = 0
"""Which images fall into which shard; the same for every seed of a study, so that seeds differ in training alone."""


@dataclass(frozen=True)
class Plan:
    """All jobs of a study, parents before children."""

    study: Study
    description: datasets.Description
    jobs: tuple[PlannedJob, ...]
    code: Mapping[str, Bundle] = field(default_factory=dict)
    """The person's own code that the jobs need, by the names under which it is published."""

    @property
    def code_digests(self) -> tuple[str, ...]:
        """SHA-256 of the code."""
        return tuple(bundle.digest for bundle in self.code.values())

    @property
    def data_names(self) -> tuple[str, ...]:
        """All that is published for the jobs to read."""
        return (*self.shard_names, self.test_name, *self.code)

    @property
    def shard_names(self) -> tuple[str, ...]:
        return tuple(shard_name(self.study, self.description, shard) for shard in range(self.study.shards))

    @property
    def test_name(self) -> str:
        return test_name(self.study, self.description)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person may not have meant, a sentence each."""
        return tuple(feasibility.doubts(self.study, self.description))


def make_plan(
    study: Study, description: datasets.Description | None = None, bundles: Mapping[str, Bundle] | None = None
) -> Plan:
    """The jobs of a study on a data set (looked up by the study's `dataset` if not given).

    Args:
        bundles: the code by SHA-256 that the study's architectures are pinned to.

    Raises:
        StudyError: the study asks for more than the data set has.
    """
    if description is None:
        try:
            description = datasets.describe(study.dataset)
        except datasets.DatasetError as error:
            raise StudyError(str(error)) from None
    feasibility.check(study, description, train_images(study, description))
    jobs: list[PlannedJob] = []
    for seed in study.seeds:
        trained: dict[str, PlannedJob] = {}
        for model in study.models:
            jobs.extend(_model_jobs(study, description, model, seed, trained))
    code = {job_code.artifact_name(digest): bundle for digest, bundle in (bundles or {}).items()}
    return Plan(study, description, _with_critical_paths(jobs), code)


def shard_sizes(images: int, shards: int) -> list[int]:
    """Sizes of `models.datasets.stratified_shards`: as equal as can be, the larger ones first."""
    return [images // shards + (shard < images % shards) for shard in range(shards)]


def _model_jobs(
    study: Study,
    description: datasets.Description,
    model: ModelSection,
    seed: int,
    last_jobs: dict[str, PlannedJob],
) -> Iterator[PlannedJob]:
    """The last training jobs of the models above are known by name, for those that they teach; this one's is added."""
    visits = _Visits.planned(study, description, model, seed, last_jobs)
    trained = list(visits.average() if study.training.mode == "average" else visits.relay())
    yield from trained
    last_jobs[model.name] = trained[-1]
    compression = Compression(study, description, model, seed, trained[-1], last_jobs)
    rows = compression.rows()
    yield from compression.jobs(rows)
    reference = next((row for row in rows if row.name == "float32"), None)
    for row in rows:
        # Without float32 there is nothing to compare with: a network that is its own reference says so.
        yield from _benchmarks(study, description, model, seed, row, trained[-1], (reference or row).file)


@dataclass(frozen=True)
class _Visits:
    """One model's training from one seed, and what all its jobs share."""

    study: Study
    description: datasets.Description
    model: ModelSection
    training: Training
    steps: Sequence[int]
    """The steps of a visit to each shard."""
    teacher: PlannedJob | None
    """The last job of the model that this one follows."""

    @classmethod
    def planned(
        cls,
        study: Study,
        description: datasets.Description,
        model: ModelSection,
        seed: int,
        last_jobs: Mapping[str, PlannedJob],
    ) -> _Visits:
        recipe = model.resulting_recipe
        sizes = shard_sizes(train_images(study, description), study.shards)
        steps = [recipe.steps_per_epoch(size) * study.training.epochs_per_visit for size in sizes]
        # The schedule is that of one network: in average mode each of a round's takes the steps of one shard.
        steps_per_round = steps[0] if study.training.mode == "average" else sum(steps)
        rounds = study.training.epochs // study.training.epochs_per_visit
        training = Training(
            model.architecture,
            recipe,
            seed,
            len(description.classes),
            description.image_shape,
            total_steps=rounds * steps_per_round,
        )
        teacher = last_jobs[model.distil.teacher] if model.distil else None
        return cls(study, description, model, training, steps, teacher)

    def relay(self) -> Iterator[PlannedJob]:
        """One chain: for each round, for each shard, one visit, each from the state that the one before left."""
        first_step = 0
        before: PlannedJob | None = None
        for round_ in range(self._rounds):
            for shard in range(self.study.shards):
                before = self._visit(round_, shard, first_step, _state_of(before, "state"))
                yield before
                first_step += self.steps[shard]

    def average(self) -> Iterator[PlannedJob]:
        """In each round all shards at once, each from the state that was merged before, and then a merge.

        Every job says how it is averaged.  The states of a round are dropped when all that reads them is done, so no
        other merge may come to need them later: jobs that are averaged otherwise are other jobs from the beginning.
        """
        averaging = {"outer": self._outer(), "inner_optimizer": self.study.training.inner_optimizer}
        merged: PlannedJob | None = None
        own: list[PlannedJob | None] = [None] * self.study.shards
        for round_ in range(self._rounds):
            replicas = [
                self._visit(
                    round_,
                    shard,
                    round_ * self.steps[shard],
                    _state_of(merged, "state") | _state_of(own[shard], "own"),
                    averaging=averaging,
                )
                for shard in range(self.study.shards)
            ]
            yield from replicas
            merged = self._merge(round_, replicas, merged, averaging)
            yield merged
            if self.study.training.inner_optimizer == "keep":
                own = list(replicas)

    @property
    def _rounds(self) -> int:
        return self.study.training.epochs // self.study.training.epochs_per_visit

    def _visit(
        self, round_: int, shard: int, first_step: int, states: Mapping[str, InputRef], **more: Any
    ) -> PlannedJob:
        per_visit = self.study.training.epochs_per_visit
        visit = Visit(round_ * per_visit, per_visit, first_step, self.steps[shard])
        return planned_job(
            f"{self.model.name}/seed{self.training.seed}/train/r{round_:02d}.s{shard}",
            Stage.TRAIN,
            spec={**self._spec(round_), "shard": shard, "visit": dataclasses.asdict(visit), **self._distil, **more},
            inputs={"shard": self._shard(shard), **states, **_state_of(self.teacher, "teacher")},
            requires=self._requires,
        )

    def _merge(
        self, round_: int, replicas: Sequence[PlannedJob], before: PlannedJob | None, averaging: Mapping[str, Any]
    ) -> PlannedJob:
        """Reads the state merged before where the outer optimizer goes on from it, and shard 0 for batch norm."""
        previous = before if averaging["outer"]["optimizer"] == "nesterov" else None
        states = {f"replica{number}": InputRef("state", replica.id) for number, replica in enumerate(replicas)}
        return planned_job(
            f"{self.model.name}/seed{self.training.seed}/merge/r{round_:02d}",
            Stage.MERGE,
            spec={
                **self._spec(round_),
                "first_step": round_ * self.steps[0],
                "step": (round_ + 1) * self.steps[0],
                "averaging": averaging,
            },
            inputs={"shard": self._shard(0), **states, **_state_of(previous, "previous")},
            requires=self._requires,
        )

    @property
    def _distil(self) -> dict[str, Any]:
        """What a visit is told of its teacher, whose name decides nothing."""
        if self.model.distil is None or self.teacher is None:
            return {}
        architecture = self.teacher.spec["training"]["architecture"]
        return {"distil": {**self.model.distil.model_dump(), "teacher": architecture}}

    def _outer(self) -> dict[str, Any]:
        section = self.study.training
        if section.outer == "mean":
            return {"optimizer": "mean"}
        return {
            "optimizer": section.outer,
            "learning_rate": section.outer_learning_rate,
            "momentum": section.outer_momentum,
        }

    def _spec(self, round_: int) -> dict[str, Any]:
        backend = self.study.training.backend
        return {
            "model": self.model.name,
            "seed": self.training.seed,
            "round": round_,
            "threads": self.study.training.threads,
            **({} if backend == "tensorflow" else {"backend": backend}),
            "training": self.training.to_dict(),
        }

    def _shard(self, shard: int) -> InputRef:
        return InputRef(shard_name(self.study, self.description, shard))

    @property
    def _requires(self) -> Device:
        return trains_on(self.study, self.model.architecture, self.study.training.backend)


def _state_of(job: PlannedJob | None, called: str) -> dict[str, InputRef]:
    """An input: the state that a job leaves, if there is one."""
    return {} if job is None else {called: InputRef("state", job.id)}


def _benchmarks(
    study: Study,
    description: datasets.Description,
    model: ModelSection,
    seed: int,
    row: Row,
    trained: PlannedJob,
    reference: PlannedJob,
) -> Iterator[PlannedJob]:
    """One for each of the study's runtimes that can be given a network of this row.

    Args:
        trained: the job that leaves the trained network, which other runtimes than LiteRT are given; one that was
            fine-tuned is measured in LiteRT alone.
    """
    for name in study.benchmark.runtimes:
        runtime = inference_runtimes.get(name)
        if name == inference_runtimes.LITERT:
            yield _benchmark(study, description, model, seed, row, reference)
        elif runtime.runs(row.name):
            yield _benchmark_of_state(study, description, model, seed, row.name, runtime, trained)


def _benchmark(
    study: Study,
    description: datasets.Description,
    model: ModelSection,
    seed: int,
    row: Row,
    reference: PlannedJob,
) -> PlannedJob:
    return planned_job(
        f"{model.name}/seed{seed}/benchmark/{row.name}",
        Stage.BENCHMARK,
        spec={
            "model": model.name,
            "seed": seed,
            "method": row.name,
            "batch_sizes": study.benchmark.batch_sizes,
            "threads": study.benchmark.threads,
            **({} if row.twin is None else {"twin": row.twin}),
        },
        inputs={
            "model": InputRef("model", row.file.id),
            "reference": InputRef("model", reference.id),
            "test": InputRef(test_name(study, description)),
        },
    )


def _benchmark_of_state(
    study: Study,
    description: datasets.Description,
    model: ModelSection,
    seed: int,
    method: str,
    runtime: Runtime,
    trained: PlannedJob,
) -> PlannedJob:
    """In a runtime that is given a Keras network: the worker builds it, and its float32 reference, of the state."""
    threads = (study.training.threads,) if runtime.process_threads else study.benchmark.threads
    return planned_job(
        f"{model.name}/seed{seed}/benchmark/{method}/{runtime.name}",
        Stage.BENCHMARK,
        spec={
            "model": model.name,
            "seed": seed,
            "method": method,
            "runtime": runtime.name,
            "batch_sizes": study.benchmark.batch_sizes,
            "threads": threads,
            "architecture": model.architecture,
            "classes": len(description.classes),
            "image_shape": description.image_shape,
        },
        inputs={"state": InputRef("state", trained.id), "test": InputRef(test_name(study, description))},
    )


def _with_critical_paths(jobs: list[PlannedJob]) -> tuple[PlannedJob, ...]:
    longest: dict[str, int] = {}
    for job in reversed(jobs):
        path = longest.setdefault(job.id, 1)
        for parent in job.parents:
            longest[parent] = max(longest.get(parent, 1), path + 1)
    return tuple(dataclasses.replace(job, critical_path=longest[job.id]) for job in jobs)
