from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.architectures import catalog
from models.compression import methods
from models.compression.compressed_model import CompressedModel, compress
from models.measurement.litert import LiteRTClassifier

CLASSES = 4


def coloured_images(count: int, seed: int) -> tuple[Any, Any]:
    """Noise with a tint that tells the class: a few steps of training are enough."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, CLASSES, count)
    tints = np.array([[60, 0, 0], [0, 60, 0], [0, 0, 60], [40, 40, 0]])
    noise = generator.integers(60, 150, (count, 32, 32, 3))
    return (noise + tints[labels][:, None, None, :]).astype(np.float32), labels


# What the converter makes of a trained transformer is among the default tests of architectures.
@pytest.fixture(scope="module", params=["alexnet-tiny", pytest.param("vit-tiny", marks=pytest.mark.slow)])
def network(request: pytest.FixtureRequest) -> Any:
    keras.utils.set_random_seed(0)
    model = catalog.get(request.param).build(keras, classes=CLASSES)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, jit_compile=False)
    model.fit(*coloured_images(1280, seed=0), batch_size=64, epochs=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def compressed(network: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, CompressedModel]:
    directory = tmp_path_factory.mktemp("compressed")
    return {method: compress(method, network, directory / f"{method}.tflite") for method in methods.names()}


def test_each_method_keeps_the_predictions(network: Any, compressed: dict[str, CompressedModel]) -> None:
    images, labels = coloured_images(400, seed=1)
    logits = network.predict(images, verbose=0)
    assert (logits.argmax(1) == labels).mean() > 0.8, "the network has learned too little to compare predictions"
    for method, least in (("float32", 1.0), ("float16", 0.99), ("dynamic-int8", 0.97)):
        predictions = LiteRTClassifier(compressed[method].path, batch=50).predict(images)
        assert (predictions.argmax(1) == logits.argmax(1)).mean() >= least, method


def test_float16_halves_and_int8_quarters_the_weights(compressed: dict[str, CompressedModel]) -> None:
    reference = compressed["float32"].sizes.weights_bytes
    assert 0.49 < compressed["float16"].sizes.weights_bytes / reference < 0.53
    assert 0.24 < compressed["dynamic-int8"].sizes.weights_bytes / reference < 0.29


def test_the_four_sizes_are_those_of_the_network_and_its_file(
    network: Any, compressed: dict[str, CompressedModel]
) -> None:
    for result in compressed.values():
        content = result.path.read_bytes()
        assert result.sizes.parameters == network.count_params()
        assert result.sizes.file_bytes == len(content)
        assert result.sizes.compressed_bytes == len(gzip.compress(content, 9))
        assert result.sizes.weights_bytes < result.sizes.file_bytes


def test_threads_and_batch_leave_the_predictions_alone(compressed: dict[str, CompressedModel]) -> None:
    images, _ = coloured_images(20, seed=2)
    path = compressed["float32"].path
    one = LiteRTClassifier(path, batch=1, threads=1).predict(images)
    many = LiteRTClassifier(path, batch=8, threads=2).predict(images)
    np.testing.assert_allclose(many, one, atol=1e-4)


def test_pixels_of_uint8_as_data_sets_store_them_give_the_same_logits(compressed: dict[str, CompressedModel]) -> None:
    classifier = LiteRTClassifier(compressed["float32"].path)
    images, _ = coloured_images(3, seed=3)
    np.testing.assert_array_equal(classifier.predict(images.astype(np.uint8)), classifier.predict(images))


def dense_network(inputs: int, units: int) -> Any:
    image = keras.Input((inputs,), name="image")
    return keras.Model(image, keras.layers.Dense(units, bias_initializer="ones", name="logits")(image))


def test_sparsity_is_the_share_of_zeros_among_weights_and_biases(tmp_path: Path) -> None:
    model = dense_network(inputs=30, units=10)
    kernel, bias = model.get_layer("logits").get_weights()
    kernel[:20] = 0.0
    model.get_layer("logits").set_weights([kernel, bias])
    sizes = compress("float32", model, tmp_path / "sparse.tflite").sizes
    assert sizes.parameters == 310
    assert sizes.weights_bytes == 4 * 310
    assert sizes.sparsity == pytest.approx(200 / 310)


def test_weights_that_the_quantizer_puts_behind_the_graph_are_weighed_too(tmp_path: Path) -> None:
    model = dense_network(inputs=1024, units=512)  # over 256 KiB, where the quantizer's other file layout begins
    sizes = {
        method: compress(method, model, tmp_path / f"{method}.tflite").sizes.weights_bytes for method in methods.names()
    }
    bias = 4 * 512
    kernel = 1024 * 512
    assert sizes == {"float32": 4 * kernel + bias, "float16": 2 * kernel + bias, "dynamic-int8": kernel + bias}


def test_compressing_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compress("dynamic-int8", dense_network(inputs=8, units=4), tmp_path / "quiet.tflite")
    assert tuple(capsys.readouterr()) == ("", "")


def test_an_unknown_method_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(methods.UnknownMethod):
        compress("int3", dense_network(inputs=8, units=4), tmp_path / "model.tflite")
    assert list(tmp_path.iterdir()) == []
