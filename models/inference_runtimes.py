"""What can run a trained network in a benchmark, by name, as data.  Importing this module loads no runtime.

How a network is run in each lives in `models.measurement`.
"""

from __future__ import annotations

from dataclasses import dataclass

LITERT = "litert"
TENSORFLOW = "tensorflow"
ONNX_RUNTIME = "onnxruntime"


@dataclass(frozen=True)
class Runtime:
    """A program that computes a network's logits."""

    name: str
    title: str
    """How people write it."""
    methods: tuple[str, ...] | None = None
    """The compression methods whose networks it can be given; None is all."""
    process_threads: bool = False
    """Whether its threads are set once for a process, and so are those that the process trains with."""
    accelerated: bool = False
    """Whether it computes on the accelerator where there is one, and not on the processor."""

    def runs(self, method: str) -> bool:
        """Whether it can be given a network of this compression method."""
        return self.methods is None or method in self.methods


def names() -> tuple[str, ...]:
    """The default first."""
    return tuple(_RUNTIMES)


def get(name: str) -> Runtime:
    """The runtime of that name, one of `names()`."""
    return _RUNTIMES[name]


_RUNTIMES = {
    runtime.name: runtime
    for runtime in (
        Runtime(LITERT, "LiteRT"),
        # Both are given the network that is rebuilt from the training's last state, not LiteRT's file.
        Runtime(TENSORFLOW, "TensorFlow", methods=("float32", "float16"), process_threads=True, accelerated=True),
        Runtime(ONNX_RUNTIME, "ONNX Runtime", methods=("float32",)),
    )
}
