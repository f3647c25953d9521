"""A study turned into a graph of jobs.  Pure: the same study gives the same plan, byte for byte.

What a job's spec means to the one who runs it lives in `workers.runner.stages`; putting a plan into the job
table in `orchestrator.jobtable`; making the shards in `orchestrator.planning.sharding`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models import datasets, inference_runtimes
from models.architectures import catalog
from models.compression import methods
from models.inference_runtimes import Runtime
from models.recipes import Training, Visit
from orchestrator.errors import StudyError
from orchestrator.jobs import Device, InputRef, PlannedJob, Stage
from orchestrator.planning import feasibility
from orchestrator.study import ModelSection, Study

SHARDING_SEED = 0
"""Which images fall into which shard; the same for every seed of a study, so that seeds differ in training alone."""


@dataclass(frozen=True)
class Plan:
    """All jobs of a study, parents before children."""

    study: Study
    description: datasets.Description
    jobs: tuple[PlannedJob, ...]

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


def make_plan(study: Study, description: datasets.Description | None = None) -> Plan:
    """The jobs of a study on a data set (looked up by the study's `dataset` if not given).

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
        for model in study.models:
            jobs.extend(_model_jobs(study, description, model, seed))
    return Plan(study, description, _with_critical_paths(jobs))


def train_images(study: Study, description: datasets.Description) -> int:
    """How many are trained on: in average mode up to `shards` - 1 fewer than asked for.

    Networks that are merged have taken the same number of steps, so their shards must be equally large.
    """
    images = study.train_images or description.train_images
    return images - images % study.shards if study.training.mode == "average" else images


def shard_name(study: Study, description: datasets.Description, shard: int) -> str:
    """Under which name a shard is published: it says everything that decides the shard's contents."""
    return f"train/{description.digest[:16]}/{train_images(study, description)}/{study.shards}/{shard}"


def test_name(study: Study, description: datasets.Description) -> str:
    return f"test/{description.digest[:16]}/{study.test_images or description.test_images}"


def shard_sizes(images: int, shards: int) -> list[int]:
    """Sizes of `models.datasets.stratified_shards`: as equal as can be, the larger ones first."""
    return [images // shards + (shard < images % shards) for shard in range(shards)]


def _model_jobs(
    study: Study, description: datasets.Description, model: ModelSection, seed: int
) -> Iterator[PlannedJob]:
    visits = _Visits.planned(study, description, model, seed)
    trained = list(visits.average() if study.training.mode == "average" else visits.relay())
    yield from trained
    last = trained[-1]
    compressed: dict[str, PlannedJob] = {}
    for method in model.compress:
        compressed[method] = _compress(study, description, model, seed, method, last)
        yield compressed[method]
    for method, job in compressed.items():
        # Without float32 there is nothing to compare with: a network that is its own reference says so.
        reference = compressed.get("float32", job)
        yield from _benchmarks(study, description, model, seed, method, last, job, reference)


@dataclass(frozen=True)
class _Visits:
    """One model's training from one seed, and what all its jobs share."""

    study: Study
    description: datasets.Description
    model: ModelSection
    training: Training
    steps: Sequence[int]
    """The steps of a visit to each shard."""

    @classmethod
    def planned(cls, study: Study, description: datasets.Description, model: ModelSection, seed: int) -> _Visits:
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
        return cls(study, description, model, training, steps)

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
        return _job(
            f"{self.model.name}/seed{self.training.seed}/train/r{round_:02d}.s{shard}",
            Stage.TRAIN,
            spec={**self._spec(round_), "shard": shard, "visit": dataclasses.asdict(visit), **more},
            inputs={"shard": self._shard(shard), **states},
            requires=self._requires,
        )

    def _merge(
        self, round_: int, replicas: Sequence[PlannedJob], before: PlannedJob | None, averaging: Mapping[str, Any]
    ) -> PlannedJob:
        """Reads the state merged before where the outer optimizer goes on from it, and shard 0 for batch norm."""
        previous = before if averaging["outer"]["optimizer"] == "nesterov" else None
        states = {f"replica{number}": InputRef("state", replica.id) for number, replica in enumerate(replicas)}
        return _job(
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
        return {
            "model": self.model.name,
            "seed": self.training.seed,
            "round": round_,
            "threads": self.study.training.threads,
            "training": self.training.to_dict(),
        }

    def _shard(self, shard: int) -> InputRef:
        return InputRef(shard_name(self.study, self.description, shard))

    @property
    def _requires(self) -> Device:
        return _trains_on(self.study, self.model.architecture)


def _state_of(job: PlannedJob | None, called: str) -> dict[str, InputRef]:
    """An input: the state that a job leaves, if there is one."""
    return {} if job is None else {called: InputRef("state", job.id)}


def _trains_on(study: Study, architecture: str) -> Device:
    """What a worker must have to train it, unless the study says otherwise."""
    if study.training.device == "auto":
        return Device.GPU if ":" not in architecture and catalog.get(architecture).wants_gpu else Device.CPU
    return Device.GPU if study.training.device == "gpu" else Device.CPU


def _compress(
    study: Study, description: datasets.Description, model: ModelSection, seed: int, method: str, trained: PlannedJob
) -> PlannedJob:
    inputs = {"state": InputRef("state", trained.id)}
    calibration = {}
    if methods.get(method).needs_images:
        inputs["shard"] = InputRef(shard_name(study, description, 0))
        calibration = {"calibration_images": methods.CALIBRATION_IMAGES}
    return _job(
        f"{model.name}/seed{seed}/compress/{method}",
        Stage.COMPRESS,
        spec={
            "model": model.name,
            "seed": seed,
            "method": method,
            "architecture": model.architecture,
            "classes": len(description.classes),
            "image_shape": description.image_shape,
            **calibration,
        },
        inputs=inputs,
    )


def _benchmarks(
    study: Study,
    description: datasets.Description,
    model: ModelSection,
    seed: int,
    method: str,
    trained: PlannedJob,
    compressed: PlannedJob,
    reference: PlannedJob,
) -> Iterator[PlannedJob]:
    """One for each of the study's runtimes that can be given a network of this method."""
    for name in study.benchmark.runtimes:
        runtime = inference_runtimes.get(name)
        if name == inference_runtimes.LITERT:
            yield _benchmark(study, description, model, seed, method, compressed, reference)
        elif runtime.runs(method):
            yield _benchmark_of_state(study, description, model, seed, method, runtime, trained)


def _benchmark(
    study: Study,
    description: datasets.Description,
    model: ModelSection,
    seed: int,
    method: str,
    compressed: PlannedJob,
    reference: PlannedJob,
) -> PlannedJob:
    return _job(
        f"{model.name}/seed{seed}/benchmark/{method}",
        Stage.BENCHMARK,
        spec={
            "model": model.name,
            "seed": seed,
            "method": method,
            "batch_sizes": study.benchmark.batch_sizes,
            "threads": study.benchmark.threads,
        },
        inputs={
            "model": InputRef("model", compressed.id),
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
    return _job(
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


def _job(
    name: str,
    stage: Stage,
    spec: Mapping[str, Any],
    inputs: Mapping[str, InputRef],
    requires: Device = Device.CPU,
) -> PlannedJob:
    parents = tuple(dict.fromkeys(ref.job for ref in inputs.values() if ref.job is not None))
    spec = json.loads(json.dumps(spec))
    identity = [stage, spec, {key: dataclasses.astuple(ref) for key, ref in inputs.items()}]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
    steps = spec["visit"]["steps"] if stage is Stage.TRAIN else 0
    return PlannedJob(
        digest, name, stage, spec["model"], steps, spec, inputs, parents, critical_path=1, requires=requires
    )


def _with_critical_paths(jobs: list[PlannedJob]) -> tuple[PlannedJob, ...]:
    longest: dict[str, int] = {}
    for job in reversed(jobs):
        path = longest.setdefault(job.id, 1)
        for parent in job.parents:
            longest[parent] = max(longest.get(parent, 1), path + 1)
    return tuple(dataclasses.replace(job, critical_path=longest[job.id]) for job in jobs)
