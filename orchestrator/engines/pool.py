"""A pool of workers, and the contract of the engines that keep one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from orchestrator.errors import OrchError

PATIENCE_SECONDS = 30.0
"""How long workers have to end: they give themselves 25 s."""

_LONGEST_STUDY = 40
"""Of a study's name in a pool's: Kubernetes allows 63 characters in all, and adds some of its own for each pod."""


class EngineName(StrEnum):
    """The engines as a command line names them."""

    LOCAL = "local"
    SLURM = "slurm"
    KUBERNETES = "kubernetes"
    RAY = "ray"


class EngineError(OrchError):
    """The engine is not to be had here, or did not do what it was asked."""


@dataclass(frozen=True)
class Pool:
    """The workers that are wanted for one study."""

    name: str
    """See `pool_name`."""
    command: tuple[str, ...]
    """What runs a worker where this very installation of Orch is: its Python and what that is told, the arguments
    apart."""
    arguments: tuple[str, ...]
    """Of each worker: where its study lives, and whose code it runs.  Hold no secret: every user can see them."""
    workers: int
    gpus: int | None = None
    """For each worker; None leaves it to the engine."""
    memory_gb: float | None = None
    """For each worker; None leaves it to the engine."""
    hours: float | None = None
    """After which a worker ends in good order; None leaves it to the engine."""
    machine: str | None = None
    """The only machine that workers can run on, by its name: the home is a directory there."""


@dataclass(frozen=True)
class Member:
    """A worker of a pool, as its engine sees it."""

    name: str
    state: str
    """In the engine's words."""
    where: str = ""
    """Where it runs, if that is known."""
    log: str = ""
    """Where its output is to be found."""


class Engine(Protocol):
    """Keeps pools; what is asked for twice is done once.  Every method but `render` raises EngineError.

    An engine reads how a worker ended: 0, nothing is left to do; 75, work remains, another is to take its place;
    anything else is a failure.  Thirty seconds before it ends a worker it sends it SIGTERM.
    """

    def render(self, pool: Pool) -> str:
        """What `start` would submit, for a person to read or to submit themselves; touches nothing."""
        ...

    def start(self, pool: Pool) -> str:
        """Have so many workers run: starts a pool, or makes one larger or smaller.  Returns what was done."""
        ...

    def list(self, name: str) -> Sequence[Member]:
        """The workers of the pool of this name; none if there is no such pool."""
        ...

    def stop(self, name: str) -> str:
        """Have all end in good order, and none in their place.  Returns what was done."""
        ...


def pool_name(study: str, home: str) -> str:
    """The one pool of a study in a home has this name with every engine: a DNS label (RFC 1123).

    Args:
        home: its URL; two studies may be called the same.
    """
    told = re.sub(r"[^a-z0-9]+", "-", study.lower())[:_LONGEST_STUDY].strip("-") or "study"
    return f"orch-{told}-{hashlib.sha256(home.encode(errors='surrogateescape')).hexdigest()[:8]}"


def counted(count: int, noun: str = "worker") -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
