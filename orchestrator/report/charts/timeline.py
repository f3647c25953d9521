"""Who ran what when: a line for each worker, a bar for each attempt, deaths and the work that was done again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.jobs import Ending, Stage
from orchestrator.report import theme, wording
from orchestrator.report.charts import style
from orchestrator.report.charts.chart import Chart, Spec, Table
from orchestrator.report.history import History, Turn

_NAMES = 120
_MOST_BARS = 1500
"""So many bars of a thousand pixels' width can be told apart; attempts of one kind that follow each other join."""
_MOST_TOLD = 500
"""Attempts in the table."""
_DEATHS_SAID = 20
"""Deaths in the description."""
_FAINT = 0.5


@dataclass(frozen=True)
class _Bar:
    """An attempt, or several of one worker that follow each other closely and are of one kind."""

    worker: str
    model: str
    stage: Stage
    outcome: Ending | None
    jobs: tuple[str, int]
    """The first job's name, and how many attempts there are."""
    started: float
    stopped: float

    @property
    def kind(self) -> tuple[str, str, Stage, Ending | None]:
        return self.worker, self.model, self.stage, self.outcome


def timeline(history: History, colours: Mapping[str, str]) -> Chart | None:
    """None where nothing was begun."""
    start = history.start
    if start is None:
        return None
    length = (history.end or start) - start
    unit, word = _unit(length)
    bars = _bars(history.turns, length)
    clock = _Clock(start, unit)
    models = {model: colours.get(model, theme.QUIET.light) for model in sorted({bar.model for bar in bars})}
    step = style.ROW + 5 if len(history.workers) <= 24 else 14 if len(history.workers) <= 60 else 9
    deaths = (f"{turn.worker} during {turn.job} at step {turn.to_step:,}" for turn in history.deaths[:_DEATHS_SAID])
    more = len(history.deaths) - _DEATHS_SAID
    return Chart(
        kind="timeline",
        name="timeline",
        title="Who ran what, and when",
        description=f"{wording.counted(len(history.turns), 'attempt')} by "
        f"{wording.named(history.workers, 'worker')}. "
        + (f"Deaths: {'; '.join(deaths)}" if history.deaths else "No worker died")
        + (f"; and {more:,} more." if more > 0 else "."),
        spec=style.document(_spec(history, bars, clock, models, step, f"{word} since {wording.moment(start)}")),
        table=_table(history, clock),
        wide=True,
        note="Tall bars are training, low bars merging, compression and measurement; pale bars did not finish"
        + (", a cross is a worker's death, and red is work that another had to do again." if history.deaths else "."),
    )


@dataclass(frozen=True)
class _Clock:
    """Times from the study's first start."""

    start: float
    unit: float
    """Seconds of one on the axis."""

    def place(self, time: float) -> float:
        return round((time - self.start) / self.unit, 5)

    def said(self, time: float) -> str:
        return wording.duration(time - self.start)


def _unit(seconds: float) -> tuple[float, str]:
    if seconds > 3 * 86_400:
        return 86_400.0, "Days"
    if seconds > 3 * 3600:
        return 3600.0, "Hours"
    return (60.0, "Minutes") if seconds > 180 else (1.0, "Seconds")


def _bars(turns: Iterable[Turn], length: float) -> list[_Bar]:
    """Each turn; where they are too many, those of a kind are joined over gaps that grow until few enough are left."""
    bars = [_bar(turn) for turn in turns]
    gap = length / 2000
    while len(bars) > _MOST_BARS and 0 < gap <= length:
        bars = _joined(bars, gap)
        gap *= 2
    return bars


def _bar(turn: Turn) -> _Bar:
    return _Bar(turn.worker, turn.model, turn.stage, turn.outcome, (turn.job, 1), turn.started, turn.stopped)


def _joined(bars: Iterable[_Bar], gap: float) -> list[_Bar]:
    """Args:
    bars: by start.
    gap: seconds between two bars of a worker that may be joined.
    """
    done: list[_Bar] = []
    last: dict[str, int] = {}
    for bar in bars:
        place = last.get(bar.worker)
        before = None if place is None else done[place]
        if place is not None and before is not None and before.kind == bar.kind and bar.started - before.stopped <= gap:
            name, count = before.jobs
            done[place] = replace(before, jobs=(name, count + bar.jobs[1]), stopped=max(before.stopped, bar.stopped))
        else:
            last[bar.worker] = len(done)
            done.append(bar)
    return done


def _spec(
    history: History, bars: Sequence[_Bar], clock: _Clock, models: Mapping[str, str], step: int, axis: str
) -> Spec:
    end = max(clock.place(history.end or clock.start), 1e-9)
    names = style.names_width(history.workers, _NAMES)
    y = style.line_of("worker", names, scale={"domain": list(history.workers)})
    y["axis"]["labelOverlap"] = True
    x: Spec = {"scale": {"domain": [0, end], "nice": False}, "axis": {"title": axis, "tickCount": 10}}
    encoding: Spec = {
        "y": y,
        "x": style.quantity("start", **x),
        "x2": {"field": "stop"},
        "color": {
            "field": "model",
            "type": "nominal",
            "scale": style.colour_scale(models),
            "legend": {"columns": 5, "symbolType": "square"},
        },
        "opacity": style.filtered(),
        "fillOpacity": {"condition": {"test": "datum.whole", "value": 1}, "value": _FAINT},
        "tooltip": style.hover(worker="Worker", jobs="Job", began="Began after", lasted="Lasted", ended="Ended"),
    }
    tall, low = (
        {
            "transform": [{"filter": f"datum.training === {training}"}],
            "mark": {"type": "bar", "height": {"band": band}, "stroke": theme.GROUND.light, "strokeWidth": 0.6},
            "encoding": encoding,
        }
        for training, band in (("true", 0.78), ("false", 0.4))
    )
    style.filter_by("model", tall)
    return {
        "data": style.values([_shown(bar, clock) for bar in bars]),
        "width": style.WIDE - names - 16,
        "height": {"step": step},
        "layer": [tall, low, *_lost(history, clock, y)],
    }


def _shown(bar: _Bar, clock: _Clock) -> Spec:
    name, count = bar.jobs
    return {
        "worker": bar.worker,
        "model": bar.model,
        "start": clock.place(bar.started),
        "stop": clock.place(bar.stopped),
        "training": bar.stage is Stage.TRAIN,
        "whole": bar.outcome in (Ending.DONE, None),
        "jobs": name if count == 1 else f"{name} and {count - 1:,} more",
        "began": clock.said(bar.started),
        "lasted": wording.duration(bar.stopped - bar.started),
        "ended": _ended(bar.outcome),
    }


def _ended(outcome: Ending | None) -> str:
    return "worker died" if outcome is Ending.EXPIRED else outcome or "running"


def _lost(history: History, clock: _Clock, y: Spec) -> Iterator[Spec]:
    """What was done again, and the deaths."""
    repeated = [_repeated(turn, clock) for turn in history.turns if turn.repeated_steps]
    if repeated:
        yield {
            "data": style.values(repeated),
            "mark": {"type": "bar", "color": theme.ALARM.light, "height": {"band": 0.78}, "opacity": 0.85},
            "encoding": {
                "y": y,
                "x": style.quantity("start"),
                "x2": {"field": "stop"},
                "tooltip": style.hover(worker="Worker", job="Job", steps="Steps done again"),
            },
        }
    if history.deaths:
        yield {
            "data": style.values(
                [
                    {
                        "worker": turn.worker,
                        "at": clock.place(turn.stopped),
                        "job": turn.job,
                        "step": f"{turn.to_step:,}",
                        "waited": wording.duration(turn.waited),
                    }
                    for turn in history.deaths
                ]
            ),
            "mark": {
                "type": "point",
                "shape": style.CROSS,
                "size": 130,
                "filled": True,
                "opacity": 1,
                "color": theme.ALARM.light,
                "stroke": theme.GROUND.light,
                "strokeWidth": 1.2,
            },
            "encoding": {
                "y": y,
                "x": style.quantity("at"),
                "tooltip": style.hover(worker="Died", job="During", step="At step", waited="Until another went on"),
            },
        }


def _repeated(turn: Turn, clock: _Clock) -> Spec:
    """The end of a bar: as much of it as its steps that were done again are of all of its steps."""
    share = min(1.0, turn.repeated_steps / max(1, turn.to_step - turn.from_step))
    return {
        "worker": turn.worker,
        "job": turn.job,
        "start": clock.place(turn.stopped - share * (turn.stopped - turn.started)),
        "stop": clock.place(turn.stopped),
        "steps": f"{turn.repeated_steps:,}",
    }


def _table(history: History, clock: _Clock) -> Table:
    """Every attempt; where they are too many, those that did not end well, as far as there is room."""
    told = history.turns
    if len(told) > _MOST_TOLD:
        told = tuple(turn for turn in told if turn.outcome not in (Ending.DONE, None))[:_MOST_TOLD]
    return Table(
        ("Job", "Attempt", "Worker", "Device", "Began after", "Lasted", "Steps", "Done again", "Ended"),
        tuple(
            (
                turn.job,
                str(turn.number),
                turn.worker,
                turn.device,
                clock.said(turn.started),
                wording.duration(turn.stopped - turn.started),
                f"{turn.from_step:,} to {turn.to_step:,}" if turn.to_step else wording.MISSING,
                f"{turn.repeated_steps:,}" if turn.repeated_steps else wording.MISSING,
                _ended(turn.outcome),
            )
            for turn in told
        ),
        left_out=len(history.turns) - len(told),
    )
