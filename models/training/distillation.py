"""Training with a teacher: another network's soft targets beside the labels.

Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from models.failures import PermanentFailure


class CannotTeach(PermanentFailure, ValueError):
    """A network cannot be another's teacher as is asked for; says why in one sentence."""


@dataclass(frozen=True, eq=False)
class Teacher:
    """A trained network that stays as it is, and how much its answers count.

    Raises:
        CannotTeach: the temperature or the weight cannot be.
    """

    network: Any
    """Float32 pixels [B, H, W, C] to logits [B, classes], of the same images and classes as the student's."""
    temperature: float
    """What both networks' logits are divided by before they become shares: the higher, the more the unlikely classes
    say."""
    weight: float
    """Share of the loss that the teacher's targets have; the labels have the rest."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise CannotTeach(f"The temperature {self.temperature} cannot be; give a number above 0, as 4.")
        if not 0 < self.weight <= 1:
            raise CannotTeach(f"The teacher's weight {self.weight} cannot be; give a share above 0, as 0.5.")

    def check(self, image_shape: tuple[int, int, int], classes: int) -> None:
        """Raises CannotTeach if the network is of other images or classes than these."""
        found = (tuple(self.network.input_shape[1:]), self.network.output_shape[-1])
        if found != (image_shape, classes):
            raise CannotTeach(
                f"The teacher takes images of {found[0]} in {found[1]} classes and the student {image_shape} in "
                f"{classes}; choose a teacher that was trained on the same data."
            )

    def logits(self, images: Any) -> Any:
        """As the network answers when it does not train: nothing is dropped, and no statistics move."""
        return self.network(images, training=False)


def distilled_loss(ops: Any, hard: Any, logits: Any, soft_logits: Any, temperature: float, weight: float) -> Any:
    """(1 - w) hard + w T^2 KL(teacher || student), the divergence of the softened shares as the batch's mean.

    T^2 keeps the gradients of both parts of a size whatever the temperature is.

    Args:
        ops: the `keras.ops` namespace to compute with.
        hard: scalar float32, the loss against the labels.
        logits: the student's, [B, classes]; `soft_logits` the teacher's.
    """
    student = ops.log_softmax(ops.cast(logits, "float32") / temperature)
    teacher = ops.log_softmax(ops.cast(soft_logits, "float32") / temperature)
    divergence = ops.mean(ops.sum(ops.exp(teacher) * (teacher - student), axis=-1))
    return (1.0 - weight) * hard + weight * temperature**2 * divergence
