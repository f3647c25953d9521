"""Whether a training that SIGKILL ended in the middle goes on to the same bits on this device.

    python benchmarks/gpu/exactness.py FILE [--small]

Each training runs twice at once, in processes of its own: undisturbed, and killed after a step that was saved and gone
on with by a new process, which compiles everything itself.  Everything that a state holds is compared.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import record

MORTAL = Path(__file__).with_name("mortal.py")
TRAININGS = (
    ("alexnet-residual-small", "float32"),
    ("alexnet-residual-small", "mixed_bfloat16"),
    ("cct-small", "mixed_bfloat16"),
    ("vit-spt-small", "mixed_float16"),
)
SMALL = (("alexnet-tiny", "mixed_bfloat16"),)
KILLED_AFTER = 20
"""Steps; the seed of a doubt would be a step that was begun and not saved."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--small", action="store_true", help="one tiny network, to try it on a CPU")
    arguments = parser.parse_args()
    trainings = SMALL if arguments.small else TRAININGS
    killed_after = 4 if arguments.small else KILLED_AFTER
    with ThreadPoolExecutor(2 * len(trainings)) as threads:
        undisturbed = [threads.submit(outcome, *training, None) for training in trainings]
        killed = [threads.submit(outcome, *training, killed_after) for training in trainings]
    for (network, precision), whole, resumed in zip(trainings, undisturbed, killed, strict=True):
        same = whole.result() == resumed.result()
        print(f"{network} {precision}: {'the same bits' if same else 'OTHER BITS'}", flush=True)
        record.append(
            arguments.file,
            "exactness",
            network=network,
            precision=precision,
            killed_after=killed_after,
            same=same,
            digest=whole.result(),
        )


def outcome(network: str, precision: str, killed_after: int | None) -> str:
    """The digest at the end of a training; None is undisturbed."""
    with tempfile.TemporaryDirectory() as directory:
        if killed_after is not None:
            life = begin(network, precision, directory)
            assert life.stdout is not None
            for line in life.stdout:
                if line.startswith("step") and int(line.split()[1]) >= killed_after:
                    life.kill()
            life.wait()
        last = begin(network, precision, directory)
        told, _ = last.communicate()
        if last.returncode or (killed_after is not None and "resumed" not in told):
            raise RuntimeError(f"The training of {network} did not come to its end:\n{told}")
        return told.rpartition("digest ")[2].strip()


def begin(network: str, precision: str, directory: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    return subprocess.Popen(
        [sys.executable, str(MORTAL), network, precision, directory], env=environment, stdout=subprocess.PIPE, text=True
    )


if __name__ == "__main__":
    main()
