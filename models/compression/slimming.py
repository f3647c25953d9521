"""Slimming: a trained network with fewer channels, neurons and heads, and nothing else changed.

The graph says what can be removed (`models.compression.channel_spaces`), scores say what is missed least
(`models.compression.channel_scores`), and a budget says how much goes.  Scores are taken anew as the network shrinks:
what a channel is worth depends on those that are left.  What comes out is an ordinary Keras network, whose layers and
weights have their old names; the same widths make it of the same builder in another process, or in legacy Keras.

Nothing is trained here.

Source: Molchanov, Tyree, Karras, Aila, Kautz, "Pruning Convolutional Neural Networks for Resource Efficient Inference",
2017: first-order scores, weighed against what is saved, and removal in rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras
from numpy.typing import NDArray

from models.compression.channel_budget import Budget, Tally, mean_share
from models.compression.channel_scores import Scores, magnitude, taylor
from models.compression.channel_spaces import CannotSlim, ChannelSpaces, Cost, Kept, Widths, find_channels
from models.compression.narrowing import narrowed
from models.training.trainer import MODEL, load_weights, network_weights

Criterion = Literal["taylor", "magnitude"]

_ROUND = 0.17
"""The share of what is left that goes before the rest is scored anew.  With all in one round one layer collapses."""


@dataclass(frozen=True, eq=False)
class Slimmed:
    """A network that was slimmed, and what became of it."""

    network: Any
    """The Keras network; the original is as it was."""
    widths: Widths
    """What `narrowed` makes it of: plain data."""
    kept: Mapping[str, tuple[int, ...]]
    """By layer its output channels that are left, as numbered in the original; layers that lost none are left out."""
    cost: Cost
    original_cost: Cost


def slim(
    network: Any,
    images: NDArray[Any],
    labels: NDArray[Any],
    *,
    keep_parameters: float | None = None,
    keep_multiply_adds: float | None = None,
    criterion: Criterion = "taylor",
) -> Slimmed:
    """Remove what `network` misses least, until no more is left of it than the budget.

    The same network and images give the same channels, as far as the device repeats its gradients.

    Args:
        network: a trained functional Keras model on TensorFlow, pixels 0..255 in and logits out.
        images: training images [N, H, W, C], pixels 0..255; a thousand are plenty.
        labels: their class numbers [N].
        keep_parameters: the share of the parameters that may be left, between 0 and 1.
        keep_multiply_adds: the same of the multiply-adds; with both, both hold.
        criterion: "taylor" for the first-order change of the loss over the images; "magnitude" for the L2 norm of the
            weights, which looks at no image.

    Raises:
        CannotSlim: nothing of the network can be removed, or not so much; known before the first score, unless the
            units of a layer differ in size.
        ValueError: the budget is none.
    """
    budget = Budget(keep_parameters, keep_multiply_adds)
    spaces = find_channels(network, keras.saving.get_registered_name)
    _check_reachable(network, spaces, budget)
    kept = spaces.everything()
    whole = spaces.cost(kept)
    slimmed = network
    while not budget.is_met(spaces.cost(kept), whole):
        if criterion == "taylor":
            scores = taylor(slimmed, spaces, kept, images, labels)
        else:
            scores = magnitude(_weights(network), spaces, kept)
        kept = _after_a_round(spaces, kept, scores, budget)
        slimmed = cut(network, spaces, kept)
    return Slimmed(slimmed, spaces.widths(kept), spaces.kept_channels(kept), spaces.cost(kept), whole)


def cut(network: Any, spaces: ChannelSpaces, kept: Kept) -> Any:
    """A network of the kept channels alone, with their weights; `network` stays as it is."""
    smaller = narrowed(keras, network, spaces.widths(kept))
    left = spaces.cut_weights(_weights(network), kept)
    load_weights(smaller, {MODEL + path: weight for path, weight in left.items()})
    return smaller


def _weights(network: Any) -> dict[str, NDArray[Any]]:
    """By path, as in `conv1/kernel`."""
    return {key.removeprefix(MODEL): weight for key, weight in network_weights(network).items()}


def _check_reachable(network: Any, spaces: ChannelSpaces, budget: Budget) -> None:
    tally = Tally(spaces, spaces.everything())
    whole = tally.cost
    removable = [unit for unit in spaces.units.tolist() if tally.may_remove(unit)]
    if not removable:
        obstacles = ", ".join(spaces.obstacles[:3]) or "its input and its logits"
        raise CannotSlim(f"Nothing of {network.name!r} can be slimmed: its channels are tied to {obstacles}.")
    for unit in removable:
        if tally.may_remove(unit):
            tally.remove(unit)
    if not budget.is_met(tally.cost, whole):
        parameters = tally.cost.parameters / whole.parameters
        multiply_adds = tally.cost.multiply_adds / whole.multiply_adds
        raise CannotSlim(
            f"{network.name!r} cannot be slimmed so far: at its smallest widths {parameters:.1%} of the parameters and "
            f"{multiply_adds:.1%} of the multiply-adds are left; let more be kept."
        )


def _after_a_round(spaces: ChannelSpaces, kept: Kept, scores: Scores, budget: Budget) -> Kept:
    """What is kept when the units with the lowest score for their cost are gone, and a round or the budget is over."""
    whole = spaces.cost(spaces.everything())
    tally = Tally(spaces, kept)
    units = [unit for unit in spaces.units.tolist() if tally.may_remove(unit)]
    price = {unit: scores[unit] / mean_share(tally.saving(unit), whole) for unit in units}
    enough = (1 - _ROUND) * mean_share(tally.cost, whole)
    for unit in sorted(units, key=price.__getitem__):
        if mean_share(tally.cost, whole) <= enough or budget.is_met(tally.cost, whole):
            break
        if tally.may_remove(unit):
            tally.remove(unit)
    if tally.kept.sum() == kept.sum():
        raise CannotSlim("Every layer is at its smallest width, and more is left than the budget; let more be kept.")
    return tally.kept
