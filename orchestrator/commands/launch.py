"""What `orch launch` does: tell an engine which workers a study wants, or ask it for those that it has."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator import address
from orchestrator.address import Address
from orchestrator.engines.pool import Engine, EngineName, Member, Pool, pool_name
from orchestrator.errors import HomeError, UsageError
from orchestrator.foreign_text import single_line
from orchestrator.home import Home
from orchestrator.installation import own_packages


@dataclass(frozen=True)
class Wish:
    """The options of the command that say what the workers are to be like."""

    workers: int
    gpus: int | None
    memory_gb: float | None
    hours: float | None


def start(name: EngineName, options: Sequence[str], at: Address, wish: Wish, *, only_print: bool) -> str:
    """Have workers started, or say what would be submitted.

    Args:
        options: of the engine, from behind `--`.

    Raises:
        HomeError: the home cannot be reached, or workers could not work on it; nothing is submitted then.
        UsageError: the home's URL holds a password, or the engine knows no such options.
        EngineError: the engine is not here, or refuses.
    """
    engine, pool = _engine(name, options), _pool(at, wish)
    return engine.render(pool).rstrip("\n") if only_print else engine.start(pool)


def members(name: EngineName, options: Sequence[str], at: Address) -> str:
    """The workers of the study that the engine has, a line for each.  Raises as `start` does."""
    found = _engine(name, options).list(_name(at))
    return "\n".join(_lines(found)) or "No worker of this study is known here."


def stop(name: EngineName, options: Sequence[str], at: Address) -> str:
    """Have them end in good order.  Raises as `start` does."""
    return _engine(name, options).stop(_name(at))


def _engine(name: EngineName, options: Sequence[str]) -> Engine:
    return _ENGINES[name](options)


def _local(options: Sequence[str]) -> Engine:
    from models.gpus import visible_gpus
    from orchestrator.engines.local import LocalEngine

    if options:
        raise UsageError(f"Workers of this machine take no options of an engine; leave out {' '.join(options)!r}.")
    return LocalEngine(visible_gpus())


def _slurm(options: Sequence[str]) -> Engine:
    from orchestrator.engines.slurm import SlurmEngine

    return SlurmEngine(options)


def _kubernetes(options: Sequence[str]) -> Engine:
    from orchestrator.engines.kubernetes import KubernetesEngine

    return KubernetesEngine(options)


def _ray(options: Sequence[str]) -> Engine:
    from orchestrator.engines.ray import RayEngine

    return RayEngine(options)


_ENGINES: dict[EngineName, Callable[[Sequence[str]], Engine]] = {
    EngineName.LOCAL: _local,
    EngineName.SLURM: _slurm,
    EngineName.KUBERNETES: _kubernetes,
    EngineName.RAY: _ray,
}


def _name(at: Address) -> str:
    """The name of the study's pool.  An opened home has the URL that every command sees of it."""
    study, home = _opened(at)
    return pool_name(study, home.url)


def _opened(at: Address) -> tuple[str, Home]:
    """The study and its home, which is refused here if it lies where SQLite's locks do not hold."""
    if address.has_password(at.url):
        raise UsageError(
            "A worker's command line is seen by others, so its home must be named without the password; "
            "give that in PGPASSWORD or ~/.pgpass."
        )
    home = Home.open(at.url, at.artifacts)
    study = home.jobs.study()
    if study is None:
        raise HomeError(f"Nothing is planned in {home.url} yet; run `orch plan`.")
    return study.name, home


def _pool(at: Address, wish: Wish) -> Pool:
    study, home = _opened(at)
    home.check_artifacts()
    return Pool(
        name=pool_name(study, home.url),
        command=tuple(own_packages.command("workers.cli")),
        arguments=(*_where(home, at), *_vouched(), *(("--gpus", "all") if (wish.gpus or 0) > 1 else ())),
        workers=wish.workers,
        gpus=wish.gpus,
        memory_gb=wish.memory_gb,
        hours=wish.hours,
        machine=socket.gethostname() if home.directory is not None else None,
    )


def _where(home: Home, at: Address) -> tuple[str, ...]:
    artifacts = () if at.artifacts is None else (f"--artifacts={at.artifacts}",)
    return (f"--home={home.url}", *artifacts)


def _vouched() -> tuple[str, ...]:
    """A worker may run what was planned from this directory: it is started from another one, or another machine."""
    return tuple(f"--code={digest}" for digest in sorted(address.noted_code()))


def _lines(members: Sequence[Member]) -> list[str]:
    """Columns as wide as what is in them."""
    rows = [[single_line(part) for part in (each.name, each.state, each.where, each.log)] for each in members]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    return ["  ".join(part.ljust(width) for part, width in zip(row, widths, strict=True)).rstrip() for row in rows]
