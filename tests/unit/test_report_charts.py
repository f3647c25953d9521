"""The charts' specifications: what is in their data, and in which colours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from models.predictions import Predictions
from orchestrator.jobs import Attempt, Ending, Job
from orchestrator.report import theme
from orchestrator.report.charts import Chart, draw_charts
from orchestrator.report.charts.style import log_ticks
from orchestrator.report.charts.thinning import thinned
from orchestrator.report.results import Results, collect
from tests.support.report_jobs import LAPTOP, attempt, benchmark, compress, copy, full_study, guessed, latency, train


@pytest.fixture(scope="module")
def charts() -> dict[str, Chart]:
    return drawn(full_study())


def drawn(results: Results) -> dict[str, Chart]:
    return {chart.name: chart for chart in draw_charts(results)}


def of_jobs(jobs: list[Job], attempts: list[Attempt] | None = None) -> dict[str, Chart]:
    return drawn(collect("study", "cifar10", jobs, attempts or []))


def parts(spec: Any) -> Iterator[Mapping[str, Any]]:
    """Every object in a specification."""
    if isinstance(spec, Mapping):
        yield spec
        for value in spec.values():
            yield from parts(value)
    elif isinstance(spec, list | tuple):
        for value in spec:
            yield from parts(value)


def data(chart: Chart, field: str) -> list[dict[str, Any]]:
    """The chart's rows that have this field, in order."""
    rows = (row for part in parts(chart.spec) for row in part.get("values") or [])
    return [row for row in rows if isinstance(row, dict) and field in row]


def test_a_full_study_has_every_chart_and_each_has_its_figures_as_a_table(charts: dict[str, Chart]) -> None:
    confusions = {f"confusion-{number}" for number in (1, 2, 3)}
    assert set(charts) == {"accuracy", "size", "speed", "latency", "bytes", "classes", "loss", "timeline"} | confusions
    for chart in charts.values():
        assert chart.title and chart.description and chart.table.rows
        assert all(len(row) == len(chart.table.columns) for row in chart.table.rows), chart.name


def test_what_was_not_measured_has_no_chart() -> None:
    assert of_jobs([]) == {}
    assert set(of_jobs([compress("vit")])) == set()
    assert set(of_jobs([benchmark("vit", latencies=[])])) == {"accuracy"}
    assert set(of_jobs([train("vit")])) == {"loss"}


def test_the_pareto_front_is_numbered_in_the_picture_and_named_beneath(charts: dict[str, Chart]) -> None:
    front = [(row["model"], row["method"]) for row in sorted(
        (row for row in data(charts["size"], "place") if row["place"]), key=lambda row: row["place"]
    )]  # fmt: skip
    named = [(row["model"], row["method"]) for row in data(charts["size"], "line")]
    assert named == front and len(named) > 1
    assert all(f"{model} as {method}" in charts["size"].description or method == "float32" for model, method in front)


def test_a_method_is_joined_to_its_dense_twin(charts: dict[str, Chart]) -> None:
    rows = {(row["model"], row["method"]): row for row in data(charts["size"], "twin")}
    assert rows["vit", "slim"]["twin"] == rows["vit", "twin-2ep"]["top1"]
    assert rows["vit", "float32"]["twin"] is None and rows["vit", "twin-2ep"]["kind"] == "dense twin"


def test_one_model_has_one_colour_in_every_chart(charts: dict[str, Chart]) -> None:
    expected = theme.colours_of(["alexnet", "cct", "vit"])
    for chart in charts.values():
        for part in parts(chart.spec):
            if isinstance(part.get("text"), str) and part["text"] in expected:
                assert part["color"] == expected[part["text"]], chart.name
            if isinstance(part.get("domain"), list) and set(part["domain"]) == set(expected):
                assert dict(zip(part["domain"], part["range"], strict=True)) == expected, chart.name


def test_twenty_models_have_twenty_colours() -> None:
    assert len(set(theme.colours_of([f"model{number}" for number in range(20)]).values())) == 20


def test_each_seed_stands_beside_the_mean_and_the_spread(charts: dict[str, Chart]) -> None:
    line = next(row for row in data(charts["accuracy"], "seeds") if (row["model"], row["method"]) == ("cct", "slim"))
    assert line["seeds"] == pytest.approx([54.4, 54.8]) and line["top1"] == pytest.approx(54.6)
    assert line["by_seed"] == "54.40, 54.80 (mean \N{PLUS-MINUS SIGN} 0.28)"


def test_every_batch_and_every_number_of_threads_has_a_mark(charts: dict[str, Chart]) -> None:
    marks = {(row["batch"], row["threads"]) for row in data(charts["latency"], "p50") if row["model"] == "vit"}
    assert marks == {("1", "1"), ("1", "2"), ("32", "1"), ("32", "2")}


def test_bytes_are_counted_four_ways_and_not_shown_twice_for_two_devices() -> None:
    jobs = [compress("vit"), benchmark("vit")]
    charts = of_jobs([*jobs, copy(jobs[1], "T4")])
    assert [name for name in charts if name.startswith("bytes")] == ["bytes-1"]
    assert [row["way"] for row in data(charts["bytes-1"], "way")] == [
        *("parameters as float32", "weights alone", "file", "compressed")
    ]


def test_a_training_is_coloured_by_who_trained_and_a_death_lies_on_its_curve(charts: dict[str, Chart]) -> None:
    points = [row for row in data(charts["loss"], "stretch") if row["seed"] == "0"]
    assert [(row["worker"], row["step"]) for row in points[:5]] == [
        *(("ann", 50), ("ann", 100), ("bob", 100), ("bob", 150), ("bob", 200))
    ]
    death = next(row for row in data(charts["loss"], "what") if row["seed"] == "0")
    assert (death["worker"], death["step"]) == ("eve", 140)
    assert 2 / 3 < death["loss"] < 2 / 2


def test_the_timeline_shows_deaths_and_as_much_of_a_bar_as_was_done_again(charts: dict[str, Chart]) -> None:
    again = data(charts["timeline"], "steps")[0]
    bar = next(row for row in data(charts["timeline"], "jobs") if row["worker"] == "eve")
    assert again["steps"] == "20"
    assert again["stop"] - again["start"] == pytest.approx((bar["stop"] - bar["start"]) / 2, abs=1e-4)
    assert len(data(charts["timeline"], "waited")) == 6


def test_attempts_that_follow_each_other_are_joined_where_they_are_too_many() -> None:
    visits = [train("vit", step=number) for number in range(1, 5001)]
    attempts = [
        attempt(visit, worker=("ann", "bob")[number // 100 % 2], started=number, seen=number + 1, ended=number + 1)
        for number, visit in enumerate(visits)
    ]
    bars = data(of_jobs(visits, attempts)["timeline"], "jobs")
    assert len(bars) == 50
    assert bars[0]["jobs"] == "vit/seed0/train/1.s0 and 99 more"


def test_a_thinned_curve_keeps_its_ends_and_its_extremes() -> None:
    heights = [float(number % 97) for number in range(10_000)]
    heights[4321], heights[7777] = 500.0, -500.0
    kept = thinned(heights, 200, keep=[1234])
    assert {0, 9_999, 4321, 7777, 1234} <= set(kept) and kept == sorted(kept) and len(kept) <= 203
    assert thinned([1.0, 2.0], 200) == [0, 1]


def test_classes_are_counted_for_each_model_and_their_changes_for_each_method(charts: dict[str, Chart]) -> None:
    matrix = data(charts["confusion-1"], "strong")
    assert len(matrix) == 100 and {row["is"] for row in matrix} >= {"airplane", "truck"}
    changed = data(charts["confusion-1"], "sign")
    assert changed and all(row["sign"] == ("+" if row["better"] else "\N{MINUS SIGN}") for row in changed)
    changes = data(charts["classes"], "change")
    assert {row["method"] for row in changes} >= {"slim"} and len(changes) == 3 * 5 * 10
    assert all(row["opacity"] == 0 for row in changes if row["method"] == "float32")


def test_a_change_that_chance_explains_is_not_coloured(charts: dict[str, Chart]) -> None:
    for row in data(charts["classes"], "change"):
        if row["opacity"]:
            assert row["p"] == "< 0.001" or float(row["p"]) < 0.05


@pytest.mark.parametrize(("low", "high"), [(1.9e6, 1.08e8), (0.8, 9.0), (3.0, 4.1), (5e5, 6e11), (0.001, 0.02)])
def test_a_logarithmic_axis_has_a_few_round_ticks_within_it(low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    assert 1 <= len(ticks) <= 9 and all(low <= tick <= high for tick in ticks)


def test_a_bench_without_a_float32_row_still_has_its_charts() -> None:
    jobs = [compress("vit", method="int4"), benchmark("vit", method="int4", latencies=[latency()])]
    assert {"accuracy", "size", "speed", "latency", "bytes"} <= set(of_jobs(jobs))
    assert of_jobs(jobs)["accuracy"].bench is not None and LAPTOP in of_jobs(jobs)["accuracy"].description


def test_a_death_of_a_visit_that_is_not_done_is_in_the_timeline_alone() -> None:
    visit = train("vit")
    attempts = [attempt(visit, outcome=Ending.EXPIRED, steps=(0, 10))]
    charts = of_jobs([visit], attempts)
    assert not data(charts["loss"], "what") and len(data(charts["timeline"], "waited")) == 1


def test_figures_that_nobody_measured_are_not_drawn_and_stop_nothing() -> None:
    jobs = [
        *(train("vit", step=1, loss=1e300), train("vit", step=2, loss=2.0)),
        *(compress("vit", file_bytes=-7), benchmark("vit", latencies=[latency(p50=-2.0)])),
        *(compress("cct", file_bytes=10**300), benchmark("cct", latencies=[latency(p50=1e300)])),
        *(compress("alexnet"), benchmark("alexnet")),
    ]
    charts = of_jobs(jobs)
    assert {row["model"] for name in ("size", "speed", "latency") for row in data(charts[name], "model")} == {"alexnet"}
    assert [row["step"] for row in data(charts["loss"], "step")] == [2]


def test_a_network_that_is_always_right_is_said_to_be_so() -> None:
    job = benchmark("vit")
    results = collect("study", "cifar10", [job], [], predictions={job.id: guessed(wrong=0.0, seed=0)})
    assert drawn(results)["confusion"].description.endswith("no image is taken for another class.")


def test_a_method_that_is_measured_for_fewer_seeds_is_not_held_against_float32_of_all() -> None:
    jobs = [benchmark("vit", seed) for seed in (0, 1)] + [benchmark("vit", 0, "int8")]
    predictions = {job.id: guessed(wrong=0.3, seed=job.spec["seed"]) for job in jobs}
    preliminary = drawn(collect("study", "cifar10", jobs, [], predictions=predictions))["confusion"]
    assert len(preliminary.spec["vconcat"]) == 1, "the matrix of float32 alone"
    jobs.append(benchmark("vit", 1, "int8"))
    predictions[jobs[-1].id] = guessed(wrong=0.3, seed=1)
    complete = drawn(collect("study", "cifar10", jobs, [], predictions=predictions))["confusion"]
    assert len(complete.spec["vconcat"]) == 2


def test_many_classes_of_which_none_is_taken_for_another_have_no_list() -> None:
    job = benchmark("vit")
    labels = np.arange(90, dtype=np.uint16) % 30
    kept = Predictions(np.zeros(90, np.uint16), "ab" * 32, labels=labels, guesses=labels)
    charts = drawn(collect("study", "folder", [job], [], predictions={job.id: kept}))
    assert "confusion" not in charts and "accuracy" in charts
