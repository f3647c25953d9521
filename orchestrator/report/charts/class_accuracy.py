"""What compression did to the accuracy of single classes, a line for each method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from orchestrator.report import theme, wording
from orchestrator.report.charts import style
from orchestrator.report.charts.chart import Chart, Spec, Table
from orchestrator.report.classes import ClassCounts, Classes
from orchestrator.report.rows import Bench

_MOST_CLASSES = 20
"""With more of them those are shown that compression changed most."""
_FIGURES_FIT = 11
_SURE = 0.05
"""Below this p a change is coloured."""
_FULL = 0.12
"""The change of an accuracy that has the full colour."""


def class_accuracy(number: str, bench: Bench, classes: Classes, colours: Mapping[str, str]) -> Chart | None:
    """None where no method is known class by class beside float32."""
    here = (each for each in classes.networks if each.bench == bench)
    every = {model: list(group) for model, group in groupby(here, key=lambda each: each.model)}
    models = {model: networks for model, networks in every.items() if any(each.changes for each in networks)}
    if not models:
        return None
    shown = _shown([each for networks in models.values() for each in networks], len(classes.names))
    names = [classes.names[place] for place in shown]
    width = style.names_width(each.method for networks in models.values() for each in networks)
    panels = [
        _panel(model, networks, names, shown, colours[model], width, first=not place)
        for place, (model, networks) in enumerate(models.items())
    ]
    return Chart(
        kind="classes",
        name=f"classes{number}",
        title="What compression did to single classes",
        description=f"On {bench}. {_words(models, classes.names)}",
        spec=style.document({"vconcat": panels}),
        table=_table(models, names, shown),
        bench=bench,
        note="The first line of a model is float32's accuracy in each class, %; those below are the points that a "
        "method gained or lost. Blue is better and red is worse; only what McNemar's test tells from chance (p below "
        "0.05, in each class by itself) is coloured: of twenty colours one is chance."
        + (
            f" The {len(names)} classes of {len(classes.names)} that changed most are shown."
            if len(names) < len(classes.names)
            else ""
        ),
    )


def _shown(networks: Sequence[ClassCounts], count: int) -> list[int]:
    if count <= _MOST_CLASSES:
        return list(range(count))
    changed = [each.changes for each in networks if each.changes]
    most = [max(abs(changes[place].change) for changes in changed) for place in range(count)]
    return sorted(sorted(range(count), key=lambda place: -most[place])[:_MOST_CLASSES])


def _words(models: Mapping[str, Sequence[ClassCounts]], names: Sequence[str]) -> str:
    """The largest losses and gains that are no chance."""
    found = [
        (change.change, f"{model} as {each.method}: {names[place]} {wording.points(change.change)} points")
        for model, networks in models.items()
        for each in networks
        for place, change in enumerate(each.changes)
        if change.p < _SURE
    ]
    if not found:
        return "No change of a class can be told from chance."
    told = sorted(found, key=lambda pair: -abs(pair[0]))[:5]
    return "The largest changes: " + "; ".join(words for _, words in told) + "."


def _panel(
    model: str,
    networks: Sequence[ClassCounts],
    names: Sequence[str],
    shown: Sequence[int],
    colour: str,
    width: int,
    *,
    first: bool,
) -> Spec:
    cells = [cell for each in networks for cell in _cells(each, names, shown)]
    told = [
        *style.hover(model="Model", method="Method"),
        {"field": "class", "type": "nominal", "title": "Class"},
        *style.hover(accuracy="Right", change="Against float32", p="p"),
    ]
    figures = len(names) <= _FIGURES_FIT
    layers: list[Spec] = [
        {
            # Where there are figures they answer the pointer, and a cell without a colour is nothing.
            "transform": [{"filter": "datum.opacity > 0" if figures else "true"}],
            "mark": {"type": "rect", "stroke": theme.GROUND.light, "strokeWidth": 1},
            "encoding": {
                "fill": {
                    "condition": {"test": "datum.better", "value": theme.SERIES[0].light},
                    "value": theme.ALARM.light,
                },
                "fillOpacity": {"field": "opacity", "type": "quantitative", "scale": None},
                "tooltip": told,
            },
        }
    ]
    if figures:
        ink = {"condition": {"test": "datum.opacity > 0.55", "value": theme.GROUND.light}, "value": theme.INK.light}
        text = {"field": "figure", "type": "nominal"}
        layers.append(
            {
                "mark": {"type": "text", "fontSize": 10},
                "encoding": {"text": text, "color": ink, "tooltip": told},
            }
        )
    return {
        "title": style.heading(model, colour),
        "data": style.values(cells),
        "width": style.WIDTH - width - 24,
        "height": {"step": style.ROW},
        "encoding": {
            "y": style.line_of(
                "method", width, scale={"paddingInner": 0, "domain": [each.method for each in networks]}
            ),
            "x": {
                "field": "class",
                "type": "nominal",
                "scale": {"domain": list(names)},
                "axis": style.slanted_axis(70) if first else None,
            },
        },
        "layer": layers,
    }


def _cells(network: ClassCounts, names: Sequence[str], shown: Sequence[int]) -> Iterator[Spec]:
    accuracies = network.accuracies
    for name, place in zip(names, shown, strict=True):
        accuracy = accuracies[place]
        cell = {
            "model": network.model,
            "method": network.method,
            "class": name,
            "accuracy": wording.percent(accuracy),
            "opacity": 0.0,
            "better": False,
            "figure": wording.MISSING if accuracy is None else f"{100 * accuracy:.1f}",
            "change": wording.MISSING,
            "p": wording.MISSING,
        }
        if network.changes:
            change = network.changes[place]
            cell |= {
                "figure": wording.points(change.change) if change.change else "0",
                "change": f"{wording.points(change.change)} points",
                "p": wording.probability(change.p),
                "better": change.change > 0,
                "opacity": round(0.2 + 0.75 * min(1.0, abs(change.change) / _FULL), 3) if change.p < _SURE else 0.0,
            }
        yield cell


def _table(models: Mapping[str, Sequence[ClassCounts]], names: Sequence[str], shown: Sequence[int]) -> Table:
    return Table(
        ("Model", "Method", *names),
        tuple(
            (
                model,
                each.method,
                *(
                    f"{wording.percent(each.accuracies[place])} ({wording.points(each.changes[place].change)})"
                    if each.changes
                    else wording.percent(each.accuracies[place])
                    for place in shown
                ),
            )
            for model, networks in models.items()
            for each in networks
        ),
    )
