from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from models import datasets
from models.predictions import Predictions, PredictionsDamaged
from orchestrator.report.comparison import Paired, RightAnswers, mcnemar, paired

TEST = datasets.subset(datasets.load("synthetic").test, 20, 0)


def said(*right: int, test: datasets.Split = TEST) -> Predictions:
    """Predictions that are right for the images of these numbers."""
    ranks = np.ones(len(test), np.intp)
    ranks[list(right)] = 0
    return Predictions.of(test, ranks)


def test_predictions_come_back_as_they_were_saved(tmp_path: Path) -> None:
    kept = Predictions.of(TEST, np.arange(20) * 5000)
    for name in ("once", "twice"):
        kept.save(tmp_path / name)
    back = Predictions.load(tmp_path / "once")
    assert back.label_ranks.tolist() == [*range(0, 65_001, 5000), *[65_535] * 6]
    assert back.test_set == kept.test_set
    assert (tmp_path / "once").read_bytes() == (tmp_path / "twice").read_bytes()
    assert (tmp_path / "once").stat().st_size < 300


def test_the_classes_come_back_with_them(tmp_path: Path) -> None:
    kept = Predictions.of(TEST, np.zeros(20), guesses=TEST.labels)
    kept.save(tmp_path / "kept")
    back = Predictions.load(tmp_path / "kept")
    assert back.labels is not None and back.labels.tolist() == TEST.labels.tolist()
    assert back.guesses is not None and back.guesses.tolist() == TEST.labels.tolist()


@pytest.mark.parametrize(
    "classes",
    [
        {"labels": np.zeros(3, np.uint16)},
        {"labels": np.zeros(3, np.uint16), "guesses": np.zeros(2, np.uint16)},
        {"labels": np.zeros(3, np.uint16), "guesses": np.zeros(3, np.float32)},
    ],
    ids=["no guesses", "too few guesses", "guesses that are no numbers of classes"],
)
def test_classes_that_do_not_belong_to_the_ranks_are_refused(tmp_path: Path, classes: dict[str, NDArray[Any]]) -> None:
    arrays = {"label_ranks": np.zeros(3, np.uint16), **classes}
    header = {"orch": f'{{"test_set": "{"ab" * 32}"}}'}
    (tmp_path / "other").write_bytes(safetensors.numpy.save(arrays, header))
    with pytest.raises(PredictionsDamaged, match="its labels and guesses"):
        Predictions.load(tmp_path / "other")


def whole(tmp_path: Path) -> bytes:
    said(1).save(tmp_path / "whole")
    return (tmp_path / "whole").read_bytes()


def test_a_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(whole(tmp_path)[:-1])
    with pytest.raises(PredictionsDamaged, match="no whole file of predictions"):
        Predictions.load(tmp_path / "cut")


@pytest.mark.parametrize(
    ("ranks", "header", "why"),
    [
        (np.zeros(3, np.uint16), None, "no whole file"),
        (np.zeros(3, np.uint16), {"orch": "{}"}, "no whole file"),
        (np.zeros(3, np.uint16), {"orch": "not JSON"}, "no whole file"),
        (np.zeros(3, np.uint16), {"orch": '{"test_set": "../x"}'}, "of which test images"),
        (np.zeros(3, np.float32), {"orch": f'{{"test_set": "{"ab" * 32}"}}'}, r"holds float32 \(3,\)"),
        (np.zeros((3, 1), np.uint16), {"orch": f'{{"test_set": "{"ab" * 32}"}}'}, r"holds uint16 \(3, 1\)"),
        (np.zeros(0, np.uint16), {"orch": f'{{"test_set": "{"ab" * 32}"}}'}, r"holds uint16 \(0,\)"),
    ],
)
def test_a_file_of_something_else_is_refused(
    tmp_path: Path, ranks: NDArray[Any], header: dict[str, str] | None, why: str
) -> None:
    (tmp_path / "other").write_bytes(safetensors.numpy.save({"label_ranks": ranks}, header))
    with pytest.raises(PredictionsDamaged, match=why):
        Predictions.load(tmp_path / "other")


def compared(first: Predictions | None, second: Predictions | None) -> Paired | None:
    one, other = (RightAnswers.of(each) if each else None for each in (first, second))
    return paired(one, other)


def test_two_networks_are_compared_image_by_image() -> None:
    assert compared(said(0, 1, 2, 3), said(2, 3, 4)) == Paired(2, 1, 20, 1.0)
    assert compared(said(*range(10)), said(*range(2))) == Paired(8, 0, 20, mcnemar(8, 0))


def test_predictions_of_other_test_images_are_not_compared() -> None:
    other = datasets.subset(datasets.load("synthetic").test, 20, 1)
    assert compared(said(0), said(0, test=other)) is None
    assert compared(None, said(0)) is None and compared(said(0), None) is None
    assert compared(said(0), Predictions(said(0).label_ranks[:-1], said(0).test_set)) is None


@pytest.mark.parametrize(("first", "second"), [(0, 1), (3, 9), (9, 3), (40, 61), (250, 251), (480, 620), (0, 900)])
def test_mcnemars_test_is_exact(first: int, second: int) -> None:
    differ = first + second
    tail = sum(math.comb(differ, k) for k in range(min(first, second) + 1))
    assert mcnemar(first, second) == pytest.approx(min(1, 2 * tail / 2**differ), rel=1e-9)


def test_as_many_on_either_side_is_no_difference() -> None:
    assert mcnemar(0, 0) == mcnemar(7, 7) == 1.0


def test_a_million_images_are_no_burden() -> None:
    assert mcnemar(5_000_000, 5_000_100) == pytest.approx(0.975, abs=0.001)
    assert mcnemar(0, 10_000_000) == 0.0
