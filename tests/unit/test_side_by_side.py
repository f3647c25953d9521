"""Several studies in one report: names are told apart, and what cannot be compared is not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models import datasets
from models.predictions import Predictions
from orchestrator.jobs import Ending, Job, JobState
from orchestrator.report.answer import answer
from orchestrator.report.results import Results, collect
from orchestrator.report.side_by_side import side_by_side
from orchestrator.report.tables import to_csv
from tests.support.report_jobs import attempt, benchmark, compress, small_study, train

TEST = datasets.subset(datasets.load("synthetic").test, 1000, 0)
OTHER = datasets.subset(datasets.load("synthetic").test, 900, 0)


def study(
    name: str,
    *jobs: Job,
    dataset: str = "cifar10",
    wrong: int | None = None,
    test: datasets.Split = TEST,
    notes: tuple[str, ...] = (),
) -> Results:
    kept = {}
    if wrong is not None:
        answers = (np.arange(len(test)) < wrong).astype(np.intp)
        kept = {job.id: Predictions.of(test, answers) for job in jobs if job.stage == "benchmark"}
    return collect(name, dataset, jobs, [], notes=notes, predictions=kept)


def test_one_study_is_as_it_is_alone() -> None:
    alone = collect("a", "cifar10", *small_study())

    assert side_by_side([alone]) is alone


def test_rows_carry_their_study_and_a_model_that_two_studies_have_is_told_apart() -> None:
    both = side_by_side(
        [study("a", benchmark("vit"), benchmark("cct")), study("b", benchmark("vit"), benchmark("alexnet"))]
    )

    assert [(row.study, row.model) for row in both.rows] == [
        ("b", "alexnet"),
        ("a", "cct"),
        ("a", "vit (a)"),
        ("b", "vit (b)"),
    ]
    assert both.models == ("alexnet", "cct", "vit (a)", "vit (b)")
    told = both.to_json()
    assert told["study"] == "a and b" and [each["study"] for each in told["studies"]] == ["a", "b"]
    assert [row["study"] for row in told["rows"]] == ["b", "a", "a", "b"]
    assert to_csv(both).splitlines()[1].startswith("b,alexnet,0,float32,")


def test_studies_of_one_name_are_numbered_in_their_order() -> None:
    both = side_by_side([study("a", benchmark("vit")), study("a", benchmark("vit", top1=0.7))])

    assert [each.name for each in both.studies] == ["a #1", "a #2"]
    assert [(row.model, row.top1) for row in both.rows] == [("vit (a #1)", 0.6), ("vit (a #2)", 0.7)]


def test_a_method_is_held_against_the_float32_of_its_own_study() -> None:
    first = study("a", benchmark("vit", top1=0.5), benchmark("vit", method="int4", top1=0.4))
    second = study("b", benchmark("vit", top1=0.9), benchmark("vit", method="int4", top1=0.8))

    (bench,) = answer(side_by_side([first, second])).benches

    assert [finding.subject for finding in bench.compression] == ["vit (a) as int4", "vit (b) as int4"]
    assert all("top-1 falls by 10.0 points" in finding.text for finding in bench.compression)


def test_networks_of_two_studies_are_compared_image_by_image_where_both_saw_the_same_images() -> None:
    first = study("a", benchmark("vit", top1=0.90), wrong=100)
    second = study("b", benchmark("cct", top1=0.88), wrong=120)

    (bench,) = answer(side_by_side([first, second])).benches

    assert bench.evidence == "Image by image: 0 images only cct gets right, 20 only vit, p < 0.001."


def test_accuracies_on_different_test_images_are_never_ranked() -> None:
    first = study("a", benchmark("vit", top1=0.90), wrong=100)
    second = study("b", benchmark("cct", top1=0.50), wrong=500, test=OTHER)

    both = side_by_side([first, second])

    assert [bench.data for bench in both.benches] == [
        "cifar10, 10,000 test images of a",
        "cifar10, 10,000 test images of b",
    ]
    assert all("no other model here" in each.headline for each in answer(both).benches)


def test_other_data_sets_are_named_where_they_differ() -> None:
    first = study("a", benchmark("vit"), dataset="cifar10")
    second = study("b", benchmark("vit"), dataset="cifar100")

    both = side_by_side([first, second])

    assert {bench.data for bench in both.benches} == {"cifar10, 10,000 test images", "cifar100, 10,000 test images"}
    assert both.dataset == "cifar10 and cifar100"


@pytest.mark.parametrize("dataset", ["folder:images", "npz:mine.npz", "data.py:load"])
def test_a_persons_own_data_of_one_name_need_not_be_the_same(dataset: str) -> None:
    both = side_by_side([study(name, benchmark("vit"), dataset=dataset) for name in "ab"])

    assert len(both.benches) == 2


def test_a_study_without_a_row_keeps_no_other_apart() -> None:
    both = side_by_side(
        [study("a", benchmark("vit")), study("b", benchmark("cct")), study("c", train("vit"), dataset="cifar100")]
    )

    assert len(both.benches) == 1 and both.benches[0].data == ""


def test_jobs_workers_and_problems_say_of_which_study_they_are() -> None:
    job = train("vit")
    broken = benchmark("vit", state=JobState.QUARANTINED, error="Boom", name="vit/b")
    dead = attempt(job, worker="ann", outcome=Ending.EXPIRED)
    parts = [collect(name, "cifar10", [job, broken], [dead], notes=["Synthetic."]) for name in "ab"]

    both = side_by_side(parts)

    assert [turn.job for turn in both.history.turns] == ["a: vit/seed0/train/100.s0", "b: vit/seed0/train/100.s0"]
    assert both.history.workers == ("ann (a)", "ann (b)")
    assert [problem.job for problem in both.problems] == ["a: vit/b", "b: vit/b"]
    assert [run.model for run in both.trainings] == ["vit (a)", "vit (b)"]
    assert both.awaited == ("vit as float32 of a", "vit as float32 of b")
    assert both.notes == ("Synthetic.",), "it is every one's"


def test_a_note_of_one_study_says_whose_it_is() -> None:
    parts = [study("a", benchmark("vit"), notes=("Synthetic.",)), study("b", benchmark("vit"))]

    assert side_by_side(parts).notes == ("a: Synthetic.",)


def test_what_is_done_is_summed_up() -> None:
    waiting = dataclasses.replace(benchmark("cct"), state=JobState.READY, metrics=None)
    both = side_by_side([study("a", benchmark("vit"), compress("vit")), study("b", benchmark("vit"), waiting)])

    assert [(str(stage.stage), stage.done, stage.total) for stage in both.stages] == [
        ("compress", 1, 1),
        ("benchmark", 2, 3),
    ]
    assert answer(both).lead == "Preliminary: 2 of 3 benchmarks are done."
    assert [(each.done, each.total) for each in both.studies] == [(2, 2), (1, 2)]
