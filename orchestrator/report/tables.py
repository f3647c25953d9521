"""The results as tables: for a terminal, as Markdown, as CSV.  The page lays out its own."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.report import paper, wording
from orchestrator.report.answer import Answer, answer
from orchestrator.report.results import Results
from orchestrator.report.rows import Bench, Row
from orchestrator.report.summaries import Summary, Timing, accuracy_change, on_bench, reference_of, summarize, twin_of

_COLUMNS: tuple[tuple[str, Callable[[Row], Any]], ...] = (
    ("model", lambda row: row.model),
    ("seed", lambda row: row.seed),
    ("method", lambda row: row.method),
    ("device", lambda row: row.device),
    ("runtime", lambda row: row.runtime),
    ("batch", lambda row: row.batch),
    ("threads", lambda row: row.threads),
    ("top1", lambda row: row.top1),
    ("top1_low", lambda row: row.top1_interval and row.top1_interval[0]),
    ("top1_high", lambda row: row.top1_interval and row.top1_interval[1]),
    ("top5", lambda row: row.top5),
    ("only_float32_right", lambda row: row.against_float32 and row.against_float32.only_first),
    ("only_this_right", lambda row: row.against_float32 and row.against_float32.only_second),
    ("mcnemar_p", lambda row: row.against_float32 and row.against_float32.p),
    ("twin", lambda row: row.twin),
    ("only_twin_right", lambda row: row.against_twin and row.against_twin.only_first),
    ("only_this_right_of_twin", lambda row: row.against_twin and row.against_twin.only_second),
    ("twin_mcnemar_p", lambda row: row.against_twin and row.against_twin.p),
    ("latency_p50_ms", lambda row: row.latency_ms.p50),
    ("latency_p90_ms", lambda row: row.latency_ms.p90),
    ("latency_p99_ms", lambda row: row.latency_ms.p99),
    ("speedup", lambda row: row.speedup),
    ("images_per_second", lambda row: row.images_per_second),
    ("peak_memory_bytes", lambda row: row.peak_memory_bytes),
    ("memory_before_bytes", lambda row: row.memory_before_bytes),
    ("parameters", lambda row: row.parameters),
    ("parameters_bytes", lambda row: row.parameters_bytes),
    ("multiply_adds", lambda row: row.multiply_adds),
    ("weights_bytes", lambda row: row.weights_bytes),
    ("file_bytes", lambda row: row.file_bytes),
    ("compressed_bytes", lambda row: row.compressed_bytes),
    ("compression", lambda row: row.compression),
    ("packed", lambda row: row.packed),
    ("unpack_seconds", lambda row: row.unpack_seconds),
    ("sparsity", lambda row: row.sparsity),
    ("weights_sha256", lambda row: row.weights_sha256),
    ("paper_model", lambda row: row.paper and row.paper.model),
    ("paper_top1", lambda row: row.paper and row.paper.top1),
    ("paper_top5", lambda row: row.paper and row.paper.top5),
    ("paper_latency_ms", lambda row: row.paper and row.paper.latency_ms),
    ("paper_keras_latency_ms", lambda row: row.paper and row.paper.keras_latency_ms),
)

_TIMINGS_ACROSS = 4
"""Ways to run a model side by side, so that a table fits 80 columns."""


def to_csv(results: Results) -> str:
    """Every row with every field; an empty cell is a missing figure."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(name for name, _ in _COLUMNS)
    writer.writerows([_cell(value(row)) for _, value in _COLUMNS] for row in results.rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A device's name that begins like a formula would be one to whoever opens the file in a spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def to_markdown(results: Results) -> str:
    """The answer and the tables, to paste into an issue or a README."""
    said, summaries = answer(results), summarize(results)
    parts = [
        f"# {_escaped(results.study)}",
        *(f"> **Note:** {_escaped(note)}" for note in results.notes),
        _escaped(said.lead),
    ]
    for bench in said.benches:
        here = on_bench(summaries, bench.bench)
        parts += [f"## {_escaped(str(bench.bench))}", _escaped(bench.headline)]
        parts += [_markdown_list(bench.compression), _escaped(bench.unpacking or "")]
        parts += [_accuracy_markdown(here), _latency_markdown(here)]
    parts += ["## What was lost", _markdown_list(said.lost)]
    if said.unfinished or results.problems:
        problems = (f"{problem.job}: {problem.what}" for problem in results.problems)
        parts += ["## What is unfinished", _markdown_list([*said.unfinished, *problems])]
    if any(row.paper for row in results.rows):
        parts += ["## Beside the paper", _paper_markdown(summaries), paper.HARDWARE_NOTE, paper.SIZE_NOTE]
    return "\n\n".join(part for part in parts if part) + "\n"


def terminal(results: Results) -> RenderableType:
    """What `orch report` prints: the answer and the tables, 80 columns or more."""
    said, summaries = answer(results), summarize(results)
    parts: list[RenderableType] = [Text(note, style="bold yellow") for note in results.notes]
    parts.append(Text(said.lead, style="bold"))
    for bench in said.benches:
        here = on_bench(summaries, bench.bench)
        parts += [Text(), Text(bench.headline), _accuracy_table(bench.bench, here), *_latency_tables(here)]
        parts += [Text(bench.unpacking)] if bench.unpacking else []
    return Group(*parts, *_closing(said, results))


def _accuracy_table(bench: Bench, summaries: Sequence[Summary]) -> Table:
    table = _table(f"Accuracy and size on {bench}")
    for heading in ("Top-1 %", "95% interval", "Top-5 %", "vs float32", "File"):
        table.add_column(heading, justify="right", overflow="fold")
    for model, summary in _by_model(summaries):
        if summary is None:
            table.add_row(Text(model, style="bold"))
            continue
        change = accuracy_change(summary, reference_of(summary, summaries))
        table.add_row(
            Text(f"  {summary.method}"),
            top1(summary),
            interval(summary, digits=1),
            f"{100 * summary.top5.mean:.2f}" if summary.top5 else wording.MISSING,
            wording.points(change.value, 2) if change else wording.MISSING,
            f"{wording.size(summary.shipped_bytes)}{' zst' if summary.packed else ''}",
        )
    return table


def _latency_tables(summaries: Sequence[Summary]) -> Iterable[Table]:
    ways = sorted({timing.way for summary in summaries for timing in summary.timings})
    for first in range(0, len(ways), _TIMINGS_ACROSS):
        yield _latency_table(summaries, ways[first : first + _TIMINGS_ACROSS])


def _latency_table(summaries: Sequence[Summary], ways: Sequence[tuple[int, int]]) -> Table:
    compared = any(timing.speedup is not None for summary in summaries for timing in summary.timings)
    table = _table("Median ms per call" + (", and how many times as fast as float32" if compared else ""))
    for batch, threads in ways:
        table.add_column(f"batch {batch}\n{wording.counted(threads, 'thread')}", justify="right", overflow="fold")
    for model, summary in _by_model(summaries):
        if summary is None:
            table.add_row(Text(model, style="bold"))
            continue
        timings = {timing.way: timing for timing in summary.timings}
        table.add_row(Text(f"  {summary.method}"), *(_timing_cell(timings.get(way)) for way in ways))
    return table


def _by_model(summaries: Sequence[Summary]) -> Iterable[tuple[str, Summary | None]]:
    """Every model as a line of its own, then its methods: one column less, so that 80 columns are enough."""
    for model in dict.fromkeys(summary.model for summary in summaries):
        yield model, None
        yield from ((model, summary) for summary in summaries if summary.model == model)


def _table(title: str) -> Table:
    # As Text, for a device's name must not be read as rich's markup.
    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("Model, method", overflow="fold")
    return table


def _timing_cell(timing: Timing | None) -> str:
    if timing is None:
        return wording.MISSING
    faster = f" {wording.factor(timing.speedup)}" if timing.speedup is not None else ""
    return f"{wording.milliseconds(timing.p50)}{faster}"


def _closing(said: Answer, results: Results) -> Iterable[Text]:
    yield from (Text(sentence) for sentence in said.lost)
    yield from (Text(sentence, style="bold") for sentence in said.unfinished)
    yield from (Text(f"{problem.job}: {problem.what}", style="red") for problem in results.problems)


def top1(summary: Summary) -> str:
    """Percent: the mean, and the standard deviation where there are several seeds."""
    if summary.top1 is None or summary.top1_spread is None:
        return wording.MISSING
    deviation = summary.top1_spread.deviation
    spread = f" \N{PLUS-MINUS SIGN} {100 * deviation:.2f}" if deviation is not None else ""
    return f"{100 * summary.top1.value:.2f}{spread}"


def chances(summary: Summary) -> str:
    """The p of McNemar's test against float32, one for each seed."""
    return " ".join(wording.probability(each.p) for each in summary.against_float32) or wording.MISSING


def beside_twin(summary: Summary, summaries: Sequence[Summary]) -> str:
    """Points of top-1 against the dense twin, and the p of McNemar's test, one for each seed."""
    change = accuracy_change(summary, twin_of(summary, summaries))
    if change is None:
        return wording.MISSING
    tests = " ".join(wording.probability(each.p) for each in summary.against_twin)
    return f"{wording.points(change.value)} ({tests or wording.MISSING})"


def differing(summary: Summary) -> str:
    """How many images float32 alone gets right, and how many this method alone, over all seeds."""
    if not summary.against_float32:
        return wording.MISSING
    sides = (
        sum(each.only_first for each in summary.against_float32),
        sum(each.only_second for each in summary.against_float32),
    )
    return " / ".join(f"{images:,}" for images in sides)


def compressed(summary: Summary) -> str:
    """The compressed size with what compressed, for homes of older versions have gzip's; and whether it is shipped."""
    if not summary.compression:
        return wording.MISSING
    shipped = ", shipped" if summary.packed else ""
    return f"{wording.size(summary.compressed_bytes)} {summary.compression}{shipped}"


def interval(summary: Summary, digits: int = 2) -> str:
    if summary.top1 is None:
        return wording.MISSING
    return f"{100 * summary.top1.low:.{digits}f} to {100 * summary.top1.high:.{digits}f}"


def _accuracy_markdown(summaries: Sequence[Summary]) -> str:
    headings = (
        "Model|Method|Seeds|Top-1 %|95% interval|Only float32 / only this right|p|Points against twin (p)|Top-5 %|"
        "Parameters|As float32|Multiply-adds|Weights|File|Compressed|Zeros"
    )
    return _markdown_table(
        headings.split("|"),
        [
            (
                *(summary.model, summary.method, str(len(summary.seeds)), top1(summary), interval(summary)),
                differing(summary),
                chances(summary),
                beside_twin(summary, summaries),
                f"{100 * summary.top5.mean:.2f}" if summary.top5 else wording.MISSING,
                wording.whole(summary.parameters),
                wording.size(summary.parameters_bytes),
                wording.whole(summary.multiply_adds),
                wording.size(summary.weights_bytes),
                wording.size(summary.file_bytes),
                compressed(summary),
                wording.percent(summary.sparsity),
            )
            for summary in summaries
        ],
    )


def _latency_markdown(summaries: Sequence[Summary]) -> str:
    headings = "Model|Method|Batch|Threads|p50 ms|p90 ms|p99 ms|Speed against float32|Images a second|Peak memory"
    return _markdown_table(
        headings.split("|"),
        [
            (
                *(summary.model, summary.method, str(timing.batch), str(timing.threads)),
                *(wording.milliseconds(value) for value in (timing.p50, timing.p90, timing.p99)),
                wording.factor(timing.speedup),
                wording.significant(timing.images_per_second),
                wording.size(timing.peak_memory_bytes),
            )
            for summary in summaries
            for timing in summary.timings
        ],
    )


def _paper_markdown(summaries: Sequence[Summary]) -> str:
    return _markdown_table(
        ["Ours", "Method", "Measured on", "Our top-1 %", "The paper's", "Its top-1"],
        [
            (
                each.model,
                each.method,
                str(each.bench),
                top1(each),
                each.paper.model,
                wording.percent(each.paper.top1, 2),
            )
            for each in summaries
            if each.paper
        ],
    )


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [headings, ["---"] * len(headings), *([_escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _markdown_list(sentences: Iterable[object]) -> str:
    return "\n".join(f"- {_escaped(str(sentence))}" for sentence in sentences)


def _escaped(text: str) -> str:
    """Foreign text in Markdown: no cell, no tag and no emphasis begins inside it."""
    for character in "\\`*_[]<>|":
        text = text.replace(character, f"\\{character}")
    return text
