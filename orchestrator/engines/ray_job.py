"""What is submitted to Ray for a pool, as plain data; needs no Ray.

A pool is one submitted job, the *keeper* (`ray_keeper`).  The same command line with another number tells the keeper
that is there already how many workers are wanted now.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn
from urllib.parse import urlsplit

from orchestrator.engines.pool import Pool
from orchestrator.errors import UsageError
from orchestrator.installation import own_packages

POOL_KEY = "orch-train/pool"
TEMPLATE_KEY = "orch-train/template-sha256"
"""Keys of a submitted job's metadata."""


@dataclass(frozen=True)
class Wishes:
    """What whoever launches says behind `--`."""

    address: str | None = None
    """Of the cluster's Jobs API."""
    python: str = "python"
    """What runs Orch on the cluster's nodes."""
    cpus: float = 1.0
    """For each worker."""
    runtime_env: str | None = None
    """In JSON, as Ray's own command takes it."""

    @classmethod
    def parse(cls, options: Sequence[str]) -> Wishes:
        """Raises UsageError."""
        parser = _Parser(prog="orch launch ray --", add_help=False, allow_abbrev=False)
        parser.add_argument("--address", type=_address)
        parser.add_argument("--python", default=cls.python)
        parser.add_argument("--cpus", type=_cpus, default=cls.cpus)
        parser.add_argument("--runtime-env-json", dest="runtime_env", type=_runtime_env)
        return cls(**vars(parser.parse_args(options)))


@dataclass(frozen=True)
class Order:
    """What the keeper is told on its command line."""

    pool: str
    """Its name."""
    workers: int
    """None are to run, and none to be started, if it is 0."""
    cpus: float = 1.0
    gpus: int = 0
    memory_bytes: int = 0
    """Of each worker; 0 reserves none."""
    command: tuple[str, ...] = ()
    """Of a worker; empty where only the number of a pool that runs is to be changed."""

    def arguments(self) -> list[str]:
        options = {
            "--pool": self.pool,
            "--workers": self.workers,
            "--cpus": f"{self.cpus:g}",
            "--gpus": self.gpus,
            "--memory": self.memory_bytes,
        }
        return [*(f"{name}={value}" for name, value in options.items()), "--", *self.command]

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Order:
        """The opposite of `arguments`; whoever submits writes them, so that others end the process with a message."""
        parser = argparse.ArgumentParser(prog="ray_keeper", allow_abbrev=False)
        parser.add_argument("--pool", required=True)
        parser.add_argument("--workers", type=int, required=True)
        parser.add_argument("--cpus", type=float, default=cls.cpus)
        parser.add_argument("--gpus", type=int, default=cls.gpus)
        parser.add_argument("--memory", dest="memory_bytes", type=int, default=cls.memory_bytes)
        parser.add_argument("command", nargs="*")
        given = vars(parser.parse_args(arguments))
        return cls(**{**given, "command": tuple(given["command"])})


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        known = "--address URL, --python PROGRAM, --cpus N and --runtime-env-json JSON"
        raise UsageError(f"Behind -- Ray takes {known}: {message}.")


def _address(text: str) -> str:
    try:
        return checked_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def checked_address(text: str) -> str:
    """The URL of a Jobs API.

    Raises:
        ValueError: it is another kind of address: Ray would load a module by the name that stands before `://`, and
            look for a cluster at one without it for most of a minute; or it holds a password.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the address is the URL of a Jobs API, such as http://HEAD:8265")
    if parts.username is not None or parts.password is not None:
        raise ValueError("others can read the address, so that no password may stand in it")
    return text


def _cpus(text: str) -> float:
    try:
        cpus = float(text)
    except ValueError:
        cpus = math.nan
    if not 0 <= cpus < math.inf:
        raise argparse.ArgumentTypeError(f"{text!a} is no number of CPUs")
    return cpus


def _runtime_env(text: str) -> str:
    try:
        is_object = isinstance(json.loads(text), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise argparse.ArgumentTypeError("a runtime environment is an object in JSON")
    return text


def order(pool: Pool, wishes: Wishes) -> Order:
    """Raises UsageError if the cluster's nodes could not reach the study."""
    if pool.machine is not None:
        raise UsageError(
            f"The home is a directory of {pool.machine}, which Ray's nodes do not reach; plan the study into a home on "
            "PostgreSQL, for example, or `orch launch local` on that machine."
        )
    lasting = [] if pool.hours is None else [f"--max-hours={pool.hours:g}"]
    return Order(
        pool=pool.name,
        workers=pool.workers,
        cpus=wishes.cpus,
        gpus=pool.gpus or 0,
        memory_bytes=round((pool.memory_gb or 0) * 1e9),
        command=(wishes.python, *pool.command[1:], *pool.arguments, *lasting),
    )


def entrypoint(its: Order, wishes: Wishes) -> str:
    """The line of shell that Ray is to run."""
    keeper = own_packages.command("orchestrator.engines.ray_keeper")
    return shlex.join([wishes.python, *keeper[1:], *its.arguments()])


def metadata(its: Order, wishes: Wishes) -> dict[str, str]:
    return {POOL_KEY: its.pool, TEMPLATE_KEY: template_digest(its, wishes)}


def runtime_env(wishes: Wishes) -> Mapping[str, Any] | None:
    return None if wishes.runtime_env is None else json.loads(wishes.runtime_env)


def template_digest(its: Order, wishes: Wishes) -> str:
    """Of all that a keeper which runs cannot be told."""
    kept = [replace(its, workers=0).arguments(), wishes.python, runtime_env(wishes)]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def command_line(its: Order, wishes: Wishes) -> str:
    """Ray's own command that submits the same."""
    where = [] if wishes.address is None else ["--address", wishes.address]
    within = [] if wishes.runtime_env is None else ["--runtime-env-json", wishes.runtime_env]
    told = ["--metadata-json", json.dumps(metadata(its, wishes))]
    submit = shlex.join(["ray", "job", "submit", "--no-wait", *where, *told, *within, "--"])
    return f"{submit} {entrypoint(its, wishes)}"
