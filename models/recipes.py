"""How a network is trained, as data: optimizer, schedule, regularisation, and the visits of one training.

Plain values only, so that a recipe can travel in a job's spec and be part of the job's id.  What is
computed from them lives in `models.training.trainer` and `models.training.augmentation`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the training images; what each image gets is keyed by (seed, epoch, index)."""

    crop_padding: int = 4
    """Pixels of zero padding on every side before a random crop back to the image's size; 0 is off."""
    flip: bool = True
    """Mirror half of the images left to right."""
    cutout: int = 0
    """Side in pixels of a square that is set to zero at a random place; 0 is off."""
    mixup: float = 0.0
    """Alpha of the Beta distribution that the shares come from when two images are mixed; 0 is off."""
    cutmix: float = 0.0
    """Alpha of the same for the areas that are cut out of another image and pasted; half of the images get one, and
    are not mixed besides.  0 is off."""
    randaugment: int = 0
    """How many operations of a fixed list each image goes through, at most 4; 0 is off."""
    magnitude: int = 5
    """The largest strength of these operations, 1 to 10; each image's is drawn up to it."""
    erasing: float = 0.0
    """Chance that a rectangle of the image gets one colour; 0 is off."""
    repeats: int = 1
    """How often each image of a batch stands in it, changed differently each time; a pass takes that much fewer."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how weights move, apart from the data and the seed."""

    optimizer: Literal["adamw", "sgd", "lion", "muon"] = "adamw"
    learning_rate: float = 1e-3
    """The peak, after warm-up."""
    schedule: Literal["cosine", "constant", "one-cycle", "step"] = "cosine"
    """What the learning rate does after its rise: it falls to zero as half a cosine, or in a straight line
    ("one-cycle"), or to a tenth at half of all steps and again at three quarters ("step")."""
    warmup_fraction: float = 0.05
    """Share of all steps over which the learning rate rises linearly from zero."""
    weight_decay: float = 0.05
    momentum: float = 0.9
    """For `sgd`, with Nesterov's correction."""
    gradient_clip: float | None = 1.0
    """Largest global norm of the gradients; None is off."""
    label_smoothing: float = 0.1
    batch_size: int = 128
    ema: float | None = None
    """Decay of a moving average of the weights, which then is what is evaluated and compressed; None is off."""
    augmentation: Augmentation = Augmentation()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """The recipe that `dataclasses.asdict` wrote."""
        return cls(**{**values, "augmentation": Augmentation(**values["augmentation"])})

    def replace(self, **changes: Any) -> Recipe:
        """This recipe with some values changed; `augmentation` may be given as a mapping of its own changes."""
        if isinstance(changes.get("augmentation"), Mapping):
            changes["augmentation"] = dataclasses.replace(self.augmentation, **changes["augmentation"])
        return dataclasses.replace(self, **changes)

    def steps_per_epoch(self, images: int) -> int:
        """Optimizer steps in one pass over `images` images.

        The last, smaller batch of a pass is left out so that every step has one shape; the order changes
        with every epoch, so no image is left out twice in a row by rule.  A shard smaller than a batch
        is one batch.
        """
        return max(1, images // self.batch_size)


@dataclass(frozen=True)
class Training:
    """One training of one network from its seed to its last step: what all its visits share."""

    architecture: str
    recipe: Recipe
    seed: int
    classes: int
    image_shape: tuple[int, int, int]
    """Height, width, channels."""
    total_steps: int
    """Optimizer steps of all visits together; the schedule ends there."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values.  What came later and is off stands not in it: jobs that were planned before are the same."""
        values = dataclasses.asdict(self)
        recipe, augmentation = values["recipe"], values["recipe"]["augmentation"]
        if recipe["ema"] is None:
            del recipe["ema"]
        if not augmentation["randaugment"]:
            del augmentation["magnitude"]
        off = Augmentation()
        for name in ("mixup", "cutmix", "randaugment", "erasing", "repeats"):
            if augmentation[name] == getattr(off, name):
                del augmentation[name]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Training:
        """The training that `to_dict` (or its JSON) holds."""
        return cls(
            **{
                **values,
                "recipe": Recipe.from_dict(values["recipe"]),
                "image_shape": tuple(values["image_shape"]),
            }
        )


@dataclass(frozen=True)
class Outer:
    """How replicas that were trained apart for a round become one: `models.training.averaging.merge`."""

    optimizer: Literal["mean", "nesterov"] = "mean"
    learning_rate: float = 0.7
    momentum: float = 0.9

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Outer:
        """The outer optimizer that `dataclasses.asdict` wrote."""
        return cls(**values)


@dataclass(frozen=True)
class Visit:
    """Consecutive passes over one shard: the part of a training that one job does."""

    first_epoch: int
    """Number of this shard's passes before this visit; keys the order and the augmentation."""
    epochs: int
    first_step: int
    """The training's step count when this visit begins."""
    steps: int
    """Optimizer steps in this visit."""

    @property
    def last_step(self) -> int:
        return self.first_step + self.steps
