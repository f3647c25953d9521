"""The study's answer in words: which model is best and how surely, what compression costs and gains.

Sentences only; the figures behind them are in `orchestrator.report.summaries`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.jobs import Stage
from orchestrator.report import wording
from orchestrator.report.comparison import Estimate, Paired, difference
from orchestrator.report.results import CopyProgress, Results, StageProgress
from orchestrator.report.rows import REFERENCE, Bench
from orchestrator.report.summaries import (
    Summary,
    accuracy_change,
    on_bench,
    reference_of,
    summarize,
    twin_of,
)

_NOUNS = {
    Stage.TRAIN: "training visit",
    Stage.MERGE: "merge",
    Stage.COMPRESS: "compression",
    Stage.BENCHMARK: "benchmark",
}


@dataclass(frozen=True)
class Finding:
    """What is said, and of what."""

    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


@dataclass(frozen=True)
class BenchAnswer:
    """What one device and runtime say."""

    bench: Bench
    headline: str
    speed: str | None
    compression: tuple[Finding, ...]
    """One per model and method."""
    unpacking: str | None
    """What the files need that are shipped packed; None if there are none."""


@dataclass(frozen=True)
class Answer:
    """The report's first screen."""

    lead: str
    """How far the study is, in one sentence."""
    benches: tuple[BenchAnswer, ...]
    lost: tuple[str, ...]
    """What deaths cost."""
    unfinished: tuple[str, ...]


def answer(results: Results) -> Answer:
    summaries = summarize(results)
    return Answer(
        lead=_lead(results),
        benches=tuple(_bench_answer(bench, on_bench(summaries, bench)) for bench in results.benches),
        lost=_lost(results),
        unfinished=(
            *(_progress(stage) for stage in results.stages if stage.done < stage.total),
            *(_copied(device) for device in results.copies if device.done < device.total),
        ),
    )


def _lead(results: Results) -> str:
    if not results.stages:
        return "Nothing is planned yet, so there is nothing to report."
    total = sum(stage.total for stage in results.stages)
    benchmarks = next((stage for stage in results.stages if stage.stage is Stage.BENCHMARK), None)
    if not results.rows:
        done = sum(stage.done for stage in results.stages)
        jobs = wording.counted(total, "job")
        return f"No benchmark is done yet ({done} of {jobs} are), so there is no answer."
    if benchmarks and benchmarks.done < benchmarks.total:
        return f"Preliminary: {_progress(benchmarks)}"
    if not results.is_complete:
        return "Every benchmark is done, though not every job."
    return f"Complete: all {wording.counted(total, 'job')} are done."


def _progress(stage: StageProgress) -> str:
    noun = _NOUNS.get(stage.stage, f"{stage.stage} job")
    return f"{stage.done} of {wording.counted(stage.total, noun)} {'is' if stage.done == 1 else 'are'} done."


def _copied(device: CopyProgress) -> str:
    of = f"{device.done} of {wording.counted(device.total, 'copy', 'copies')} of benchmarks"
    return f"{of} {'is' if device.done == 1 else 'are'} done on {device.device}."


def _bench_answer(bench: Bench, summaries: Sequence[Summary]) -> BenchAnswer:
    compressed = [(each, reference) for each in summaries if (reference := reference_of(each, summaries))]
    return BenchAnswer(
        bench=bench,
        headline=_headline(summaries),
        speed=_fastest(summaries),
        compression=tuple(_compression(each, reference, twin_of(each, summaries)) for each, reference in compressed),
        unpacking=_unpacking([each for each in summaries if each.packed]),
    )


def _headline(summaries: Sequence[Summary]) -> str:
    ranked = _ranked(summaries)
    if not ranked:
        return "No accuracy was measured here."
    best, best_top1 = ranked[0]
    accuracy = f"{wording.percent(best_top1.value)} of the test images right ({_certainty(best, best_top1)})"
    if len(ranked) == 1:
        return f"{best.name} gets {accuracy}; there is no other model here to compare it with."
    second, second_top1 = ranked[1]
    lead = difference(best_top1, second_top1)
    rival = f"{second.name} ({wording.percent(second_top1.value)})"
    margin = f"{100 * lead.value:.1f} points"
    span = f"{wording.points(lead.low)} to {wording.points(lead.high)}"
    if lead.excludes_zero:
        return (
            f"{best.name} is the most accurate: {accuracy}, {margin} ahead of {rival}; "
            f"the 95% interval of the lead is {span} points."
        )
    return (
        f"{best.name} and {second.name} cannot be told apart: {best.name} gets {accuracy}, "
        f"{margin} more than {rival}, but the 95% interval of that difference, {span}, includes zero."
    )


def _ranked(summaries: Sequence[Summary]) -> list[tuple[Summary, Estimate]]:
    """One summary per model, best first: float32 where measured, else the model's most accurate method."""
    candidates = [(each, each.top1) for each in summaries if each.top1 is not None]
    candidates.sort(key=lambda pair: (pair[0].method != REFERENCE, -pair[1].value))
    chosen = {each.model: (each, top1) for each, top1 in reversed(candidates)}
    return sorted(chosen.values(), key=lambda pair: (-pair[1].value, pair[0].model))


def _certainty(summary: Summary, top1: Estimate) -> str:
    interval = f"95% interval {100 * top1.low:.1f} to {wording.percent(top1.high)}"
    deviation = summary.top1_spread.deviation if summary.top1_spread else None
    if deviation is None:
        return f"{interval}, one training"
    return f"mean of {len(summary.seeds)} trainings, standard deviation {100 * deviation:.1f} points, {interval}"


def _fastest(summaries: Sequence[Summary]) -> str | None:
    timed = [(each, timing) for each in summaries for timing in each.timings]
    if not timed:
        return None
    way = min(timing.way for _, timing in timed)
    alike = [(each, timing) for each, timing in timed if timing.way == way]
    best, timing = min(alike, key=lambda pair: pair[1].p50)
    accuracy = f" at {wording.percent(best.top1.value)} top-1" if best.top1 else ""
    return (
        f"The quickest at {timing.label} is {best.model} as {best.method}: "
        f"{wording.milliseconds(timing.p50)} ms a call (median){accuracy}."
    )


def _compression(summary: Summary, reference: Summary, twin: Summary | None) -> Finding:
    parts = (
        _size_change(summary, reference),
        _shipped(summary),
        _accuracy_words(accuracy_change(summary, reference), summary.against_float32),
        _beside_twin(summary, twin),
        _speed_change(summary),
    )
    return Finding(f"{summary.model} as {summary.method}", f"{'; '.join(part for part in parts if part)}.")


def _size_change(summary: Summary, reference: Summary) -> str:
    if not summary.file_bytes or not reference.file_bytes:
        return ""
    share = summary.file_bytes / reference.file_bytes
    return (
        f"the file goes from {wording.size(reference.file_bytes)} to {wording.size(summary.file_bytes)} "
        f"({wording.percent(share, 0)})"
    )


def _shipped(summary: Summary) -> str:
    """What is shipped where that is not the file which is loaded."""
    if not summary.packed or not summary.shipped_bytes:
        return ""
    seconds = "" if summary.unpack_seconds is None else f", unpacked in {wording.significant(summary.unpack_seconds)} s"
    return f"it is shipped packed, as {wording.size(summary.shipped_bytes)}{seconds}"


def _unpacking(packed: Sequence[Summary]) -> str | None:
    if not packed:
        return None
    largest = max((each.file_bytes or 0 for each in packed), default=0)
    takes = f", up to {wording.size(largest)} here" if largest else ""
    return (
        "What is shipped packed is a file model.tflite.zst, which LiteRT cannot load: unpack it once where it is to "
        "run, with the command zstd -d or with Python's zstandard (compression.zstd from Python 3.14 on). It then "
        f"takes the disk and the memory of the unpacked file{takes}, of which all but its compressed size was measured."
    )


def _accuracy_words(change: Estimate | None, against: Sequence[Paired]) -> str:
    if change is None:
        return "its accuracy cannot be compared with float32 here"
    words = f"top-1 {'falls' if change.value < 0 else 'rises'} by {abs(100 * change.value):.1f} points"
    if round(100 * change.value, 1) == 0:
        words = "top-1 stays the same"
    if against:
        return f"{words} ({differing_images(against)})"
    if round(100 * change.value, 1) == 0:
        return words
    return words if change.excludes_zero else f"{words}, less than this many test images can show for certain"


def _beside_twin(summary: Summary, twin: Summary | None) -> str:
    """What the method itself has cost: its fine-tuning alone would have changed the accuracy, too."""
    change = accuracy_change(summary, twin)
    if change is None:
        return ""
    points = 100 * change.value
    words = "as good as" if round(points, 1) == 0 else f"{abs(points):.1f} points {'below' if points < 0 else 'above'}"
    images = f" ({differing_images(summary.against_twin, 'it')})" if summary.against_twin else ""
    return f"{words} its dense twin, which was fine-tuned as long and not changed{images}"


def differing_images(against: Sequence[Paired], first: str = REFERENCE) -> str:
    """`12 images only float32 gets right, 9 only this, p = 0.66`; over several seeds the sums, with every p."""
    images = wording.counted(sum(each.only_first for each in against), "image")
    only_this = sum(each.only_second for each in against)
    seeds = f" over {len(against)} trainings" if len(against) > 1 else ""
    chances = wording.listed([_chance(wording.probability(each.p)) for each in against])
    return f"{images} only {first} gets right, {only_this:,} only this{seeds}, {chances}"


def _chance(probability: str) -> str:
    return f"p {probability}" if probability.startswith("<") else f"p = {probability}"


def _speed_change(summary: Summary) -> str:
    faster = [timing.speedup for timing in summary.timings if timing.speedup is not None]
    if not faster:
        return ""
    low, high = (f"{end:.2f}" for end in (min(faster), max(faster)))
    span = low if low == high else f"{low} to {high}"
    return f"it runs at {span} times the speed of float32"


def _lost(results: Results) -> tuple[str, ...]:
    history = results.history
    if not history.turns:
        return ("No job has been tried yet.",)
    workers = wording.counted(len(history.workers), "worker")
    attempts = f"{wording.counted(len(history.turns), 'attempt')} by {workers}"
    if not history.deaths:
        return (f"No worker died in {attempts}.",)
    return tuple(
        filter(
            None,
            (
                f"{len(history.deaths)} of {attempts} ended in the death of the worker.",
                _repeated(history.repeated_steps, history.steps),
                _waited([turn.waited for turn in history.deaths if turn.waited is not None]),
            ),
        )
    )


def _repeated(repeated: int, steps: int) -> str:
    if not repeated:
        return "No training step had to be done twice."
    return (
        f"{wording.counted(repeated, 'training step')} had to be done twice, "
        f"{wording.percent(repeated / steps)} of all {steps:,} that were computed; "
        "none of them counts twice in the results."
    )


def _waited(seconds: Sequence[float]) -> str:
    if not seconds:
        return ""
    mean = wording.duration(sum(seconds) / len(seconds))
    return f"A dead worker's job was taken up again after {mean} on average."
