"""One palette for figures and page, in light and dark, and the figures' type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
)
PALETTE = (GROUND, INK, QUIET, RULE, ALARM, *SERIES)

MATPLOTLIB: dict[Any, Any] = {
    # Ids in the file come from this and not from a clock or a random number.
    "svg.hashsalt": "orch",
    # Text stays text: it can be read aloud, searched, and takes the page's type.
    "svg.fonttype": "none",
    # A device's name may hold a dollar sign.
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK.light,
    "axes.facecolor": "none",
    "axes.edgecolor": RULE.light,
    "axes.labelcolor": QUIET.light,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titlecolor": QUIET.light,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "figure.facecolor": GROUND.light,
    "figure.constrained_layout.hspace": 0.06,
    "grid.color": RULE.light,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "xtick.color": RULE.light,
    "xtick.labelcolor": QUIET.light,
    "ytick.color": RULE.light,
    "ytick.labelcolor": INK.light,
    "ytick.major.size": 0,
}


def stylesheet() -> str:
    """The palette as CSS variables: light, and dark where the reader's system asks for it."""
    light = " ".join(f"--{colour.name}: {colour.light};" for colour in PALETTE)
    dark = " ".join(f"--{colour.name}: {colour.dark};" for colour in PALETTE)
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
