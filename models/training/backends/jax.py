"""Training with JAX: one compiled step, which is called as often as a call of the trainer has steps.

Forty steps in one `lax.scan` are not the forty calls' bits, so there is one program, for one step, and the loop stands
outside of it.  Nothing waits in between: JAX computes while Python goes on to the next step.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import jax
import keras
import numpy as np
from numpy.typing import NDArray

from models.datasets import Split
from models.recipes import Recipe
from models.training.backends import Accelerator
from models.training.backends.jax_pooling import with_exact_pooling
from models.training.learner import Learner
from models.training.training_step import Steps, steps_taken, training_batch, training_loss

_THREADS = "NPROC"
"""How many threads XLA's CPU client starts, read when it starts; without it as many as there are cores."""
_DETERMINISTIC = "xla_gpu_deterministic_ops"

_Values = list[Any]
"""The values of variables, in the order in which Keras lists them."""
_State = tuple[_Values, _Values, _Values, _Values]
"""Trainable weights, the network's other variables, the optimizer's, and the moving averages."""
_Constants = tuple[_Values, _Values]
"""What a step reads and leaves as it is: the masks, and the teacher's variables."""


def configure(threads: int) -> None:
    """Every operation on `threads` threads, and on a GPU only kernels that repeat their results.

    An `XLA_FLAGS` that speaks of deterministic kernels already is left as it is.
    """
    if os.environ.get(_THREADS) != str(threads):
        _assert_nothing_computed(threads)
        os.environ[_THREADS] = str(threads)
    flags = os.environ.get("XLA_FLAGS", "")
    if _DETERMINISTIC not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --{_DETERMINISTIC}=true".strip()
    # Otherwise this process takes three quarters of the GPU's memory, and one beside it finds none.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def _assert_nothing_computed(threads: int) -> None:
    try:
        # JAX refuses another number of CPU devices once its clients have started, and has no other way to ask.
        for devices in (2, 1):
            jax.config.update("jax_num_cpu_devices", devices)
    except RuntimeError as error:
        raise RuntimeError(
            f"JAX is already running, so its threads cannot be set to {threads}; configure it first."
        ) from error


def seed(number: int) -> None:
    """Keras draws the seeds of initializers and of dropout from Python's generator; `set_random_seed` would load
    TensorFlow, where it is installed."""
    random.seed(number)
    np.random.seed(number)


def accelerator() -> Accelerator | None:
    device = jax.devices()[0]
    if device.platform == "cpu":
        return None
    if device.platform == "tpu":
        return Accelerator("TPU", device.device_kind)
    major, _, minor = str(getattr(device, "compute_capability", "0.0")).partition(".")
    return Accelerator("GPU", device.device_kind, (int(major), int(minor or 0)))


def precision() -> str:
    return precision_of(accelerator())


def precision_of(found: Accelerator | None) -> str:
    """bfloat16, which needs no loss scale, on TPUs and from compute capability 8.0 on (A100); float16 from 7.0 on."""
    if found and (found.type == "TPU" or found.compute_capability >= (8, 0)):
        return "mixed_bfloat16"
    return "mixed_float16" if found and found.compute_capability >= (7, 0) else "float32"


def circumstances() -> dict[str, str | int]:
    return {
        "threads": int(os.environ.get(_THREADS, len(os.sched_getaffinity(0)))),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "jax": jax.__version__,
    }


def resident(shard: Split) -> tuple[Any, Any]:
    if np.prod(shard.images.shape[:3]) > np.iinfo(np.int32).max:
        raise ValueError("A shard has more than 2,147,483,647 pixels, which JAX cannot number; plan more shards.")
    return jax.device_put(shard.images), jax.device_put(shard.labels.astype(np.int32))


def compile_steps(learner: Learner, recipe: Recipe, classes: int, batch: int) -> Steps:
    """One program for every step, wherever calls are cut.

    The state is donated to a step and comes back from it; Keras' variables get it at the end of a call.
    """
    del batch  # Given by the rows.
    variables = state_variables(learner)
    constants = constant_variables(learner)
    one_step = jax.jit(step_function(learner, recipe, classes), donate_argnums=0)

    def steps(images: Any, labels: Any, rows: NDArray[np.int64], draws: NDArray[np.int64]) -> Any:
        state, fixed = values_of(variables), values_of(constants)
        losses = []
        for of_step, drawn in zip(rows.astype(np.int32), draws.astype(np.int32), strict=True):
            state, loss = one_step(state, fixed, images, labels, of_step, drawn)
            losses.append(loss)
        for variable, value in zip(chain(*variables), chain(*state), strict=True):
            variable.assign(value)
        return _Losses(losses)

    return steps


def state_variables(learner: Learner) -> tuple[Sequence[Any], ...]:
    """The variables whose values are a step's state."""
    return (
        learner.model.trainable_variables,
        learner.model.non_trainable_variables,
        learner.optimizer.variables,
        [kept for _, kept in learner.average.pairs] if learner.average else [],
    )


def constant_variables(learner: Learner) -> tuple[Sequence[Any], ...]:
    """The variables whose values are a step's constants.

    As arguments, because masks change between calls, and JAX would write a teacher's weights into the program.
    """
    return (
        learner.masks.variables if learner.masks else [],
        learner.teacher.network.variables if learner.teacher else [],
    )


def values_of(variables: Iterable[Iterable[Any]]) -> Any:
    """The values that these groups of variables have now."""
    return tuple([variable.value for variable in group] for group in variables)


class _Losses:
    """Losses of steps that may still be computed; to read them as an array waits for the last one."""

    def __init__(self, losses: Sequence[Any]) -> None:
        self._losses = losses

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        del copy
        return np.array(jax.device_get(self._losses), dtype)


def step_function(
    learner: Learner, recipe: Recipe, classes: int
) -> Callable[[_State, _Constants, Any, Any, Any, Any], tuple[_State, Any]]:
    """(state, constants, images, labels, rows int32[B], draws int32[B, C]) to the state after the step and the loss
    before it."""
    optimizer = learner.optimizer
    network = with_exact_pooling(learner.model)
    _, of_teacher = constant_variables(learner)

    def step(
        state: _State, constants: _Constants, images: Any, labels: Any, rows: Any, drawn: Any
    ) -> tuple[_State, Any]:
        trainable, others, of_optimizer, averages = state
        masks, taught = constants
        batch, targets = training_batch(keras.ops, images, labels, rows, drawn, recipe.augmentation, classes)

        def scaled_loss(trainable: _Values) -> tuple[Any, tuple[Any, _Values]]:
            logits, after, penalties = network.stateless_call(
                trainable, others, batch, training=True, return_losses=True
            )
            with _values(of_teacher, taught):
                loss = training_loss(keras.ops, batch, targets, logits, recipe, learner.teacher)
            with _values(optimizer.variables, of_optimizer):
                return optimizer.scale_loss(sum(penalties, start=loss)), (loss, after)

        gradients, (loss, others) = jax.grad(scaled_loss, has_aux=True)(trainable)
        trainable, of_optimizer = optimizer.stateless_apply(of_optimizer, gradients, trainable)
        return _averaged_and_masked(learner, (trainable, others, of_optimizer, averages), masks), loss

    return step


def _averaged_and_masked(learner: Learner, state: _State, masks: _Values) -> _State:
    """The state with what comes after the optimizer's step."""
    groups = state_variables(learner)
    of_masks, _ = constant_variables(learner)
    with _values([*chain(*groups), *of_masks], [*chain(*state), *masks]) as scope:
        if learner.average:
            learner.average.update(steps_taken(learner.optimizer))
        if learner.masks:
            learner.masks.apply()
    trainable, others, of_optimizer, averages = ([scope.get_current_value(each) for each in group] for group in groups)
    return trainable, others, of_optimizer, averages


def _values(variables: Sequence[Any], values: Iterable[Any]) -> Any:
    """A scope in which these variables have these values, and in which assignments are kept instead of made."""
    return keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True)))
