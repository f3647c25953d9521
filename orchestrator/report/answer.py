"""The study's answer in words: which model is best and how surely, what compression costs and gains.

Sentences only; the figures behind them are in `orchestrator.report.summaries`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.jobs import Stage
from orchestrator.report import wording
from orchestrator.report.choices import Choice, Step, choices
from orchestrator.report.comparison import Estimate
from orchestrator.report.findings import Finding, compression_findings, differing_images, verdicts
from orchestrator.report.results import CopyProgress, Results, StageProgress
from orchestrator.report.rows import REFERENCE, Bench
from orchestrator.report.summaries import Summary, accuracy_lead, on_bench, pairs_of, summarize

_UNDECIDED_SHOWN = 3

_NOUNS = {
    Stage.TRAIN: "training visit",
    Stage.MERGE: "merge",
    Stage.COMPRESS: "compression",
    Stage.BENCHMARK: "benchmark",
}


@dataclass(frozen=True)
class ChoiceAnswer:
    """Which network to take, by one cost."""

    title: str
    steps: tuple[Finding, ...]
    """From which cost on, and which network."""
    rest: str | None
    """How many others there are, which nobody need take."""


@dataclass(frozen=True)
class BenchAnswer:
    """What one device and runtime say."""

    bench: Bench
    headline: str
    evidence: str | None
    """On which test images the two models of the headline differ; None where that is not known."""
    speed: str | None
    choices: tuple[ChoiceAnswer, ...]
    """By size and by time; empty where there is nothing to choose from."""
    verdicts: tuple[Finding, ...]
    """How many networks are certainly better or worse, and how many cannot be told apart."""
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
            *([f"Not measured yet: {wording.named(results.awaited, 'network')}."] if results.awaited else []),
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
    found = choices(summaries)
    chosen = {(step.point.model, step.point.method) for choice in found for step in choice.steps}
    return BenchAnswer(
        bench=bench,
        headline=_headline(summaries),
        evidence=_evidence(summaries),
        speed=_fastest(summaries),
        choices=tuple(map(_choice, found)),
        verdicts=verdicts(summaries),
        compression=compression_findings(summaries, chosen),
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
    lead = accuracy_lead(best, second)
    assert lead is not None, "only what has an accuracy is ranked"
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


def _evidence(summaries: Sequence[Summary]) -> str | None:
    """The two of the headline image by image; None if they did not see the same test images, or it was not kept."""
    ranked = [summary for summary, _ in _ranked(summaries)[:2]]
    pairs = pairs_of(ranked[1], ranked[0]) if len(ranked) == 2 else ()
    return f"Image by image: {differing_images(pairs, ranked[1].name, ranked[0].name)}." if pairs else None


def _choice(choice: Choice) -> ChoiceAnswer:
    others = f"{wording.counted(choice.beaten, 'other network')} {'is' if choice.beaten == 1 else 'are'}"
    return ChoiceAnswer(
        title=f"Which to take, by {choice.by}",
        steps=tuple(Finding(f"From {choice.cost(step.point.cost)}", _step(step, choice)) for step in choice.steps),
        rest=f"{others} {choice.dearer} than one of these and measured no better." if choice.beaten else None,
    )


def _step(step: Step, choice: Choice) -> str:
    right = f"{step.point.name}, {wording.percent(step.top1.value)} of the test images right"
    if step.gain is None:
        said = f"{right} (95% interval {100 * step.top1.low:.1f} to {wording.percent(step.top1.high)})"
    else:
        said = f"{right}, {_gain(step.gain)} than the step before"
    besides = [
        f"{each.point.name} ({choice.cost(each.point.cost)}, {wording.points(each.gain.value)} points, "
        f"95% interval {wording.points(each.gain.low)} to {wording.points(each.gain.high)})"
        for each in step.undecided[:_UNDECIDED_SHOWN]
    ]
    more = len(step.undecided) - len(besides)
    others = [*besides, *([f"{more} more"] if more > 0 else [])]
    return (
        f"{said}. {choice.dearer.capitalize()}, and not certainly more accurate: {wording.listed(others)}."
        if others
        else f"{said}."
    )


def _gain(gain: Estimate) -> str:
    span = f"{wording.points(gain.low)} to {wording.points(gain.high)}"
    return f"{100 * gain.value:.1f} points more (95% interval {span})"


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
