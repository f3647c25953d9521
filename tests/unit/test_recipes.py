"""Recipes, trainings and visits as plain data."""

from __future__ import annotations

import dataclasses
import json

import pytest

from models.recipes import Augmentation, Outer, Recipe, Training, Visit


def test_a_training_survives_json() -> None:
    recipe = Recipe(optimizer="sgd", gradient_clip=None, augmentation=Augmentation(crop_padding=2, cutout=8))
    training = Training("vit", recipe, seed=3, classes=10, image_shape=(32, 32, 3), total_steps=100)

    assert Training.from_dict(json.loads(json.dumps(training.to_dict()))) == training


def test_an_outer_optimizer_survives_json() -> None:
    outer = Outer("nesterov", learning_rate=0.5)

    assert Outer.from_dict(json.loads(json.dumps(dataclasses.asdict(outer)))) == outer


def test_what_came_later_stands_in_a_spec_only_where_it_is_on() -> None:
    """A job's id is a digest of its spec: a job that was planned before must stay the same."""
    training = Training("vit", Recipe(), seed=3, classes=10, image_shape=(32, 32, 3), total_steps=100)
    recipe = training.to_dict()["recipe"]

    assert recipe.keys() == {
        *("optimizer", "learning_rate", "schedule", "warmup_fraction", "weight_decay", "momentum", "gradient_clip"),
        *("label_smoothing", "batch_size", "augmentation"),
    }
    assert recipe["augmentation"].keys() == {"crop_padding", "flip", "cutout"}
    idle = Recipe(augmentation=Augmentation(magnitude=9))
    assert dataclasses.replace(training, recipe=idle).to_dict() == training.to_dict()


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(ema=0.99),
        Recipe(augmentation=Augmentation(mixup=0.2)),
        Recipe(augmentation=Augmentation(cutmix=1.0)),
        Recipe(augmentation=Augmentation(randaugment=2)),
        Recipe(augmentation=Augmentation(randaugment=2, magnitude=9)),
        Recipe(augmentation=Augmentation(erasing=0.25)),
        Recipe(augmentation=Augmentation(repeats=3)),
        Recipe(optimizer="muon", schedule="one-cycle"),
    ],
)
def test_what_is_on_survives_and_makes_another_training(recipe: Recipe) -> None:
    training = Training("vit", recipe, seed=3, classes=10, image_shape=(32, 32, 3), total_steps=100)

    assert Training.from_dict(json.loads(json.dumps(training.to_dict()))) == training
    assert training.to_dict() != dataclasses.replace(training, recipe=Recipe()).to_dict()


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
