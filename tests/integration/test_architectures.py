from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import catalog
from models.compression.compressed_model import compress
from models.litert import LiteRTClassifier
from models.training import load_weights

TINY = ("alexnet-tiny", "vit-tiny")


def pixels(images: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (images, 32, 32, 3)).astype(np.float32)


def weight_count(weights: Any) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)


@pytest.mark.parametrize(
    ("name", "trainable", "fixed"),
    [
        ("alexnet-paper", 23_490_378, 0),
        ("alexnet-residual-paper", 21_819_402, 0),
        ("vit-paper", 6_061_578, 7),
        ("alexnet", 4_692_426, 3_840),
        ("vit", 2_697_226, 0),
        ("alexnet-tiny", 86_178, 400),
        ("vit-tiny", 114_570, 0),
    ],
)
def test_a_network_has_exactly_the_parameters_of_its_definition(name: str, trainable: int, fixed: int) -> None:
    network = catalog.get(name).build(keras)
    assert weight_count(network.trainable_weights) == trainable
    assert weight_count(network.non_trainable_weights) == fixed


@pytest.mark.parametrize("name", catalog.names())
def test_every_weight_has_a_path_that_a_second_build_in_the_process_repeats(name: str) -> None:
    build = catalog.get(name).build
    first, second = build(keras), build(keras)
    paths = [weight.path for weight in first.weights]
    assert len(set(paths)) == len(paths)
    assert [weight.path for weight in second.weights] == paths


def builds(name: str, image_shape: tuple[int, int, int]) -> bool:
    try:
        catalog.get(name).build(keras, image_shape=image_shape)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", catalog.names())
def test_the_smallest_image_and_the_channels_that_an_architecture_takes_are_what_the_catalogue_says(name: str) -> None:
    side, channels = catalog.get(name).smallest_side, catalog.get(name).channels
    assert builds(name, (side, side, channels or 3))
    assert side == 1 or not any((builds(name, (side - 1, 40, channels or 3)), builds(name, (40, side - 1, 3))))
    assert [builds(name, (32, 32, count)) for count in (1, 3, 4)] == [channels in (None, count) for count in (1, 3, 4)]


@pytest.mark.parametrize("name", TINY)
def test_another_image_shape_and_number_of_classes_are_taken(name: str) -> None:
    network = catalog.get(name).build(keras, image_shape=(16, 24, 1), classes=7)
    assert network.input_shape == (None, 16, 24, 1)
    assert network(np.zeros((2, 16, 24, 1), np.float32)).shape == (2, 7)


@pytest.mark.parametrize("name", TINY)
def test_logits_stay_float32_where_the_layers_are_float16(name: str) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = catalog.get(name).build(keras)
    finally:
        keras.config.set_dtype_policy("float32")
    logits = network(pixels(2))
    assert logits.dtype == "float32"
    assert np.isfinite(logits).all()
    assert network.get_layer("flatten" if "alexnet" in name else "pool").compute_dtype == "float16"


@pytest.mark.parametrize("name", TINY)
def test_a_saved_network_is_reloaded_by_another_process_to_the_same_logits(name: str, tmp_path: Path) -> None:
    network = catalog.get(name).build(keras)
    images = pixels(4)
    network.save(tmp_path / "network.keras")
    np.save(tmp_path / "images.npy", images)
    program = (
        "import keras, numpy as np; from pathlib import Path; from models import catalog;"
        "network = catalog.load(keras, Path('network.keras'));"
        "np.save('logits.npy', network.predict(np.load('images.npy'), verbose=0))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_array_equal(np.load(tmp_path / "logits.npy"), network.predict(images, verbose=0))


@pytest.mark.parametrize("name", TINY)
def test_one_litert_file_gives_the_networks_logits_at_batch_1_and_32(name: str, tmp_path: Path) -> None:
    network = catalog.get(name).build(keras)
    images = pixels(40)  # the last batch of 32 is not full
    logits = network.predict(images, verbose=0)
    path = compress("float32", network, tmp_path / "network.tflite").path
    for batch in (1, 32):
        np.testing.assert_allclose(LiteRTClassifier(path, batch=batch).predict(images), logits, atol=1e-4)


def test_the_papers_vit_sees_pixels_with_cifar10s_mean_and_variance_removed() -> None:
    network = catalog.get("vit-paper").build(keras)
    normalized = network.get_layer("normalization")(np.full((1, 32, 32, 3), 125.30691805, np.float32))
    expected = [0.0, (125.30691805 - 122.95039414) / 62.08870764, (125.30691805 - 113.86538318) / 66.70489964]
    np.testing.assert_allclose(normalized[0, 0, 0], expected, atol=1e-6)


def test_stochastic_depth_drops_whole_branches_of_single_images() -> None:
    layer = catalog.get("vit").build(keras).get_layer("block9_mlp_skip")
    kept = np.asarray(layer(np.ones((200, 4, 3), np.float32), training=True))
    of_image = kept.reshape(200, -1)
    assert (of_image == of_image[:, :1]).all()
    np.testing.assert_allclose(np.unique(of_image[:, 0]), [0.0, 1 / 0.9], rtol=1e-6)


def test_the_residual_alexnet_adds_what_goes_round_its_convolutions() -> None:
    network = catalog.get("alexnet-residual-paper").build(keras)
    for number, shortcut in ((3, "conv3_projection"), (4, "conv3_add"), (5, "conv5_projection")):
        sources = {tensor._keras_history.operation.name for tensor in network.get_layer(f"conv{number}_add").input}
        assert sources == {f"conv{number}", shortcut}


def test_weights_fit_the_names_that_legacy_keras_gives() -> None:
    kernel = tf.Variable(np.zeros((2, 3), np.float32), name="head/kernel")

    load_weights(SimpleNamespace(weights=[kernel]), {"model/head/kernel": np.ones((2, 3), np.float32)})

    np.testing.assert_array_equal(kernel.numpy(), np.ones((2, 3)))
