"""The jobs that make files of a trained network: fine-tunings, exports, and the dense twins to compare with.  Pure.

What a pipeline is lives in `models.compression.pipelines`; how the files are measured is planned in
`orchestrator.planning.planner`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models import datasets
from models.compression import methods, pipelines
from models.compression.pipelines import Transform
from models.recipes import Recipe, Training, Visit
from orchestrator.jobs import InputRef, PlannedJob, Stage
from orchestrator.planning.planned_jobs import planned_job, shard_name, train_images, trains_on
from orchestrator.study import TWIN, ModelSection, Study


@dataclass(frozen=True)
class Row:
    """One row of the report that is to be: the job that makes its file, and what it is compared with."""

    name: str
    file: PlannedJob
    twin: str | None = None
    """The row of the network that was fine-tuned as long, and not changed; None where nothing was fine-tuned."""


@dataclass(frozen=True)
class Compression:
    """What is made of one model that was trained from one seed."""

    study: Study
    description: datasets.Description
    model: ModelSection
    seed: int
    trained: PlannedJob
    """The job that leaves the trained network."""
    teachers: Mapping[str, PlannedJob]
    """The last training jobs of this model and those above it, by the models' names."""
    _fine_tunings: dict[str, PlannedJob] = field(default_factory=dict)

    def rows(self) -> tuple[Row, ...]:
        """The study's rows in their order, then the dense twins that they need, each once."""
        rows: list[Row] = []
        twins: dict[str, Sequence[Transform]] = {}
        for entry in self.model.compress:
            pipeline = entry.pipeline
            twin = _twin_name(pipeline.transforms)
            if twin is not None:
                twins.setdefault(twin, [transform.twin for transform in pipeline.transforms])
            file = self._export(entry.name, pipeline.export, pipeline.transforms, ship=entry.ship)
            rows.append(Row(entry.name, file, twin))
        for name, transforms in twins.items():
            rows.append(Row(name, self._export(name, "float32", transforms)))
        return tuple(rows)

    def jobs(self, rows: Sequence[Row]) -> Iterator[PlannedJob]:
        """Every job behind these rows, parents before children."""
        yield from self._fine_tunings.values()
        yield from (row.file for row in rows)

    def _export(self, name: str, export: str, transforms: Sequence[Transform], ship: str = "tflite") -> PlannedJob:
        state = self._fine_tuned(transforms) if transforms else self.trained
        inputs = {"state": InputRef("state", state.id)}
        more: dict[str, Any] = {} if name == export else {"export": export}
        # As is: what was planned before the key was there keeps its id.
        if ship != "tflite":
            more["ship"] = ship
        if export == "qat":
            more["runner"] = "legacy"
        elif methods.get(export).needs_images:
            inputs["shard"] = self._shard(0)
            more["calibration_images"] = methods.CALIBRATION_IMAGES
        return planned_job(
            f"{self.model.name}/seed{self.seed}/compress/{name}",
            Stage.COMPRESS,
            spec={
                "model": self.model.name,
                "seed": self.seed,
                "method": name,
                "architecture": self.model.architecture,
                "classes": len(self.description.classes),
                "image_shape": self.description.image_shape,
                **more,
            },
            inputs=inputs,
        )

    def _fine_tuned(self, transforms: Sequence[Transform]) -> PlannedJob:
        """The job of the last of these transforms; pipelines that begin alike share what they begin with."""
        *before, transform = transforms
        parent = self._fine_tuned(before) if before else self.trained
        methods_so_far = "+".join(each.method or "twin" for each in transforms)
        passes_so_far = self.study.training.epochs + sum(each.epochs for each in before)
        job = self._fine_tuning(transform, parent, methods_so_far, passes_so_far)
        if job.id in self._fine_tunings:
            return self._fine_tunings[job.id]
        alike = sum(other.spec["method"] == methods_so_far for other in self._fine_tunings.values())
        if alike:
            job = dataclasses.replace(job, name=f"{job.name}.{alike + 1}")
        self._fine_tunings[job.id] = job
        return job

    def _fine_tuning(
        self, transform: Transform, parent: PlannedJob, methods_so_far: str, passes_so_far: int
    ) -> PlannedJob:
        images = train_images(self.study, self.description)
        recipe = self._recipe(transform)
        steps = recipe.steps_per_epoch(images) * transform.epochs
        training = Training(
            self.model.architecture,
            recipe,
            self.seed,
            len(self.description.classes),
            self.description.image_shape,
            total_steps=steps,
        )
        # Its passes are numbered after those before: their order and changes of images are new ones.
        visit = Visit(passes_so_far, transform.epochs, 0, steps)
        shards = {f"shard{shard}": self._shard(shard) for shard in range(self.study.shards)}
        told, teacher = self._told(transform)
        legacy = transform.method is not None and pipelines.KINDS[transform.method].legacy
        return planned_job(
            f"{self.model.name}/seed{self.seed}/fine-tune/{methods_so_far}",
            Stage.COMPRESS,
            spec={
                "model": self.model.name,
                "seed": self.seed,
                "method": methods_so_far,
                "threads": self.study.training.threads,
                "training": training.to_dict(),
                "visit": dataclasses.asdict(visit),
                "transform": told,
                **({"runner": "legacy"} if legacy else {}),
            },
            inputs={"trained": InputRef("state", parent.id), **shards, **teacher},
            requires=trains_on(self.study, self.model.architecture, "tensorflow"),
        )

    def _recipe(self, transform: Transform) -> Recipe:
        """The model's own, without a moving average: it would remember weights that a transform has removed."""
        recipe = self.model.resulting_recipe
        rate = transform.learning_rate or recipe.learning_rate * pipelines.LEARNING_RATE_SHARE
        return recipe.replace(ema=None, learning_rate=rate)

    def _told(self, transform: Transform) -> tuple[dict[str, Any] | None, dict[str, InputRef]]:
        """What the job is told of its transform, and the teacher's state if it has one."""
        if transform.method is None:
            return None, {}
        options = dict(transform.options)
        if transform.method != "distil":
            return {"method": transform.method, **options}, {}
        teacher = self.teachers[options.pop("teacher")]
        architecture = teacher.spec["training"]["architecture"]
        told = {"method": transform.method, "teacher": architecture, **options}
        return told, {"teacher": InputRef("state", teacher.id)}

    def _shard(self, shard: int) -> InputRef:
        return InputRef(shard_name(self.study, self.description, shard))


def _twin_name(transforms: Sequence[Transform]) -> str | None:
    """How the row is called that was fine-tuned like these: by epochs, and by learning rates where they are given."""
    if not transforms:
        return None
    return TWIN + "+".join(
        f"{each.epochs}ep" + ("" if each.learning_rate is None else f",lr{each.learning_rate:g}") for each in transforms
    )
