"""What compression costs and gains, network by network: sentences, and which of them come first.

What is said of a bench as a whole stands in `orchestrator.report.answer`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from orchestrator.report import wording
from orchestrator.report.comparison import Estimate, Paired, Verdict
from orchestrator.report.rows import REFERENCE
from orchestrator.report.summaries import Summary, accuracy_change, reference_of, twin_of

_LEAD = 5
"""So many are read; who wants the rest opens it."""


@dataclass(frozen=True)
class Finding:
    """What is said, and of what."""

    subject: str
    text: str
    leads: bool = True
    """Whether it is read before the others, where there are many."""

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


def compression_findings(summaries: Sequence[Summary], chosen: Collection[tuple[str, str]]) -> tuple[Finding, ...]:
    """One for each model and method that has a float32 beside it on this bench.

    Args:
        chosen: models and methods that a person is told to take; what is said of them leads.
    """
    compressed = [(each, reference) for each in summaries if (reference := reference_of(each, summaries))]
    leading = {(each.model, each.method) for each, _ in compressed} & set(chosen)
    if len(compressed) <= _LEAD or not leading:
        leading = {(each.model, each.method) for each, _ in compressed[:_LEAD]}
    return tuple(
        _compression(each, reference, twin_of(each, summaries), leads=(each.model, each.method) in leading)
        for each, reference in compressed
    )


def verdicts(summaries: Sequence[Summary]) -> tuple[Finding, ...]:
    """How many networks are certainly worse or better than what they are to be held against, and how many neither.

    That is the dense twin of what was fine-tuned: a gain from more training is no gain of a method.
    """
    twins = {(each.model, each.twin) for each in summaries}
    others = [each for each in summaries if each.method != REFERENCE and (each.model, each.method) not in twins]
    exported = [(each, reference_of(each, summaries)) for each in others if each.twin is None]
    tuned = [(each, twin_of(each, summaries)) for each in others if each.twin is not None]
    found = (
        ("Not trained further, against float32", _judged(exported)),
        ("Fine-tuned, against the dense twin", _judged(tuned)),
    )
    return tuple(Finding(subject, text) for subject, text in found if text)


_SAID = {
    Verdict.WORSE: ("is less accurate", "are less accurate"),
    Verdict.BETTER: ("is more accurate", "are more accurate"),
    Verdict.OPEN: ("cannot be told apart", "cannot be told apart"),
}


def _judged(pairs: Iterable[tuple[Summary, Summary | None]]) -> str:
    names: dict[Verdict, list[str]] = {verdict: [] for verdict in _SAID}
    for summary, against in pairs:
        change = accuracy_change(summary, against)
        if change is not None:
            names[change.verdict()].append(f"{summary.model} as {summary.method}")
    said = [
        f"{wording.named(found, 'network')} {_SAID[verdict][len(found) > 1]}"
        for verdict, found in names.items()
        if found
    ]
    return f"{'; '.join(said)}." if said else ""


def _compression(summary: Summary, reference: Summary, twin: Summary | None, *, leads: bool) -> Finding:
    parts = (
        _size_change(summary, reference),
        _shipped(summary),
        _accuracy_words(accuracy_change(summary, reference), summary.against_float32),
        _beside_twin(summary, twin),
        _speed_change(summary),
    )
    return Finding(f"{summary.model} as {summary.method}", f"{'; '.join(part for part in parts if part)}.", leads)


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


def differing_images(against: Sequence[Paired], first: str = REFERENCE, second: str = "this") -> str:
    """`12 images only float32 gets right, 9 only this, p = 0.66`; over several seeds the sums, with every p."""
    images = wording.counted(sum(each.only_first for each in against), "image")
    only_second = sum(each.only_second for each in against)
    seeds = f" over {len(against)} trainings" if len(against) > 1 else ""
    chances = wording.listed([_chance(wording.probability(each.p)) for each in against])
    return f"{images} only {first} gets right, {only_second:,} only {second}{seeds}, {chances}"


def _chance(probability: str) -> str:
    return f"p {probability}" if probability.startswith("<") else f"p = {probability}"


def _speed_change(summary: Summary) -> str:
    faster = [timing.speedup for timing in summary.timings if timing.speedup is not None]
    if not faster:
        return ""
    low, high = (f"{end:.2f}" for end in (min(faster), max(faster)))
    span = low if low == high else f"{low} to {high}"
    return f"it runs at {span} times the speed of float32"
