"""Slimming: what is removed, what is left, and that the rest of the network is what it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architectures import catalog
from models.compression.channel_budget import Tally
from models.compression.channel_scores import taylor
from models.compression.channel_spaces import CannotSlim, ChannelSpaces, Kept, find_channels
from models.compression.compressed_model import compress
from models.compression.narrowing import narrowed
from models.compression.slimming import Slimmed, cut, slim
from models.datasets import Split
from models.measurement.litert import LiteRTClassifier
from models.recipes import Training, Visit
from models.training.trainer import Trainer, load_weights, network_weights
from tests.support.architectures import ONE_OF_A_KIND, each

layers = keras.layers


def pixels(images: int, side: int = 32) -> Any:
    return np.random.default_rng(0).integers(0, 256, (images, side, side, 3)).astype(np.float32)


def shaken(network: Any) -> Any:
    """The network with nothing in it as it began: no bias is zero, no normalisation does nothing."""
    generator = np.random.default_rng(1)
    for layer in network.layers:
        if not isinstance(layer, layers.Normalization):
            layer.set_weights([weight + generator.uniform(0, 0.05, weight.shape) for weight in layer.get_weights()])
    return network


def spaces_of(network: Any) -> ChannelSpaces:
    return find_channels(network, keras.saving.get_registered_name)


def random_cut(spaces: ChannelSpaces, seed: int = 0, share: float = 0.5) -> Kept:
    """A share of all units gone, or as many as the layers bear."""
    tally = Tally(spaces, spaces.everything())
    units = np.random.default_rng(seed).permutation(spaces.units)
    for unit in units[: int(share * len(units))].tolist():
        if tally.may_remove(unit):
            tally.remove(unit)
    return tally.kept


def masked(network: Any, kept: Mapping[str, tuple[int, ...]]) -> Any:
    """A copy whose layers make zeros where channels are not kept; what reads them is as it was."""
    copy = narrowed(keras, network, {})
    load_weights(copy, network_weights(network))
    norms = {layer.name: layer for layer in copy.layers if isinstance(layer, layers.BatchNormalization)}
    for name, channels in kept.items():
        for layer in filter(None, (copy.get_layer(name), norms.get(f"{name}_norm"))):
            gone = np.setdiff1d(np.arange(layer.output.shape[-1]), channels)
            for weight in layer.weights:
                values = np.array(weight)
                values[..., gone] = 0
                weight.assign(values)
    return copy


def assert_same_logits(found: Any, expected: Any) -> None:
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, atol=1e-5 * scale)


@each()
def test_a_cut_network_gives_the_logits_of_the_one_whose_removed_channels_are_zero(name: str) -> None:
    network = shaken(catalog.get(name).build(keras))
    spaces = spaces_of(network)
    kept = random_cut(spaces)
    smaller, images = cut(network, spaces, kept), pixels(8)

    assert smaller.count_params() < 0.8 * network.count_params()
    assert (spaces.cost(spaces.everything()).parameters, spaces.cost(kept).parameters) == (
        network.count_params(),
        smaller.count_params(),
    )
    assert_same_logits(smaller(images), masked(network, spaces.kept_channels(kept))(images))


@pytest.mark.slow
@each(ONE_OF_A_KIND)
def test_a_slimmed_network_is_the_same_saved_converted_quantized_and_in_legacy_keras(name: str, tmp_path: Path) -> None:
    network, images = shaken(catalog.get(name).build(keras)), pixels(40)
    slimmed = slim(network, images, np.arange(40) % 10, keep_parameters=0.85)
    logits = slimmed.network.predict(images, verbose=0)

    slimmed.network.save(tmp_path / "network.keras")
    reloaded = catalog.load(keras, tmp_path / "network.keras")
    np.testing.assert_array_equal(reloaded.predict(images, verbose=0), logits)

    rebuilt = narrowed(keras, catalog.get(name).build(keras), json.loads(json.dumps(slimmed.widths)))
    load_weights(rebuilt, network_weights(slimmed.network))
    np.testing.assert_array_equal(rebuilt.predict(images, verbose=0), logits)

    legacy = narrowed(tf_keras, catalog.get(name).build(tf_keras), json.loads(json.dumps(slimmed.widths)))
    load_weights(legacy, network_weights(slimmed.network))
    assert_same_logits(legacy.predict(images, verbose=0), logits)

    # A file that needs operations of TensorFlow's cannot be loaded.
    float32 = compress("float32", slimmed.network, tmp_path / "float32.tflite").path
    np.testing.assert_allclose(LiteRTClassifier(float32, batch=32).predict(images), logits, atol=1e-4, rtol=1e-4)

    int8 = compress("dynamic-int8", slimmed.network, tmp_path / "int8.tflite").path
    quantized = LiteRTClassifier(int8, batch=32).predict(images)
    assert np.corrcoef(quantized.ravel(), logits.ravel())[0, 1] > 0.99


def conv(x: Any, name: str, width: int, **options: Any) -> Any:
    return layers.Conv2D(width, 3, padding="same", name=name, **options)(x)


def normalised(x: Any, name: str) -> Any:
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(conv(x, name, 12)))


def residual(x: Any, name: str) -> Any:
    return layers.Add(name=name)([x, conv(x, f"{name}_conv", x.shape[-1], activation="gelu")])


def projected(x: Any, name: str) -> Any:
    return conv(x, f"{name}_conv", x.shape[-1]) + conv(x, f"{name}_projection", x.shape[-1])


def joined(x: Any, name: str) -> Any:
    return layers.Concatenate(name=name)([conv(x, f"{name}_left", 5), x, conv(x, f"{name}_right", 6)])


def separable(x: Any, name: str) -> Any:
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, use_bias=False, name=name)(x)
    return layers.PReLU(shared_axes=[1, 2], name=f"{name}_prelu")(x)


def gated(x: Any, name: str) -> Any:
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
    gate = conv(gate, f"{name}_gate", x.shape[-1], activation="sigmoid")
    return layers.Multiply(name=name)([x, gate])


def padded(x: Any, name: str) -> Any:
    x = layers.UpSampling2D(name=f"{name}_up")(layers.ZeroPadding2D(1, name=f"{name}_pad")(x))
    return layers.AveragePooling2D(3, name=name)(x)


def softmaxed(x: Any, name: str) -> Any:
    """Freezes what goes in."""
    return layers.Softmax(name=name)(x)


def cut_into_patches(x: Any, name: str) -> Any:
    _, height, width, channels = x.shape
    x = layers.Reshape((height * width, channels), name=f"{name}_tokens")(x)
    x = layers.Permute((2, 1), name=f"{name}_turned")(x)
    return layers.Reshape((height, width, channels), name=name)(layers.Permute((2, 1), name=f"{name}_back")(x))


PARTS = (normalised, residual, projected, joined, separable, gated, padded, softmaxed, cut_into_patches)


@pytest.mark.parametrize("examples", [4, pytest.param(30, marks=pytest.mark.slow)])
def test_whatever_network_is_cut_at_random_it_gives_the_logits_of_the_masked_one(examples: int) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=5), st.booleans(), st.integers(0, 2**31))
    def check(parts: list[Any], flat: bool, seed: int) -> None:
        image = keras.Input((8, 8, 3), name="image")
        x = conv(image, "stem", 10)
        for number, part in enumerate(parts):
            x = part(x, f"part{number}")
        x = layers.Flatten(name="flat")(x) if flat else layers.GlobalMaxPooling2D(name="pool")(x)
        x = layers.Dense(16, activation="tanh", name="dense")(x)
        network = shaken(keras.Model(image, layers.Dense(5, name="logits")(x), name="random"))
        spaces = spaces_of(network)
        kept = random_cut(spaces, seed, 0.6)
        smaller, images = cut(network, spaces, kept), pixels(4, side=8) / 255

        assert smaller.count_params() == spaces.cost(kept).parameters < network.count_params()
        assert_same_logits(smaller(images), masked(network, spaces.kept_channels(kept))(images))

    check()


def small_network(width: int = 16) -> Any:
    image = keras.Input((8, 8, 3), name="image")
    x = layers.GlobalAveragePooling2D(name="pool")(conv(conv(image, "conv1", width), "conv2", 12, activation="relu"))
    return keras.Model(image, layers.Dense(5, name="logits")(x), name="small")


def small_slimmed(network: Any, **options: Any) -> Slimmed:
    return slim(network, pixels(64, side=8) / 255, np.arange(64) % 5, **options)


def multiply_adds(one: int, two: int) -> int:
    """Of `small_network` with so many channels in its two convolutions, counted by hand."""
    return 64 * 9 * (3 * one + one * two) + two * 5


def test_parameters_and_multiply_adds_are_counted_as_by_hand() -> None:
    slimmed = small_slimmed(small_network(), keep_multiply_adds=0.5)
    one, two = (len(slimmed.kept.get(name, range(whole))) for name, whole in (("conv1", 16), ("conv2", 12)))

    assert slimmed.original_cost.multiply_adds == multiply_adds(16, 12)
    assert slimmed.cost.multiply_adds == multiply_adds(one, two)
    assert slimmed.cost.parameters == 28 * one + (9 * one + 1) * two + (two + 1) * 5 == slimmed.network.count_params()


def test_attentions_products_are_counted() -> None:
    cost = spaces_of(catalog.get("vit-tiny").build(keras)).cost(
        spaces_of(catalog.get("vit-tiny").build(keras)).everything()
    )
    tokens, width = 16, 64
    block = tokens * (4 * width * width + 2 * width * 128) + 2 * 4 * tokens * tokens * 16
    assert cost.multiply_adds == tokens * 8 * 8 * 3 * width + 3 * block + width * 10


@pytest.mark.parametrize("criterion", ["taylor", "magnitude"])
def test_no_more_is_left_than_both_budgets_and_no_channel_less(criterion: Any) -> None:
    slimmed = small_slimmed(small_network(64), keep_parameters=0.6, keep_multiply_adds=0.4, criterion=criterion)
    one, two = (len(slimmed.kept.get(name, range(whole))) for name, whole in (("conv1", 64), ("conv2", 12)))

    assert slimmed.cost.parameters <= 0.6 * slimmed.original_cost.parameters
    assert multiply_adds(one, two) <= 0.4 * multiply_adds(64, 12), "which is the smaller budget"
    # One of these was the last to go.
    assert max(multiply_adds(one + 1, two), multiply_adds(one, two + 1)) > 0.4 * multiply_adds(64, 12)


def test_the_original_stays_as_it_was_and_the_names_of_the_weights_too() -> None:
    network = small_network()
    before = network_weights(network)
    slimmed = small_slimmed(network, keep_parameters=0.5)

    assert all(np.array_equal(before[key], weight) for key, weight in network_weights(network).items())
    assert network_weights(slimmed.network).keys() == before.keys()


def test_slimming_again_keeps_the_same_channels() -> None:
    network = shaken(small_network())
    first, second = (small_slimmed(network, keep_parameters=0.4) for _ in range(2))
    assert first.kept == second.kept != {}


@pytest.mark.parametrize("criterion", ["taylor", "magnitude"])
def test_channels_that_nothing_reads_go_first(criterion: Any) -> None:
    network = small_network()
    kernel, bias = network.get_layer("conv2").get_weights()
    kernel[:, :, ::2] = 0
    network.get_layer("conv2").set_weights([kernel, bias])
    source, bias = network.get_layer("conv1").get_weights()
    source[..., ::2] *= 0.1
    network.get_layer("conv1").set_weights([source, bias])

    slimmed = small_slimmed(network, keep_parameters=0.75, criterion=criterion)

    assert set(range(16)) - set(slimmed.kept["conv1"]) <= set(range(0, 16, 2))


def test_a_score_is_the_slope_of_the_loss_as_the_channel_fades() -> None:
    network, images, labels = shaken(small_network()), pixels(32, side=8) / 255, np.arange(32) % 5
    spaces = spaces_of(network)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    layer = network.get_layer("conv1")
    (conv1,) = (source.labels for source in spaces.sources if source.layer == "conv1")
    whole = layer.get_weights()

    def loss_at(channel: int, strength: float) -> float:
        faded = [np.array(weight) for weight in whole]
        for weight in faded:
            weight[..., channel] *= strength
        layer.set_weights(faded)
        return float(loss(labels, network(images)))

    slopes = [abs(loss_at(channel, 1.05) - loss_at(channel, 0.95)) / 0.1 for channel in range(16)]
    layer.set_weights(whole)

    # A loss of 1.6 is rounded to 1e-7 and divided by 0.1: a slope that small says nothing.
    scores = taylor(network, spaces, spaces.everything(), images, labels)[conv1]
    np.testing.assert_allclose(scores, slopes, rtol=0.05, atol=2e-5)


def test_the_budget_leaves_every_layer_an_eighth_and_four_channels_and_attention_a_head() -> None:
    network = catalog.get("vit-tiny").build(keras)
    with pytest.raises(CannotSlim, match=r"smallest widths 29\.6% of the parameters"):
        slim(network, pixels(8), np.arange(8), keep_parameters=0.01)
    slimmed = slim(network, pixels(8), np.arange(8), keep_parameters=0.3, criterion="magnitude")

    assert slimmed.widths["block1_attention_query"] == {"units": 16}
    assert slimmed.widths["block1_attention_query_split"] == {"target_shape": [16, 1, 16]}
    assert min(len(kept) for kept in slimmed.kept.values()) == 16


def test_heads_go_whole_and_together() -> None:
    network = shaken(catalog.get("vit-spt-small").build(keras))
    kept = spaces_of(network).kept_channels(random_cut(spaces_of(network)))
    query, key, value = (kept[f"block1_attention_{part}"] for part in ("query", "key", "value"))

    assert query == key == value
    assert all(set(range(channel // 16 * 16, channel // 16 * 16 + 16)) <= set(query) for channel in query)


@pytest.mark.slow
def test_a_slimmed_network_trains_on_from_its_own_builder() -> None:
    network = catalog.get("alexnet-tiny").build(keras)
    slimmed = slim(network, pixels(16), np.arange(16) % 10, keep_parameters=0.5)

    def build(keras: Any, image_shape: tuple[int, int, int] = (32, 32, 3), classes: int = 10) -> Any:
        return narrowed(keras, catalog.get("alexnet-tiny").build(keras, image_shape, classes), slimmed.widths)

    recipe = catalog.get("alexnet-tiny").recipe.replace(batch_size=8)
    trainer = Trainer(Training("alexnet-tiny", recipe, 0, 10, (32, 32, 3), 2), build=build)
    load_weights(trainer.model, network_weights(slimmed.network))
    shard = Split.whole(pixels(16).astype(np.uint8), np.arange(16) % 10)

    assert [progress.step for progress in trainer.advance(shard, Visit(0, 1, 0, 2))][-1] == 2
    assert trainer.model.count_params() == slimmed.cost.parameters


def test_widths_of_another_network_are_refused() -> None:
    with pytest.raises(ValueError, match="'small' has no layer 'conv9'"):
        narrowed(keras, small_network(), {"conv9": {"filters": 3}})


def unknown_network() -> Any:
    image = keras.Input((8, 8, 3), name="image")
    x = layers.GroupNormalization(4, name="groups")(conv(image, "conv1", 16))
    return keras.Model(image, layers.Dense(5, name="logits")(layers.Flatten(name="flat")(x)), name="unknown")


def shared_network() -> Any:
    image = keras.Input((8, 8, 3), name="image")
    twice = layers.Dense(3, name="twice")
    x = layers.Flatten(name="flat")(twice(twice(image)))
    return keras.Model(image, layers.Dense(5, name="logits")(x), name="shared")


class Subclassed(keras.Model):  # type: ignore[misc]
    """Has no graph."""


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (
            unknown_network,
            r"Nothing of 'unknown' can be slimmed: its channels are tied to groups \(GroupNormalization\)",
        ),
        (shared_network, "'shared', which calls one of its layers several times"),
        (lambda: Subclassed(name="mine"), "'mine' is a Subclassed"),
    ],
)
def test_a_network_that_cannot_be_slimmed_says_why(network: Any, reason: str) -> None:
    with pytest.raises(CannotSlim, match=reason):
        small_slimmed(network(), keep_parameters=0.5)


@pytest.mark.parametrize("shares", [{}, {"keep_parameters": 1.0}, {"keep_multiply_adds": 0.0}])
def test_a_budget_is_a_share(shares: Any) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        small_slimmed(small_network(), **shares)


def test_a_layer_of_a_persons_own_keeps_its_channels_whatever_it_is_called() -> None:
    class ReLU(keras.layers.ReLU):  # type: ignore[misc]
        """Not Keras' own."""

    image = keras.Input((8, 8, 3), name="image")
    x = conv(ReLU(name="own")(conv(image, "conv1", 16)), "conv2", 16)
    network = keras.Model(image, layers.Dense(5, name="logits")(layers.Flatten(name="flat")(x)), name="own")

    assert small_slimmed(network, keep_parameters=0.8).kept.keys() == {"conv2"}
