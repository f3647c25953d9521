"""The points of the charts of what accuracy costs."""

from __future__ import annotations

from orchestrator.jobs import Job
from orchestrator.report.results import collect
from orchestrator.report.summaries import Summary, summarize
from orchestrator.report.tradeoffs import Point, against_latency, against_size, frontier, single_call
from tests.support.report_jobs import benchmark, compress, latency


def summarized(*jobs: Job) -> tuple[Summary, ...]:
    return summarize(collect("study", "cifar10", jobs, []))


def test_a_method_stands_beside_its_dense_twin_of_the_same_model() -> None:
    summaries = summarized(
        compress("vit", method="prune", file_bytes=300),
        benchmark("vit", method="prune", top1=0.58, twin="twin-2ep"),
        benchmark("vit", method="twin-2ep", top1=0.61),
        benchmark("cct", method="twin-2ep", top1=0.9),
    )

    (point,) = against_size(summaries)
    assert point == Point("vit", "prune", 300, 0.58, twin_top1=0.61)
    timed = {(each.model, each.method): each for each in against_latency(summaries, (1, 1))}
    assert timed["vit", "prune"].twin_top1 == 0.61
    assert timed["vit", "twin-2ep"].is_twin and not timed["cct", "twin-2ep"].is_twin


def test_what_is_shipped_packed_costs_what_the_packed_file_has() -> None:
    jobs = [
        job
        for method, ship in (("prune", "tflite"), ("packed", "zst"))
        for job in (
            compress("vit", method=method, file_bytes=300, compressed_bytes=40, ship=ship),
            benchmark("vit", method=method),
        )
    ]

    assert {each.method: each.cost for each in against_size(summarized(*jobs))} == {"prune": 300, "packed": 40}


def test_calls_are_compared_at_the_smallest_batch_with_the_fewest_threads() -> None:
    ways = [latency(batch, threads, p50=batch + threads) for batch in (32, 1) for threads in (2, 1)]
    summaries = summarized(benchmark("vit", latencies=ways), benchmark("cct", latencies=[latency(32, 1)]))

    timing = single_call(summaries)

    assert timing is not None and timing.label == "batch 1, 1 thread"
    assert [(each.model, each.cost) for each in against_latency(summaries, timing.way)] == [("vit", 2)]
    assert single_call(()) is None


def test_the_frontier_is_what_nothing_cheaper_is_as_accurate_as() -> None:
    points = [Point("m", name, cost, top1) for name, cost, top1 in (
        ("best", 9, 0.9), ("beaten", 5, 0.6), ("good", 4, 0.7), ("small", 1, 0.5), ("equal", 6, 0.7), ("worst", 9, 0.1)
    )]  # fmt: skip

    assert [each.method for each in frontier(points)] == ["small", "good", "best"]
    assert frontier([]) == ()
