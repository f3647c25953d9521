"""The peak memory of one LiteRT or ONNX file, each time in a process of its own.

A process that has computed anything else has its own peak behind it, and memory that it gave back and gets again.
`main` is the child, which loads the file and classifies one batch, and nothing else; `measure` starts it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from models.measurement.classifier import Classifier

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
"""What makes the kernel count VmHWM anew from what is resident now (proc_pid_clear_refs(5))."""

_KILLED = -9


@dataclass(frozen=True)
class PeakMemory:
    """Resident bytes of a process that does nothing but classify."""

    before: int
    """With Python, NumPy and the runtime loaded, and no network."""
    peak: int
    """The most that were resident while the network was loaded and classified one batch."""

    @property
    def network(self) -> int:
        """What the network took: weights, activations, the batch, and what the runtime takes for itself then."""
        return self.peak - self.before


def measure(command: Sequence[str], path: Path, *, batch: int = 1, threads: int = 1) -> PeakMemory | None:
    """The peak of a process that loads the file at `path` and classifies one batch of random images.

    Args:
        command: what runs `main` of this module in another Python; arguments follow it.
        path: a LiteRT file, or an ONNX file if it ends in `.onnx`.

    Returns:
        None where the system does not tell (it is the kernel of Linux that does).

    Raises:
        MemoryError: the child was killed, as by a machine that is out of memory.
        RuntimeError: it failed otherwise; with the last line that it said.
    """
    # Not getrusage: a child's ru_maxrss begins with what its parent had, which is TensorFlow.
    child = subprocess.run(
        [*command, str(path), str(batch), str(threads)], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if child.returncode == _KILLED:
        raise MemoryError(f"The process that was to classify {batch} images was killed.")
    if child.returncode:
        said = child.stderr.strip().splitlines() or [f"exit code {child.returncode}"]
        raise RuntimeError(f"The memory of the file could not be measured: {said[-1]}")
    figures = json.loads(child.stdout)
    return PeakMemory(**figures) if figures else None


def main() -> None:
    """Print the two figures of a file, a batch size and a number of threads as JSON; null where there are none."""
    path, batch, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    classifier = _classifier(path)
    # Loading the libraries may have taken more for a moment than they keep: the network would hide below that.
    with suppress(OSError):
        _CLEAR.write_text(_RESET_PEAK)
    before = _peak()
    classifier(path, batch=batch, threads=threads)
    peak = _peak()
    print(json.dumps(None if before is None or peak is None else {"before": before, "peak": peak}))


def _classifier(path: Path) -> Callable[..., Classifier]:
    """What loads the file, its runtime imported here alone: whoever starts this process need have none."""
    if path.suffix == ".onnx":
        import onnxruntime  # noqa: F401 - so that it is counted before the network

        from models.measurement.onnx_runtime import OnnxClassifier

        return OnnxClassifier
    from models.measurement.litert import LiteRTClassifier

    return LiteRTClassifier


def _peak() -> int | None:
    """VmHWM of this process in bytes."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)


if __name__ == "__main__":
    main()
