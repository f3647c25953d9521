"""Every architecture: its size, and what becomes of it when it is trained, saved, converted and quantized."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras

from models.architectures import catalog
from models.compression import methods
from models.datasets import Split
from models.measurement.litert import LiteRTClassifier
from models.recipes import Augmentation, Training, Visit
from models.training.trainer import Trainer, fresh_network, inference_weights, load_weights, network_weights
from tests.support.architectures import ONE_OF_A_KIND, each

TINY = ("alexnet-tiny", "vit-tiny")
CONVERTED = (*ONE_OF_A_KIND, "alexnet-paper", "vit-paper")
PARAMETERS = {
    "alexnet-paper": (23_490_378, 0),
    "alexnet-residual-paper": (21_819_402, 0),
    "vit-paper": (6_061_578, 7),
    "alexnet": (4_692_426, 3_840),
    "alexnet-small": (1_175_786, 1_920),
    "alexnet-residual": (9_966_410, 6_272),
    "alexnet-residual-small": (1_941_546, 2_752),
    "vit": (2_697_226, 0),
    "vit-small": (460_714, 0),
    "vit-spt": (2_734_678, 0),
    "vit-spt-small": (479_662, 0),
    "cct": (3_858_635, 0),
    "cct-small": (284_491, 0),
    "alexnet-tiny": (86_178, 400),
    "vit-tiny": (114_570, 0),
}
"""Trainable and fixed weights, for ten classes."""


def pixels(images: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (images, 32, 32, 3)).astype(np.float32)


def logits_of(network: Any, images: Any) -> Any:
    return np.asarray(network(images, training=False))


def converted(method: str, network: Any, directory: Path) -> Path:
    """A file that is not weighed: to compress one of 94 MB takes most of a minute."""
    methods.get(method).load()(network, directory / f"{method}.tflite")
    return directory / f"{method}.tflite"


def weight_count(weights: Any) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)


@pytest.fixture(scope="module")
def trained() -> Any:
    """By name, a network after two steps: nothing in it is as it began."""
    known: dict[str, Any] = {}

    def network(name: str) -> Any:
        if name not in known:
            recipe = catalog.get(name).recipe.replace(batch_size=8, warmup_fraction=0.0, augmentation=Augmentation())
            shard = Split.whole(pixels(16, seed=1).astype(np.uint8), np.arange(16) % 10)
            trainer = Trainer(Training(name, recipe, 0, 10, (32, 32, 3), 3))
            list(trainer.advance(shard, Visit(0, 1, 0, 2)))
            known.clear()  # some have a hundred megabytes
            known[name] = fresh_network(name, (32, 32, 3), 10)
            load_weights(known[name], inference_weights(trainer.state()))
        return known[name]

    return network


@each()
def test_a_network_has_exactly_the_parameters_of_its_definition(name: str) -> None:
    network = catalog.get(name).build(keras)

    assert (weight_count(network.trainable_weights), weight_count(network.non_trainable_weights)) == PARAMETERS[name]


@pytest.mark.parametrize("name", catalog.names())
def test_a_docstring_that_tells_the_parameters_tells_them_right(name: str) -> None:
    told = re.findall(r"[\d,]+(?= (?:trainable )?(?:weights|parameters))", catalog.get(name).build.__doc__ or "")

    assert told == ([f"{PARAMETERS[name][0]:,}"] if name not in TINY else [])


@each(CONVERTED, often=["vit-tiny"])
def test_a_trained_network_is_the_same_saved_converted_quantized_and_in_legacy_keras(
    trained: Any, name: str, tmp_path: Path
) -> None:
    network, images = trained(name), pixels(40)  # the last batch of 32 is not full
    logits = logits_of(network, images)
    assert np.isfinite(logits).all() and np.abs(logits).max() > 0.01

    network.save(tmp_path / "network.keras")
    reloaded = catalog.load(keras, tmp_path / "network.keras")
    np.testing.assert_array_equal(logits_of(reloaded, images), logits)

    legacy = catalog.get(name).build(tf_keras)
    load_weights(legacy, network_weights(network))
    np.testing.assert_allclose(logits_of(legacy, images), logits, atol=1e-5, rtol=1e-5)

    # A file that needs operations of TensorFlow's cannot be loaded.
    float32 = converted("float32", network, tmp_path)
    for batch in (1, 32):
        found = LiteRTClassifier(float32, batch=batch).predict(images)
        np.testing.assert_allclose(found, logits, atol=1e-4, rtol=1e-4)

    int8 = converted("dynamic-int8", network, tmp_path)
    quantized = LiteRTClassifier(int8, batch=32).predict(images)
    assert int8.stat().st_size < 0.5 * float32.stat().st_size
    assert np.corrcoef(quantized.ravel(), logits.ravel())[0, 1] > 0.99


@each(often=TINY)
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


@each(often=TINY)
def test_the_smallest_image_and_the_channels_that_an_architecture_takes_are_what_the_catalogue_says(name: str) -> None:
    side, channels = catalog.get(name).smallest_side, catalog.get(name).channels
    assert builds(name, (side, side, channels or 3))
    assert side == 1 or not any((builds(name, (side - 1, 40, channels or 3)), builds(name, (40, side - 1, 3))))
    assert builds(name, (45, 38, channels or 3)) == (catalog.get(name).side_multiple == 1)
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


def test_saved_networks_are_reloaded_by_another_process_to_the_same_logits(tmp_path: Path) -> None:
    images = pixels(4)
    np.save(tmp_path / "images.npy", images)
    expected = {}
    for name in TINY:
        network = catalog.get(name).build(keras)
        network.save(tmp_path / f"{name}.keras")
        expected[name] = logits_of(network, images)
    program = (
        "import keras, numpy as np; from pathlib import Path; from models.architectures import catalog;"
        "images = np.load('images.npy');"
        "networks = {path.stem: catalog.load(keras, path) for path in Path().glob('*.keras')};"
        "np.savez('logits.npz', **{name: np.asarray(one(images, training=False)) for name, one in networks.items()})"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)
    with np.load(tmp_path / "logits.npz") as logits:
        assert set(logits) == set(TINY)
        for name in TINY:
            np.testing.assert_array_equal(logits[name], expected[name])


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


def test_no_token_attends_to_itself_and_each_head_has_its_temperature() -> None:
    layer = catalog.get("vit-spt").build(keras).get_layer("block1_attention_locality")
    scores = np.random.default_rng(0).normal(size=(2, 12, 64, 64)).astype(np.float32)

    shares = keras.ops.softmax(layer(scores))

    np.testing.assert_array_equal(np.diagonal(shares, axis1=2, axis2=3), 0)
    assert layer.scale.shape == (12, 1, 1) and layer.scale.trainable
    np.testing.assert_allclose(layer.scale, 0.25)


@pytest.fixture(scope="module")
def shifting() -> Any:
    return catalog.get("vit-spt-small").build(keras)


@pytest.mark.parametrize(
    ("layer", "moved"),
    [
        ("shift_up_left", (2, 2)),
        ("shift_up_right", (2, -2)),
        ("shift_down_left", (-2, 2)),
        ("shift_down_right", (-2, -2)),
    ],
)
def test_a_shifted_image_shows_each_patch_its_neighbours_edges(
    shifting: Any, layer: str, moved: tuple[int, int]
) -> None:
    shifted = keras.Model(shifting.input, shifting.get_layer(layer).output)
    images = pixels(1)
    down, right = moved
    expected = np.pad(images / 127.5 - 1, ((0, 0), (2, 2), (2, 2), (0, 0)))[:, 2 + down :, 2 + right :][:, :32, :32]

    np.testing.assert_allclose(shifted(images), expected, atol=1e-6)


def test_a_token_of_the_shifted_image_is_a_patch_of_all_five(shifting: Any) -> None:
    inside = [shifting.get_layer(name).output for name in ("shifted", "tokens")]
    tokens = keras.Model(shifting.input, inside)
    stacked, found = map(np.asarray, tokens(pixels(1)))

    np.testing.assert_array_equal(found[0, 8 * 3 + 5], stacked[0, 12:16, 20:24].ravel())


def test_a_sequence_is_pooled_by_the_scores_of_its_tokens() -> None:
    network = catalog.get("cct-small").build(keras)
    inside = [network.get_layer(name).output for name in ("norm", "pool_score", "pool")]
    tokens, scores, pooled = map(np.asarray, keras.Model(network.input, inside)(pixels(3)))
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))

    np.testing.assert_allclose(pooled, (tokens * weights).sum(axis=1) / weights.sum(axis=1), atol=1e-5)
