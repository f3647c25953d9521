"""The points of the pictures of what accuracy costs, and where their numbers stand."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from orchestrator.jobs import Job
from orchestrator.report.number_placement import Dot, dot_box, overlap, place_numbers, text_box
from orchestrator.report.results import collect
from orchestrator.report.summaries import Summary, summarize
from orchestrator.report.tradeoffs import Point, against_latency, against_size, frontier, single_call
from tests.support.report_jobs import benchmark, compress, latency

ROOM = (0.0, 0.0, 320.0, 140.0)


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


def test_the_numbers_of_a_crowd_cover_neither_each_other_nor_a_dot() -> None:
    places = np.random.default_rng(0).normal((160.0, 70.0), (60.0, 12.0), (18, 2)).clip(10, 130)
    dots = [Dot(float(x), float(y), str(number)) for number, (x, y) in enumerate(places, start=1)]
    stem = (159.0, 10.0, 161.0, 130.0)

    texts = [text_box(dot, offset) for dot, offset in zip(dots, place_numbers(dots, [stem], ROOM), strict=True)]

    assert all(overlap(one, other) == 0 for one, other in combinations(texts, 2))
    assert all(overlap(text, dot_box(dot)) == 0 for text in texts for dot in dots)
    assert all(overlap(text, stem) == 0 for text in texts)
    assert all(
        ROOM[0] <= left and ROOM[1] <= low and right <= ROOM[2] and high <= ROOM[3] for left, low, right, high in texts
    )


def test_more_numbers_than_there_is_room_for_are_placed_all_the_same() -> None:
    dots = [Dot(50.0, 50.0, str(number)) for number in range(200)]

    assert len(place_numbers(dots, [], ROOM)) == 200


def test_a_lone_number_stands_close_above_its_dot() -> None:
    (offset,) = place_numbers([Dot(50.0, 50.0, "1")], [], ROOM)

    assert offset.is_close and offset.away[0] == 0 and offset.away[1] > 0
