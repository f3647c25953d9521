"""What learns in a training step: a network, its optimizer, and what else goes with every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.training.distillation import Teacher
from models.training.masks import Masks
from models.training.moving_average import MovingAverage


@dataclass(frozen=True, eq=False)
class Learner:
    """A network and all that a step changes or asks besides the images."""

    model: Any
    optimizer: Any
    average: MovingAverage | None = None
    masks: Masks | None = None
    teacher: Teacher | None = None
