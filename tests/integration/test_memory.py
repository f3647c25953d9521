"""Peak memory is that of one file in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import pytest
import wide_network

from models.compression.compressed_model import compress
from models.measurement import memory, onnx_runtime
from models.measurement.memory import PeakMemory
from orchestrator.installation import own_packages

CHILD = own_packages.command(memory.__name__)
MB = 1_000_000


def measured(path: Path, batch: int = 1) -> PeakMemory:
    peak = memory.measure(CHILD, path, batch=batch)
    assert peak is not None
    return peak


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a network of 33 MB of float32 weights, as float32.tflite and dynamic-int8.tflite."""
    directory = tmp_path_factory.mktemp("wide")
    network = wide_network.build(keras)
    for method in ("float32", "dynamic-int8"):
        compress(method, network, directory / f"{method}.tflite")
    return directory


@pytest.mark.slow
def test_a_network_takes_at_least_its_weights_and_not_what_the_process_had_before(wide: Path) -> None:
    peak = measured(wide / "float32.tflite")
    assert 33 * MB < peak.network < 200 * MB
    assert peak.peak == peak.before + peak.network and peak.before > 10 * MB


@pytest.mark.slow
def test_fewer_bits_take_less_memory(wide: Path) -> None:
    assert measured(wide / "dynamic-int8.tflite").network < measured(wide / "float32.tflite").network / 2


@pytest.mark.slow
def test_a_larger_batch_takes_more_memory(wide: Path) -> None:
    one, many = (measured(wide / "dynamic-int8.tflite", batch).network for batch in (1, 1000))
    assert many - one > 1000 * 32 * 32 * 3 * 4


@pytest.mark.slow
def test_a_network_in_onnx_runtime_takes_at_least_its_weights(wide: Path) -> None:
    onnx_runtime.export(wide_network.build(keras), wide / "float32.onnx")
    assert 33 * MB < measured(wide / "float32.onnx").network < 200 * MB


def test_a_file_that_cannot_be_loaded_is_an_error_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "cut.tflite").write_bytes(b"cut off")
    with pytest.raises(RuntimeError, match=r"could not be measured: .*no whole LiteRT file"):
        memory.measure(CHILD, tmp_path / "cut.tflite")


def test_a_child_that_is_killed_has_run_out_of_memory() -> None:
    killed = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    with pytest.raises(MemoryError, match="classify 32 images was killed"):
        memory.measure(killed, Path("model.tflite"), batch=32)


def test_where_the_system_does_not_tell_there_is_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = keras.Input((4, 4, 3))
    network = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image)))
    file = compress("float32", network, tmp_path / "float32.tflite").path
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "nothing")
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "no-such-directory" / "nothing")
    monkeypatch.setattr(sys, "argv", ["child", str(file), "1", "1"])
    memory.main()
    assert capsys.readouterr().out == "null\n"
    told = [sys.executable, "-c", "print('null')"]
    assert memory.measure(told, file) is None
