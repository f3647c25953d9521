"""The machine that a worker runs on: its name, which kind of notebook it is, and how long that lives.

The cell that `orchestrator.worker_package.snippet` makes knows how one signs in there.
The runner tells which device it computes on.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from models.gpus import visible_gpus

_HOURS = 3600.0

SESSION_SECONDS = {"colab": (12 * _HOURS, 24 * _HOURS), "kaggle": (12 * _HOURS,), "kaggle-tpu": (9 * _HOURS,)}
"""The longest that a notebook session lives there, and the longest that a paid one does
(research.google.com/colaboratory/faq.html; kaggle.com/docs/notebooks).
"""

_TPU = "TPU_ACCELERATOR_TYPE"

_IN_HAND_SECONDS = 600.0
"""How long before a notebook session's end a worker ends: it may have to upload at a slow hour."""


@dataclass(frozen=True)
class Host:
    """The machine as a job's history names it, and as its worker sees it."""

    name: str
    kind: str
    """`colab`, `kaggle` or `own`."""
    accelerator: str | None = None
    """The first GPU that a process is shown here, as NVIDIA's driver names it; None where there is none."""
    memory_bytes: int = 0
    seconds_left: float | None = None
    """Until a worker should end in good order; None where notebook sessions have no limit."""

    def __str__(self) -> str:
        """The host in a few words, for the line that a worker begins with."""
        kinds = {"colab": "a Colab notebook", "kaggle": "a Kaggle notebook", "own": "a machine"}
        parts = [
            f"{kinds[self.kind]} with {self.accelerator or 'no GPU'}",
            f"{self.memory_bytes / 1e9:.0f} GB of memory",
        ]
        if self.seconds_left is not None:
            parts.append(f"ends in good order in {self.seconds_left / _HOURS:.1f} h")
        return ", ".join(parts)


def this_host(root: Path = Path("/")) -> Host:
    """Look at this machine; `root` is where its /proc and /sys are."""
    kind = _kind()
    gpu = next((gpu.name for gpu in visible_gpus()), None)
    return Host(socket.gethostname(), kind, gpu, _memory_bytes(root), _seconds_left(kind, root))


def fresh_worker_name(host: Host) -> str:
    """A name that no other worker is likely to have: notebooks of one kind often share a host name."""
    return f"{host.kind if host.kind != 'own' else host.name}-{secrets.token_hex(4)}"


def _kind() -> str:
    # Kaggle's image is made from Colab's and has its variables, too (github.com/Kaggle/kagglehub/pull/230).
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        return "kaggle"
    if "COLAB_RELEASE_TAG" in os.environ:
        return "colab"
    return "own"


def _memory_bytes(root: Path) -> int:
    """The memory that this process may use: a container has less than its machine."""
    limits = [_machine_memory(root)]
    for file in ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # "max" is no number: no limit
            limits.append(int((root / file).read_text()))
    return min(filter(None, limits), default=0)


def _machine_memory(root: Path) -> int:
    with suppress(OSError, ValueError, IndexError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) * 1024
    return 0


def _seconds_left(kind: str, root: Path) -> float | None:
    """How long a worker may go on in a notebook; None where there is no limit.

    A notebook session that is older than a limit has another one: else a paid one's worker would end as it begins.
    """
    age = _session_age(root)
    limits = SESSION_SECONDS.get("kaggle-tpu" if kind == "kaggle" and _TPU in os.environ else kind, ())
    limit = next((limit for limit in limits if age < limit), None)
    return None if limit is None else max(0.0, limit - age - _IN_HAND_SECONDS)


def _session_age(root: Path) -> float:
    """Seconds since the container's first process began: the cell may be run hours after that."""
    with suppress(OSError, ValueError, IndexError):
        up = float((root / "proc/uptime").read_text().split()[0])
        # Field 22 of stat(5); the second, a name in parentheses, may have spaces in it.
        started = int((root / "proc/1/stat").read_text().rpartition(")")[2].split()[19])
        return up - started / os.sysconf("SC_CLK_TCK")
    return 0.0
