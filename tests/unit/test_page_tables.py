"""What stands in the cells of the page's tables, and what is marked as better or worse."""

from __future__ import annotations

import numpy as np
import pytest

from models import datasets
from models.predictions import Predictions
from orchestrator.jobs import Job
from orchestrator.report import columns, page_tables
from orchestrator.report.comparison import Verdict
from orchestrator.report.results import Results, collect
from orchestrator.report.summaries import summarize
from orchestrator.report.table import Cell, Line, Table
from tests.support.report_jobs import benchmark, compress, latency

TEST = datasets.subset(datasets.load("synthetic").test, 1000, 0)


def said(wrong: range) -> Predictions:
    """Of a network that is wrong on these of a thousand test images."""
    return Predictions.of(TEST, np.isin(np.arange(1000), wrong).astype(np.intp))


def kept(*wrong: tuple[Job, range]) -> Results:
    jobs = [job for job, _ in wrong]
    return collect("s", "cifar10", jobs, [], predictions={job.id: said(images) for job, images in wrong})


def accuracy(results: Results) -> Table:
    return page_tables.accuracy_table("accuracy", results.benches[0], summarize(results))


def column(table: Table, heading: str) -> list[Cell]:
    (index,) = (number for number, each in enumerate(table.columns) if each.heading == heading)
    return [line.cells[index] for line in table.lines]


def test_a_method_is_marked_only_where_the_interval_leaves_out_zero() -> None:
    results = kept(
        (benchmark("vit", top1=0.900), range(100)),
        (benchmark("vit", method="float16", top1=0.897), range(103)),
        (benchmark("vit", method="int4", top1=0.860), range(140)),
        (benchmark("vit", method="prune", top1=0.940), range(60)),
    )

    changes = {
        line.name: cell
        for line, cell in zip(
            accuracy(results).lines, column(accuracy(results), "Against float32, points"), strict=True
        )
    }

    assert changes["float32"] == Cell()
    assert changes["float16"].verdict is Verdict.OPEN and changes["float16"].text.startswith("\N{MINUS SIGN}0.30 (")
    assert changes["int4"].verdict is Verdict.WORSE
    assert changes["prune"].verdict is Verdict.BETTER


def test_without_predictions_the_same_difference_is_within_the_wider_interval() -> None:
    jobs = [benchmark("vit", top1=0.90, half_width=0.02), benchmark("vit", method="int4", top1=0.88, half_width=0.02)]

    _, cell = column(accuracy(collect("s", "cifar10", jobs, [])), "Against float32, points")

    assert cell.verdict is Verdict.OPEN


def test_a_speed_of_a_single_seed_has_no_mark_and_one_of_several_has_the_mark_of_their_interval() -> None:
    def speeds(*speedups: float) -> list[Cell]:
        jobs = [
            benchmark("vit", seed, "int4", latencies=[latency(speedup=speedup)])
            for seed, speedup in enumerate(speedups)
        ]
        jobs += [benchmark("vit", seed) for seed in range(len(speedups))]
        results = collect("s", "cifar10", jobs, [])
        table = page_tables.latency_table("latency", results.benches[0], summarize(results))
        return column(table, "Speed against float32")[1:]

    (alone,) = speeds(3.0)
    assert alone.verdict is None and alone.text == "3.00\N{MULTIPLICATION SIGN}"
    assert [cell.verdict for cell in speeds(2.9, 3.0, 3.1)] == [Verdict.BETTER]
    assert [cell.verdict for cell in speeds(0.5, 0.52, 0.51)] == [Verdict.WORSE]
    assert [cell.verdict for cell in speeds(0.8, 1.5)] == [Verdict.OPEN]


def test_a_fine_tuned_method_stands_beside_its_dense_twin_and_other_tables_have_no_such_column() -> None:
    twin = benchmark("vit", method="twin-2ep", top1=0.95)
    results = kept(
        (benchmark("vit", top1=0.90), range(100)),
        (twin, range(50)),
        (benchmark("vit", method="prune", top1=0.93, twin="twin-2ep"), range(70)),
    )

    table = accuracy(results)

    verdicts = {
        line.name: cell.verdict
        for line, cell in zip(table.lines, column(table, "Against its dense twin, points"), strict=True)
    }
    assert verdicts == {"float32": None, "twin-2ep": None, "prune": Verdict.WORSE}
    against = dict(zip([line.name for line in table.lines], column(table, "Against float32, points"), strict=True))
    assert against["prune"].verdict is Verdict.BETTER, "its gain over float32 is one of training, and stands there, too"
    assert not any("twin" in each.heading for each in accuracy(kept((benchmark("vit"), range(9)))).columns)


def test_a_column_that_says_the_same_in_every_row_is_told_apart() -> None:
    jobs = [
        *(compress("vit", method=method, file_bytes=size) for method, size in (("float32", 400_000), ("int4", 90_000))),
        *(benchmark("vit", method=method) for method in ("float32", "int4")),
    ]

    table = accuracy(collect("s", "cifar10", jobs, []))

    same = {each.heading: alike for each, alike in zip(table.columns, table.same, strict=True)}
    assert same["Parameters"] and same["Seeds"] and not same["File"]
    assert "Parameters 98,765" in table.alike and table.can_be_shortened


def test_of_a_single_row_nothing_is_left_out() -> None:
    table = accuracy(collect("s", "cifar10", [benchmark("vit")], []))

    assert not any(table.same) and not table.can_be_shortened


def test_a_row_that_repeats_the_one_before_is_told_apart() -> None:
    cells = (Cell("1", (1,)),)
    table = Table(
        "t",
        "",
        "Model",
        "Seed",
        (columns.WEIGHTS[0].column,),
        tuple(Line("vit", str(n), cells) for n in range(2)),
    )

    ((_, lines),) = table.grouped

    assert [repeats for _, repeats in lines] == [False, True]


@pytest.mark.parametrize("seeds", [1, 3])
def test_no_figure_is_shown_that_was_not_measured(seeds: int) -> None:
    jobs = [benchmark("vit", seed, top1=float("nan"), half_width=float("nan"), latencies=[]) for seed in range(seeds)]
    results = collect("s", "cifar10", jobs, [])

    table = accuracy(results)

    shown = {each.heading: cell for each, cell in zip(table.columns, table.lines[0].cells, strict=True)}
    assert {heading for heading, cell in shown.items() if cell != Cell()} == {"Seeds", "Top-5, %"}
    assert page_tables.latency_table("latency", results.benches[0], summarize(results)).lines == ()
