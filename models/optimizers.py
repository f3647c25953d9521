"""A recipe's optimizer: AdamW or SGD with Nesterov's momentum, its schedule, its weight decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from models.recipes import Recipe

_NEVER_DECAYED = ("bias", "beta", "gamma", "scale")


def build_optimizer(recipe: Recipe, total_steps: int, variables: Sequence[Any], precision: str) -> Any:
    """A fresh Keras optimizer for these variables; with mixed_float16 it scales the loss against underflow.

    AdamW: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.  The decay of both is
    the learning rate's share of `recipe.weight_decay`.
    """
    options = {
        # A given name, because Keras numbers the others through the process and variables are named after it.
        "name": "optimizer",
        "learning_rate": learning_rate(recipe, total_steps),
        "weight_decay": recipe.weight_decay or None,
        "global_clipnorm": recipe.gradient_clip,
    }
    if recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(**options)
    else:
        optimizer = keras.optimizers.SGD(momentum=recipe.momentum, nesterov=True, **options)
    optimizer.exclude_from_weight_decay(var_list=[variable for variable in variables if not _decays(variable)])
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale")
    optimizer.build(variables)
    return optimizer


def learning_rate(recipe: Recipe, total_steps: int) -> Any:
    """Keras' schedule by step: a linear rise from zero, then half a cosine down to zero, or a constant."""
    warmup_steps = int(recipe.warmup_fraction * total_steps)
    rise = {"warmup_target": recipe.learning_rate, "warmup_steps": warmup_steps} if warmup_steps else {}
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else recipe.learning_rate,
        decay_steps=max(1, total_steps - warmup_steps),
        alpha=1.0 if recipe.schedule == "constant" else 0.0,
        **rise,
    )


def _decays(variable: Any) -> bool:
    """Decay is for weights that multiply: pulling a bias or a normalisation to zero only costs accuracy."""
    return len(variable.shape) > 1 and variable.name not in _NEVER_DECAYED
