"""Training that can stop anywhere: a `TrainState` is advanced over a shard, and resumes to the same bits.

Bit for bit means: same device type and software, same configured threads (`models.runtime`).  Nothing that
decides the weights lives outside the state: the order and the augmentation of the images follow from
(seed, epoch, index), the schedule from the optimizer's count, dropout from generators whose state is saved.

How a state becomes a file is `models.training.checkpoint`; what happens inside a step is
`models.training.training_step`, and how it is compiled `models.training.backends`.
"""

from __future__ import annotations

import functools
import hashlib
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from models.architectures import catalog
from models.datasets import Split
from models.failures import PermanentFailure
from models.pruning import Pruning
from models.recipes import Training, Visit
from models.training import backends
from models.training.distillation import Teacher
from models.training.learner import Learner
from models.training.masks import Masks
from models.training.moving_average import MovingAverage
from models.training.optimizers import build_optimizer
from models.training.residents import Residents
from models.training.training_step import Steps
from models.training.visit_schedule import VisitSchedule

MODEL = "model/"
"""Prefix of the network's weights in a state; the rest of the key is the variable's path."""
OPTIMIZER = "optimizer/"
LOSS_SCALE = "loss_scale/"
AVERAGE = "average/"
"""Prefix of the moving averages of the weights, of recipes with `ema`; the rest of the key is as after `model/`."""
RANDOM = "random/"
"""Prefix of the states of dropout's generators, numbered as the network lists them."""
MASK = "mask/"
"""Prefix of the masks of the kernels that are pruned, bool; the rest of the key is as after `model/`."""

Arrays = Mapping[str, NDArray[Any]]

_residents = Residents(lambda shard: backends.current().resident(shard), limit_bytes=512 * 2**20)
"""All of CIFAR-10 in its shards is 293 MiB; a limit, because a free GPU has 15 GB for networks and images."""


class Diverged(PermanentFailure):
    """The loss is no longer a number; with the same bits it would become so again."""

    def __init__(self, step: int, loss: float) -> None:
        super().__init__(
            f"The loss became {loss} at step {step}; lower learning_rate or set gradient_clip under [models.recipe]."
        )
        self.step = step


class DataMismatch(PermanentFailure, ValueError):
    """The images are not those that the training was planned for."""


class StateMismatch(ValueError):
    """A state is of another network or optimizer than the one that should take it."""


@dataclass(frozen=True, eq=False)
class TrainState:
    """All that decides how a training goes on, in host memory."""

    step: int
    """Optimizer steps taken since the training began."""
    arrays: dict[str, NDArray[Any]]
    """Network (`model/...`), its moving average (`average/...`, where the recipe has one), optimizer
    (`optimizer/...`), loss scale (`loss_scale/...`, with float16 only), random generators (`random/...`), and the masks
    of what is pruned (`mask/...`)."""


@dataclass(frozen=True)
class Progress:
    """What one compiled call did."""

    step: int
    """Steps of the training that are now done."""
    loss: float
    """Mean over the call's steps."""
    images: int
    """Images that the call trained on."""


class NetworkBuilder(Protocol):
    """What makes the network, given the Keras to make it with; the catalogue's architectures have it."""

    def __call__(self, keras: Any, image_shape: tuple[int, int, int] = ..., classes: int = ...) -> Any: ...


class Trainer:
    """One network with its optimizer, at some step of its training.

    Args:
        training: what is trained; its seed decides the first weights.
        build: makes the network; the catalogue's by default.
        precision: "float32", or for devices that are faster so "mixed_bfloat16", or "mixed_float16" (with a scaled
            loss).  A state passes between them: the loss scale is dropped, or starts afresh.
        pruning: takes weights away while the network trains; at the end exactly what it says is zero.
        teacher: its answers are learned beside the labels.  It is no part of the state: give the same one again.

    Raises:
        CannotPrune: the pruning does not fit the network.
        CannotTeach: the teacher is of other images or classes.
    """

    def __init__(
        self,
        training: Training,
        *,
        build: NetworkBuilder | None = None,
        precision: str = "float32",
        pruning: Pruning | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        self.training = training
        self.step = 0
        if teacher:
            teacher.check(training.image_shape, training.classes)
        with _fresh_keras(training.seed, precision):
            build = build or catalog.get(training.architecture).build
            self.model = build(keras, image_shape=training.image_shape, classes=training.classes)
            optimizer = build_optimizer(
                training.recipe, training.total_steps, self.model.trainable_variables, precision
            )
            average = MovingAverage(self.model.weights, training.recipe.ema) if training.recipe.ema else None
            self._masks = Masks(self.model, pruning, training.total_steps, average) if pruning else None
        self._learner = Learner(self.model, optimizer, average, self._masks, teacher)
        self._variables = _variables(self._learner)
        self._compiled = functools.cache(self._compile)
        self._call_length = _CallLength()

    def state(self) -> TrainState:
        """A copy in host memory; training may go on while it is written."""
        return TrainState(self.step, {key: _on_host(variable) for key, variable in self._variables.items()})

    def restore(self, state: TrainState) -> None:
        """Go on from `state`, bit for bit.  If it is of a training without masks, those of its step are made.

        Raises:
            StateMismatch: it is of another network, optimizer or pruning; nothing was changed.
        """
        unlike = self._variables.keys() ^ state.arrays.keys()
        left_out = {key for key in unlike if key.startswith(LOSS_SCALE)}
        unmasked = not any(key.startswith(MASK) for key in state.arrays)
        if unmasked:
            left_out |= {key for key in unlike if key.startswith(MASK)}
        assign(_without(self._variables, left_out), _without(state.arrays, left_out))
        self.step = state.step
        if self._masks and unmasked:
            self._masks.make(self.step)

    def advance(self, shard: Split, visit: Visit, *, steps_per_call: int | None = None) -> Iterator[Progress]:
        """Train from where the state is to the visit's end, some steps per compiled call.

        Between two calls the caller may take `state()` or stop for good.  The weights do not depend on where
        the calls are cut.

        Args:
            steps_per_call: None for as many as take about a second, so that whoever waits for the next cut need not
                wait long.

        Raises:
            ValueError: the state is not inside the visit.
            DataMismatch: the shard fits not the visit, or not the network.
            Diverged: the loss is no longer a number.
        """
        check_visit(self.training, self.step, shard, visit)
        check_images(self.training, shard)
        images, labels = _residents.get(shard)
        steps = self._compiled(min(self.training.recipe.batch_size, len(shard)))
        schedule = VisitSchedule(self.training, shard, visit)
        # For the weights that a training begins with; those of a restored state are masked already.
        self._update_masks()
        rows, drawn = schedule.batches(self.step, self._next_steps(self.step, steps_per_call))
        while len(rows):
            began = time.perf_counter()
            computing = steps(images, labels, rows, drawn)
            # Drawn while the device computes, so that it waits for nothing but the reading of the losses.
            after = self.step + len(rows)
            upcoming = schedule.batches(after, self._next_steps(after, steps_per_call))
            losses = np.asarray(computing)
            self._call_length.took(len(rows), time.perf_counter() - began)
            check_finite(self.step, losses)
            self.step = after
            self._update_masks()
            yield Progress(self.step, float(losses.mean()), rows.size)
            rows, drawn = upcoming

    def _compile(self, batch: int) -> Steps:
        return backends.current().compile_steps(self._learner, self.training.recipe, self.training.classes, batch)

    def _next_steps(self, step: int, steps_per_call: int | None) -> int:
        """How many steps the call from `step` on takes: none goes beyond the next masks."""
        steps = steps_per_call or self._call_length.steps
        left = self._masks.steps_left(step) if self._masks else None
        return steps if left is None else min(steps, left)

    def _update_masks(self) -> None:
        if self._masks:
            self._masks.update(self.step)


class _CallLength:
    """How many steps a compiled call takes: many cost little each, and few end soon, on whatever machine."""

    _MOST = 16
    _SECONDS = 1.0

    def __init__(self) -> None:
        self.steps = 1

    def took(self, steps: int, seconds: float) -> None:
        """Twice as many as before at most: the first call may be mostly compilation, and any may have been held up."""
        fitting = int(self._SECONDS * steps / max(seconds, 1e-9))
        self.steps = max(1, min(fitting, 2 * self.steps, self._MOST))


def check_visit(training: Training, step: int, shard: Split, visit: Visit) -> None:
    """Raise ValueError if `step` is not inside the visit, and DataMismatch if the visit is of other images."""
    if not visit.first_step <= step <= visit.last_step:
        raise ValueError(
            f"The state is at step {step}, outside the visit of steps {visit.first_step} to "
            f"{visit.last_step}; restore the state that the visit begins with or a checkpoint from it."
        )
    steps = visit.epochs * training.recipe.steps_per_epoch(len(shard))
    if visit.steps != steps:
        raise DataMismatch(
            f"The visit has {visit.steps} steps, but {visit.epochs} passes over {len(shard)} images are "
            f"{steps}; plan the study again with this data."
        )


def check_images(training: Training, shard: Split) -> None:
    """Raise DataMismatch if the network takes other images, or knows fewer classes."""
    shape, classes = shard.images.shape[1:], int(np.max(shard.labels)) + 1
    if shape != training.image_shape or classes > training.classes:
        raise DataMismatch(
            f"The shard has images of {shape} in {classes} classes, the network takes {training.image_shape} "
            f"in {training.classes}; train it on the data that it was planned for."
        )


def check_finite(step: int, losses: NDArray[np.floating[Any]]) -> None:
    """Raise Diverged if one of the losses after `step` is no number."""
    for number, loss in enumerate(losses.tolist(), start=1):
        if not math.isfinite(loss):
            raise Diverged(step + number, loss)


def weights_digest(state: TrainState) -> str:
    """SHA-256 over `inference_weights`, in hexadecimal: sorted names, dtypes, shapes and bytes.

    Of the weights that are evaluated, so that a result can be held against the state that it was made from.
    """
    digest = hashlib.sha256()
    for key, array in sorted(inference_weights(state).items()):
        digest.update(f"{key} {array.dtype.str} {list(array.shape)}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def inference_weights(state: TrainState) -> dict[str, NDArray[Any]]:
    """The `model/...` arrays to evaluate and compress: each one's moving average, if the state holds one."""
    return {
        key: state.arrays.get(AVERAGE + key.removeprefix(MODEL), array)
        for key, array in state.arrays.items()
        if key.startswith(MODEL)
    }


def network_weights(model: Any) -> dict[str, NDArray[Any]]:
    """Copies of a network's weights, as the `model/...` arrays of a state."""
    return {MODEL + weight_path(variable): _on_host(variable) for variable in model.weights}


def load_weights(model: Any, arrays: Arrays) -> None:
    """Put the `model/...` arrays of a state into a network of the same architecture, by name.

    The network may be made with Keras 3 or with the legacy `tf_keras`.

    Raises:
        StateMismatch: it is another architecture; nothing was changed.
    """
    weights = _by_key((MODEL + weight_path(variable), variable) for variable in model.weights)
    assign(weights, {key: array for key, array in arrays.items() if key.startswith(MODEL)})


def fresh_network(architecture: str, image_shape: tuple[int, int, int], classes: int) -> Any:
    """A network whose weights are called as in a training's states, to be filled by `load_weights`."""
    with _fresh_keras(seed=0, precision="float32"):
        return catalog.get(architecture).build(keras, image_shape=image_shape, classes=classes)


@contextmanager
def _fresh_keras(seed: int, precision: str) -> Iterator[None]:
    """Seeded, and with layers' automatic names counted from the start: states are keyed by these names."""
    policy = keras.config.dtype_policy()
    keras.utils.clear_session()
    backends.current().seed(seed)
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def _variables(learner: Learner) -> dict[str, Any]:
    model, average, masks = learner.model, learner.average, learner.masks
    weights = {id(variable) for variable in model.weights}
    generators = [variable for variable in model.variables if id(variable) not in weights]
    return _by_key(
        [
            *((MODEL + weight_path(variable), variable) for variable in model.weights),
            *((AVERAGE + weight_path(weight), variable) for weight, variable in (average.pairs if average else ())),
            *((weight_path(variable), variable) for variable in learner.optimizer.variables),
            *((f"{RANDOM}{number}", variable) for number, variable in enumerate(generators)),
            *((MASK + path, variable) for path, variable in (masks.by_path.items() if masks else ())),
        ]
    )


def weight_path(variable: Any) -> str:
    """Layer and variable, as in `stem/kernel`; Keras 2 wrote `stem/kernel:0`."""
    path: str = getattr(variable, "path", None) or variable.name.split(":")[0]
    return path


def _by_key(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    variables: dict[str, Any] = {}
    for key, variable in items:
        if key in variables:
            raise StateMismatch(f"Two variables of the network are called {key!r}; give their layers different names.")
        variables[key] = variable
    return variables


def _on_host(variable: Any) -> NDArray[Any]:
    """A copy: on a CPU what a backend hands out may be the memory that the next step overwrites."""
    return np.array(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(variable)))


def _without(items: Mapping[str, Any], keys: Set[str]) -> dict[str, Any]:
    return {key: value for key, value in items.items() if key not in keys}


def assign(variables: Mapping[str, Any], arrays: Arrays) -> None:
    """Give each variable its array.  Raises StateMismatch, and changes nothing, if they do not fit each other."""
    if unlike := sorted(variables.keys() ^ arrays.keys()):
        where = "the state has no" if unlike[0] in variables else "the network has no"
        raise StateMismatch(
            f"The state does not fit this network: {where} {unlike[0]!r} ({len(unlike)} such differences); "
            "restore a state of the same architecture and recipe."
        )
    for key, variable in variables.items():
        expected = (tuple(variable.shape), getattr(variable.dtype, "name", variable.dtype))
        found = (arrays[key].shape, str(arrays[key].dtype))
        if expected != found:
            raise StateMismatch(f"The state does not fit this network: {key!r} is {found}, not {expected}.")
    for key, variable in variables.items():
        variable.assign(arrays[key])
