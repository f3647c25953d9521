"""Workers on a cluster that Slurm runs: a job array, of which so many elements run at a time as workers are wanted.

An element that ends makes room for the next one.  Of the options of sbatch(1) those below are the pool's; others, such
as a partition or an account, come behind them in the words of whoever launches.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.engines.pool import EngineError, Member, Pool, counted
from orchestrator.errors import UsageError
from orchestrator.foreign_text import single_line

_TURNS = 20
"""How often each worker can end and be replaced before the pool must be launched again."""

_LONGEST_ARRAY = 1000
"""Slurm's `MaxArraySize` is 1001 unless the cluster says otherwise."""

_PATIENCE_SECONDS = 120.0
"""Slurm's own commands give up after a while; a controller that is busy makes them wait."""

_TRIES = 5
"""A controller starts an element every second or so: that another begins at the wrong moment five times is unlikely."""

_LIMIT = re.compile(r"%\d+")
"""In the numbers of elements that wait: how many may run at a time."""

_SCRIPT = """\
#!/bin/sh
# The workers of one study of Orch: each element is a worker, and so many run at a time as stands behind the %.
# `orch launch slurm` submits it, from a directory with {name}/ in it for the logs.
{directives}

asked=
worker=
trap 'asked=yes; [ -z "$worker" ] || kill -TERM "$worker" 2>/dev/null' TERM
{command} --name "slurm-$SLURM_ARRAY_JOB_ID-$SLURM_ARRAY_TASK_ID" &
worker=$!
[ -z "$asked" ] || kill -TERM "$worker"

# A signal ends `wait` at once; the worker then has its checkpoint still to keep.
while :; do
  wait "$worker"
  code=$?
  kill -0 "$worker" 2>/dev/null || break
done

if [ "$code" -eq 0 ]; then
  # Nothing is left to do, for those that wait either.
  scancel --state=PENDING "$SLURM_ARRAY_JOB_ID"
elif [ -n "$asked" ] && [ "$code" -gt 128 ]; then
  code=75
elif [ -z "$asked" ] && [ "$code" -lt 128 ]; then
  # A worker that cannot work on this node would use up all elements within minutes.
  sleep 60
fi
exit "$code"
"""


@dataclass(frozen=True)
class _Element:
    """An element of a job array that is not over; those that never ran stand for themselves together."""

    array: int
    id: str
    """`7_3`, or `7_[4-40]`."""
    state: str
    node: str
    directory: str
    """From which the array was submitted."""

    @property
    def waits(self) -> bool:
        return self.state == "PENDING"

    @property
    def place(self) -> tuple[int, int]:
        index = self.id.partition("_")[2]
        return self.array, int(index) if index.isdecimal() else 0


class SlurmEngine:
    """Pools of whoever runs this, on the cluster whose commands are on the path."""

    def __init__(self, options: Sequence[str]) -> None:
        """`options` are sbatch's.  Raises UsageError if one cannot stand in a batch script."""
        broken = [option for option in options if not option.isprintable()]
        if broken:
            raise UsageError(f"The option {broken[0]!a} cannot stand in a line of a batch script.")
        self._options = options

    def render(self, pool: Pool) -> str:
        return _script(pool, self._options, pool.workers)

    def start(self, pool: Pool) -> str:
        elements = _elements(pool.name)
        running = sorted((each for each in elements if not each.waits), key=lambda each: each.place)
        waiting = {each.array for each in elements if each.waits}
        kept, surplus = running[: pool.workers], running[pool.workers :]
        for array in waiting:
            _limit(pool.name, array, pool.workers - sum(each.array != array for each in kept))
        if surplus:
            _run("scancel", *(each.id for each in surplus))
        if not waiting and len(kept) < pool.workers:
            return self._submit(pool, pool.workers - len(kept))
        ended = f" Ended {counted(len(surplus))}." if surplus else ""
        return f"The pool {pool.name} is there already, now with {counted(pool.workers)} at a time.{ended}"

    def list(self, name: str) -> Sequence[Member]:
        return [
            Member(
                each.id, each.state.lower(), each.node, "" if each.waits else f"{each.directory}/{name}/{each.id}.log"
            )
            for each in _elements(name)
        ]

    def stop(self, name: str) -> str:
        elements = _elements(name)
        if not elements:
            return "Slurm has no worker of this study."
        _run("scancel", *sorted({str(each.array) for each in elements}))
        running = sum(not each.waits for each in elements)
        return f"Asked {counted(running)} to end, and took back what waited."

    def _submit(self, pool: Pool, workers: int) -> str:
        logs = Path(pool.name)
        try:
            logs.mkdir(exist_ok=True)
        except OSError as error:
            raise EngineError(f"There is no place for the logs here: {error.strerror} ({logs.absolute()}).") from error
        job = _run("sbatch", "--parsable", text=_script(pool, self._options, workers)).partition(";")[0]
        return f"Submitted job {job} with {counted(workers)} at a time; logs come to {logs.absolute()}."


def _script(pool: Pool, options: Sequence[str], workers: int) -> str:
    """The batch script of an array with so many workers at a time."""
    directives = [*_wishes(pool), *([shlex.join(options)] if options else []), *_own(pool, workers)]
    return _SCRIPT.format(
        name=pool.name,
        directives="\n".join(f"#SBATCH {each}" for each in directives),
        command=shlex.join([*pool.command, *pool.arguments]),
    )


def _wishes(pool: Pool) -> list[str]:
    """What the options of whoever launches may say otherwise."""
    wishes = ["--nodes=1", "--ntasks=1"]
    if pool.gpus:
        wishes.append(f"--gres=gpu:{pool.gpus}")
    if pool.memory_gb is not None:
        wishes.append(f"--mem={math.ceil(pool.memory_gb * 1e9 / 2**20)}M")
    if pool.hours is not None:
        wishes.append(f"--time={math.ceil(pool.hours * 60)}")
    return wishes


def _own(pool: Pool, workers: int) -> list[str]:
    """What the pool rests on."""
    nodes = [] if pool.machine is None else [f"--nodelist={pool.machine.partition('.')[0]}"]
    return [
        *nodes,
        f"--job-name={pool.name}",
        f"--array=1-{max(workers, min(_TURNS * workers, _LONGEST_ARRAY))}%{workers}",
        # To the batch shell alone, half a minute before the wall time; an element whose node dies goes on elsewhere.
        "--signal=B:TERM@30",
        "--requeue",
        "--open-mode=append",
        f"--output={pool.name}/%A_%a.log",
    ]


def _elements(name: str) -> list[_Element]:
    told = _run("squeue", "--me", "--noheader", f"--name={name}", "--format=%F|%i|%T|%N|%Z")
    rows = [line.split("|", 4) for line in told.splitlines() if line.strip()]
    # One that is ending has been told so already.
    return [
        _Element(int(array), _LIMIT.sub("", id_), state, node, directory)
        for array, id_, state, node, directory in rows
        if state != "COMPLETING"
    ]


def _limit(name: str, array: int, workers: int) -> None:
    """How many elements of an array may run at a time; 0 would be no limit."""
    if workers < 1:
        _run("scancel", "--state=PENDING", str(array))
        return
    for tries_left in reversed(range(_TRIES)):
        # Those that wait are one record, with the limit in it.  Named with the others, those that are over are refused.
        waiting = [each.id for each in _elements(name) if each.waits and each.array == array]
        try:
            for each in waiting:
                _run("scontrol", "update", f"JobId={each}", f"ArrayTaskThrottle={workers}")
            return
        except EngineError:
            if not tries_left:
                raise  # else one of them has begun to run meanwhile


def _run(program: str, *arguments: str, text: str | None = None) -> str:
    """What one of Slurm's commands printed.  Raises EngineError if it is not here, or refuses."""
    try:
        done = subprocess.run(
            [program, *arguments],
            env={**os.environ, "SLURM_BITSTR_LEN": "0"},  # else squeue leaves out the end of long lists of numbers
            input=text,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=_PATIENCE_SECONDS,
        )
    except FileNotFoundError:
        raise EngineError(
            f"Slurm's command {program} is not here; launch from a machine that submits jobs, or submit there what "
            "--print prints."
        ) from None
    except subprocess.TimeoutExpired:
        raise EngineError(f"Slurm does not answer ({program}, {_PATIENCE_SECONDS:.0f} s); try again.") from None
    if done.returncode != 0:
        raise EngineError(f"Slurm refuses: {single_line(done.stderr) or f'{program} ended with {done.returncode}'}")
    return done.stdout.strip()
