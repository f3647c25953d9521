"""The code of a person's own that a study names: read from beside the study, checked, and pinned to its contents.

What travels is published as the shards are (`orchestrator.planning.sharding`); which jobs need it follows from their
specs (`orchestrator.job_code`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.architectures import own_network
from models.own_code import bundle, inspection, reference
from models.own_code.bundle import Bundle
from models.own_code.errors import OwnCodeFault
from orchestrator.errors import StudyError
from orchestrator.study import ModelSection, Study


@dataclass(frozen=True)
class OwnCode:
    """A study whose architectures are pinned, and the code that they are in."""

    study: Study
    bundles: Mapping[str, Bundle]
    """By SHA-256."""


def pinned(study: Study, folder: Path) -> OwnCode:
    """Read and check the code that a study names.

    Args:
        folder: where the study file lies.

    Raises:
        StudyError: the code is not there, does not travel as it is, or is not what the study needs; with the line.
    """
    bundles: dict[str, Bundle] = {}
    models = tuple(_pinned_model(model, folder, bundles) for model in study.models)
    return OwnCode(study.model_copy(update={"models": models}) if bundles else study, bundles)


def _pinned_model(model: ModelSection, folder: Path, bundles: dict[str, Bundle]) -> ModelSection:
    own = reference.parse(model.architecture)
    if own is None:
        return model
    try:
        gathered = bundle.gather(folder, own)
        inspection.check(gathered, own, folder, own_network.CALL, image_shape=(32, 32, 3), classes=10)
    except OwnCodeFault as error:
        raise StudyError(f"{model.name}: {error}") from None
    bundles[gathered.digest] = gathered
    return model.model_copy(update={"architecture": str(own.pinned(gathered.digest))})
