"""Processes of a test that compute with a backend, cores and threads of their own: they are set once for a process."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from models.training import backends


def new_process(backend: str, *, threads: int, cores: int, compiled: Path | None = None) -> ProcessPoolExecutor:
    """A process that computes as a runner does, on a machine that has at most so many cores.

    Args:
        compiled: where JAX keeps what it compiled, so that a second trainer of the same network is quick; None makes
            it compile everything itself.
    """
    return ProcessPoolExecutor(
        max_workers=1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_prepare,
        initargs=(backend, threads, cores, compiled),
    )


def _prepare(backend: str, threads: int, cores: int, compiled: Path | None) -> None:
    os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:cores])
    if compiled:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(compiled)
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    backends.choose(backend)
    from models.runtime import configure_runtime

    configure_runtime(threads)
