"""The median time of a call of every row of a bench, by batch and by threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle, groupby, islice

from orchestrator.report import theme, wording
from orchestrator.report.charts import style
from orchestrator.report.charts.chart import Chart, Spec, Table
from orchestrator.report.rows import Bench
from orchestrator.report.summaries import Summary, Timing
from orchestrator.report.tradeoffs import is_drawable

_SHAPES = ("circle", "diamond", "triangle-up", "square", "cross", "triangle-down")
_MOST_LINEAR = 25
"""So many times the quickest the slowest may be before an axis from zero says nothing of the quick ones."""
_FIGURE = 42
"""Pixels for one figure at the right."""
_FIGURES_SHOWN = 3
"""So many numbers of threads have their figures at the right; of more, hovering and the table tell."""


def latency(number: str, bench: Bench, summaries: Sequence[Summary], colours: Mapping[str, str]) -> Chart | None:
    """None where nothing was timed."""
    drawable = (replace(each, timings=tuple(t for t in each.timings if is_drawable(t.p50))) for each in summaries)
    timed = [summary for summary in drawable if summary.timings]
    if not timed:
        return None
    threads = sorted({timing.threads for summary in timed for timing in summary.timings})
    batches = sorted({timing.batch for summary in timed for timing in summary.timings})
    names = style.names_width(each.method for each in timed)
    blocks = [_block(batch, timed, threads, colours, names) for batch in batches]
    if len(threads) > 1:
        style.filter_by("threads", blocks[0]["vconcat"][0]["layer"][1])
    return Chart(
        kind="latency",
        name=f"latency{number}",
        title="Latency by batch size and threads",
        description=f"Median milliseconds of a call on {bench}. "
        + " ".join(_fastest(batch, timed) for batch in batches),
        spec=style.document({"vconcat": blocks, "spacing": 26}),
        table=_table(timed),
        bench=bench,
        note="Further left is quicker; a line joins what one network takes with different numbers of threads. "
        "Each batch size has its own scale.",
    )


def _fastest(batch: int, timed: Sequence[Summary]) -> str:
    quickest, timing = min(
        ((each, timing) for each in timed for timing in each.timings if timing.batch == batch),
        key=lambda pair: pair[1].p50,
    )
    return (
        f"Batch {batch}: the quickest is {quickest.name} with {wording.milliseconds(timing.p50)} ms and "
        f"{wording.counted(timing.threads, 'thread')}."
    )


def _block(
    batch: int, timed: Sequence[Summary], threads: Sequence[int], colours: Mapping[str, str], names: int
) -> Spec:
    """All models with one batch size."""
    measured = [each for each in timed if any(timing.batch == batch for timing in each.timings)]
    every = [timing.p50 for each in measured for timing in each.timings if timing.batch == batch]
    shown = len(threads) <= _FIGURES_SHOWN
    panels = [
        _panel(model, [_lines(each, batch) for each in rows], colours, threads, every, names, shown)
        for model, rows in groupby(measured, key=lambda each: each.model)
    ]
    axis = panels[-1]["layer"][1]["encoding"]["x"]["axis"]
    del axis["labels"]
    axis["title"] = f"Median milliseconds of a call of {wording.counted(batch, 'image')}" + _scale_words(every)
    counts = f"{' / '.join(map(str, threads))} {'thread' if threads == [1] else 'threads'}"
    heading = f"Batch {batch}: milliseconds with {counts}" if shown else f"Batch {batch}"
    return {"title": {"text": heading, "fontWeight": "normal"}, "vconcat": panels}


def _scale_words(every: Sequence[float]) -> str:
    return ", logarithmic" if max(every) > _MOST_LINEAR * min(every) else ""


def _lines(summary: Summary, batch: int) -> list[Spec]:
    """A line of the list: one mark for each number of threads."""
    timings = [timing for timing in summary.timings if timing.batch == batch]
    figures = " / ".join(wording.milliseconds(timing.p50) for timing in timings)
    return [
        {
            "model": summary.model,
            "method": summary.method,
            "threads": str(timing.threads),
            "p50": style.short(timing.p50),
            "figures": figures if timing is timings[0] else "",
            "batch": str(batch),
            **_percentiles(timing),
        }
        for timing in timings
    ]


def _percentiles(timing: Timing) -> dict[str, str]:
    return {
        f"{name}_said": wording.MISSING if value is None else f"{wording.milliseconds(value)} ms"
        for name, value in (("p50", timing.p50), ("p90", timing.p90), ("p99", timing.p99))
    }


def _panel(
    model: str,
    lines: Sequence[Sequence[Spec]],
    colours: Mapping[str, str],
    threads: Sequence[int],
    every: Sequence[float],
    names: int,
    shown: bool,
) -> Spec:
    figures = _FIGURE * len(threads) + 8 if shown else 8
    y = style.line_of("method", names)
    x: Spec = {"scale": {"domain": [0, max(every) * 1.04], "nice": False}}
    ticks: Spec = {"tickCount": 5}
    if _scale_words(every):
        low, high = style.log_span(every)
        x = {"scale": {"type": "log", "domain": [low, high], "nice": False}}
        ticks = {"values": style.log_ticks(low, high), "labelExpr": "format(datum.value, '~g')"}
    told = style.hover(
        model="Model", method="Method", batch="Batch", threads="Threads", p50_said="p50", p90_said="p90", p99_said="p99"
    )
    shapes = {"domain": [str(each) for each in threads], "range": list(islice(cycle(_SHAPES), len(threads)))}
    return {
        "title": style.heading(model, colours[model]),
        "data": style.values([line for each in lines for line in each]),
        "width": style.WIDTH - names - figures,
        "height": {"step": style.ROW},
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 1.4, "color": colours[model], "opacity": 0.55},
                "encoding": {
                    "y": y,
                    "x": style.quantity("p50", **x),
                    "detail": {"field": "method"},
                    "order": {"field": "p50"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 48, "opacity": 1},
                "encoding": {
                    "y": y,
                    "x": style.quantity("p50", axis={"labels": False, "title": None, **ticks}, **x),
                    "color": style.model_colour(colours),
                    "shape": {
                        "field": "threads",
                        "type": "nominal",
                        "scale": shapes,
                        "legend": None if len(threads) < 2 else _legend(),
                    },
                    **({"opacity": style.filtered()} if len(threads) > 1 else {}),
                    "tooltip": told,
                },
            },
            *(
                [
                    {
                        "mark": {"type": "text", "align": "right", "dx": figures - 8},
                        "encoding": {"y": y, "x": {"value": "width"}, "text": {"field": "figures"}},
                    }
                ]
                if shown
                else []
            ),
        ],
    }


def _legend() -> Spec:
    label = "datum.label + (datum.label === '1' ? ' thread' : ' threads')"
    return {"labelExpr": label, "symbolFillColor": theme.QUIET.light, "symbolStrokeWidth": 0}


def _table(timed: Sequence[Summary]) -> Table:
    return Table(
        ("Model", "Method", "Batch", "Threads", "p50", "p90", "p99"),
        tuple(
            (each.model, each.method, str(timing.batch), str(timing.threads), *_percentiles(timing).values())
            for each in timed
            for timing in each.timings
        ),
    )
