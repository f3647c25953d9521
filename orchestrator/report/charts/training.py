"""The training loss of every model by step, coloured by the worker that trained each stretch; deaths are marked."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from orchestrator.report import theme, wording
from orchestrator.report.charts import style
from orchestrator.report.charts.chart import Chart, Spec, Table
from orchestrator.report.charts.thinning import thinned
from orchestrator.report.trainings import TrainingRun

_HEIGHT = 120
_MOST_POINTS = 240
"""Of one training in the picture: more than there are pixels in its width tell nothing more."""
_MOST_TOLD = 40
"""Of one training in the table."""
_LEAST_SPAN = 0.02
"""Of loss that a panel shows at least: a single point has no distance to be drawn to."""
_MOST_DOTS = 60
"""A training of so many visits or fewer shows each of them as a dot."""
_MOST_NAMED = 9
"""So many workers have a legend; of more, hovering and the table tell, and colours come again."""
_MOST_LOSS = 1e12
"""A training that has gone further astray leaves no axis on which the others can be read."""
_NOT_KNOWN = "not known"


@dataclass(frozen=True)
class _Visit:
    """The end of a visit, or of several that end at one step."""

    step: int
    loss: float
    worker: str


def training(runs: Sequence[TrainingRun], workers: Sequence[str], colours: Mapping[str, str]) -> Chart | None:
    """None where no finished visit told a loss.

    Args:
        workers: every worker of the study, by first appearance.
    """
    drawable = (replace(run, losses=tuple(each for each in run.losses if abs(each[1]) < _MOST_LOSS)) for run in runs)
    known = [run for run in drawable if run.losses]
    if not known:
        return None
    visits = {(run.model, run.seed): _visits(run) for run in known}
    trained = {visit.worker for each in visits.values() for visit in each}
    everybody = theme.worker_colours(list(dict.fromkeys([*workers, *sorted(trained)])))
    here = {worker: colour for worker, colour in everybody.items() if worker in trained}
    last = max(run.losses[-1][0] for run in known)
    panels = [
        _panel(model, list(of_model), visits, here, colours[model], last)
        for model, of_model in groupby(known, key=lambda run: run.model)
    ]
    panels[-1]["encoding"]["x"]["axis"] = {"title": "Training step", "tickCount": 6, "format": ",d"}
    if len(here) <= _MOST_NAMED:
        style.filter_by("worker", panels[0]["layer"][0])
    ends = (f"{run.model}, seed {run.seed}: {run.losses[-1][1]:.3f} at step {run.losses[-1][0]:,}" for run in known)
    deaths = sum(len(run.deaths) for run in known)
    return Chart(
        kind="loss",
        name="loss",
        title="Training loss by step, and who trained",
        description=f"{'; '.join(ends)}. {wording.counted(deaths, 'death')} of workers in between.",
        spec=style.document({"vconcat": panels}),
        table=_table(known, visits),
        note="A line for each seed, coloured by the worker that trained the stretch"
        + (", and a cross where one died and another went on." if deaths else "."),
    )


def _visits(run: TrainingRun) -> list[_Visit]:
    """All of them, or those that show the curve, the ends of each worker's stretches among them."""
    workers = dict(run.workers)
    every = [_Visit(step, loss, _who(workers.get(step, ()))) for step, loss in run.losses]
    turns = [place for place in range(1, len(every)) if every[place].worker != every[place - 1].worker]
    keep = {place for turn in turns for place in (turn - 1, turn)} if len(turns) < _MOST_POINTS // 3 else set()
    return [every[place] for place in thinned([visit.loss for visit in every], _MOST_POINTS, keep)]


def _who(workers: Sequence[str]) -> str:
    if not workers:
        return _NOT_KNOWN
    return wording.listed(workers) if len(workers) <= 2 else f"{len(workers)} workers at once"


def _panel(
    model: str,
    runs: Sequence[TrainingRun],
    visits: Mapping[tuple[str, int], Sequence[_Visit]],
    workers: Mapping[str, str],
    colour: str,
    last: int,
) -> Spec:
    of_runs = [(run, visits[run.model, run.seed]) for run in runs]
    lines = [line for run, each in of_runs for line in _stretches(run, each)]
    dotted = all(len(each) <= _MOST_DOTS for _, each in of_runs)
    deaths = [death for run, each in of_runs for death in _deaths(run, each)]
    heights = style.span([line["loss"] for line in lines], 0.06, _LEAST_SPAN)
    color = {
        "field": "worker",
        "type": "nominal",
        "scale": style.colour_scale(workers),
        "legend": {"symbolType": "stroke", "columns": 5, "labelLimit": 80} if len(workers) <= _MOST_NAMED else None,
    }
    told = [
        *style.hover(seed="Seed", worker="Worker"),
        style.quantity("step", title="Step", format=",d"),
        style.quantity("loss", title="Loss", format=".3f"),
    ]
    opacity = {"opacity": style.filtered()} if len(workers) <= _MOST_NAMED else {}
    y = style.quantity(
        "loss",
        scale={"domain": heights, "zero": False, "nice": False},
        axis={"title": "Loss", "tickCount": 4, "minExtent": 40, "maxExtent": 40},
    )
    return {
        "title": style.heading(model, colour),
        "data": style.values(lines),
        "width": style.WIDTH - 46,
        "height": _HEIGHT,
        "encoding": {
            "x": style.quantity(
                "step",
                scale={"domain": [0, last], "nice": False},
                axis={"labels": False, "title": None, "tickCount": 6},
            )
        },
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 1.8, "strokeJoin": "round"},
                "encoding": {"y": y, "color": color, "detail": {"field": "stretch"}, **opacity},
            },
            {
                "transform": [{"filter": "datum.dot" if dotted else "false"}],
                "mark": {"type": "point", "filled": True, "size": 26, "opacity": 1},
                "encoding": {"y": style.quantity("loss"), "color": color, "tooltip": told, **opacity},
            },
            {
                "data": style.values(deaths),
                "mark": {
                    "type": "point",
                    "shape": style.CROSS,
                    "size": 90,
                    "filled": True,
                    "opacity": 1,
                    "color": theme.ALARM.light,
                    "stroke": theme.GROUND.light,
                    "strokeWidth": 1,
                },
                "encoding": {
                    "y": style.quantity("loss"),
                    "tooltip": style.hover(what="What", worker="Worker", seed="Seed", step_said="Step"),
                },
            },
        ],
    }


def _stretches(run: TrainingRun, visits: Sequence[_Visit]) -> Iterator[Spec]:
    """The points of a run's lines, a line for each worker's stretch; one begins where the one before ends."""
    before: _Visit | None = None
    for number, (_, group) in enumerate(groupby(visits, key=lambda visit: visit.worker)):
        stretch = list(group)
        for visit in [before, *stretch] if before else stretch:
            yield {
                "seed": str(run.seed),
                "stretch": f"{run.seed}.{number}",
                "worker": stretch[0].worker,
                "step": visit.step,
                "loss": style.short(visit.loss),
                "dot": visit is not before,
            }
        before = stretch[-1]


def _deaths(run: TrainingRun, visits: Sequence[_Visit]) -> Iterator[Spec]:
    """Each on the line between the visits around it."""
    for death in run.deaths:
        after = min(bisect_left([visit.step for visit in visits], death.step), len(visits) - 1)
        right, left = visits[after], visits[max(0, after - 1)]
        share = (death.step - left.step) / (right.step - left.step) if right.step > left.step else 1.0
        yield {
            "what": "Died",
            "worker": death.worker,
            "seed": str(run.seed),
            "step": death.step,
            "loss": left.loss + min(1.0, max(0.0, share)) * (right.loss - left.loss),
            "step_said": f"{death.step:,}",
        }


def _table(runs: Sequence[TrainingRun], visits: Mapping[tuple[str, int], Sequence[_Visit]]) -> Table:
    """Every visit of short trainings; of long ones those that show the curve."""
    rows: list[tuple[str, ...]] = []
    for run in runs:
        each = visits[run.model, run.seed]
        told = [each[place] for place in thinned([visit.loss for visit in each], _MOST_TOLD)]
        ends = [(visit.step, (f"{visit.loss:.3f}", visit.worker)) for visit in told]
        deaths = [(death.step, ("died", death.worker)) for death in run.deaths]
        rows += [
            (run.model, str(run.seed), f"{step:,}", *what)
            for step, what in sorted([*ends, *deaths], key=lambda entry: entry[0])
        ]
    return Table(("Model", "Seed", "Step", "Loss", "Worker"), tuple(rows))
