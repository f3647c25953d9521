"""The results on a terminal, and as files: Markdown with the answer before the tables, CSV with every row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.report import page_tables, paper, table_formats, wording
from orchestrator.report.answer import Answer, answer
from orchestrator.report.columns import interval, top1
from orchestrator.report.page_tables import accuracy_table, latency_table, paper_table
from orchestrator.report.results import Results
from orchestrator.report.rows import Bench, Row
from orchestrator.report.summaries import Summary, Timing, accuracy_change, on_bench, reference_of, summarize
from orchestrator.report.table_formats import csv_text, markdown_text

_COLUMNS: tuple[tuple[str, Callable[[Row], Any]], ...] = (
    ("study", lambda row: row.study),
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
    return csv_text([name for name, _ in _COLUMNS], ([value(row) for _, value in _COLUMNS] for row in results.rows))


def attempts_csv(results: Results) -> str:
    """Every attempt, by its start."""
    return table_formats.to_csv(page_tables.attempts_table(results.history))


def to_markdown(results: Results) -> str:
    """The answer and the tables, to paste into an issue or a README."""
    said, summaries = answer(results), summarize(results)
    parts = [
        f"# {markdown_text(results.study)}",
        *(f"> **Note:** {markdown_text(note)}" for note in results.notes),
        markdown_text(said.lead),
    ]
    for bench in said.benches:
        here = on_bench(summaries, bench.bench)
        parts += [f"## {markdown_text(str(bench.bench))}", markdown_text(bench.headline)]
        parts += [markdown_text(bench.evidence or "")]
        for choice in bench.choices:
            parts += [f"### {markdown_text(choice.title)}", _markdown_list(choice.steps)]
            parts += [markdown_text(choice.rest or "")]
        if bench.compression:
            parts += ["### What compression costs and gains", _markdown_list([*bench.verdicts, *bench.compression])]
        parts += [markdown_text(bench.unpacking or "")]
        for table in (accuracy_table("accuracy", bench.bench, here), latency_table("latency", bench.bench, here)):
            parts += [table_formats.markdown(table), markdown_text(table.legend) if table.compares else ""]
    parts += ["## What was lost", _markdown_list(said.lost)]
    if said.unfinished or results.problems:
        problems = (f"{problem.job}: {problem.what}" for problem in results.problems)
        parts += ["## What is unfinished", _markdown_list([*said.unfinished, *problems])]
    if any(row.paper for row in results.rows):
        parts += ["## Beside the paper", table_formats.markdown(paper_table(summaries))]
        parts += [paper.HARDWARE_NOTE, paper.SIZE_NOTE]
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


def _markdown_list(sentences: Iterable[object]) -> str:
    return "\n".join(f"- {markdown_text(str(sentence))}" for sentence in sentences)
