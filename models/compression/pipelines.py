"""Pipelines: what a study's `compress` asks for, as plain data.

A pipeline is a row of transforms, each of which changes the trained network and fine-tunes it, and one export, which
writes the file (`models.compression.methods`).  What a transform computes lives in `models.training`,
`models.compression.slimming` and `models.compression.legacy`; which jobs a pipeline takes in
`orchestrator.planning.compression`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.compression import methods
from models.pruning import CannotPrune, Pruning

EPOCHS = 2
"""How long a fine-tuning is, in passes over the training images, where nothing else is said."""

LEARNING_RATE_SHARE = 0.5
"""Its learning rate, as a share of the recipe's, where nothing else is said."""


class UnknownPipeline(ValueError):
    """Not a pipeline; the message is a sentence about what is wrong with it."""


@dataclass(frozen=True)
class TransformKind:
    """A kind of transform: what can be said about it, and what holds where nothing is said."""

    name: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    legacy: bool = False
    """Whether it is tensorflow-model-optimization's, which works with legacy Keras alone."""

    @property
    def keys(self) -> tuple[str, ...]:
        return (*self.required, *self.defaults)


KINDS = {
    kind.name: kind
    for kind in (
        TransformKind("slim", {"keep_parameters": None, "keep_multiply_adds": None, "criterion": "taylor"}),
        TransformKind("distil", {"temperature": 4.0, "soft_share": 0.5}, required=("teacher",)),
        TransformKind("prune", {"sparsity": 0.8, "layers": ("dense", "conv")}),
        TransformKind("prune-2:4", {"layers": ("dense", "conv")}),
        TransformKind("tfmot-prune", {"sparsity": 0.8, "layers": ("dense", "conv")}, legacy=True),
        TransformKind("cluster", {"clusters": 16, "layers": ("dense", "conv")}, legacy=True),
        TransformKind("qat", legacy=True),
    )
}
"""In the order in which a pipeline has them: each keeps what those before it have done to the weights."""

KEEP_PARAMETERS = 0.5
"""What `slim` leaves of the parameters where no budget is given."""

_CLUSTERS_BESIDE_ZERO = 3

_PRUNING = ("prune", "prune-2:4", "tfmot-prune")


@dataclass(frozen=True)
class Transform:
    """One change of the network and the fine-tuning that goes with it."""

    method: str | None
    """A kind's name; None is the dense twin's: the fine-tuning alone."""
    options: Mapping[str, Any]
    """Every key of the kind with its value, so that equal transforms are equal data."""
    epochs: int
    learning_rate: float | None
    """None is a share of the recipe's."""

    @property
    def twin(self) -> Transform:
        """The same fine-tuning of the unchanged network."""
        return Transform(None, {}, self.epochs, self.learning_rate)


@dataclass(frozen=True)
class Pipeline:
    """Transforms in their order, and the method that writes the file."""

    transforms: tuple[Transform, ...]
    export: str


def transforms_of(method: str) -> tuple[str, ...]:
    """The kinds of transforms that `method` (`slim+prune+int4`) names.  Raises UnknownPipeline."""
    return _split(method)[0]


def parse(method: str, options: Mapping[str, Any], epochs: int | None, learning_rate: float | None) -> Pipeline:
    """The pipeline of `method`, its parts joined by `+`, with what is said about it.

    Args:
        options: what is said about its transforms, by key; each key must be one of a transform that it has.
        epochs: of each fine-tuning; None for `EPOCHS`.
        learning_rate: at the peak of each fine-tuning's schedule; None for a share of the recipe's.

    Raises:
        UnknownPipeline: it is none.
    """
    kinds, export = _split(method)
    _check_order(method, kinds)
    _check_keys(method, kinds, options, fine_tuned=epochs is not None or learning_rate is not None)
    transforms = tuple(
        Transform(kind, _options_of(kind, options, kinds), epochs or EPOCHS, learning_rate) for kind in kinds
    )
    return Pipeline(transforms, export)


def _split(method: str) -> tuple[tuple[str, ...], str]:
    """The transforms and the export."""
    *before, last = method.split("+")
    kinds, export = ((*before, last), "float32") if last in KINDS else (tuple(before), last)
    for part in (*kinds, export):
        if part not in KINDS and not methods.is_known(part):
            raise UnknownPipeline(_allowed(part))
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownPipeline(f"{kind} writes the file, so it stands last")
    if "qat" in kinds:
        if last != "qat":
            raise UnknownPipeline("qat writes an int8 file itself, so it stands last")
        export = "qat"
    return kinds, export


def _allowed(part: str) -> str:
    every = (*methods.names(), *KINDS)
    close = difflib.get_close_matches(part, every, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"allowed are {', '.join(every)}, and several of them joined by '+'{hint}"


def _check_order(method: str, kinds: tuple[str, ...]) -> None:
    order = [kind for kind in KINDS if kind in kinds]
    if len(set(kinds)) < len(kinds):
        raise UnknownPipeline(f"{method!r} has one of its parts twice")
    if list(kinds) != order:
        raise UnknownPipeline(f"in this order the later part would undo the earlier; write {'+'.join(order)!r} first")
    if len([kind for kind in kinds if kind in _PRUNING]) > 1:
        raise UnknownPipeline(f"{method!r} prunes twice; choose one of {', '.join(_PRUNING)}")
    if "qat" in kinds and set(kinds) & {*_PRUNING, "cluster"}:
        raise UnknownPipeline("qat trains every weight and would undo prune and cluster; use dynamic-int8 in its place")


def _check_keys(method: str, kinds: tuple[str, ...], options: Mapping[str, Any], *, fine_tuned: bool) -> None:
    if fine_tuned and not kinds:
        raise UnknownPipeline(f"{method!r} trains nothing, so it has no epochs and no learning_rate")
    keys = {key for kind in kinds for key in KINDS[kind].keys}
    if strangers := [key for key in options if key not in keys]:
        takers = [name for name, kind in KINDS.items() if strangers[0] in kind.keys]
        raise UnknownPipeline(f"{strangers[0]} belongs to {' and '.join(takers)}, which {method!r} has not")
    for kind in kinds:
        if missing := [key for key in KINDS[kind].required if key not in options]:
            raise UnknownPipeline(f"{kind} needs the key {missing[0]!r}")


def _options_of(kind: str, options: Mapping[str, Any], kinds: tuple[str, ...]) -> dict[str, Any]:
    if isinstance(shares := options.get("sparsity"), Mapping) and "layers" not in options:
        options = {**options, "layers": tuple(shares)}
    chosen = {key: options.get(key, KINDS[kind].defaults.get(key)) for key in KINDS[kind].keys}
    if kind == "slim" and chosen["keep_parameters"] is chosen["keep_multiply_adds"] is None:
        chosen["keep_parameters"] = KEEP_PARAMETERS
    if kind == "cluster":
        chosen["keep_zeros"] = bool(set(kinds) & set(_PRUNING))
        if chosen["keep_zeros"] and chosen["clusters"] < _CLUSTERS_BESIDE_ZERO:
            raise UnknownPipeline(f"cluster after a pruning needs {_CLUSTERS_BESIDE_ZERO} clusters: one is zero")
    if "sparsity" in chosen:
        try:
            Pruning.from_dict(chosen)
        except CannotPrune as error:
            raise UnknownPipeline(str(error).removesuffix(".")) from None
    return chosen
