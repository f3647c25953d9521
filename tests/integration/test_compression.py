from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import zstandard
from ai_edge_litert.interpreter import Interpreter

from models.architectures import catalog
from models.compression import methods
from models.compression.compressed_model import CompressedModel, compress
from models.measurement.litert import LiteRTClassifier
from models.pruning import Pruning
from models.recipes import Augmentation, Training
from models.training.trainer import Trainer
from tests.support import exact_training
from tests.support.architectures import OF_EVERY_KIND
from tests.support.repetitions import repetitions

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
    images, _ = coloured_images(100, seed=5)
    return {method: compress(method, network, directory / f"{method}.tflite", images) for method in methods.names()}


def test_each_method_keeps_the_predictions(network: Any, compressed: dict[str, CompressedModel]) -> None:
    images, labels = coloured_images(400, seed=1)
    logits = network.predict(images, verbose=0)
    assert (logits.argmax(1) == labels).mean() > 0.8, "the network has learned too little to compare predictions"
    assert set(compressed) == set(LEAST_AGREEMENT)
    for method, least in LEAST_AGREEMENT.items():
        predictions = LiteRTClassifier(compressed[method].path, batch=50).predict(images)
        assert (predictions.argmax(1) == logits.argmax(1)).mean() >= least, method


LEAST_AGREEMENT = {
    "float32": 1.0,
    "float16": 0.99,
    "dynamic-int8": 0.97,
    "weight-int8": 0.97,
    "static-int8": 0.9,
    "dense-int4": 0.9,
    "int4": 0.85,
}
"""The share of images on which a method's file must say what the network says."""


def test_each_width_makes_the_weights_as_much_smaller(compressed: dict[str, CompressedModel]) -> None:
    shares = {
        method: result.sizes.weights_bytes / compressed["float32"].sizes.weights_bytes
        for method, result in compressed.items()
    }
    assert 0.49 < shares["float16"] < 0.53
    for method in ("dynamic-int8", "weight-int8", "static-int8"):
        assert 0.24 < shares[method] < 0.29, method
    assert shares["int4"] < shares["dense-int4"] < shares["dynamic-int8"]
    assert 0.12 < shares["int4"] < 0.18


def test_a_method_that_needs_images_writes_nothing_without_them(tmp_path: Path) -> None:
    for images in (None, np.zeros((0, 8), np.float32)):
        with pytest.raises(ValueError, match="'static-int8' needs training images"):
            compress("static-int8", dense_network(inputs=8, units=4), tmp_path / "model.tflite", images)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", repetitions(methods.names(), often=["dynamic-int8"]))
def test_the_same_network_gives_the_same_file(method: str, tmp_path: Path) -> None:
    network, images = dense_network(inputs=64, units=16), np.random.default_rng(0).random((20, 64), np.float32)
    files = [compress(method, network, tmp_path / f"{name}.tflite", images) for name in ("once", "twice")]
    assert files[0].path.read_bytes() == files[1].path.read_bytes()


# Each network with one method and each method with one network at least: what a method does to a layer is the same in
# every network, and `network` is exported with all methods.
@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), list(zip(OF_EVERY_KIND, cycle(methods.names()), strict=False)))
def test_every_method_makes_a_file_of_every_kind_of_network(name: str, method: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    network = catalog.get(name).build(keras, classes=CLASSES)
    images, _ = coloured_images(12, seed=6)
    found = methods.get(method)
    # Not weighed: to compress a file of 94 MB takes most of a minute.
    found.load()(network, tmp_path / "model.tflite", **({"images": images} if found.needs_images else {}))
    logits = LiteRTClassifier(tmp_path / "model.tflite", batch=12).predict(images)
    assert logits.shape == (12, CLASSES) and np.isfinite(logits).all()
    if method in ("float32", "float16", "dynamic-int8", "weight-int8"):
        expected = network.predict(images, verbose=0)
        np.testing.assert_allclose(logits, expected, atol=0.1 * np.max(np.abs(expected)))


def test_the_four_sizes_are_those_of_the_network_and_its_file(
    network: Any, compressed: dict[str, CompressedModel]
) -> None:
    for result in compressed.values():
        content = result.path.read_bytes()
        assert result.sizes.parameters == network.count_params()
        assert result.sizes.file_bytes == len(content)
        assert result.sizes.parameters_bytes == 4 * network.count_params()
        assert result.sizes.compression == "zstd"
        assert zstandard.decompress(result.packed.read_bytes()) == content
        assert result.sizes.compressed_bytes == result.packed.stat().st_size < len(content)
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


def test_zeros_are_counted_in_weights_of_which_two_share_a_byte(tmp_path: Path) -> None:
    model = dense_network(inputs=30, units=10)
    # Four bits hold -7..7 times a scale for each output: these kernels come through exactly.
    kernel = np.random.default_rng(0).integers(-7, 8, (30, 10)).astype(np.float32)
    kernel[0], kernel[1:16] = 7, 0
    model.get_layer("logits").set_weights([kernel, np.ones(10, np.float32)])
    sizes = compress("int4", model, tmp_path / "sparse.tflite").sizes
    assert sizes.weights_bytes == 300 // 2 + 4 * 10
    assert sizes.sparsity == pytest.approx(np.count_nonzero(kernel == 0) / 310)


def test_weights_that_the_quantizer_puts_behind_the_graph_are_weighed_too(tmp_path: Path) -> None:
    model = dense_network(inputs=1024, units=512)  # over 256 KiB, where the quantizer's other file layout begins
    images = np.random.default_rng(0).random((20, 1024), np.float32)
    sizes = {
        method: compress(method, model, tmp_path / f"{method}.tflite", images).sizes.weights_bytes
        for method in ("float16", "static-int8", "int4")
    }
    bias = 4 * 512
    kernel = 1024 * 512
    assert sizes == {"float16": 2 * kernel + bias, "static-int8": kernel + bias, "int4": kernel // 2 + bias}


def test_compressing_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compress("dynamic-int8", dense_network(inputs=8, units=4), tmp_path / "quiet.tflite")
    assert tuple(capsys.readouterr()) == ("", "")


def test_an_unknown_method_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(methods.UnknownMethod):
        compress("int3", dense_network(inputs=8, units=4), tmp_path / "model.tflite")
    assert list(tmp_path.iterdir()) == []


def test_what_was_pruned_is_zero_in_the_file_that_is_shipped(tmp_path: Path) -> None:
    def hidden(keras: Any, image_shape: tuple[int, int, int] = (16, 16, 3), classes: int = CLASSES) -> Any:
        layers = keras.layers
        pixels = keras.Input(image_shape)
        x = layers.Conv2D(8, 3, strides=2, name="stem")(layers.Rescaling(1 / 128, offset=-1)(pixels))
        x = layers.Conv2D(16, 3, use_bias=False, name="second")(x)
        x = layers.Flatten()(layers.ReLU()(layers.BatchNormalization()(x)))
        return keras.Model(pixels, layers.Dense(classes, name="logits")(layers.Dense(32, name="hidden")(x)))

    recipe = exact_training.RECIPE.replace(augmentation=Augmentation())
    training = Training("hidden", recipe, 0, CLASSES, (16, 16, 3), exact_training.VISIT.steps)
    trainer = Trainer(training, build=hidden, pruning=Pruning({"conv": 0.75, "dense": 0.9}, interval=2))
    exact_training.run(trainer, exact_training.VISIT.last_step)

    compress("float32", trainer.model, tmp_path / "model.tflite")

    interpreter = Interpreter(str(tmp_path / "model.tflite"))
    # LiteRT has the outputs first.
    assert share_of_zeros(interpreter, (16, 3, 3, 8)) == 0.75
    assert share_of_zeros(interpreter, (32, 400)) == 0.9
    assert share_of_zeros(interpreter, (8, 3, 3, 3)) == share_of_zeros(interpreter, (CLASSES, 32)) == 0


def share_of_zeros(interpreter: Interpreter, shape: tuple[int, ...]) -> float:
    """Of the one constant tensor of this shape."""
    (found,) = (detail for detail in interpreter.get_tensor_details() if tuple(detail["shape"]) == shape)
    return float(np.mean(interpreter.get_tensor(found["index"]) == 0))
