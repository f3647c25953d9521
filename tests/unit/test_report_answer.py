from __future__ import annotations

import numpy as np

from models import datasets
from models.predictions import Predictions
from orchestrator.jobs import Job, JobState
from orchestrator.report.answer import Answer, answer
from orchestrator.report.results import collect
from tests.support.report_jobs import benchmark, compress, copy, latency, small_study, train


def answered(*jobs: Job) -> Answer:
    return answer(collect("study", "cifar10", jobs, []))


def test_the_best_model_is_named_with_its_lead_and_the_interval_of_the_lead() -> None:
    (said,) = answered(benchmark("alexnet", top1=0.55), benchmark("vit", top1=0.612)).benches

    assert said.headline == (
        "vit is the most accurate: 61.2% of the test images right (95% interval 60.2 to 62.2%, one training), "
        "6.2 points ahead of alexnet (55.0%); the 95% interval of the lead is +4.8 to +7.6 points."
    )


def test_a_lead_that_chance_explains_is_not_called_a_win() -> None:
    (said,) = answered(benchmark("alexnet", top1=0.600), benchmark("vit", top1=0.605)).benches

    assert said.headline.startswith("vit and alexnet cannot be told apart")
    assert said.headline.endswith("\N{MINUS SIGN}0.9 to +1.9, includes zero.")


def test_several_seeds_are_answered_with_mean_and_deviation() -> None:
    seeds = [benchmark("vit", seed, top1=top1) for seed, top1 in enumerate((0.59, 0.60, 0.61))]

    (said,) = answered(*seeds).benches

    assert "60.0% of the test images right (mean of 3 trainings, standard deviation 1.0 points" in said.headline


def test_a_single_model_is_not_called_the_best() -> None:
    (said,) = answered(benchmark("vit")).benches

    assert "most accurate" not in said.headline and "no other model" in said.headline


def test_models_on_different_devices_are_not_compared() -> None:
    said = answered(benchmark("alexnet", top1=0.5, device="T4"), benchmark("vit", top1=0.6, device="laptop"))

    assert [each.bench.device for each in said.benches] == ["T4", "laptop"]
    assert all("no other model" in each.headline for each in said.benches)


def test_every_device_has_an_answer_of_its_own_over_all_that_was_measured_there() -> None:
    measured = [benchmark("alexnet", top1=0.5, device="T4"), benchmark("vit", top1=0.6, device="laptop")]

    said = answered(*measured, copy(measured[0], "laptop"), copy(measured[1], "T4"))

    assert [each.bench.device for each in said.benches] == ["T4", "laptop"]
    assert all(each.headline.startswith("vit is the most accurate: 60.0%") for each in said.benches)
    assert (said.lead, said.unfinished) == ("Complete: all 4 jobs are done.", ())


def test_no_answer_waits_for_a_device_that_does_not_come_back() -> None:
    original, other = benchmark("vit", device="T4"), benchmark("alexnet", device="T4")
    waiting = [copy(each, "laptop", state=JobState.READY) for each in (original, other)]
    cancelled = copy(original, "phone", state=JobState.CANCELLED)

    said = answered(original, other, *waiting, cancelled, copy(original, "board"))

    assert said.lead == "Complete: all 3 jobs are done."
    assert said.unfinished == ("0 of 2 copies of benchmarks are done on laptop.",)


def test_a_compressed_model_does_not_win_over_its_own_float32() -> None:
    lucky = benchmark("vit", method="dynamic-int8", top1=0.61)

    (said,) = answered(benchmark("vit", top1=0.60), lucky).benches

    assert said.headline.startswith("vit gets 60.0%")


def test_a_model_that_was_measured_compressed_only_is_ranked_by_that_and_says_so() -> None:
    (said,) = answered(
        benchmark("vit", top1=0.5),
        benchmark("cct", method="float16", top1=0.60),
        benchmark("cct", method="dynamic-int8", top1=0.7),
    ).benches

    assert said.headline.startswith("cct (dynamic-int8) is the most accurate: 70.0%")


def test_compression_is_answered_in_bytes_accuracy_and_speed() -> None:
    jobs, _ = small_study()

    (said,) = answered(*jobs).benches

    assert [str(finding) for finding in said.compression] == [
        "alexnet-tiny as dynamic-int8: the file goes from 400 kB to 100 kB (25%); top-1 falls by 0.3 points, "
        "less than this many test images can show for certain; it runs at 2.00 times the speed of float32."
    ]
    assert said.speed == (
        "The quickest at batch 1, 1 thread is alexnet-tiny as dynamic-int8: 1.00 ms a call (median) at 54.7% top-1."
    )


def test_accuracies_over_different_seeds_are_not_subtracted() -> None:
    (said,) = answered(
        *(compress("vit", seed, method) for seed in (0, 1) for method in ("float32", "float16")),
        *(benchmark("vit", seed) for seed in (0, 1)),
        benchmark("vit", 0, "float16", latencies=[latency(), latency(32, speedup=1.5)]),
    ).benches

    (finding,) = said.compression
    assert "its accuracy cannot be compared" in finding.text
    assert "1.00 to 1.50 times the speed" in finding.text


def test_an_unfinished_study_is_called_preliminary_and_says_how_far_it_is() -> None:
    said = answered(benchmark("vit"), benchmark("cct", state=JobState.RUNNING))

    assert said.lead == "Preliminary: 1 of 2 benchmarks is done."
    assert said.unfinished == ("1 of 2 benchmarks is done.", "Not measured yet: 1 network (cct as float32).")


def test_a_study_without_a_benchmark_has_no_answer() -> None:
    said = answered(train("vit"), benchmark("vit", state=JobState.BLOCKED))

    assert said.lead == "No benchmark is done yet (1 of 2 jobs are), so there is no answer."
    assert said.benches == ()


def test_an_empty_study_says_that_nothing_is_planned() -> None:
    assert answered().lead == "Nothing is planned yet, so there is nothing to report."


def test_what_deaths_cost_is_said_in_steps_and_in_waiting() -> None:
    jobs, attempts = small_study()

    assert answer(collect("study", "cifar10", jobs, attempts)).lost == (
        "1 of 3 attempts by 2 workers ended in the death of the worker.",
        "22 training steps had to be done twice, 9.9% of all 222 that were computed; "
        "none of them counts twice in the results.",
        "A dead worker's job was taken up again after 1 min 0 s on average.",
    )


def test_a_study_without_deaths_says_so() -> None:
    jobs, attempts = small_study()

    assert answer(collect("study", "cifar10", jobs, attempts[:1])).lost == ("No worker died in 1 attempt by 1 worker.",)


def test_compression_says_on_how_many_images_it_differs_from_float32() -> None:
    test = datasets.subset(datasets.load("synthetic").test, 40, 0)
    jobs = [benchmark("vit", seed, method) for seed in (0, 1) for method in ("float32", "int4")]
    wrong = [range(3), range(2, 14), range(2), range(1, 3)]
    kept = {
        job.id: Predictions.of(test, np.isin(np.arange(40), images).astype(np.intp))
        for job, images in zip(jobs, wrong, strict=True)
    }
    (said,) = answer(collect("study", "cifar10", jobs[:2], [], predictions=kept)).benches
    assert "(11 images only float32 gets right, 2 only this, p = 0.022)" in str(said.compression[0])
    (said,) = answer(collect("study", "cifar10", jobs, [], predictions=kept)).benches
    words = "12 images only float32 gets right, 3 only this over 2 trainings, p = 0.022 and p = 1"
    assert words in str(said.compression[0])
