"""A training state as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.training import checkpoint
from models.training.checkpoint import CheckpointDamaged
from models.training.trainer import TrainState

PROVENANCE: dict[str, str | int] = {"device": "CPU", "threads": 2, "tensorflow": "2.21.0", "keras": "3.15.1"}


@pytest.fixture
def state() -> TrainState:
    arrays: dict[str, NDArray[Any]] = {
        "model/head/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
        "optimizer/iteration": np.array(12, np.int64),
        "random/0": np.array([3, 4], np.uint32),
    }
    return TrainState(12, arrays)


def test_a_checkpoint_comes_back_as_it_was_saved(state: TrainState, tmp_path: Path) -> None:
    checkpoint.save(state, tmp_path / "c", PROVENANCE)

    loaded, provenance = checkpoint.load(tmp_path / "c")

    assert (loaded.step, provenance) == (12, PROVENANCE)
    assert loaded.arrays.keys() == state.arrays.keys()
    for key, array in state.arrays.items():
        assert (loaded.arrays[key].dtype, loaded.arrays[key].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(loaded.arrays[key], array)


def test_the_same_state_gives_the_same_bytes_in_any_order(state: TrainState, tmp_path: Path) -> None:
    backwards = TrainState(12, dict(reversed(state.arrays.items())))

    checkpoint.save(state, tmp_path / "a", PROVENANCE)
    checkpoint.save(backwards, tmp_path / "b", dict(reversed(PROVENANCE.items())))

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_array_that_is_a_view_is_saved_by_its_elements(tmp_path: Path) -> None:
    transposed = np.arange(6, dtype=np.float32).reshape(2, 3).T

    checkpoint.save(TrainState(0, {"model/w": transposed}), tmp_path / "c", {})

    np.testing.assert_array_equal(checkpoint.load(tmp_path / "c")[0].arrays["model/w"], transposed)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_truncated_checkpoint_is_refused_with_its_name(state: TrainState, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.safetensors"
    checkpoint.save(state, path, PROVENANCE)
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(CheckpointDamaged, match=r"cut\.safetensors is not a whole checkpoint"):
        checkpoint.load(path)


def test_no_flipped_byte_of_the_header_escapes_as_another_error(state: TrainState, tmp_path: Path) -> None:
    """Some flips only change a name or a word; those the artifact store's SHA-256 finds."""
    path = tmp_path / "flipped.safetensors"
    checkpoint.save(state, path, PROVENANCE)
    content = path.read_bytes()
    refused = 0
    for position in range(8 + int.from_bytes(content[:8], "little")):
        flipped = bytearray(content)
        flipped[position] ^= 0x80
        path.write_bytes(flipped)
        try:
            checkpoint.load(path)
        except CheckpointDamaged:
            refused += 1

    assert refused > 0.9 * position


def test_another_schema_is_refused(state: TrainState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SCHEMA", 2)
    checkpoint.save(state, tmp_path / "c", PROVENANCE)
    monkeypatch.undo()

    with pytest.raises(CheckpointDamaged, match="schema 2 and this version reads 1"):
        checkpoint.load(tmp_path / "c")


def test_a_safetensors_file_of_something_else_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(2)}, tmp_path / "c")

    with pytest.raises(CheckpointDamaged, match="not a whole checkpoint"):
        checkpoint.load(tmp_path / "c")
