"""What a network made of each test image, as a file: any two networks are compared by it without running again.

NumPy and safetensors only: the coordinator reads what workers write.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from models.datasets import Split
from models.files import replace_file

NAME = "predictions"
"""What the output of a benchmark job is called that has them."""

LARGEST_BYTES = 60_000_000
"""A file of ten million images; what is larger was written by nobody who measured."""

_KEY = "orch"
_RANKS = "label_ranks"
_LABELS = "labels"
_GUESSES = "guesses"
_LAST_RANK = int(np.iinfo(np.uint16).max)
_DIGEST = re.compile(r"[0-9a-f]{64}")


class PredictionsDamaged(Exception):
    """A file is not a whole file of predictions."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """How a network ranks the label of each test image."""

    label_ranks: NDArray[np.uint16]
    """[N] how many classes stand before the label: 0 is a right answer, below 5 is among the first five.

    65535 stands for that and more, and for an image with a NaN among its logits.
    """
    test_set: str
    """SHA-256 of the images and labels, in their order: only predictions of the same are compared."""
    labels: NDArray[np.uint16] | None = None
    """[N] the right classes; None in files of older workers."""
    guesses: NDArray[np.uint16] | None = None
    """[N] the classes that stand first, 65535 for an image with a NaN among its logits; None as the labels are."""

    @classmethod
    def of(cls, test: Split, label_ranks: NDArray[Any], guesses: NDArray[Any] | None = None) -> Predictions:
        """Of these test images the labels stand at these ranks [N], and these classes [N] first; integers from 0."""
        ranks, digest = _narrow(label_ranks), _digest(test)
        return cls(ranks, digest) if guesses is None else cls(ranks, digest, _narrow(test.labels), _narrow(guesses))

    def save(self, path: Path) -> None:
        """Write one safetensors file; the same predictions give the same bytes."""
        header = json.dumps({"test_set": self.test_set})
        arrays = {_RANKS: self.label_ranks, _LABELS: self.labels, _GUESSES: self.guesses}
        known = {name: array for name, array in arrays.items() if array is not None}
        replace_file(path, safetensors.numpy.save(known, {_KEY: header}))

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read what `save` wrote.

        Raises:
            PredictionsDamaged: the file is cut, or is something else.
        """
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                test_set = json.loads((file.metadata() or {})[_KEY])["test_set"]
                ranks = file.get_tensor(_RANKS)
                classes = [file.get_tensor(name) for name in (_LABELS, _GUESSES) if name in file.keys()]  # noqa: SIM118
        except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
            raise PredictionsDamaged(f"it is no whole file of predictions ({error})") from error
        if not isinstance(test_set, str) or not _DIGEST.fullmatch(test_set):
            raise PredictionsDamaged("it does not say of which test images it is")
        if ranks.dtype != np.uint16 or ranks.ndim != 1 or not len(ranks):
            raise PredictionsDamaged(f"it holds {ranks.dtype} {ranks.shape} where ranks, uint16 [N], should be")
        if len(classes) == 1 or any(each.dtype != ranks.dtype or each.shape != ranks.shape for each in classes):
            raise PredictionsDamaged("its labels and guesses are not those of its images")
        return cls(ranks, test_set, *classes)


def _narrow(numbers: NDArray[Any]) -> NDArray[np.uint16]:
    narrow: NDArray[np.uint16] = np.minimum(numbers, _LAST_RANK).astype(np.uint16)
    return narrow


def _digest(test: Split) -> str:
    digest = hashlib.sha256()
    for array in (test.images, test.labels):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
