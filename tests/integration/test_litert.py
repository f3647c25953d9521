"""Files that are measured, and files that are refused because no figure of them would be true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from litert_quantizer import Quantizer

from models.measurement.classifier import UnusableModel
from models.measurement.litert import LiteRTClassifier

SHAPE = (8, 8, 3)


def exported(path: Path, *outputs: Any, image: Any = None) -> Path:
    image = keras.Input(SHAPE, name="image") if image is None else image
    keras.Model(image, [output(image) for output in outputs]).export(path, format="litert", verbose=False)
    return path


def logits(image: Any) -> Any:
    return keras.layers.Dense(4)(keras.layers.Flatten()(image))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("whole") / "model.tflite", logits)


def test_a_file_says_how_many_classes_it_knows(whole: Path) -> None:
    assert LiteRTClassifier(whole, batch=2, image_shape=SHAPE).classes == 4


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "identifier", "graph"])
def test_a_damaged_file_is_refused(whole: Path, tmp_path: Path, damage: str) -> None:
    content = whole.read_bytes()
    damaged = {
        "empty": b"",
        "text": b"not a network at all" * 10,
        "cut": content[:-1],
        "identifier": content[:4] + b"XXXX" + content[8:],
        "graph": b"\xff" * 4 + content[4:],
    }[damage]
    (tmp_path / "model.tflite").write_bytes(damaged)
    with pytest.raises(UnusableModel, match="no whole LiteRT file"):
        LiteRTClassifier(tmp_path / "model.tflite")


def test_a_file_for_other_images_is_refused(whole: Path) -> None:
    with pytest.raises(UnusableModel, match=r"takes images 8x8x3, not 32x32x3\."):
        LiteRTClassifier(whole, image_shape=(32, 32, 3))


def test_a_file_that_takes_int8_is_refused(whole: Path, tmp_path: Path) -> None:
    """What the quantizer makes unless it is told to leave both ends alone: pixels above 127 would turn negative."""
    quantizer = Quantizer(whole.read_bytes())
    quantizer.add_static_config(".*", "*", activation_num_bits=8, weight_num_bits=8)
    pixels = np.random.default_rng(0).integers(0, 256, (1, *SHAPE)).astype(np.float32)
    ranges = quantizer.calibrate({"serving_default": [{"image": pixels}]}, num_threads=1)
    (tmp_path / "int8.tflite").write_bytes(quantizer.quantize(ranges).quantized_model)
    with pytest.raises(UnusableModel, match="one input of float32, and has int8"):
        LiteRTClassifier(tmp_path / "int8.tflite")


def test_a_file_of_two_outputs_is_refused(tmp_path: Path) -> None:
    path = exported(tmp_path / "two.tflite", logits, keras.layers.Flatten())
    with pytest.raises(UnusableModel, match="one output of float32, and has float32, float32"):
        LiteRTClassifier(path)


def test_a_file_that_gives_no_row_for_each_image_is_refused(tmp_path: Path) -> None:
    path = exported(tmp_path / "map.tflite", keras.layers.Conv2D(4, 3))
    with pytest.raises(UnusableModel, match="gives 2x6x6x4 numbers for 2 images"):
        LiteRTClassifier(path, batch=2)


def test_a_file_that_takes_one_image_only_is_refused_for_more(tmp_path: Path) -> None:
    image = keras.Input(batch_shape=(1, *SHAPE), name="image")
    path = exported(tmp_path / "one.tflite", lambda x: keras.ops.reshape(x, (1, 192)), image=image)
    assert LiteRTClassifier(path).classes == 192
    with pytest.raises(UnusableModel):
        LiteRTClassifier(path, batch=2)


def test_an_operation_that_this_litert_is_too_old_for_is_not_the_fault_of_the_file(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def old(**_: Any) -> None:
        raise RuntimeError("Didn't find op for builtin opcode 'FULLY_CONNECTED' version '99'.")

    monkeypatch.setattr("models.measurement.litert.Interpreter", old)
    with pytest.raises(RuntimeError, match="version '99'"):
        LiteRTClassifier(whole)
