from __future__ import annotations

import dataclasses
import json
import math
import random
import subprocess
import sys
from io import StringIO

import numpy as np
from rich.console import Console

from models import datasets
from models.compression import methods
from models.predictions import Predictions
from orchestrator.jobs import Job, JobState, Stage
from orchestrator.report import tables
from orchestrator.report.charts import draw_charts
from orchestrator.report.comparison import Paired
from orchestrator.report.page import render
from orchestrator.report.results import Results, collect
from orchestrator.report.summaries import summarize
from tests.support.report_jobs import DIGEST, LAPTOP, benchmark, compress, latency, make_job, merge, small_study, train


def collected(*jobs: Job, dataset: str = "cifar10") -> Results:
    return collect("study", dataset, jobs, [])


def test_a_row_has_exactly_the_fields_of_the_contract() -> None:
    results = collected(compress("vit"), benchmark("vit", top1=0.6))

    assert results.to_json() == {
        "study": "study",
        "studies": [
            {"study": "study", "dataset": "cifar10", "jobs_done": 2, "jobs": 2, "started": None, "stopped": None}
        ],
        "rows": [
            {
                "study": "study",
                "model": "vit",
                "seed": 0,
                "method": "float32",
                "device": LAPTOP,
                "runtime": "LiteRT",
                "batch": 1,
                "threads": 1,
                "top1": 0.6,
                "top1_interval": [0.59, 0.61],
                "top5": 0.95,
                "against_float32": None,
                "twin": None,
                "against_twin": None,
                "latency_ms": {"p50": 2.0, "p90": 2.2, "p99": 3.0},
                "speedup": 1.0,
                "images_per_second": 500.0,
                "peak_memory_bytes": 3_000_000,
                "memory_before_bytes": 40_000_000,
                "parameters": 98_765,
                "parameters_bytes": 395_060,
                "multiply_adds": 1_234_567,
                "weights_bytes": 395_000,
                "file_bytes": 400_000,
                "compressed_bytes": 360_000,
                "compression": "zstd",
                "packed": False,
                "unpack_seconds": None,
                "sparsity": 0.125,
                "weights_sha256": DIGEST,
                "test_set": None,
                "paper": {
                    "model": "ViT",
                    "method": "float32",
                    "top1": 0.6497,
                    "top5": 0.9686,
                    "latency_ms": None,
                    "keras_latency_ms": None,
                },
            }
        ],
        "history": {
            "started": None,
            "stopped": None,
            "workers": [],
            "attempts": 0,
            "steps": 0,
            "repeated_steps": 0,
            "deaths": [],
        },
    }


def test_every_batch_size_and_number_of_threads_is_a_row() -> None:
    ways = [latency(batch, threads) for batch in (1, 32) for threads in (1, 2)]

    rows = collected(benchmark("vit", latencies=ways)).rows

    assert [(row.batch, row.threads) for row in rows] == [(1, 1), (1, 2), (32, 1), (32, 2)]


def test_a_benchmark_without_latencies_still_shows_its_accuracy() -> None:
    (row,) = collected(benchmark("vit", top1=0.6, latencies=[])).rows

    assert (row.top1, row.batch, row.latency_ms.p50) == (0.6, None, None)


def test_a_figure_that_is_not_finite_becomes_null_and_is_named() -> None:
    broken = benchmark("vit", latencies=[latency(p50=math.nan, speedup=math.inf)], name="vit/benchmark")

    results = collected(broken)

    row = json.loads(json.dumps(results.to_json(), allow_nan=False))["rows"][0]
    assert row["latency_ms"] == {"p50": None, "p90": None, "p99": None}
    assert row["speedup"] is None
    assert [(problem.job, problem.what) for problem in results.problems] == [
        ("vit/benchmark", "Not a finite number, so left out: p50, p90, p99, speedup.")
    ]


def test_what_no_measurement_gives_is_left_out_and_does_not_stop_the_report() -> None:
    altered = benchmark("vit", top1=1.5, latencies=[latency(p50=-1.0, speedup=0.0)])

    results = collected(altered, benchmark("cnn", top1=0.6))

    row = next(row for row in results.rows if row.model == "vit")
    assert (row.top1, row.latency_ms.p50, row.speedup, row.images_per_second) == (None,) * 4
    assert "cnn" in render(results, draw_charts(results))


def test_the_order_of_jobs_and_attempts_makes_no_difference() -> None:
    jobs, attempts = small_study()
    expected = collect("study", "cifar10", jobs, attempts)

    random.Random(1).shuffle(jobs)

    assert collect("study", "cifar10", jobs, attempts[::-1]) == expected


def test_the_papers_figures_stand_beside_cifar10_only() -> None:
    assert collected(benchmark("vit"), dataset="cifar10").rows[0].paper is not None
    assert collected(benchmark("vit"), dataset="synthetic").rows[0].to_json()["paper"] == {}


def test_progress_counts_what_is_planned_and_not_what_was_cancelled() -> None:
    cancelled = benchmark("gone", state=JobState.CANCELLED)
    waiting = benchmark("vit", method="float16", state=JobState.BLOCKED)

    results = collected(train("vit"), benchmark("vit"), waiting, cancelled)

    assert [(stage.stage, stage.done, stage.total) for stage in results.stages] == [
        (Stage.TRAIN, 1, 1),
        (Stage.BENCHMARK, 1, 2),
    ]
    assert not results.is_complete


def test_a_quarantined_job_is_a_problem_with_the_last_line_of_its_error() -> None:
    error = "Traceback (most recent call last):\n  ...\n\x1b[31mValueError: no such layer\x1b[0m\n"
    bad = benchmark("vit", state=JobState.QUARANTINED, error=error, name="vit/benchmark")

    (problem,) = collected(bad).problems

    assert problem.what == "It is quarantined after 1 attempt: ValueError: no such layer"
    assert problem.details.startswith("Traceback") and "\x1b" not in problem.details


def test_shards_that_are_trained_at_once_are_one_point_of_the_curve() -> None:
    at_once = [train("vit", step=100, loss=loss, shard=shard) for shard, loss in enumerate((1.0, 2.0))]

    results = collected(*at_once, merge("vit", step=100))

    assert results.trainings[0].losses == ((100, 1.5),)
    assert [(stage.stage, stage.done) for stage in results.stages] == [(Stage.TRAIN, 2), (Stage.MERGE, 1)]


def test_a_training_is_put_together_from_its_visits() -> None:
    (run,) = collected(train("vit", step=200, loss=1.0), train("vit", step=100, loss=2.0)).trainings

    assert run.losses == ((100, 2.0), (200, 1.0))
    assert (run.step, run.total_steps, run.seconds, run.images_per_second) == (200, 200, 24.0, 2000.0)


def test_a_diverged_loss_is_left_out_of_the_curve() -> None:
    (run,) = collected(train("vit", step=100, loss=2.0), train("vit", step=200, loss=math.nan)).trainings

    assert run.losses == ((100, 2.0),)


def test_three_seeds_become_one_summary_with_mean_and_sample_deviation() -> None:
    seeds = [benchmark("vit", seed, top1=top1) for seed, top1 in enumerate((0.58, 0.60, 0.62))]

    (summary,) = summarize(collected(*seeds))

    assert summary.seeds == (0, 1, 2)
    assert summary.top1_spread is not None and summary.top1_spread.deviation is not None
    assert (round(summary.top1_spread.mean, 9), round(summary.top1_spread.deviation, 9)) == (0.6, 0.02)


def test_two_devices_are_two_summaries() -> None:
    results = collected(benchmark("vit", 0, device="T4"), benchmark("vit", 1, device="laptop"))

    assert [(each.bench.device, each.seeds) for each in summarize(results)] == [("T4", (0,)), ("laptop", (1,))]


def test_a_job_with_metrics_of_another_shape_does_not_stop_the_report() -> None:
    subject = {"model": "vit", "seed": 0, "method": "float32"}
    (row,) = collected(make_job(Stage.BENCHMARK, subject, {"top1": "high", "top1_interval": [0.5]})).rows

    assert (row.device, row.top1, row.top1_interval) == ("unknown device", None, None)


def test_collecting_results_and_printing_tables_loads_neither_vl_convert_nor_jinja() -> None:
    script = (
        "import sys, orchestrator.report.results, orchestrator.report.tables\n"
        "print(sorted({'vl_convert', 'jinja2'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_a_network_that_was_its_own_reference_is_not_said_to_be_as_fast_as_float32() -> None:
    """What older workers wrote of a study without float32."""
    alone = [compress("vit", method="float16"), benchmark("vit", method="float16", latencies=[latency(speedup=1.0)])]
    results = collect("s", "synthetic", alone, [])
    assert [row.speedup for row in results.rows] == [None]
    page, console = render(results, ()), Console(file=StringIO(), record=True, width=100)
    console.print(tables.terminal(results))
    for shown in (page, console.export_text(), tables.to_markdown(results)):
        assert "1.00\N{MULTIPLICATION SIGN}" not in shown
    cancelled = benchmark("vit", state=JobState.CANCELLED)
    assert [row.speedup for row in collect("s", "synthetic", [*alone, cancelled], []).rows] == [None]
    with_it = collect("s", "synthetic", [*alone, benchmark("vit", state=JobState.READY)], [])
    assert [row.speedup for row in with_it.rows] == [1.0]


def said(*wrong: int) -> Predictions:
    """Predictions of ten images that are wrong for these."""
    test = datasets.subset(datasets.load("synthetic").test, 10, 0)
    return Predictions.of(test, np.isin(np.arange(10), wrong).astype(np.intp))


def test_each_method_is_compared_with_float32_of_its_seed_image_by_image() -> None:
    jobs = [benchmark("vit", seed, method) for seed in (0, 1) for method in ("float32", "int4")]
    kept = [said(0, 1), said(1, 2, 3), said(5), said(5)]
    results = collect(
        "s", "cifar10", jobs, [], predictions={job.id: each for job, each in zip(jobs, kept, strict=True)}
    )
    told = {(row.seed, row.method): row.against_float32 for row in results.rows}
    assert told == {
        (0, "float32"): None,
        (0, "int4"): Paired(2, 1, 10, 1.0),
        (1, "float32"): None,
        (1, "int4"): Paired(0, 0, 10, 1.0),
    }
    (row,) = (row.to_json() for row in results.rows if row.against_float32 == Paired(2, 1, 10, 1.0))
    told = row["against_float32"]
    assert (told["only_float32_right"], told["only_this_right"], told["images"], told["p"]) == (2, 1, 10, 1.0)
    assert told["difference"] == -0.1 and told["difference_interval"][0] < 0 < told["difference_interval"][1]
    _, summary = summarize(results)
    assert summary.against_float32 == (Paired(2, 1, 10, 1.0), Paired(0, 0, 10, 1.0))


def test_rows_of_two_devices_are_not_compared_image_by_image() -> None:
    jobs = [benchmark("vit", device="T4"), benchmark("vit", method="int4", device="laptop")]
    results = collect("s", "cifar10", jobs, [], predictions={job.id: said() for job in jobs})
    assert [row.against_float32 for row in results.rows] == [None, None]


def test_what_older_workers_weighed_was_compressed_with_gzip() -> None:
    older, newer = compress("vit"), compress("vit", seed=1)
    assert older.metrics is not None
    metrics = {name: value for name, value in older.metrics.items() if name != "compression"}
    older = dataclasses.replace(older, metrics=metrics)
    alone = collected(older, benchmark("vit"))
    assert [row.compression for row in alone.rows] == ["gzip"]
    assert "360 kB gzip" in tables.to_markdown(alone)
    mixed = collected(older, newer, benchmark("vit"), benchmark("vit", seed=1))
    (summary,) = summarize(mixed)
    assert (summary.compression, summary.compressed_bytes) == (None, None), "a mean of two compressions says nothing"


def test_methods_stand_in_the_order_in_which_they_are_defined() -> None:
    rows = collected(*(benchmark("vit", method=name) for name in ("own", "int4", *reversed(methods.names()[:-1])))).rows
    assert [row.method for row in rows] == [*methods.names(), "own"]


def test_a_network_of_another_runtime_weighs_what_its_benchmark_says_and_not_what_litert_has_of_it() -> None:
    here = benchmark("vit")
    metrics = {**(here.metrics or {}), "runtime": "ONNX Runtime 1.0", "parameters": 7, "file_bytes": 99}
    there = dataclasses.replace(here, id="other", spec={**here.spec, "runtime": "onnxruntime"}, metrics=metrics)
    litert, other = collect("s", "cifar10", [compress("vit"), here, there], []).rows
    assert (litert.runtime, litert.parameters, litert.file_bytes) == ("LiteRT", 98_765, 400_000)
    assert (other.runtime, other.parameters, other.file_bytes) == ("ONNX Runtime 1.0", 7, 99)
    assert (other.weights_bytes, other.compressed_bytes, other.sparsity) == (None, None, None)
