"""Whether a study can be done on a data set, and what about it a person may not have meant.  Pure.

What can be wrong with the study file alone stands in `orchestrator.study`, with the data alone in `models.datasets`.
"""

from __future__ import annotations

from collections.abc import Iterator

from models import inference_runtimes
from models.architectures import catalog
from models.compression.legacy import limits
from models.compression.pipelines import Transform
from models.datasets import Description
from orchestrator.errors import StudyError
from orchestrator.planning import pruned_layers
from orchestrator.report.wording import listed
from orchestrator.study import ModelSection, Study

MOST_JOBS = 1_000_000
"""So many jobs of a study can still be planned, claimed and shown; more would rather be a typing error."""


def check(study: Study, description: Description, train_images: int) -> None:
    """Args:
        train_images: how many are trained on.

    Raises:
        StudyError: the study asks for more than the data set has, or than there can be.
    """
    _check_jobs(study)
    _check_sizes(study, description, train_images)
    for model in study.models:
        _check_images(model, description)
        _check_transforms(model)
        pruned_layers.check(model, description)


def doubts(study: Study, description: Description) -> Iterator[str]:
    """A sentence for each."""
    if description.smallest_class < study.shards:
        yield (
            f"shards = {study.shards} is more than the {description.smallest_class} training images of the smallest "
            f"class of {description.name}: some shards have none of it."
        )
    side = min(description.image_shape[:2])
    for model in study.models:
        augmentation = model.resulting_recipe.augmentation
        for key, pixels in (("cutout", augmentation.cutout), ("crop_padding", augmentation.crop_padding)):
            if pixels >= side:
                yield f"{model.name}: {key} = {pixels} can leave nothing of an image that has {side} pixels on a side."
        yield from _costs(model)
        yield from _unchanged(model)
        yield from (f"{model.name}: {said}" for said in pruned_layers.left_alone(model, description))
        yield from _left_out(study, model)


def _costs(model: ModelSection) -> Iterator[str]:
    """What a method is known to cost an architecture."""
    exports = {entry.pipeline.export for entry in model.compress}
    if "static-int8" in exports and _attends(model):
        yield (
            f"{model.name}: static-int8 costs transformers points of accuracy (5.4 of vit-tiny's 42.9 after a short "
            "training, where dynamic-int8 cost 0.1) and runs slower than dynamic-int8."
        )


def _unchanged(model: ModelSection) -> Iterator[str]:
    """What tensorflow-model-optimization leaves alone, or does otherwise than the recipe says."""
    kinds = sorted({transform.method or "" for transform in _transforms(model)} & set(limits.METHODS))
    for kind in kinds:
        if said := limits.left_alone(kind, attends=_attends(model)):
            yield f"{model.name}: {said}"
    if kinds and (said := limits.other_optimizer(model.resulting_recipe)):
        yield f"{model.name}: {said}"


def _transforms(model: ModelSection) -> Iterator[Transform]:
    for entry in model.compress:
        yield from entry.pipeline.transforms


def _attends(model: ModelSection) -> bool:
    """Whether it is known to be a transformer: of a person's own nothing is known here."""
    return ":" not in model.architecture and catalog.get(model.architecture).attends


def _left_out(study: Study, model: ModelSection) -> Iterator[str]:
    """The rows that a runtime cannot be given."""
    for runtime in map(inference_runtimes.get, study.benchmark.runtimes):
        rows = [entry.name for entry in model.compress]
        left_out = [row for row in rows if not runtime.runs(row)]
        if left_out:
            yield (
                f"{model.name}: {runtime.title} cannot be given {listed(left_out)}, so there it measures "
                f"{listed([row for row in rows if runtime.runs(row)]) or 'nothing'}."
            )


def _check_jobs(study: Study) -> None:
    visits = study.training.epochs // study.training.epochs_per_visit * study.shards
    jobs = visits * len(study.seeds) * len(study.models)
    if jobs > MOST_JOBS:
        raise StudyError(
            f"{jobs:,} visits to shards are more jobs than the {MOST_JOBS:,} that a study may have; "
            "give fewer shards or seeds, or more epochs_per_visit."
        )


def _check_sizes(study: Study, description: Description, train_images: int) -> None:
    for key, asked, available in (
        ("train_images", study.train_images, description.train_images),
        ("test_images", study.test_images, description.test_images),
    ):
        if asked is not None and asked > available:
            raise StudyError(f"{key} = {asked} is more than the {available} images that {description.name} has.")
    per_shard = train_images // study.shards
    if per_shard < len(description.classes):
        raise StudyError(
            f"shards = {study.shards} leaves {per_shard} images in a shard, fewer than one of each of the "
            f"{len(description.classes)} classes; use fewer shards."
        )


def _check_transforms(model: ModelSection) -> None:
    """What cannot be done to a network is refused before hours of training."""
    for transform in _transforms(model):
        if said := limits.refusal(transform.method or "", (), attends=_attends(model)):
            raise StudyError(f"{model.name}: {said}")


def _check_images(model: ModelSection, description: Description) -> None:
    """A network that cannot be built for these images would fail on the first worker that takes it."""
    if ":" in model.architecture:
        return
    architecture = catalog.get(model.architecture)
    height, width, channels = description.image_shape
    if min(height, width) < architecture.smallest_side:
        least = architecture.smallest_side
        raise StudyError(
            f"{model.architecture} needs images of at least {least}x{least} pixels, and those of {description.name} "
            f"are {height}x{width}; choose an architecture for smaller ones, or enlarge the images."
        )
    if height % architecture.side_multiple or width % architecture.side_multiple:
        raise StudyError(
            f"{model.architecture} needs images whose sides are multiples of {architecture.side_multiple} pixels, and "
            f"those of {description.name} are {height}x{width}; choose another architecture, or crop the images."
        )
    if architecture.channels not in (None, channels):
        raise StudyError(
            f"{model.architecture} needs images with {architecture.channels} channels, and those of {description.name} "
            f"have {channels}; choose another architecture, or change the images."
        )
