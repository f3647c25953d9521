"""A training that keeps a checkpoint of every call, to be killed: `exactness.py` does that.

    python benchmarks/gpu/mortal.py NETWORK PRECISION DIRECTORY

Goes on from the checkpoint in DIRECTORY.  Says `step N` after every call that is saved, and at the end `digest D`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import numpy as np

from models.architectures import catalog
from models.datasets import Split
from models.recipes import Augmentation, Training, Visit
from models.runtime import configure_runtime
from models.training import checkpoint
from models.training.trainer import Trainer, TrainState

STEPS = int(os.environ.get("ORCH_GPU_MORTAL_STEPS", "48"))
BATCH = 64
EVERYTHING = Augmentation(cutout=8, mixup=0.2, cutmix=1.0, randaugment=2, erasing=0.25, repeats=2)


def main() -> None:
    network, precision, directory = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    configure_runtime(threads=len(os.sched_getaffinity(0)))
    recipe = catalog.get(network).recipe.replace(batch_size=BATCH, ema=0.99, augmentation=EVERYTHING.__dict__)
    trainer = Trainer(Training(network, recipe, 0, 10, (32, 32, 3), STEPS), precision=precision)
    saved = directory / "state.safetensors"
    if saved.exists():
        trainer.restore(checkpoint.load(saved)[0])
        print(f"resumed {trainer.step}", flush=True)
    for progress in trainer.advance(images(), Visit(0, 2, 0, STEPS), steps_per_call=4):
        checkpoint.save(trainer.state(), saved, {})
        print(f"step {progress.step}", flush=True)
    print(f"digest {digest(trainer.state())}", flush=True)


def images() -> Split:
    """As many as two passes need, of random pixels."""
    random = np.random.default_rng(0)
    count = STEPS // 2 * BATCH
    return Split.whole(random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8), random.integers(0, 10, count))


def digest(state: TrainState) -> str:
    """The digest of weights, optimizer, average and generators."""
    found = hashlib.sha256(str(state.step).encode())
    for key, array in sorted(state.arrays.items()):
        found.update(f"{key} {array.dtype} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()


if __name__ == "__main__":
    main()
