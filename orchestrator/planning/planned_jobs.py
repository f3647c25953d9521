"""One job of a plan: its identity, which is all that decides what comes out of it, and what it waits for.

Which jobs there are is for `orchestrator.planning.planner` and `orchestrator.planning.compression`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from models import datasets
from models.architectures import catalog
from orchestrator import job_code
from orchestrator.jobs import Device, InputRef, PlannedJob, Stage
from orchestrator.study import Study


def planned_job(
    name: str,
    stage: Stage,
    spec: Mapping[str, Any],
    inputs: Mapping[str, InputRef],
    requires: Device = Device.CPU,
) -> PlannedJob:
    """The job; its id follows from stage, spec and inputs, and not from its name or from where it may run.

    The code of a person's own that the spec names is among the inputs.
    """
    inputs = {**inputs, **_code_of(spec)}
    parents = tuple(dict.fromkeys(ref.job for ref in inputs.values() if ref.job is not None))
    spec = json.loads(json.dumps(spec))
    identity = [stage, spec, {key: dataclasses.astuple(ref) for key, ref in inputs.items()}]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
    steps = spec["visit"]["steps"] if "visit" in spec else 0
    return PlannedJob(
        digest, name, stage, spec["model"], steps, spec, inputs, parents, critical_path=1, requires=requires
    )


def _code_of(spec: Mapping[str, Any]) -> dict[str, InputRef]:
    digests = job_code.digests_by_input(spec)
    return {called: InputRef(job_code.artifact_name(digest)) for called, digest in digests.items()}


def trains_on(study: Study, architecture: str, backend: str) -> Device:
    """What a worker must have to train it with a backend: fine-tunings are TensorFlow's, whatever the study says.

    TensorFlow computes on no TPU here, so what a CPU would take days for is left to GPUs then.
    """
    match study.training.device:
        case "any":
            return Device.CPU
        case "gpu":
            return Device.GPU
        case "tpu" if backend == "jax":
            return Device.TPU
    if ":" in architecture or not catalog.get(architecture).wants_gpu:
        return Device.CPU
    return Device.GPU_OR_TPU if backend == "jax" else Device.GPU


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
