"""What each model takes for what: the matrix of its reference, and what every method changed in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from orchestrator.report import theme, wording
from orchestrator.report.charts import style
from orchestrator.report.charts.chart import Chart, Spec, Table
from orchestrator.report.classes import ClassCounts, Classes

_MATRIX = 330
"""Pixels of a matrix, at most."""
_SMALL = 112
"""Pixels of one of the small matrices, at most; three stand beside each other."""
_NAMES = 84
_MOST_CLASSES = 20
"""With more of them cells are too small to be told apart: then the most frequent confusions are listed."""
_MOST_METHODS = 9
_MOST_CONFUSIONS = 20
_FIGURES_FIT = 11
"""So many classes or fewer leave room for figures in the cells."""


def confusions(classes: Classes, colours: Mapping[str, str]) -> Iterator[Chart]:
    """One for each model, of the first bench that measured it; none where no predictions tell the classes."""
    models: dict[str, list[ClassCounts]] = {}
    for _, group in groupby(classes.networks, key=lambda each: (each.bench, each.model)):
        networks = list(group)
        if len(classes.names) <= _MOST_CLASSES or _worst(networks[0]):
            models.setdefault(networks[0].model, networks)
    for number, (model, networks) in enumerate(models.items(), start=1):
        name = f"confusion-{number}" if len(models) > 1 else "confusion"
        yield _chart(name, classes.names, model, networks, colours[model])


def _chart(name: str, names: Sequence[str], model: str, networks: Sequence[ClassCounts], colour: str) -> Chart:
    reference = networks[0]
    # Counts are sums: those of other seeds cannot be held against each other.
    others = [each for each in networks[1:] if each.seeds == reference.seeds]
    changed = sorted(others, key=lambda each: -_moved(each, reference))[:_MOST_METHODS]
    shown = [each for each in others if each in changed]
    small = len(names) <= _MOST_CLASSES
    views = [_matrix(names, reference, colour) if small else _list(names, reference, colour)]
    if small and shown:
        views.append(_changes(names, reference, shown))
    left_out = len(others) - len(shown)
    facts = [_fact(*each, names, reference) for each in _worst(reference)[:5]]
    return Chart(
        kind="confusion",
        name=name,
        title=f"What {model} takes for what",
        description=f"{model} as {reference.method} on {reference.bench}: "
        + ("; ".join(facts) if facts else "no image is taken for another class")
        + ".",
        spec=style.document({"vconcat": views, "spacing": 22}),
        table=_table(names, reference),
        bench=reference.bench,
        note=f"A line is a class, a column what {reference.method} took its images for, in percent of the class."
        + (
            " Below, what each method changed: + and blue are better, − and red are worse, paler is fewer images."
            + (f" The {left_out} methods that changed least are left out." if left_out else "")
            if small and shown
            else ""
        ),
    )


def _moved(network: ClassCounts, reference: ClassCounts) -> int:
    return int(np.abs(network.counts - reference.counts).sum())


def _shares(network: ClassCounts) -> NDArray[np.float64]:
    """[C, C]: of each class, the share that was taken for each."""
    shares: NDArray[np.float64] = network.counts / np.maximum(network.images, 1)[:, None]
    return shares


def _matrix(names: Sequence[str], network: ClassCounts, colour: str) -> Spec:
    shares = _shares(network)
    cells = [
        {
            "is": names[row],
            "taken": names[column],
            "figure": f"{100 * shares[row, column]:.0f}" if shares[row, column] >= 0.005 else "",
            "opacity": _opacity(float(shares[row, column])),
            "strong": bool(shares[row, column] >= _STRONG),
            "said": f"{wording.percent(float(shares[row, column]))} ({network.counts[row, column]:,} images)",
        }
        for row in range(len(names))
        for column in range(len(names))
    ]
    step = min(32.0, _MATRIX / len(names))
    layers: list[Spec] = [
        {
            "mark": {"type": "rect", "color": colour, "stroke": theme.GROUND.light, "strokeWidth": 1},
            "encoding": {
                "fillOpacity": {"field": "opacity", "type": "quantitative", "scale": None},
                "tooltip": [
                    {"field": "is", "type": "nominal", "title": "Class"},
                    *style.hover(taken="Taken for", said="Images"),
                ],
            },
        }
    ]
    if len(names) <= _FIGURES_FIT:
        layers.append(
            {
                "mark": {"type": "text", "fontSize": 10},
                "encoding": {
                    "text": {"field": "figure", "type": "nominal"},
                    "color": {
                        "condition": {"test": "datum.strong", "value": theme.GROUND.light},
                        "value": theme.INK.light,
                    },
                },
            }
        )
    return {
        "title": {**style.heading(network.model, colour), "subtitle": f"{network.method}: images of a class, %"},
        "data": style.values(cells),
        "width": {"step": step},
        "height": {"step": step},
        "encoding": {
            "y": style.line_of("is", style.names_width(names, _NAMES), scale={"paddingInner": 0}),
            "x": {
                "field": "taken",
                "type": "nominal",
                "sort": None,
                "axis": style.slanted_axis(_NAMES),
            },
        },
        "layer": layers,
    }


_STRONG = 0.4
"""From this share on a cell is dark enough for light figures."""


def _opacity(share: float) -> float:
    """Of a cell: rare confusions can be seen, and its figure is legible."""
    return round(0.8 + 0.2 * share if share >= _STRONG else min(0.5, 1.6 * share), 3)


def _changes(names: Sequence[str], reference: ClassCounts, networks: Sequence[ClassCounts]) -> Spec:
    most = max(1, max(int(np.abs(each.counts - reference.counts).max()) for each in networks))
    step = min(12.0, _SMALL / len(names))
    return {
        "columns": 3,
        "spacing": 14,
        "concat": [_change(names, reference, each, step, most) for each in networks],
    }


def _change(names: Sequence[str], reference: ClassCounts, network: ClassCounts, step: float, most: int) -> Spec:
    change = network.counts - reference.counts
    cells = [
        {
            "is": names[row],
            "taken": names[column],
            "better": bool(better := (change[row, column] > 0) == (row == column)),
            "sign": "+" if better else "\N{MINUS SIGN}",
            "opacity": round(0.15 + 0.85 * abs(int(change[row, column])) / most, 3),
            "said": f"{network.counts[row, column]:,}, was {reference.counts[row, column]:,}",
        }
        for row, column in zip(*np.nonzero(change), strict=True)
    ]
    side = step * len(names)
    domain = list(names)
    return {
        "title": {
            "text": network.method,
            "fontWeight": "normal",
            "fontSize": 12,
            "limit": _SMALL,
            "frame": "group",
        },
        "data": style.values(cells),
        "width": side,
        "height": side,
        "view": {"stroke": theme.RULE.light},
        "encoding": {
            "y": {"field": "is", "type": "nominal", "scale": {"domain": domain}, "axis": None},
            "x": {"field": "taken", "type": "nominal", "scale": {"domain": domain}, "axis": None},
        },
        "layer": [
            {
                "mark": "rect",
                "encoding": {
                    "fill": {
                        "condition": {"test": "datum.better", "value": theme.SERIES[0].light},
                        "value": theme.ALARM.light,
                    },
                    "fillOpacity": {"field": "opacity", "type": "quantitative", "scale": None},
                    "tooltip": [
                        {"field": "is", "type": "nominal", "title": "Class"},
                        *style.hover(taken="Taken for", said="Images"),
                    ],
                },
            },
            {
                "mark": {"type": "text", "fontSize": 9},
                "encoding": {
                    "text": {"field": "sign", "type": "nominal"},
                    "color": {"value": theme.INK.light},
                },
            },
        ],
    }


def _worst(network: ClassCounts) -> list[tuple[int, int]]:
    """The most frequent confusions: class, and what it is taken for."""
    shares = _shares(network)
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    pairs = (divmod(int(place), len(shares)) for place in order)
    return [(row, column) for row, column in pairs if shares[row, column] > 0]


def _fact(row: int, column: int, names: Sequence[str], network: ClassCounts) -> str:
    return f"{wording.percent(float(_shares(network)[row, column]))} of {names[row]} is taken for {names[column]}"


def _list(names: Sequence[str], network: ClassCounts, colour: str) -> Spec:
    shares = _shares(network)
    lines = [
        {
            "pair": f"{names[row]} \N{RIGHTWARDS ARROW} {names[column]}",
            "share": 100 * float(shares[row, column]),
            "said": wording.percent(float(shares[row, column])),
        }
        for row, column in _worst(network)
    ]
    width = style.names_width((str(line["pair"]) for line in lines), 2 * style.WIDTH // 5)
    return {
        "title": {
            **style.heading(network.model, colour),
            "subtitle": f"{network.method}: the most frequent confusions",
        },
        "data": style.values(lines),
        "width": style.WIDTH - width - 16,
        "height": {"step": style.ROW},
        "mark": {"type": "bar", "color": colour, "height": {"band": 0.6}},
        "encoding": {
            "y": style.line_of("pair", width),
            "x": style.quantity("share", axis={"title": "% of the class", "tickCount": 5}),
            "tooltip": style.hover(pair="Class and guess", said="Of the class"),
        },
    }


def _table(names: Sequence[str], network: ClassCounts) -> Table:
    shares = _shares(network)
    np.fill_diagonal(shares, 0)
    rows = []
    for row, accuracy in enumerate(network.accuracies):
        most = int(shares[row].argmax())
        taken = f"{names[most]}, {wording.percent(float(shares[row, most]))}" if shares[row, most] else wording.MISSING
        rows.append((names[row], f"{network.images[row]:,}", wording.percent(accuracy), taken))
    return Table(("Class", "Test images", "Right", "Most often taken for"), tuple(rows))
