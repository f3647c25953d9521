"""One palette for charts and page, in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Colour:
    """A role's colour on a light and on a dark ground; its name is the CSS variable's."""

    name: str
    light: str
    dark: str

    @property
    def variable(self) -> str:
        return f"var(--{self.name})"


GROUND = Colour("ground", "#fcfbf8", "#16181b")
INK = Colour("ink", "#1d2126", "#e9e7e2")
QUIET = Colour("quiet", "#5a626c", "#a3a9b1")
RULE = Colour("rule", "#dcdad4", "#34383d")
ALARM = Colour("alarm", "#b3261e", "#ff8f85")
SERIES = (
    Colour("series-1", "#1b5e9e", "#7fb5ee"),
    Colour("series-2", "#b0480f", "#f0a06a"),
    Colour("series-3", "#26754b", "#72c79b"),
    Colour("series-4", "#7446a6", "#c2a1ee"),
    Colour("series-5", "#9c2f66", "#ee8cb7"),
    Colour("series-6", "#686512", "#cfca68"),
    Colour("series-7", "#794e47", "#e2b0a7"),
    Colour("series-8", "#6e113a", "#d87495"),
    Colour("series-9", "#6c4302", "#d2a36c"),
    Colour("series-10", "#045a4f", "#76bcaf"),
    Colour("series-11", "#332f7e", "#8a8ee7"),
    Colour("series-12", "#591e66", "#bc7dca"),
    Colour("series-13", "#463600", "#a39160"),
    Colour("series-14", "#03435b", "#6aa1bd"),
    Colour("series-15", "#6c2000", "#d47f62"),
    Colour("series-16", "#895885", "#f5bdef"),
    Colour("series-17", "#124a01", "#71aa65"),
    Colour("series-18", "#4861dd", "#c9d7fd"),
    Colour("series-19", "#a939a3", "#fec0f7"),
    Colour("series-20", "#137c96", "#96e5ff"),
)
"""Told apart from each other and from the roles above by at least 0.08 in OKLab on the light ground."""
PALETTE = (GROUND, INK, QUIET, RULE, ALARM, *SERIES)


def colours_of(models: Sequence[str]) -> dict[str, str]:
    """The light colour of each model, by its place among the study's models: the same in every chart.

    From the twenty-first on colours come again; every chart names its models besides.
    """
    return {model: SERIES[place % len(SERIES)].light for place, model in enumerate(models)}


def worker_colours(workers: Sequence[str]) -> dict[str, str]:
    """The light colour of each worker: from the far end of the series, where few studies have a model."""
    return {worker: SERIES[-1 - place % len(SERIES)].light for place, worker in enumerate(workers)}


def on_page(colour: str) -> str:
    """A light colour of the palette as the page's variable, which is dark where the page is; any other as it is."""
    return _VARIABLES.get(colour, colour)


def stylesheet() -> str:
    """The palette as CSS variables: light, and dark where the reader's system asks for it."""
    light = " ".join(f"--{colour.name}: {colour.light};" for colour in PALETTE)
    dark = " ".join(f"--{colour.name}: {colour.dark};" for colour in PALETTE)
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"


_VARIABLES = {colour.light: colour.variable for colour in PALETTE}
