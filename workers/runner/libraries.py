"""What a runner computes with, and what a job wants its runner to compute with.

The environment in which a runner finds it is `workers.runner.environment`; which runner a worker keeps,
`workers.runner_choice`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class RunnerKind(StrEnum):
    """The kinds of runners."""

    TENSORFLOW = "tensorflow"
    """Keras 3 on TensorFlow: what a job without a word wants."""
    JAX = "jax"
    """Keras 3 on JAX: `backend` of trainings and merges."""
    LEGACY = "legacy"
    """Legacy Keras and tensorflow-model-optimization: `runner` of fine-tunings and exports."""

    @property
    def called(self) -> str:
        """How people call it."""
        return {RunnerKind.TENSORFLOW: "TensorFlow", RunnerKind.JAX: "JAX", RunnerKind.LEGACY: "legacy Keras"}[self]

    @property
    def backend(self) -> str:
        """What Keras 3 runs on."""
        return "jax" if self is RunnerKind.JAX else "tensorflow"


@dataclass(frozen=True)
class Libraries:
    """What one runner computes with."""

    kind: RunnerKind = RunnerKind.TENSORFLOW
    packages: Path | None = None
    """Where the packages lie that this Python lacks for it (`workers.runner.legacy_packages`)."""


PLAIN = Libraries()
"""What every runner computes with unless a job wants something else."""


def wanted(spec: Mapping[str, Any]) -> RunnerKind:
    """What a job of this spec wants; TensorFlow for what this Orch does not know, whose stage says what is wrong."""
    named = spec.get("runner") or spec.get("backend")
    return RunnerKind(named) if named in set(RunnerKind) else RunnerKind.TENSORFLOW
