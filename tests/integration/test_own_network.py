"""A network from a person's own file: built as any other, or refused with their own line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest

from models.architectures import catalog
from models.compression import convertibility
from models.own_code import bundle, importing, reference
from models.own_code.errors import OwnCodeFault
from models.own_code.reference import Reference

SHAPE, CLASSES = (8, 8, 3), 4


def pinned(folder: Path, source: str) -> Reference:
    """The code as it has come to a worker: `build` in `nets.py`."""
    (folder / "nets.py").write_text(source, encoding="utf-8")
    named = reference.parse("nets.py:build")
    assert named is not None
    gathered = bundle.gather(folder, named)
    importing.install(gathered.to_bytes(), gathered.digest)
    return named.pinned(gathered.digest)


def built(own: Reference) -> Any:
    return catalog.get(str(own)).build(keras, image_shape=SHAPE, classes=CLASSES)


def network(middle: str, *, classes: str = "classes", shape: str = "image_shape") -> str:
    return f"""
def build(keras, image_shape=(32, 32, 3), classes=10):
    image = keras.Input({shape})
    x = {middle}
    return keras.Model(image, keras.layers.Dense({classes}, name="logits")(x))
"""


FLAT = 'keras.layers.Flatten(name="flat")(image)'


def test_a_network_is_built_for_the_images_and_classes_of_the_study(tmp_path: Path) -> None:
    own = pinned(tmp_path, network(FLAT))
    assert built(own).output_shape == (None, CLASSES)
    convertibility.check(own, SHAPE, CLASSES)


def test_code_that_has_not_come_is_unknown(tmp_path: Path) -> None:
    own = pinned(tmp_path, network(FLAT)).pinned("0" * 64)
    with pytest.raises(catalog.UnknownArchitecture, match="has not come with the job"):
        catalog.get(str(own))


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("def build(keras, **_):\n    return 7\n", r"nets\.py, line 1: build gives int, which is no keras\.Model"),
        (network(FLAT, classes="10"), r"line 2: build gives a model whose output is \(None, 10\); logits of 4 classes"),
        (network(FLAT, shape="(32, 32, 3)"), r"takes \(None, 32, 32, 3\); it is given images \(None, 8, 8, 3\)"),
        (network("image"), r"whose output is \(None, 8, 8, 4\)"),
        (network(f"keras.layers.Dense(3)({FLAT})"), r"a layer 'dense' that has no name of its own.*Dense\("),
        (
            network('keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)], name="head")(image)'),
            "has no name of its own",
        ),
        (
            "def build(keras, **_):\n    return keras.Sequential([keras.layers.Dense(3, name='a')])\n",
            r"begin it with keras\.Input",
        ),
    ],
)
def test_a_network_that_a_study_cannot_work_with_is_refused(tmp_path: Path, source: str, complaint: str) -> None:
    with pytest.raises(OwnCodeFault, match=complaint):
        built(pinned(tmp_path, source))


def test_two_layers_of_one_name_are_refused_in_the_persons_own_line(tmp_path: Path) -> None:
    twice = f'keras.layers.Dense(3, name="a")(keras.layers.Dense(3, name="a")({FLAT}))'
    with pytest.raises(ValueError, match="unique") as told:
        built(pinned(tmp_path, network(twice)))
    assert importing.place_of(told.value) == "nets.py, line 5"


def test_a_layer_that_does_not_convert_is_named_with_its_line(tmp_path: Path) -> None:
    layer = """
import keras

class Odd(keras.layers.Layer):
    def call(self, x):
        return keras.ops.erfinv(keras.ops.tanh(x))
"""
    own = pinned(tmp_path, layer + network(f'Odd(name="odd")({FLAT})'))
    with pytest.raises(
        OwnCodeFault, match=r"^nets\.py, line 5: the layer 'odd' \(Odd\) does not convert to LiteRT: .*Erfinv\.$"
    ):
        convertibility.check(own, SHAPE, CLASSES)
