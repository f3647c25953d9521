"""Pictures of how the training went: the loss, and who ran what when.

Loads matplotlib.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from orchestrator.jobs import Ending, Stage
from orchestrator.report import theme, wording
from orchestrator.report.history import History, Turn
from orchestrator.report.svg import WIDTH, Figure, make_figure
from orchestrator.report.trainings import TrainingRun


def loss(trainings: Sequence[TrainingRun], colours: Mapping[str, str]) -> Figure | None:
    known = [run for run in trainings if run.losses]
    if not known:
        return None

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for run in known:
            axes.plot(
                *zip(*run.losses, strict=True),
                color=colours[run.model],
                marker="o",
                markersize=3,
                linewidth=1.4,
            )
        for model in dict.fromkeys(run.model for run in known):
            axes.plot([], [], color=colours[model], label=model)
        canvas.legend(loc="outside upper left", ncols=3, labelcolor="linecolor", handlelength=1.2)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
        axes.set(xlabel="Optimizer step", ylabel="Training loss")
        axes.grid()

    facts = (f"{run.model}, seed {run.seed}: {run.losses[-1][1]:.3f} at step {run.losses[-1][0]:,}" for run in known)
    return make_figure(
        "loss",
        "Training loss by optimizer step",
        "One line per model and seed, a point at the end of each visit (the mean, where shards are trained at once). "
        f"{'; '.join(facts)}.",
        (WIDTH, 3.2),
        paint,
    )


def timeline(history: History, colours: Mapping[str, str]) -> Figure | None:
    if not history.turns:
        return None
    rows = {worker: row for row, worker in enumerate(history.workers)}
    start = history.start or 0.0
    unit, label = _time_unit((history.end or start) - start)

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for turn in history.turns:
            _turn(
                axes,
                rows[turn.worker],
                turn,
                (turn.started - start) / unit,
                (turn.stopped - start) / unit,
                colours,
            )
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(f"{label} since {wording.moment(start)}")
        axes.grid(axis="x")
        _timeline_legend(canvas, axes, history, colours)

    deaths = (f"{turn.worker} during {turn.job} at step {turn.to_step:,}" for turn in history.deaths)
    return make_figure(
        "timeline",
        "Who ran what, and when",
        f"{wording.counted(len(history.turns), 'attempt')} by {wording.listed(history.workers)}. "
        + (f"Deaths: {'; '.join(deaths)}." if history.deaths else "No worker died."),
        (2 * WIDTH, 1.15 + 0.36 * len(rows)),
        paint,
    )


def _turn(axes: Axes, row: int, turn: Turn, start: float, stop: float, colours: Mapping[str, str]) -> None:
    training = turn.stage is Stage.TRAIN
    axes.barh(
        row,
        stop - start,
        left=start,
        height=0.6 if training else 0.3,
        color=colours.get(turn.model, theme.QUIET.light),
        # A line of ground between two jobs in a row.
        edgecolor=theme.GROUND.light,
        linewidth=0.8,
        alpha=1.0 if turn.outcome is Ending.DONE else 0.55,
    )
    if turn.died:
        axes.plot(
            stop,
            row,
            "X",
            color=theme.ALARM.light,
            markersize=10,
            markeredgecolor=theme.GROUND.light,
            zorder=3,
        )


def _timeline_legend(canvas: Canvas, axes: Axes, history: History, colours: Mapping[str, str]) -> None:
    for model in sorted({turn.model for turn in history.turns}):
        axes.plot([], [], color=colours.get(model, theme.QUIET.light), linewidth=7, label=model)
    if history.deaths:
        axes.plot([], [], "X", color=theme.ALARM.light, linestyle="none", markersize=8, label="worker died")
    canvas.legend(loc="outside upper left", ncols=5, handlelength=1.2)


def _time_unit(seconds: float) -> tuple[float, str]:
    if seconds > 3 * 3600:
        return 3600.0, "Hours"
    return (60.0, "Minutes") if seconds > 180 else (1.0, "Seconds")
