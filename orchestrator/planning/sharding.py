"""Makes what a plan's jobs read: shards, test set and a person's own code, each one artifact in the home's store."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from models import datasets
from models.files import replace_file
from orchestrator.artifacts import ArtifactStore
from orchestrator.errors import DiskError
from orchestrator.jobs import Artifact
from orchestrator.planning.planned_jobs import train_images
from orchestrator.planning.planner import SHARDING_SEED, Plan


def publish_data(
    plan: Plan, dataset: datasets.Dataset, store: ArtifactStore, wanted: Collection[str]
) -> dict[str, Artifact]:
    """Keep those of the shards and the test set in the store that are wanted; returns them by name.

    Args:
        wanted: names that the plan gives them.

    Raises:
        StoreError: the store could not keep one; those before it are garbage, and nothing names them.
        DiskError: this machine has no room for one.
    """
    study, description = plan.study, plan.description
    train = datasets.subset(dataset.train, train_images(study, description), SHARDING_SEED)
    test = datasets.subset(dataset.test, study.test_images or description.test_images, SHARDING_SEED)
    shards = datasets.stratified_shards(train, study.shards, SHARDING_SEED)
    named = dict(zip(plan.shard_names, shards, strict=True)) | {plan.test_name: test}
    with tempfile.TemporaryDirectory(prefix="orch-shards-") as directory:
        file = Path(directory) / "split.safetensors"
        return {
            name: _kept(partial(datasets.save_split, split, file), file, store)
            for name, split in named.items()
            if name in wanted
        }


def publish_code(plan: Plan, store: ArtifactStore, wanted: Collection[str]) -> dict[str, Artifact]:
    """Keep the code in the store that is wanted; returns it by name.  Raises as `publish_data`."""
    with tempfile.TemporaryDirectory(prefix="orch-code-") as directory:
        file = Path(directory) / "code.json"
        return {
            name: _kept(partial(replace_file, file, bundle.to_bytes()), file, store)
            for name, bundle in plan.code.items()
            if name in wanted
        }


def _kept(write: Callable[[], None], file: Path, store: ArtifactStore) -> Artifact:
    try:
        write()
    except OSError as error:
        raise DiskError(
            f"A file to be published could not be written to {file.parent}: {error.strerror}; free some space and plan "
            "again."
        ) from error
    return store.put(file)
