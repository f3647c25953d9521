"""What networks made of each class: counts from predictions."""

from __future__ import annotations

import dataclasses

import numpy as np

from models import datasets
from models.predictions import Predictions
from orchestrator.report.classes import MOST_CLASSES, Classes, count_classes
from orchestrator.report.comparison import mcnemar
from tests.support.report_jobs import benchmark


def said(labels: list[int], guesses: list[int]) -> Predictions:
    test = datasets.Split.whole(np.zeros((len(labels), 1, 1, 3), np.uint8), np.array(labels, np.int64))
    return Predictions.of(test, np.not_equal(labels, guesses), np.array(guesses))


def counted(*kept: tuple[str, int, Predictions], dataset: str = "npz:mine.npz") -> Classes:
    """Args:
    kept: method, seed and predictions of each benchmark.
    """
    jobs = {method + str(seed): benchmark("vit", seed, method) for method, seed, _ in kept}
    return count_classes(dataset, jobs.values(), {jobs[method + str(seed)].id: each for method, seed, each in kept})


def test_a_line_is_a_class_and_a_column_what_it_was_taken_for() -> None:
    classes = counted(("float32", 0, said([0, 0, 0, 1, 2], [0, 2, 2, 1, 2])))
    (network,) = classes.networks
    assert network.counts.tolist() == [[1, 0, 2], [0, 1, 0], [0, 0, 1]]
    assert network.accuracies == (1 / 3, 1.0, 1.0) and network.changes == ()


def test_classes_of_a_known_data_set_have_names_and_others_have_numbers() -> None:
    kept = ("float32", 0, said([0, 1], [0, 1]))
    assert counted(kept).names == ("0", "1")
    assert counted(kept, dataset="cifar10").names[:2] == ("airplane", "automobile")
    assert counted(kept, dataset="cifar10").networks[0].accuracies[5] is None


def test_a_change_is_over_the_images_of_one_class_and_all_seeds() -> None:
    labels = [0, 0, 0, 0, 1, 1]
    classes = counted(
        *(("float32", seed, said(labels, [0, 0, 0, 1, 1, 1])) for seed in (0, 1)),
        *(("int4", seed, said(labels, [0, 1, 1, 0, 1, 1])) for seed in (0, 1)),
    )
    first, second = classes.networks[1].changes
    assert (first.change, first.p) == (-2 / 8, mcnemar(4, 2))
    assert (second.change, second.p) == (0.0, 1.0)


def test_other_seeds_or_other_images_than_float32s_are_no_change() -> None:
    same = said([0, 1], [0, 1])
    lonely = counted(("float32", 0, same), ("int4", 1, same))
    other = counted(("float32", 0, same), ("int4", 0, dataclasses.replace(same, test_set="cd" * 32)))
    assert [network.changes for network in (*lonely.networks, *other.networks)] == [(), (), (), ()]


def test_an_image_without_a_guess_is_in_no_column() -> None:
    (network,) = counted(("float32", 0, said([0, 1, 1], [0, 65_535, 1]))).networks
    assert network.counts.tolist() == [[1, 0], [0, 1]] and network.accuracies == (1.0, 0.5)


def test_predictions_of_older_workers_and_more_classes_than_fit_give_nothing() -> None:
    old = dataclasses.replace(said([0, 1], [0, 1]), labels=None, guesses=None)
    assert counted(("float32", 0, old)) == Classes()
    assert counted(("float32", 0, said([0, MOST_CLASSES], [0, 1]))) == Classes()
