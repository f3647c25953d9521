"""Top-1 accuracy of every row of a bench with its 95 % interval, and each seed where there are several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from orchestrator.report import theme, wording
from orchestrator.report.charts import style
from orchestrator.report.charts.chart import Chart, Spec, Table
from orchestrator.report.comparison import Estimate, Spread
from orchestrator.report.rows import Bench
from orchestrator.report.summaries import Summary

_FIGURES = 56
"""Pixels for the figures at the right."""


def accuracy(number: str, bench: Bench, summaries: Sequence[Summary], colours: Mapping[str, str]) -> Chart | None:
    """None where no accuracy was measured."""
    measured = [(each, each.top1, each.top1_spread) for each in summaries if each.top1 and each.top1_spread]
    if not measured:
        return None
    several = any(len(spread.values) > 1 for _, _, spread in measured)
    domain = style.span([100 * end for _, top1, _ in measured for end in (top1.low, top1.high)], 0.04, 2.0)
    names = style.names_width(each.method for each, _, _ in measured)
    panels = [
        _panel(model, [_line(*each) for each in lines], colours[model], domain, names)
        for model, lines in groupby(measured, key=lambda each: each[0].model)
    ]
    panels[-1]["layer"][0]["encoding"]["x"]["axis"] = {"title": "Top-1, % of the test images", "tickCount": 6}
    facts = (f"{each.name} {wording.percent(top1.value)}" for each, top1, _ in measured)
    return Chart(
        kind="accuracy",
        name=f"accuracy{number}",
        title="Top-1 accuracy with 95% intervals",
        description=f"On {bench}: {'; '.join(facts)}.",
        spec=style.document({"vconcat": panels}),
        table=_table(measured, several),
        bench=bench,
        note="The line is the 95% interval: the accuracies that fit what was seen on this many test images"
        + (" and over the seeds, which are the small circles." if several else "."),
    )


def _line(summary: Summary, top1: Estimate, spread: Spread) -> Spec:
    return {
        "method": summary.method,
        "top1": style.short(100 * top1.value),
        "low": style.short(100 * top1.low),
        "high": style.short(100 * top1.high),
        "seeds": [style.short(100 * value) for value in spread.values] if len(spread.values) > 1 else [],
        "model": summary.model,
        "said": wording.percent(top1.value),
        "interval": _interval(top1),
        "by_seed": _seeds(spread),
    }


def _panel(model: str, lines: Sequence[Spec], colour: str, domain: tuple[float, float], names: int) -> Spec:
    x: Spec = {"scale": {"domain": domain, "nice": False, "zero": False}}
    quiet = {"labels": False, "title": None, "tickCount": 6}
    y = style.line_of("method", names)
    told = style.hover(model="Model", method="Method", said="Top-1", interval="95% interval", by_seed="Seeds")
    return {
        "title": style.heading(model, colour),
        "data": style.values(lines),
        "width": style.WIDTH - names - _FIGURES,
        "height": {"step": style.ROW},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 1.6, "color": colour},
                "encoding": {
                    "y": y,
                    "x": style.quantity("low", axis=quiet, **x),
                    "x2": {"field": "high"},
                    "tooltip": told,
                },
            },
            {
                "transform": [{"flatten": ["seeds"]}],
                "mark": {
                    "type": "point",
                    "size": 16,
                    "fill": theme.GROUND.light,
                    "stroke": theme.INK.light,
                    "strokeWidth": 0.9,
                },
                "encoding": {"y": y, "x": style.quantity("seeds"), "tooltip": told},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 42, "opacity": 1, "color": colour},
                "encoding": {"y": y, "x": style.quantity("top1"), "tooltip": told},
            },
            {
                "mark": {"type": "text", "align": "right", "dx": _FIGURES - 8},
                "encoding": {"y": y, "x": {"value": "width"}, "text": {"field": "said"}},
            },
        ],
    }


def _table(measured: Sequence[tuple[Summary, Estimate, Spread]], several: bool) -> Table:
    return Table(
        ("Model", "Method", "Top-1", "95% interval", *(["Each seed"] if several else [])),
        tuple(
            (
                each.model,
                each.method,
                wording.percent(top1.value, 2),
                _interval(top1),
                *([_seeds(spread)] if several else []),
            )
            for each, top1, spread in measured
        ),
    )


def _interval(top1: Estimate) -> str:
    return f"{100 * top1.low:.2f} to {wording.percent(top1.high, 2)}"


def _seeds(spread: Spread) -> str:
    """Every seed's accuracy, and the standard deviation where there is one."""
    each = ", ".join(f"{100 * value:.2f}" for value in spread.values)
    return each if spread.deviation is None else f"{each} (mean \N{PLUS-MINUS SIGN} {100 * spread.deviation:.2f})"
