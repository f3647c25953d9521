"""What is known of a data set without its images."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Description:
    """A data set's name, sizes and identity."""

    name: str
    classes: tuple[str, ...]
    """The classes' names; a label is a position here."""
    image_shape: tuple[int, int, int]
    """Height, width, channels."""
    train_images: int
    test_images: int
    digest: str
    """SHA-256 in hexadecimal that changes when the contents change."""
    smallest_class: int
    """Training images of the class that has the fewest, those without any left out."""
    notes: tuple[str, ...] = ()
    """What a person should know before they train on it, a sentence each."""

    def noting(self, *notes: str) -> Description:
        """The same with more notes."""
        return replace(self, notes=(*self.notes, *notes))
