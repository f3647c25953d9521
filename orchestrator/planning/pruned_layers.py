"""Which layers of a study's networks its prunings and clusterings will find, as far as a plan can know it.  Pure.

What such a transform does to a layer is `models.pruning`; the layers of a built-in network are known from its outline,
those of a person's own from nobody before a worker builds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from models.architectures import outline
from models.compression import pipelines
from models.compression.pipelines import Transform
from models.datasets import Description
from models.pruning import TWO_OF_FOUR, CannotPrune, Kernel, Pruning
from orchestrator.errors import StudyError
from orchestrator.report.wording import listed
from orchestrator.study import ModelSection

_PATTERN = "prune-2:4"
_ANY_SHARE = 0.5
"""Stands for a share where which layers are meant is all that is asked."""


def check(model: ModelSection, description: Description) -> None:
    """Args:
        model: the built-in networks are looked at, and no others.

    Raises:
        StudyError: a layer is named that the network has not, or there is nothing that could be pruned: the worker
            that has trained the network for hours would find the same.
    """
    if _is_own(model):
        return
    for entry in model.compress:
        for transform, is_slimmed in _in_order(entry.pipeline.transforms):
            if pruning := _pruning(transform, is_slimmed=is_slimmed):
                try:
                    pruning.chosen(_kernels(model, description))
                except CannotPrune as error:
                    raise StudyError(f"{model.name}, {entry.name}: {error}") from None


def left_alone(model: ModelSection, description: Description) -> Iterator[str]:
    """A sentence, each once, of what a transform will leave as it is, or of what cannot be foreseen."""
    said: dict[str, None] = {}
    for entry in model.compress:
        for transform, is_slimmed in _in_order(entry.pipeline.transforms):
            if transform.method == _PATTERN and (sentence := _of_pattern(model, description, transform, is_slimmed)):
                said[sentence] = None
    yield from said
    legacy = [name for name, kind in pipelines.KINDS.items() if kind.legacy and name in _methods(model)]
    if legacy and _is_own(model):
        yield f"whether {listed(legacy)} can be done to your own network is known once a worker has built it."


def _of_pattern(model: ModelSection, description: Description, transform: Transform, is_slimmed: bool) -> str | None:
    if _is_own(model):
        return (
            f"{_PATTERN} leaves layers alone whose inputs do not come in whole fours; which of your own network's "
            "these are is known once a worker has built it."
        )
    if is_slimmed:
        return (
            f"slim leaves layers any number of inputs, and {_PATTERN} after it leaves those alone whose inputs do not "
            "come in whole fours."
        )
    pruning = _pruning(transform, is_slimmed=False)
    assert pruning is not None, "the pattern is a pruning"
    misfits = [kernel.layer for kernel in pruning.left_alone(_kernels(model, description))]
    if not misfits:
        return None
    return f"{_PATTERN} leaves {listed(misfits)} alone: the inputs there do not come in whole fours."


def _pruning(transform: Transform, *, is_slimmed: bool) -> Pruning | None:
    """What decides which layers the transform takes; None if it takes no layers by name or kind."""
    if "layers" not in transform.options:
        return None
    layers = tuple(transform.options["layers"])
    # How many inputs a slimmed layer has nobody knows yet; its name and kind stay.
    if transform.method == _PATTERN and not is_slimmed:
        return Pruning(pattern=TWO_OF_FOUR, layers=layers)
    return Pruning(transform.options.get("sparsity", _ANY_SHARE), layers)


def _in_order(transforms: Sequence[Transform]) -> Iterator[tuple[Transform, bool]]:
    """Each with whether the network is slimmed before it."""
    is_slimmed = False
    for transform in transforms:
        yield transform, is_slimmed
        is_slimmed = is_slimmed or transform.method == "slim"


def _methods(model: ModelSection) -> set[str | None]:
    return {transform.method for entry in model.compress for transform in entry.pipeline.transforms}


def _kernels(model: ModelSection, description: Description) -> tuple[Kernel, ...]:
    return outline.kernels(model.architecture, description.image_shape, len(description.classes))


def _is_own(model: ModelSection) -> bool:
    return ":" in model.architecture
