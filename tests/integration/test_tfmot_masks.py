"""Our masks beside those of tensorflow-model-optimization, of the same kernels and on the same schedule.

It wants legacy Keras, and an older absl-py than others do: it is installed into a directory of its own, from a package
index, and runs in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.pruning import Pruning

PROGRAM = Path(__file__).parents[1] / "support" / "tfmot_masks.py"
PRUNING = Pruning(0.8, initial_sparsity=0.1, begin=0.1, end=0.9, interval=2)
STEPS = 20
"""The training's; the pruning's begin and end are whole intervals apart, without which tfmot ends with less."""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tfmot")
    wanted = ["tensorflow-model-optimization==0.8.1", "dm-tree"]
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(directory), *wanted]
    subprocess.run(install, check=True)
    return directory


@pytest.mark.slow
def test_masks_are_those_of_tfmot(packages: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    shapes = {"dense": (64, 50), "convolution": (3, 3, 8, 16)}
    kernels = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    updates = PRUNING.update_steps(STEPS)
    schedule = [PRUNING.initial_sparsity, 0.8, updates[0], updates[-1], updates.step]

    theirs = masks_of_tfmot(packages, tmp_path, kernels, schedule)

    for name, kernel in kernels.items():
        weights = kernel.copy()
        for step in range(1, updates[-1] + 1):
            ours = PRUNING.mask(weights, 0.8, step, STEPS)
            weights *= ours
            np.testing.assert_array_equal(ours, theirs[f"{name}/{step}"], f"{name} at step {step}")
        np.testing.assert_array_equal(Pruning(pattern="2:4").mask(kernel, 0.5, 0, STEPS), theirs[f"{name}/2:4"])


def masks_of_tfmot(packages: Path, directory: Path, kernels: dict[str, Any], schedule: list[float]) -> dict[str, Any]:
    given, made = directory / "kernels.npz", directory / "masks.npz"
    np.savez(given, schedule=schedule, **kernels)
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "PYTHONPATH": str(packages)}
    command = [sys.executable, str(PROGRAM), str(given), str(made)]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr[-3000:]
    return dict(np.load(made))
