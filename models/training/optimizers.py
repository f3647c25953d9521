"""A recipe's optimizer: AdamW, SGD with Nesterov's momentum, Lion or Muon; its schedule, its weight decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from models.recipes import Recipe

_NEVER_DECAYED = ("bias", "beta", "gamma", "scale")
_NO_MATRICES = ["logits", "position", "pool_score"]
"""Layers whose weights Muon leaves to its AdamW: the last one, and those that are vectors."""


def build_optimizer(recipe: Recipe, total_steps: int, variables: Sequence[Any], precision: str) -> Any:
    """A fresh Keras optimizer for these variables; with mixed_float16 it scales the loss against underflow.

    The decay of all of them is the learning rate's share of `recipe.weight_decay`.

    AdamW: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019.
    Lion: Chen et al., "Symbolic discovery of optimization algorithms", 2023.
    Muon: Jordan et al., 2024, with the step's size of Liu et al., "Muon is scalable for LLM training", 2025: learning
    rate and decay are AdamW's.  It is for matrices; convolutions, biases and the last layer get AdamW.
    """
    options = {
        # A given name, because Keras numbers the others through the process and variables are named after it.
        "name": "optimizer",
        "learning_rate": learning_rate(recipe, total_steps),
        "weight_decay": recipe.weight_decay or None,
        "global_clipnorm": recipe.gradient_clip,
    }
    if recipe.optimizer == "adamw":
        # Keras' AdamW wants a number where the others take None for none.
        optimizer = keras.optimizers.AdamW(**{**options, "weight_decay": recipe.weight_decay})
    elif recipe.optimizer == "lion":
        optimizer = keras.optimizers.Lion(**options)
    elif recipe.optimizer == "muon":
        options["adam_weight_decay"] = options["weight_decay"]
        optimizer = keras.optimizers.Muon(exclude_layers=_NO_MATRICES, **options)
    else:
        optimizer = keras.optimizers.SGD(momentum=recipe.momentum, nesterov=True, **options)
    optimizer.exclude_from_weight_decay(var_list=[variable for variable in variables if not decays(variable)])
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale")
    optimizer.build(variables)
    return optimizer


def learning_rate(recipe: Recipe, total_steps: int) -> Any:
    """Keras' schedule by step: a linear rise from zero, then what the recipe's `schedule` says."""
    warmup_steps = int(recipe.warmup_fraction * total_steps)
    if recipe.schedule in ("one-cycle", "step"):
        after = _line_down if recipe.schedule == "one-cycle" else _two_drops
        return Schedule(recipe.learning_rate, warmup_steps, total_steps, after)
    rise = {"warmup_target": recipe.learning_rate, "warmup_steps": warmup_steps} if warmup_steps else {}
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else recipe.learning_rate,
        decay_steps=max(1, total_steps - warmup_steps),
        alpha=1.0 if recipe.schedule == "constant" else 0.0,
        **rise,
    )


class Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A learning rate that rises linearly from zero, and then is a share of its peak.

    Args:
        after: (share of all steps that are taken, of those that the rise takes) to the share of the peak.
    """

    def __init__(self, peak: float, warmup_steps: int, total_steps: int, after: Any) -> None:
        self._peak = peak
        self._warmup_steps = warmup_steps
        self._total_steps = max(1, total_steps)
        self._after = after

    def __call__(self, step: Any) -> Any:
        step = keras.ops.cast(step, "float32")
        share = self._after(step / self._total_steps, self._warmup_steps / self._total_steps)
        rising = step / self._warmup_steps if self._warmup_steps else 1.0
        return self._peak * keras.ops.minimum(rising, share)


def _line_down(taken: Any, risen: float) -> Any:
    """Smith, "Super-convergence", 2018, without its last steps."""
    return keras.ops.maximum(0.0, (1.0 - taken) / max(1e-6, 1.0 - risen))


def _two_drops(taken: Any, risen: float) -> Any:
    """He et al., "Deep residual learning", 2015."""
    del risen
    return keras.ops.where(taken < 0.5, 1.0, keras.ops.where(taken < 0.75, 0.1, 0.01))


def decays(variable: Any) -> bool:
    """Decay is for weights that multiply: pulling a bias or a normalisation to zero only costs accuracy."""
    name = variable.name.rpartition("/")[2].partition(":")[0]  # legacy Keras writes "stem/bias:0"
    return len(variable.shape) > 1 and name not in _NEVER_DECAYED
