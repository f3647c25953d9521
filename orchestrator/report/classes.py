"""What networks made of each class of the test images: counts from their predictions, taken once and small.

Pictures of it are `orchestrator.report.charts.confusion`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models import datasets
from models.predictions import Predictions
from orchestrator.jobs import Job
from orchestrator.report.comparison import mcnemar
from orchestrator.report.rows import REFERENCE, Bench, bench_of, method_order

MOST_CLASSES = 200
"""With more of them a table of each against each is no summary any more."""


@dataclass(frozen=True)
class ClassChange:
    """How a method changed the accuracy of one class."""

    change: float
    """Accuracy less that of float32, between -1 and 1."""
    p: float
    """McNemar's, over the images of this class."""


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """One model, compressed by one method and measured on one bench, over all its seeds with known guesses."""

    bench: Bench
    model: str
    method: str
    counts: NDArray[np.int64]
    """[C, C]: of the images of the class of a row, how many were taken for the class of a column."""
    images: NDArray[np.int64]
    """[C]: of each class, those that were taken for none included."""
    seeds: tuple[int, ...]
    """Those that the counts are the sums of, in their order."""
    changes: tuple[ClassChange, ...]
    """Of each class, against float32 over the same seeds; empty for float32 and where it is not known."""

    @property
    def accuracies(self) -> tuple[float | None, ...]:
        """Of each class; None where the test set has no image of it."""
        pairs = zip(self.counts.diagonal(), self.images, strict=True)
        return tuple(float(right / images) if images else None for right, images in pairs)


@dataclass(frozen=True)
class Classes:
    """The classes' names, and what each network made of them."""

    names: tuple[str, ...] = ()
    networks: tuple[ClassCounts, ...] = ()
    """By bench, model and method."""


def count_classes(dataset: str, benchmarks: Iterable[Job], predictions: Mapping[str, Predictions]) -> Classes:
    """Of benchmarks that are done, those whose predictions tell the classes.

    Args:
        dataset: its name; of a person's own the classes have numbers here, for their names travel with no result.
        predictions: by the job's id.
    """
    groups: dict[tuple[Bench, str, str], dict[int, Predictions]] = defaultdict(dict)
    for job in benchmarks:
        kept = predictions.get(job.id)
        if kept is not None and kept.guesses is not None and kept.labels is not None:
            groups[bench_of(job.metrics or {}), job.spec["model"], job.spec["method"]][job.spec["seed"]] = kept
    described = datasets.describe(dataset).classes if datasets.is_described(dataset) else ()
    count = max((_count(each) for seeds in groups.values() for each in seeds.values()), default=0)
    count = max(count, len(described))
    if not groups or count > MOST_CLASSES:
        return Classes()
    networks = [
        ClassCounts(
            *key,
            counts=sum((_confusion(each, count) for each in seeds.values()), np.zeros((count, count), np.int64)),
            images=sum((_images(each, count) for each in seeds.values()), np.zeros(count, np.int64)),
            seeds=tuple(sorted(seeds)),
            changes=_changes(groups.get((key[0], key[1], REFERENCE), {}), seeds, count) if key[2] != REFERENCE else (),
        )
        for key, seeds in groups.items()
    ]
    names = (*described, *(str(number) for number in range(len(described), count)))
    return Classes(names, tuple(sorted(networks, key=lambda each: (each.bench, each.model, method_order(each.method)))))


def _count(kept: Predictions) -> int:
    assert kept.labels is not None and kept.guesses is not None, "only predictions that tell the classes are counted"
    told = kept.guesses[kept.guesses != np.iinfo(np.uint16).max]
    return 1 + int(np.concatenate([kept.labels, told]).max(initial=0))


def _confusion(kept: Predictions, count: int) -> NDArray[np.int64]:
    """[C, C]; an image without a guess is in no column."""
    assert kept.labels is not None and kept.guesses is not None, "only predictions that tell the classes are counted"
    told = kept.guesses < count
    pairs = kept.labels[told].astype(np.int64) * count + kept.guesses[told]
    return np.bincount(pairs, minlength=count * count).reshape(count, count)


def _images(kept: Predictions, count: int) -> NDArray[np.int64]:
    """[C]"""
    assert kept.labels is not None, "only predictions that tell the classes are counted"
    return np.bincount(kept.labels, minlength=count)


def _changes(
    reference: Mapping[int, Predictions], seeds: Mapping[int, Predictions], count: int
) -> tuple[ClassChange, ...]:
    """Only over seeds that both have, on the same test images."""
    pairs = [
        (reference[seed], kept)
        for seed, kept in seeds.items()
        if seed in reference and _of_the_same_images(reference[seed], kept)
    ]
    if not pairs or len(pairs) != len(seeds):
        return ()
    only_first, only_second = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for first, second in pairs:
        assert first.labels is not None, "only predictions that tell the classes are counted"
        before, after = first.label_ranks == 0, second.label_ranks == 0
        only_first += np.bincount(first.labels[before & ~after], minlength=count)
        only_second += np.bincount(first.labels[after & ~before], minlength=count)
    images = sum((_images(first, count) for first, _ in pairs), np.zeros(count, np.int64))
    return tuple(
        ClassChange(int(gained - lost) / int(of) if of else 0.0, mcnemar(int(lost), int(gained)))
        for lost, gained, of in zip(only_first, only_second, images, strict=True)
    )


def _of_the_same_images(first: Predictions, second: Predictions) -> bool:
    return first.test_set == second.test_set and len(first.label_ranks) == len(second.label_ranks)
