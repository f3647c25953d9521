"""The backends that Keras can train on: what each of them says and does in its own words.

A backend is one module: the compiled training step, the shards on the device, and what decides bits and speed of the
process.  Nothing else speaks to TensorFlow or JAX instead of to Keras.  What a step computes under either backend is
`models.training.training_step`.

Keras takes its backend when it is first imported and keeps it, so a process has one backend.  Whoever starts a process
says which: by the environment variable `VARIABLE`, or by `choose` before anything imports Keras.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from models.datasets import Split
from models.recipes import Recipe
from models.training.training_step import Steps

if TYPE_CHECKING:
    # It imports Keras, whose backend may be still to be chosen.
    from models.training.learner import Learner

NAMES = ("tensorflow", "jax")
VARIABLE = "KERAS_BACKEND"


class UnknownBackend(RuntimeError):
    """Keras of this process runs on a backend that Orch cannot train with, or on another than was asked for."""


@dataclass(frozen=True)
class Accelerator:
    """The GPU or TPU that this process computes with."""

    type: Literal["GPU", "TPU"]
    name: str
    compute_capability: tuple[int, int] = (0, 0)
    """Major and minor version of an NVIDIA GPU; (0, 0) of everything else."""


class Backend(Protocol):
    """The contract of a backend's module.  One thread calls it."""

    def configure(self, threads: int) -> None:
        """Fix what decides the bits, before anything computes: deterministic kernels on `threads` threads.

        Raises:
            RuntimeError: something was computed with other threads already.
        """

    def seed(self, number: int) -> None:
        """Make the first weights of the networks that are built next follow from `number`."""

    def accelerator(self) -> Accelerator | None:
        """The first one that there is; None on a CPU."""

    def precision(self) -> str:
        """How this process trains: "float32", "mixed_float16" or "mixed_bfloat16"."""

    def circumstances(self) -> dict[str, str | int]:
        """Versions and settings that the bits depend on besides, as flat values for a record."""

    def resident(self, shard: Split) -> tuple[Any, Any]:
        """The shard's images [N, H, W, C] and labels [N] on the device."""

    def compile_steps(self, learner: Learner, recipe: Recipe, classes: int, batch: int) -> Steps:
        """Optimizer steps on batches of `batch` images, as many in a call as it is given rows for.

        The bits do not depend on where calls are cut.
        """


def choose(name: str) -> None:
    """Let Keras of this process run on the backend `name`; call it before anything imports Keras.

    Raises:
        UnknownBackend: there is no such backend, or Keras runs on another one already.
    """
    if name not in NAMES:
        raise UnknownBackend(f"There is no backend {name!r}; allowed are {', '.join(NAMES)}.")
    os.environ[VARIABLE] = name
    import keras

    if (found := keras.config.backend()) != name:
        raise UnknownBackend(f"Keras runs on {found} already; start another process for {name}.")


def current() -> Backend:
    """The backend that Keras runs on in this process.

    Raises:
        UnknownBackend: Orch cannot train with it.
    """
    import keras

    name = keras.config.backend()
    if name == "tensorflow":
        from models.training.backends import tensorflow

        return tensorflow
    if name == "jax":
        from models.training.backends import jax

        return jax
    raise UnknownBackend(f"Keras runs on {name!r} here; set {VARIABLE} to one of {', '.join(NAMES)}.")
