"""Which network a report tells to take, for how many bytes and for how much time."""

from __future__ import annotations

import numpy as np

from models import datasets
from models.predictions import Predictions
from orchestrator.jobs import Job
from orchestrator.report.answer import BenchAnswer, answer
from orchestrator.report.choices import Choice, choices
from orchestrator.report.results import Results, collect
from orchestrator.report.summaries import summarize
from tests.support.report_jobs import benchmark, compress, latency

TEST = datasets.subset(datasets.load("synthetic").test, 1000, 0)


def network(method: str, size: int, top1: float, p50: float, model: str = "vit", **more: object) -> list[Job]:
    timed = [latency(p50=p50)]
    return [
        compress(model, method=method, file_bytes=size),
        benchmark(model, method=method, top1=top1, latencies=timed, **more),  # type: ignore[arg-type]
    ]


def chosen(results: Results) -> list[Choice]:
    return list(choices(summarize(results)))


def steps(choice: Choice) -> list[str]:
    return [step.point.method for step in choice.steps]


def test_a_network_is_a_step_only_if_it_is_certainly_more_accurate_than_the_one_before() -> None:
    results = collect(
        "s",
        "cifar10",
        [
            *network("int4", 100, 0.50, 1.0),
            *network("dynamic-int8", 200, 0.60, 3.0),
            *network("float16", 400, 0.605, 5.0),
            *network("float32", 800, 0.70, 4.0),
        ],
        [],
    )

    by_size, by_time = chosen(results)

    assert steps(by_size) == ["int4", "dynamic-int8", "float32"]
    assert [each.point.method for each in by_size.steps[1].undecided] == ["float16"]
    assert steps(by_time) == ["int4", "dynamic-int8", "float32"] and by_time.beaten == 1


def test_what_the_test_images_can_show_decides_and_not_the_measured_accuracy_alone() -> None:
    jobs = [*network("int4", 100, 0.89, 1.0), *network("float32", 800, 0.90, 2.0)]
    measured = [job for job in jobs if job.stage == "benchmark"]
    alike = {job.id: wrong(range(each)) for job, each in zip(measured, (110, 100), strict=True)}
    unlike = {job.id: wrong(each) for job, each in zip(measured, (range(110), range(110, 210)), strict=True)}

    assert len(chosen(collect("s", "cifar10", jobs, [], predictions=alike))[0].steps) == 2, "ten images to none"
    assert len(chosen(collect("s", "cifar10", jobs, [], predictions=unlike))[0].steps) == 1, "110 to 100"


def wrong(images: range) -> Predictions:
    return Predictions.of(TEST, np.isin(np.arange(1000), images).astype(np.intp))


def said(results: Results) -> BenchAnswer:
    (bench,) = answer(results).benches
    return bench


def test_the_choice_is_said_with_cost_accuracy_and_what_it_gains() -> None:
    results = collect(
        "s",
        "cifar10",
        [
            *network("int4", 100_000, 0.50, 1.0),
            *network("float16", 400_000, 0.505, 5.0),
            *network("float32", 800_000, 0.70, 4.0),
            *network("float32", 900_000, 0.60, 4.5, model="cct"),
        ],
        [],
    )

    by_size, by_time = said(results).choices

    assert by_size.title == "Which to take, by the size of what is shipped"
    assert [str(step) for step in by_size.steps] == [
        "From 100 kB: vit as int4, 50.0% of the test images right (95% interval 49.0 to 51.0%). Larger, and not "
        "certainly more accurate: vit as float16 (400 kB, +0.5 points, 95% interval \N{MINUS SIGN}0.9 to +1.9).",
        "From 800 kB: vit as float32, 70.0% of the test images right, 20.0 points more (95% interval +18.6 to +21.4) "
        "than the step before.",
    ]
    assert by_size.rest == "1 other network is larger than one of these and measured no better."
    assert by_time.title == "Which to take, by the time of a call (batch 1, 1 thread)"
    assert by_time.steps[1].subject == "From 4.00 ms"
    assert by_time.rest == "2 other networks are slower than one of these and measured no better."


def test_where_there_is_one_network_there_is_no_choice() -> None:
    assert said(collect("s", "cifar10", network("float32", 100, 0.5, 1.0), [])).choices == ()


def test_what_was_not_timed_is_chosen_from_by_size_alone() -> None:
    jobs = [
        compress("vit", method="int4"),
        *(benchmark("vit", method=method, latencies=[]) for method in ("float32", "int4")),
    ]

    assert said(collect("s", "cifar10", [*jobs, compress("vit")], [])).choices[0].title.endswith("what is shipped")
    assert said(collect("s", "cifar10", jobs, [])).choices == (), "the size of one of them is not known"


def test_what_is_certain_of_all_compressed_networks_is_counted_and_twins_judge_what_was_fine_tuned() -> None:
    results = collect(
        "s",
        "cifar10",
        [
            *network("float32", 800, 0.70, 4.0),
            *network("float16", 400, 0.699, 4.0),
            *network("int4", 100, 0.60, 4.0),
            *network("twin-2ep", 800, 0.75, 4.0),
            *network("prune", 800, 0.749, 4.0, twin="twin-2ep"),
            *network("slim", 300, 0.71, 4.0, twin="twin-2ep"),
        ],
        [],
    )

    assert [str(finding) for finding in said(results).verdicts] == [
        "Not trained further, against float32: 1 network (vit as int4) is less accurate; "
        "1 network (vit as float16) cannot be told apart.",
        "Fine-tuned, against the dense twin: 1 network (vit as slim) is less accurate; "
        "1 network (vit as prune) cannot be told apart.",
    ]


def test_of_many_findings_those_of_the_chosen_networks_lead() -> None:
    jobs = [job for number in range(12) for job in network(f"method{number:02}", 1000 - number, 0.5, 1.0 + number)]

    found = said(collect("s", "cifar10", [*jobs, *network("float32", 4000, 0.9, 50.0)], [])).compression

    leading = [finding.subject for finding in found if finding.leads]
    assert len(found) == 12 and leading == ["vit as method00", "vit as method11"], "the quickest, the smallest"


def test_five_findings_or_less_all_lead() -> None:
    jobs = [job for number in range(4) for job in network(f"method{number}", 1000, 0.5, 1.0)]

    found = said(collect("s", "cifar10", [*jobs, *network("float32", 4000, 0.9, 50.0)], [])).compression

    assert len(found) == 4 and all(finding.leads for finding in found)
