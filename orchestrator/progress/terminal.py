"""A snapshot of a study on the terminal: wide, narrow, in colour or without, and no longer than the screen is high.

What is said stands in `orchestrator.progress.wording`; this is where it goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, takewhile

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.foreign_text import single_line
from orchestrator.jobs import Job, JobState
from orchestrator.progress import wording
from orchestrator.progress.durations import duration
from orchestrator.progress.summary import ModelProgress, Snapshot, WorkerProgress
from orchestrator.report.wording import counted

_STYLES = {
    JobState.DONE: "green",
    JobState.RUNNING: "cyan",
    JobState.READY: "default",
    JobState.BLOCKED: "dim",
    JobState.QUARANTINED: "bold red",
    JobState.CANCELLED: "dim strike",
}

_MOST_PROBLEMS = 12
_FEWEST = 2
"""So many entries of a list are shown though the screen is too low for them."""
_ANY_WIDTH = 10_000


class StatusView:
    """What needs a person goes first, then models, stages and workers.

    Each list is a table with as much as fits the width, or a few lines for each entry where no table fits.  Where the
    height is known, as on a full screen, the lists are cut to it, and what was left out is counted.
    """

    def __init__(self, snapshot: Snapshot, note: str = "") -> None:
        self._snapshot = snapshot
        self._note = note

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        seen, height = self._snapshot, options.height
        above = [*self._above(console, options)]
        yield from above
        if not seen.workers:
            return
        here = seen.here
        lines = None if height is None else height - _lines(Group(*above), console, options)
        yield ""
        yield from _workers(here, len(seen.workers) - len(here), lines, console, options)

    def _above(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """All but the workers."""
        seen, height = self._snapshot, options.height
        yield _headline(seen, options.max_width)
        if self._note:
            yield Text(self._note, style="yellow")
        yield from _problems(seen.problems, None if height is None else height // 5, console, options)
        if seen.models:
            yield ""
            yield from _models(seen.models, None if height is None else height // 3, console, options)
        if seen.stages:
            yield ""
            yield _stages(seen, options.max_width)


def render(snapshot: Snapshot, note: str = "") -> RenderableType:
    """Counts, then what needs a person, then models and workers.

    Args:
        note: what is to be said of this look itself, in a line.
    """
    return StatusView(snapshot, note)


def render_jobs(jobs: Sequence[Job]) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for heading in ("job", "state", "attempts", "worker"):
        table.add_column(heading, overflow="fold")
    for job in jobs:
        table.add_row(
            job.name, Text(job.state, style=_STYLES[job.state]), str(job.attempts), Text(single_line(job.worker or ""))
        )
    return table


def _lines(shown: RenderableType, console: Console, options: ConsoleOptions) -> int:
    """How many lines it takes."""
    return len(console.render_lines(shown, options.update(height=None), pad=False))


def _room(
    entries: Sequence[RenderableType], lines: int | None, console: Console, options: ConsoleOptions
) -> Sequence[RenderableType]:
    """As many entries as so many lines have room for, and two in any case."""
    if lines is None:
        return entries
    filled = accumulate(_lines(entry, console, options) for entry in entries)
    return entries[: max(_FEWEST, sum(1 for _ in takewhile(lines.__ge__, filled)))]


def _widest(variants: Iterable[Table], console: Console, options: ConsoleOptions) -> Table | None:
    """The first of some tables that needs no more than there is."""
    anywhere = options.update_width(_ANY_WIDTH)
    fitting = (each for each in variants if Measurement.get(console, anywhere, each).maximum <= options.max_width)
    return next(fitting, None)


def _flow(pieces: Sequence[Text], width: int) -> Text:
    """Pieces beside each other, and below each other where there is no room: none is torn apart."""
    flow, used = Text(), 0
    for piece in pieces:
        if used and used + 2 + piece.cell_len > width:
            flow.append("\n")
            used = 0
        flow.append("  " if used else "").append_text(piece)
        used += piece.cell_len + (2 if used else 0)
    return flow


def _headline(snapshot: Snapshot, width: int) -> Text:
    pieces = [Text(snapshot.study, style="bold"), Text(wording.done(snapshot))]
    pieces += [Text(told, style=_STYLES[state]) for state, told in wording.open_counts(snapshot.counts)]
    if left := wording.left(snapshot):
        pieces.append(Text(left, style="green" if snapshot.is_over else ""))
    return _flow(pieces, width)


def _problems(
    problems: Sequence[str], lines: int | None, console: Console, options: ConsoleOptions
) -> Iterator[RenderableType]:
    shown = _room([*map(_problem, problems[:_MOST_PROBLEMS])], lines, console, options)
    yield from shown
    if len(problems) > len(shown):
        yield Text(f"! and {counted(len(problems) - len(shown), 'problem')} more: orch status --json", style="red")


def _problem(problem: str) -> RenderableType:
    pieces = wording.parts(single_line(problem))
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_column(width=1)
    line.add_column(overflow="fold")
    sentence = Text.assemble(*((piece, "bold cyan" if is_command else "red") for piece, is_command in pieces))
    line.add_row(Text("!", style="bold red"), sentence)
    return line


def _models(
    models: Sequence[ModelProgress], lines: int | None, console: Console, options: ConsoleOptions
) -> Iterator[RenderableType]:
    one_line_each = models if lines is None else models[: max(_FEWEST, lines - 2)]
    variants = (_model_table(one_line_each, bar, with_pace=with_pace) for bar, with_pace in _MODEL_TABLES)
    table = _widest(variants, console, options)
    if table is not None:
        yield table
        hidden = len(models) - len(one_line_each)
    else:
        shown = _room([_model_in_lines(model, options.max_width) for model in models], lines, console, options)
        yield from shown
        hidden = len(models) - len(shown)
    if hidden:
        yield Text(f"and {counted(hidden, 'model')} more", style="dim")


_MODEL_TABLES = ((24, True), (12, True), (24, False), (12, False))
"""From the widest on: how wide a bar is, and whether it is told what the time left rests on."""


def _model_table(models: Sequence[ModelProgress], bar: int, *, with_pace: bool) -> Table:
    table = _table(("model", ""), ("steps", "loss", "top-1", "left"), ("at a pace of",) if with_pace else ())
    for model in models:
        cells: list[RenderableType] = [
            model.name,
            _bar(model, bar),
            f"{model.step:,} / {model.steps:,}",
            wording.loss(model),
            wording.accuracy(model),
            wording.time_left(model),
        ]
        table.add_row(*cells, *([Text(wording.pace(model), style="dim")] if with_pace else []))
    return table


def _model_in_lines(model: ModelProgress, width: int) -> RenderableType:
    known = [f"{model.step:,} / {model.steps:,}"]
    known += [f"loss {wording.loss(model)}"] if model.loss is not None else []
    known += [f"top-1 {wording.accuracy(model)}"] if model.top1 is not None else []
    pace = wording.pace(model)
    return Group(
        _ends(Text(model.name, style="bold"), Text(wording.time_left(model))),
        _ends(_bar(model, max(4, width - 5)), Text(f"{100 * model.share:.0f}%")),
        _figures(known, width),
        *([Text(pace, style="dim")] if pace else []),
    )


def _ends(left: RenderableType, right: RenderableType) -> Table:
    """Something at either end of a line."""
    line = Table.grid(expand=True)
    line.add_column(ratio=1, overflow="fold")
    line.add_column(justify="right", no_wrap=True)
    line.add_row(left, right)
    return line


def _bar(model: ModelProgress, width: int) -> ProgressBar:
    return ProgressBar(
        total=max(1, model.steps), completed=model.step, width=width, complete_style="cyan", finished_style="green"
    )


def _stages(snapshot: Snapshot, width: int) -> RenderableType:
    done = {stage: _done_of_stage(counts) for stage, counts in snapshot.stages.items()}
    left = width - max(map(len, done)) - max(text.cell_len for text in done.values()) - 4
    lines = Table.grid(padding=(0, 2, 0, 0))
    for side in ("left", "right", "left"):
        lines.add_column(justify="right" if side == "right" else "left")
    for stage, counts in snapshot.stages.items():
        others = [Text(told, style=_STYLES[state]) for state, told in wording.open_counts(counts)]
        lines.add_row(str(stage), done[stage], _flow(others, left))
    return lines


def _done_of_stage(counts: Counter[JobState]) -> Text:
    asked = wording.asked(counts)
    return Text(f"{counts[JobState.DONE]:,} of {asked:,}", style="green" if counts[JobState.DONE] == asked else "")


def _workers(
    workers: Sequence[WorkerProgress], gone: int, lines: int | None, console: Console, options: ConsoleOptions
) -> Iterator[RenderableType]:
    """Those who are here, as many as there are lines for; of the others how many there are."""
    lines = None if lines is None else lines - 2  # an empty line above, and what was left out below
    one_line_each = workers if lines is None else workers[: max(_FEWEST, lines - 1)]
    table = _widest((_worker_table(one_line_each, more) for more in (2, 1, 0)), console, options)
    hidden = len(workers) - len(one_line_each)
    if table is not None:
        yield from [table] if workers else []
    else:
        shown = _room([_worker_in_lines(worker, options.max_width) for worker in workers], lines, console, options)
        yield from shown
        hidden = len(workers) - len(shown)
    told = [f"and {counted(hidden, 'worker')} more"] if hidden else []
    told += [f"{counted(gone, 'other worker')} {'was' if gone == 1 else 'were'} heard of before"] if gone else []
    if told:
        yield Text("; ".join(told), style="dim")


def _worker_table(workers: Sequence[WorkerProgress], more: int) -> Table:
    """`more` is for so many columns beyond what everybody wants to know."""
    ends = any(worker.seconds_left is not None for worker in workers)
    figures = ("step", "images/s", "heard of", *(("ends in",) if ends else ()))
    table = _table(("worker", "job"), figures, ("device", "host")[:more])
    for worker in workers:
        cells: list[RenderableType] = [
            _foreign(worker.name),
            _job(worker),
            wording.job_progress(worker),
            wording.rate(worker),
            Text(f"{duration(worker.last_seen_seconds)} ago", style="red" if worker.is_lost else ""),
        ]
        cells += [duration(worker.seconds_left)] if ends else []
        table.add_row(*cells, *[_foreign(worker.device), _foreign(worker.host)][:more])
    return table


def _worker_in_lines(worker: WorkerProgress, width: int) -> RenderableType:
    heard = Text(f"{duration(worker.last_seen_seconds)} ago", style="red" if worker.is_lost else "")
    rate, ends = wording.rate(worker), worker.seconds_left
    known = [wording.job_progress(worker), f"{rate} images/s" if rate else ""]
    known += [f"ends in {duration(ends)}"] if ends is not None else []
    below = Group(_job(worker), *([_figures(known, width - 2)] if any(known) else []))
    return Group(_ends(_foreign(worker.name), heard), Padding(below, (0, 0, 0, 2)))


def _figures(words: Iterable[str], width: int) -> Text:
    return _flow([Text(word, style="dim") for word in words if word], width)


def _job(worker: WorkerProgress) -> Text:
    return Text(worker.job, overflow="fold") if worker.job else Text("no job", style="dim")


def _foreign(text: str) -> Text:
    """As Text: a host's name must not be read as rich's markup."""
    return Text(single_line(text), overflow="fold")


def _table(left: Sequence[str], right: Sequence[str], last: Sequence[str]) -> Table:
    """A table without lines; what stands in the middle are figures."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in (*left, *right, *last):
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    return table
