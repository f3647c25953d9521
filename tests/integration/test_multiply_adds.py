"""What a network computes, against numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from models.architectures import catalog
from models.compression.channel_spaces import find_channels
from models.measurement import multiply_adds
from tests.support.architectures import each


def test_alexnet_tiny_by_hand() -> None:
    assert multiply_adds.by_operation(catalog.get("alexnet-tiny").build(keras)) == {
        "conv1": 16 * 16 * 24 * (3 * 3 * 3),
        "conv2": 8 * 8 * 48 * (3 * 3 * 24),
        "conv3": 4 * 4 * 64 * (3 * 3 * 48),
        "conv4": 4 * 4 * 64 * (3 * 3 * 64),
        "logits": 4 * 4 * 64 * 10,
    }


def test_vit_tiny_by_hand() -> None:
    tokens, width, heads, head_width, mlp = 16, 64, 4, 16, 128
    projections = 4 * tokens * width * width
    attention = 2 * heads * tokens * tokens * head_width
    block = projections + attention + 2 * tokens * width * mlp
    patches = tokens * width * (8 * 8 * 3)
    assert multiply_adds.count(catalog.get("vit-tiny").build(keras)) == patches + 3 * block + width * 10


@each()
def test_every_layer_with_a_kernel_is_counted(name: str) -> None:
    network = catalog.get(name).build(keras)
    counted = multiply_adds.by_operation(network)
    with_kernel = {layer.name for layer in network.layers if hasattr(layer, "kernel")}
    products = {operation.name for operation in network.operations if type(operation).__name__ == "Matmul"}
    assert set(counted) == with_kernel | products and min(counted.values()) > 0
    assert multiply_adds.count(network) == sum(counted.values())
    spaces = find_channels(network, keras.saving.get_registered_name)
    assert spaces.cost(spaces.everything()).multiply_adds == sum(counted.values()), "slimming reckons with them too"


def test_groups_and_depthwise_convolutions_compute_less() -> None:
    image = keras.Input((8, 8, 4))
    grouped = keras.layers.Conv2D(6, 3, groups=2, padding="same", name="grouped")(image)
    network = keras.Model(image, keras.layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(grouped))
    assert multiply_adds.by_operation(network) == {"grouped": 8 * 8 * 6 * (3 * 3 * 2), "depthwise": 6 * 6 * 12 * 9}


def _shared(image: Any) -> Any:
    layer = keras.layers.Dense(4)
    return layer(layer(image))


@pytest.mark.parametrize(
    "body",
    [
        lambda image: keras.layers.LSTM(3)(image),
        lambda image: keras.ops.matmul(image, keras.ops.ones((4, 2))),
        lambda image: keras.ops.einsum("bij,bkj->bik", image, image),
        _shared,
    ],
)
def test_where_something_is_not_known_nothing_is_claimed(body: Any) -> None:
    image = keras.Input((5, 4))
    assert multiply_adds.count(keras.Model(image, body(image))) is None


def test_a_model_without_a_graph_is_not_counted() -> None:
    class Own(keras.Model):  # type: ignore[misc]
        def call(self, images: Any) -> Any:
            return images

    assert multiply_adds.count(Own()) is None


def test_a_sequential_model_is_counted() -> None:
    assert multiply_adds.count(keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])) == 15
