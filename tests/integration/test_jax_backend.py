"""What holds for training with TensorFlow holds with JAX, and a network that JAX trained is TensorFlow's to export.

Exactness under both is `test_training_is_exact`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from models.training import backends, checkpoint
from models.training.trainer import fresh_network, inference_weights, load_weights
from tests.support import jax_training
from tests.support.backends import new_process

HERE = Path(__file__).parent
HOLDS_UNDER_BOTH = (
    "test_training_step.py",
    "test_training.py",
    "test_masks.py",
    "test_distillation.py",
    "test_averaging.py",
    "test_optimizers.py",
    "jax_checks.py",
)
"""Minutes each, for JAX compiles every network anew."""


@pytest.mark.slow
@pytest.mark.parametrize("file", HOLDS_UNDER_BOTH)
def test_with_jax_the_same_holds(file: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    environment = {
        **os.environ,
        backends.VARIABLE: "jax",
        # Most of the tests compile the same few networks.
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", str(HERE / file)]

    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert finished.returncode == 0, finished.stdout[-5000:]


@pytest.fixture(scope="module")
def process() -> Iterator[ProcessPoolExecutor]:
    with new_process("jax", threads=2, cores=2) as executor:
        yield executor


@pytest.mark.parametrize("name", ["alexnet-tiny", pytest.param("vit-tiny", marks=pytest.mark.slow)])
def test_a_network_that_was_trained_with_jax_has_the_same_logits_in_tensorflow(
    process: ProcessPoolExecutor, name: str, tmp_path: Path
) -> None:
    images = np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3)).astype(np.float32)
    logits = process.submit(jax_training.logits_after_some_steps, name, tmp_path / "state", images).result()
    state, _ = checkpoint.load(tmp_path / "state")
    network = fresh_network(name, (32, 32, 3), 10)

    load_weights(network, inference_weights(state))

    assert np.abs(logits).max() > 0.1
    np.testing.assert_allclose(network.predict(images, verbose=0), logits, atol=1e-5)
