"""What a recipe gains: accuracy after the same number of images, for each change to the usual recipe of one network.

    ORCH_DATA=... python benchmarks/recipes.py [--architecture alexnet-tiny] [--images 250000] [--out DIR]

Plans a study of one network, a model for each recipe and three seeds of each, and has two workers do it.  Prints the
mean top-1 on the whole test set with the spread of the seeds, and how many points that is from the network's own
recipe; DIR/recipes.svg shows the same.  It goes on where it was broken off.  The first row is the paper's recipe.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from markdown_table import markdown_table

from models.architectures import catalog
from orchestrator.report import theme
from orchestrator.report.charts import Chart, Table, pictures, style

PAPER = "the paper's"
USUAL = "usual"
SEEDS = (0, 1, 2)
TRAINING_IMAGES = 50_000

CHANGES: Mapping[str, Mapping[str, Any]] = {
    USUAL: {},
    "no change of the images": {"augmentation": {"flip": False, "crop_padding": 0}},
    "cutout": {"augmentation": {"cutout": 8}},
    "random erasing": {"augmentation": {"erasing": 0.25}},
    "RandAugment": {"augmentation": {"randaugment": 1}},
    "mixup": {"augmentation": {"mixup": 0.2}},
    "cutmix": {"augmentation": {"cutmix": 1.0}},
    "repeated augmentation": {"augmentation": {"repeats": 2}},
    "label smoothing": {"label_smoothing": 0.1},
    "moving average": {"ema": 0.999},
    "SGD": {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 0.005},
    "Lion": {"optimizer": "lion", "learning_rate": 0.0005, "weight_decay": 0.1},
    "a smaller learning rate": {"learning_rate": 0.002},
    "one-cycle": {"schedule": "one-cycle", "warmup_fraction": 0.25},
    "step": {"schedule": "step"},
    "constant": {"schedule": "constant"},
}
"""Each changes the network's own recipe in one thing; an optimizer brings the learning rate that suits it.  Muon is not
among them: in a network whose only dense layer is its last it is AdamW, bit for bit."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="alexnet-tiny")
    parser.add_argument("--images", type=int, default=250_000, help="that each training sees")
    parser.add_argument("--out", type=Path, default=Path("recipes"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    recipes = {PAPER: paper_changes(options.architecture), **CHANGES}
    study = options.out / "study.toml"
    study.write_text(study_of(options.architecture, recipes, options.images // TRAINING_IMAGES), encoding="utf-8")
    home = options.out.resolve() / "home"
    _orch("plan", study, "--home", home, "--yes").wait()
    for worker in [_orch("worker", "--home", home) for _ in range(2)]:
        worker.wait()
    report, _ = _orch("report", "--home", home, "--out", options.out / "report", "--json", said=True).communicate()
    accuracies = top1_of(json.loads(report)["rows"], list(recipes))
    print(table(accuracies))
    (options.out / "recipes.svg").write_text(picture(accuracies), encoding="utf-8")


def paper_changes(architecture: str) -> dict[str, Any]:
    """What makes the paper's recipe of a network's own."""
    paper, own = (dataclasses.asdict(catalog.get(name).recipe) for name in ("alexnet-paper", architecture))
    changed = {key: value for key, value in paper.items() if own[key] != value}
    if changed.get("gradient_clip", 0.0) is None:
        changed["gradient_clip"] = 1e9  # so large a limit is none
    return changed


def study_of(architecture: str, recipes: Mapping[str, Mapping[str, Any]], epochs: int) -> str:
    parts = [
        'name = "recipes"\ndataset = "cifar10"\nshards = 1',
        f"seeds = {list(SEEDS)}",
        f"[training]\nepochs = {epochs}\nepochs_per_visit = {epochs}\nthreads = 1",
    ]
    for number, changes in enumerate(recipes.values()):
        model = f'[[models]]\narchitecture = "{architecture}"\nname = "recipe{number:02}"\ncompress = ["float32"]'
        parts.append(f"{model}\nrecipe = {_toml(changes)}")
    return "\n".join([*parts, "[benchmark]\nbatch_sizes = [1]\nthreads = [1]\n"])


def _toml(table: Mapping[str, Any]) -> str:
    """A table on one line."""
    values = {key: _toml(value) if isinstance(value, Mapping) else json.dumps(value) for key, value in table.items()}
    return f"{{ {', '.join(f'{key} = {value}' for key, value in values.items())} }}"


def top1_of(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, list[float]]:
    """Percent, by recipe, one for each seed."""
    return {
        name: [100 * row["top1"] for row in rows if row["model"] == f"recipe{number:02}"]
        for number, name in enumerate(names)
    }


def table(accuracies: Mapping[str, Sequence[float]]) -> str:
    usual = mean(accuracies[USUAL])
    rows = [
        (name, f"{mean(found):.2f}", f"{stdev(found):.2f}", f"{mean(found) - usual:+.2f}")
        for name, found in accuracies.items()
    ]
    return markdown_table(("recipe", "top-1 %, mean", "spread of the seeds", f"points from the {USUAL} one"), rows)


def picture(accuracies: Mapping[str, Sequence[float]]) -> str:
    """Each seed a dot, in the order of the means, as an SVG."""
    order = sorted(accuracies, key=lambda name: -mean(accuracies[name]))
    dots = [
        {"recipe": name, "top1": top1, "usual": name in (USUAL, PAPER)} for name in order for top1 in accuracies[name]
    ]
    colour = {"condition": {"test": "datum.usual", "value": theme.SERIES[0].light}, "value": theme.QUIET.light}
    x, names = {"title": "Top-1, %", "scale": {"zero": False}}, style.names_width(order)
    spec = style.document(
        {
            "data": style.values(dots),
            "width": style.WIDTH - names - 16,
            "height": {"step": style.ROW},
            "encoding": {"y": style.line_of("recipe", names), "color": colour},
            "layer": [
                {
                    "mark": {"type": "point", "filled": True},
                    "encoding": {"x": style.quantity("top1", **x)},
                },
                {
                    "mark": {"type": "tick", "thickness": 1.5},
                    "encoding": {"x": style.quantity("top1", aggregate="mean")},
                },
            ],
        }
    )
    said = "; ".join(f"{name} {mean(accuracies[name]):.1f}%" for name in order)
    rows = tuple((name, ", ".join(f"{top1:.2f}" for top1 in accuracies[name])) for name in order)
    return pictures.svg(Chart("recipes", "recipes", "Top-1 by recipe", said, spec, Table(("Recipe", "Seeds"), rows)))


def _orch(*arguments: str | Path, said: bool = False) -> subprocess.Popen[str]:
    command = [str(Path(sys.executable).with_name("orch")), *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE if said else None)


if __name__ == "__main__":
    main()
