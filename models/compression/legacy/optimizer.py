"""A recipe's optimizer and its schedule in legacy Keras, which has no Muon: AdamW takes its place.

For matrices other than convolutions' kernels this is another training than the recipe's, at the same learning rate and
decay; for everything else it is what Muon itself does (`models.training.optimizers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tf_keras

from models.recipes import Recipe
from models.training.optimizers import decays, learning_rate


class _Schedule(tf_keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The schedule of Keras 3, step by step."""

    def __init__(self, recipe: Recipe, total_steps: int) -> None:
        self._of_keras_3 = learning_rate(recipe, total_steps)

    def __call__(self, step: Any) -> Any:
        return self._of_keras_3(step)


def build_optimizer(recipe: Recipe, total_steps: int, variables: Sequence[Any]) -> Any:
    """A fresh optimizer of legacy Keras for these variables."""
    options = {
        "learning_rate": _Schedule(recipe, total_steps),
        "weight_decay": recipe.weight_decay or None,
        "global_clipnorm": recipe.gradient_clip,
        "jit_compile": False,
    }
    optimizers = tf_keras.optimizers
    if recipe.optimizer == "sgd":
        optimizer = optimizers.SGD(momentum=recipe.momentum, nesterov=True, **options)
    elif recipe.optimizer == "lion":
        optimizer = optimizers.Lion(**options)
    else:
        optimizer = optimizers.AdamW(**options)
    optimizer.exclude_from_weight_decay(var_list=[variable for variable in variables if not decays(variable)])
    optimizer.build(variables)
    return optimizer
