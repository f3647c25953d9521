"""The script that measures on a GPU, tried on this machine's CPU: its packed images, and all its stages in small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pack
import packed_images
import pytest

from models.datasets import Split, synthetic

SCRIPT = Path(__file__).parents[2] / "benchmarks/gpu/run.sh"


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> tuple[Split, Split]:
    """A few smooth images and as many of noise, in more chunks than one."""
    monkeypatch.setattr(packed_images, "CHUNK", 16)
    smooth = synthetic.make()[0].images[:50]
    noise = np.random.default_rng(0).integers(0, 256, smooth.shape, dtype=np.uint8)
    images = np.concatenate([smooth, noise])
    whole = Split.whole(images, np.arange(100) % 10)
    return Split.whole(whole.images[:80], whole.labels[:80]), Split.whole(whole.images[80:], whole.labels[80:])


def test_packed_images_come_back_from_their_parts(data: tuple[Split, Split], tmp_path: Path) -> None:
    files = [tmp_path / "a" / "part.npz", tmp_path / "b" / "part.npz"]
    pack.pack(*data, files)

    for packed, unpacked in zip(data, pack.unpack(files), strict=True):
        np.testing.assert_array_equal(unpacked.images, packed.images)
        np.testing.assert_array_equal(unpacked.labels, packed.labels)


def test_smooth_images_become_smaller() -> None:
    images = np.tile(np.add.outer(np.arange(32), np.arange(32)).astype(np.uint8)[None, :, :, None], (200, 1, 1, 3))

    assert sum(map(len, packed_images.pack(images))) < images.size / 50


def test_a_part_alone_is_refused(data: tuple[Split, Split], tmp_path: Path) -> None:
    files = [tmp_path / "a.npz", tmp_path / "b.npz"]
    pack.pack(*data, files)

    with pytest.raises(pack.PartsDiffer, match="not all the parts"):
        pack.unpack(files[1:])


@pytest.mark.slow
def test_every_stage_of_the_script_writes_its_figures(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "ORCH_GPU_WORK": str(tmp_path / "work")}
    command = [str(SCRIPT), "exactness", "throughput", "strong", "--small", "--seconds", "900", "--out", str(tmp_path)]

    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    lines = [json.loads(line) for line in (tmp_path / "figures.jsonl").read_text(encoding="utf-8").splitlines()]
    assert finished.returncode == 0 and "FAILED" not in finished.stdout, finished.stdout + finished.stderr[-3000:]
    assert [(line["network"], line["same"]) for line in lines if line["figure"] == "exactness"] == [
        ("alexnet-tiny", True)
    ]
    assert {line["way"] for line in lines if line["figure"] == "images per second"} == {
        *("ours", "fit", "keras.io's example")
    }
    accuracies = [line for line in lines if line["figure"] == "accuracy"]
    assert [line["network"] for line in accuracies] == ["alexnet-tiny", "vit-tiny"]
    assert all(line["curve"] and not line["cut_off"] and 0 <= line["top1"] <= 1 for line in accuracies)
    assert all(line["device"]["backend"] == "jax" and line["command"].startswith("benchmarks/gpu") for line in lines)


def test_a_stage_that_there_is_not_is_refused(tmp_path: Path) -> None:
    finished = subprocess.run(
        [str(SCRIPT), "everything", "--out", str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert finished.returncode == 2
    assert "There is no stage or option everything" in finished.stderr
