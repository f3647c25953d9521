"""Recipes, trainings and visits as plain data."""

from __future__ import annotations

import json

import pytest

from models.recipes import Augmentation, Recipe, Training, Visit


def test_a_training_survives_json() -> None:
    recipe = Recipe(optimizer="sgd", gradient_clip=None, augmentation=Augmentation(crop_padding=2, cutout=8))
    training = Training("vit", recipe, seed=3, classes=10, image_shape=(32, 32, 3), total_steps=100)

    assert Training.from_dict(json.loads(json.dumps(training.to_dict()))) == training


def test_changes_of_the_augmentation_keep_its_other_values() -> None:
    recipe = Recipe(augmentation=Augmentation(crop_padding=2, flip=False))

    changed = recipe.replace(batch_size=32, augmentation={"cutout": 8})

    assert changed.batch_size == 32
    assert changed.augmentation == Augmentation(crop_padding=2, flip=False, cutout=8)


def test_an_unknown_value_of_a_recipe_is_refused() -> None:
    with pytest.raises(TypeError, match="dropout"):
        Recipe().replace(dropout=0.1)


@pytest.mark.parametrize(("images", "steps"), [(256, 2), (300, 2), (128, 1), (20, 1)])
def test_a_pass_leaves_out_the_last_partial_batch_but_never_all_images(images: int, steps: int) -> None:
    assert Recipe(batch_size=128).steps_per_epoch(images) == steps


def test_a_visit_ends_where_its_steps_do() -> None:
    assert Visit(first_epoch=2, epochs=1, first_step=40, steps=20).last_step == 60
