"""The figures that `run.sh` has written, as the Markdown tables of docs/results.md.

    python benchmarks/gpu_tables.py FILE...

FILE holds a figure of `record.py` in each line.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from markdown_table import markdown_table

Figure = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    print(tables(read(parser.parse_args().files)))


def read(files: Iterable[Path]) -> list[Figure]:
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def tables(figures: Sequence[Figure]) -> str:
    """A table for each kind of figure there is."""
    kinds: dict[str, Callable[[list[Figure]], str]] = {
        "exactness": exactness,
        "images per second": speeds,
        "accuracy": accuracies,
        "failed": failures,
    }
    found = {kind: [figure for figure in figures if figure["figure"] == kind] for kind in kinds}
    return "\n\n".join(table(found[kind]) for kind, table in kinds.items() if found[kind])


def exactness(figures: list[Figure]) -> str:
    rows = [
        (f"`{it['network']}`", it["precision"], it["killed_after"], "the same" if it["same"] else "**OTHER**")
        for it in figures
    ]
    return markdown_table(("network", "precision", "SIGKILL after step", "bits at the end"), rows)


def speeds(figures: list[Figure]) -> str:
    rows = [
        (f"`{it['network']}`", it["batch"], it["way"], f"{it['median']:,.0f}", spread(it["rounds"])) for it in figures
    ]
    return markdown_table(("network", "batch", "way", "images a second, median", "rounds"), rows)


def spread(rounds: list[float]) -> str:
    return f"{min(rounds):,.0f} to {max(rounds):,.0f}, {len(rounds)}"


def accuracies(figures: list[Figure]) -> str:
    rows = []
    for it in figures:
        recipe = it["training"]["recipe"]
        low, high = (100 * share for share in it["top1_interval"])
        rows.append(
            (
                f"`{it['network']}`",
                f"{it['epochs']}{', cut off' if it['cut_off'] else ''}",
                f"{recipe['optimizer']}, {recipe['schedule']}",
                f"{100 * it['top1']:.2f} ({low:.2f} to {high:.2f})",
                f"{100 * it['top1_with_mirrored_image']:.2f}",
                f"{100 * it['aim']:.1f}",
                f"{it['seconds']:.0f}",
            )
        )
    titles = ("network", "passes", "optimizer, schedule", "top-1 % (95 % interval)", "with mirrored images", "aim", "s")
    return markdown_table(titles, rows)


def failures(figures: list[Figure]) -> str:
    return markdown_table(("network", "way", "failed"), [(it["network"], it["way"], it["error"]) for it in figures])


if __name__ == "__main__":
    main()
