"""The kernels that a plan knows of beside those that Keras builds."""

from __future__ import annotations

import keras

from models.architectures import catalog, outline
from models.training import masks
from tests.support.architectures import each


@each()
def test_the_outline_of_an_architecture_has_the_kernels_of_the_network(name: str) -> None:
    shape = (44, 36, 3)
    built = masks.kernels(catalog.get(name).build(keras, image_shape=shape, classes=7))
    outlined = outline.kernels(name, shape, 7)
    assert set(outlined) == set(built)
    assert (outlined[0], outlined[-1]) == (built[0], built[-1]), "the first and the last are pruned only when named"
