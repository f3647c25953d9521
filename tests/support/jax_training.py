"""A short training of a network of the catalogue; run in a process whose Keras runs on JAX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.architectures import catalog
from models.datasets import Split
from models.recipes import Training, Visit
from models.training import checkpoint
from models.training.trainer import Trainer, fresh_network, inference_weights, load_weights


def logits_after_some_steps(name: str, path: Path, images: NDArray[Any]) -> NDArray[Any]:
    """The logits of the network with its averaged weights; the state is written to `path`."""
    recipe = catalog.get(name).recipe.replace(ema=0.9, batch_size=8)
    shard = Split.whole(np.random.default_rng(0).integers(0, 256, (32, 32, 32, 3), dtype=np.uint8), np.arange(32) % 10)
    trainer = Trainer(Training(name, recipe, 0, 10, (32, 32, 3), 4))
    for _ in trainer.advance(shard, Visit(0, 1, 0, 4)):
        pass
    state = trainer.state()
    checkpoint.save(state, path, {})
    network = fresh_network(name, (32, 32, 3), 10)
    load_weights(network, inference_weights(state))
    logits: NDArray[Any] = network.predict(images, verbose=0)
    return logits
