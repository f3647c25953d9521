from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

from models import datasets
from models.predictions import Predictions
from orchestrator.jobs import JobState
from orchestrator.report.results import Results, collect
from orchestrator.report.tables import terminal, to_csv, to_markdown
from tests.support.report_jobs import DIGEST, LAPTOP, benchmark, compress, copy, latency, small_study


def small_results() -> Results:
    return collect("study", "cifar10", *small_study())


def printed(results: Results, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(terminal(results))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_csv_holds_every_field_of_every_row() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(small_results()))))

    assert len(rows) == 3
    first = rows[0]
    assert (first["model"], first["top1"], first["top1_low"]) == ("alexnet-tiny", "0.55", "0.54")
    assert (first["latency_p99_ms"], first["weights_sha256"], first["paper_top1"]) == ("3.0", DIGEST, "0.5386")
    assert rows[2]["paper_latency_ms"] == ""


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_shows_every_figure_and_overflows_no_line(width: int) -> None:
    ways = [latency(batch, threads) for batch in (1, 32) for threads in (1, 2, 4)]
    seeds = [
        job
        for seed in (0, 1)
        for job in (compress("vit", seed), benchmark("vit", seed, top1=0.6 + seed / 100, latencies=ways))
    ]

    text = printed(collect("study", "cifar10", seeds, []), width)

    assert max(len(line) for line in text.splitlines()) <= width
    assert "60.50 ± 0.71" in text and "400 kB" in text and "…" not in text
    assert text.count("2.00 1.00×") == len(ways)


def test_the_terminal_begins_with_the_notes_and_ends_with_what_is_wrong() -> None:
    broken = benchmark("vit", state=JobState.QUARANTINED, error="ValueError: [bold]no[/bold]", name="vit/b")

    text = printed(collect("study", "cifar10", [broken], [], notes=["The data set is synthetic."]), 100)

    assert text.startswith("The data set is synthetic.")
    assert text.rstrip().endswith("vit/b: It is quarantined after 1 attempt: ValueError: [bold]no[/bold]")


def test_a_device_with_square_brackets_is_printed_as_it_is() -> None:
    assert "on [red]T4 with" in printed(collect("s", "cifar10", [benchmark("vit", device="[red]T4")], []), 100)


def test_a_network_that_two_devices_measured_stands_in_every_format_once_for_each() -> None:
    original = benchmark("alexnet-tiny", latencies=[latency(p50=2.0)])
    again = copy(original, "[Xeon]")
    slower = dataclasses.replace(again, metrics={**(again.metrics or {}), "latencies": [latency(p50=4.0)]})
    results = collect("study", "cifar10", [original, slower, compress("alexnet-tiny")], [])

    rows = list(csv.DictReader(io.StringIO(to_csv(results))))
    assert {(row["device"], row["latency_p50_ms"]) for row in rows} == {(LAPTOP, "2.0"), ("[Xeon]", "4.0")}
    assert {(row["device"], row["file_bytes"]) for row in results.to_json()["rows"]} == {
        (LAPTOP, 400_000),
        ("[Xeon]", 400_000),
    }
    text, markdown = printed(results, 100), to_markdown(results)
    assert text.count("Accuracy and size on ") == 2
    assert text.index("on [Xeon]") < text.index("4.00 1.00×") < text.index(f"on {LAPTOP}") < text.index("2.00 1.00×")
    assert "## \\[Xeon\\] with LiteRT" in markdown and f"## {LAPTOP} with LiteRT" in markdown
    paper = markdown.partition("## Beside the paper")[2]
    assert "\\[Xeon\\] with LiteRT | 60.00" in paper and f"{LAPTOP} with LiteRT | 60.00" in paper


def test_markdown_shows_answer_tables_and_paper() -> None:
    text = to_markdown(small_results())

    assert "vit-tiny is the most accurate: 61.2%" in text
    assert "| alexnet-tiny | dynamic-int8 | 1 | 54.70 | 53.70 to 55.70 |" in text
    assert f"| alexnet-tiny | float32 | {LAPTOP} with LiteRT | 55.00 | 95.00 | AlexNet | 53.86 | 89.49 |" in text
    assert "282.2 to 94.2 MB" in text


def test_foreign_text_cannot_break_out_of_a_markdown_cell() -> None:
    text = to_markdown(collect("s", "cifar10", [benchmark("a|b<script>")], []))

    assert "| a\\|b\\<script\\> |" in text and "<script>" not in text


def test_an_empty_study_is_still_a_table_and_a_sentence() -> None:
    empty = collect("study", "cifar10", [], [])

    assert to_csv(empty).count("\n") == 1
    assert "Nothing is planned yet" in to_markdown(empty)
    assert "Nothing is planned yet" in printed(empty, 80)


def test_csv_and_markdown_say_on_how_many_images_a_method_differs_from_float32() -> None:
    test = datasets.subset(datasets.load("synthetic").test, 40, 0)
    jobs = [benchmark("vit", method=method) for method in ("float32", "int4")]
    kept = {job.id: Predictions.of(test, np.full(40, job is jobs[1], np.intp)) for job in jobs}
    results = collect("s", "cifar10", jobs, [], predictions=kept)

    reference, smaller = csv.DictReader(io.StringIO(to_csv(results)))

    assert (reference["only_float32_right"], reference["mcnemar_p"]) == ("", "")
    assert (smaller["only_float32_right"], smaller["only_this_right"]) == ("40", "0")
    assert float(smaller["mcnemar_p"]) == pytest.approx(2 / 2**40)
    assert "| 40 / 0 | < 0.001 |" in to_markdown(results).replace("\\<", "<")


def test_csv_and_markdown_have_throughput_and_peak_memory() -> None:
    jobs = [benchmark("vit", latencies=[latency(32, p50=10.0)])]
    results = collect("s", "cifar10", jobs, [])

    (row,) = csv.DictReader(io.StringIO(to_csv(results)))

    assert (row["images_per_second"], row["peak_memory_bytes"]) == ("3200.0", "3000000")
    assert row["memory_before_bytes"] == "40000000"
    assert "| 3,200 | 3.00 MB |" in to_markdown(results)


def test_a_row_of_an_older_worker_has_no_peak_memory() -> None:
    measured = {key: value for key, value in latency().items() if "memory" not in key}
    results = collect("s", "cifar10", [benchmark("vit", latencies=[measured])], [])

    assert results.rows[0].peak_memory_bytes is None
    assert "| 500 | – |" in to_markdown(results)


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_shows_the_size_of_what_is_shipped_and_what_it_needs(width: int) -> None:
    packed = compress("vit", method="prune", compressed_bytes=40_000, ship="zst")

    text = printed(collect("study", "cifar10", [packed, benchmark("vit", method="prune")], []), width)

    assert "40.0 kB zst" in text and "zstd -d" in " ".join(text.split())
    assert max(len(line) for line in text.splitlines()) <= width
