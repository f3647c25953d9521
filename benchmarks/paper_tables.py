"""What a study of the preset `paper` or `paper-cpu` has measured, as the Markdown tables of docs/results.md.

    orch report --json > FILE && python benchmarks/paper_tables.py FILE

Each row of the paper stands beside ours; then every row of ours beside its dense twin; then what answers the three
mistakes that the paper made.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markdown_table import markdown_table

Row = dict[str, Any]

_NOTHING = "–"
_METHODS = {"float32": 0, "float16": 1, "dynamic-int8": 2, "prune": 3}
"""The paper's methods, in its order."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    report = read(parser.parse_args().file)
    print("\n\n".join(tables(report)))


def read(file: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return report


def tables(report: Mapping[str, Any]) -> tuple[str, ...]:
    """The three tables and the list of deaths; rows of one device alone, whose latencies can be compared."""
    rows = [row for row in report["rows"] if row["batch"] == 1 and row["threads"] == 1]
    devices = {row["device"] for row in rows}
    assert len(devices) == 1, f"The tables are of one device, and this report has {sorted(devices)}."
    litert = [row for row in rows if row["runtime"].startswith("LiteRT")]
    return (
        markdown_table(PAPER_TITLES, beside_the_paper(litert)),
        markdown_table(TITLES, all_rows(litert)),
        markdown_table(MISTAKE_TITLES, mistakes(rows)),
        markdown_table(DEATH_TITLES, deaths(report["history"])),
    )


PAPER_TITLES = (
    "network",
    "method",
    "top-1 %, paper",
    "top-1 %, ours (95 % interval)",
    "top-5 %, paper",
    "top-5 %, ours",
    "ms, paper",
    "ms, ours",
    "as fast as float32, ours",
)


def beside_the_paper(rows: Sequence[Row]) -> list[tuple[object, ...]]:
    """Every row for which the paper has figures of its own."""
    named = sorted((row for row in rows if row["paper"]), key=lambda row: (row["model"], _METHODS[row["method"]]))
    return [
        (
            f"`{row['model']}`",
            row["method"],
            _percent(row["paper"]["top1"]),
            _top1(row),
            _percent(row["paper"]["top5"]),
            _percent(row["top5"]),
            _known(row["paper"]["latency_ms"]),
            f"{row['latency_ms']['p50']:.2f}",
            _times(row["speedup"]),
        )
        for row in named
    ]


TITLES = (
    "network",
    "method",
    "top-1 %",
    "twin's top-1 %",
    "points beside the twin (p)",
    "zeros",
    "MB, file",
    "MB, zstd",
    "smaller, file",
    "smaller, zstd",
    "ms",
    "as fast",
    "MB of memory",
)


def all_rows(rows: Sequence[Row]) -> Iterator[tuple[object, ...]]:
    """Every row beside its dense twin and its own float32 file."""
    reference = {row["model"]: row for row in rows if row["method"] == "float32"}
    top1 = {(row["model"], row["method"]): row["top1"] for row in rows}
    for row in rows:
        float32 = reference[row["model"]]
        twin = None if row["twin"] is None else top1[row["model"], row["twin"]]
        yield (
            f"`{row['model']}`",
            row["method"],
            _percent(row["top1"]),
            _percent(twin),
            _NOTHING if twin is None else _beside_twin(row, twin),
            f"{row['sparsity']:.0%}",
            f"{row['file_bytes'] / 1e6:.2f}",
            f"{row['compressed_bytes'] / 1e6:.2f}",
            _times(float32["file_bytes"] / row["file_bytes"], 1),
            _times(float32["file_bytes"] / row["compressed_bytes"], 1),
            f"{row['latency_ms']['p50']:.2f}",
            _times(row["speedup"]),
            _NOTHING if row["peak_memory_bytes"] is None else f"{row['peak_memory_bytes'] / 1e6:.0f}",
        )


MISTAKE_TITLES = ("the paper", "ours", "measured")


def mistakes(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """What the paper concluded, and the rows of ours that say what it comes from."""
    of = {(row["model"], row["method"], row["runtime"].split()[0]): row for row in rows}
    plain, runtime = of["alexnet-paper", "float32", "LiteRT"], of["alexnet-paper", "float32", "TensorFlow"]
    pruned, residual = (
        of["alexnet-residual-paper", "prune", "LiteRT"],
        of["alexnet-residual-paper", "float32", "LiteRT"],
    )
    twin = of["alexnet-residual-paper", pruned["twin"], "LiteRT"]
    thinned = of["alexnet-paper", "prune", "LiteRT"]
    return [
        (
            "AlexNet takes 22.6 ms in Keras and 52.96 ms in TFLite: measured on two machines",
            "one machine, one core, both runtimes, batch 1",
            f"Keras (compiled) {runtime['latency_ms']['p50']:.2f} ms, LiteRT {plain['latency_ms']['p50']:.2f} ms",
        ),
        (
            "pruning makes 94.2 MB of 282.2 MB: the optimizer's state was dropped",
            f"`alexnet-paper`, float32: {plain['parameters_bytes'] / 1e6:.1f} MB of parameters; "
            f"pruned to {thinned['sparsity']:.0%} zeros",
            f"file {plain['file_bytes'] / 1e6:.1f} MB and {thinned['file_bytes'] / 1e6:.1f} MB; compressed with zstd "
            f"{plain['compressed_bytes'] / 1e6:.1f} MB and {thinned['compressed_bytes'] / 1e6:.1f} MB",
        ),
        (
            "the pruned network is more accurate and twice as fast: it was trained longer, and measured elsewhere",
            "`alexnet-residual-paper`: float32, pruned, and the dense twin that was fine-tuned as long",
            f"top-1 {_percent(residual['top1'])}, {_percent(pruned['top1'])} and {_percent(twin['top1'])} %; "
            f"pruned beside its twin {_beside_twin(pruned, twin['top1'])} points, "
            f"{_times(pruned['speedup'])} as fast as float32",
        ),
    ]


DEATH_TITLES = ("worker", "killed in", "at step", "steps done again", "s until another went on")


def deaths(history: Mapping[str, Any]) -> list[tuple[object, ...]]:
    return [
        (
            death["worker"],
            f"`{death['job']}`",
            death["to_step"],
            death["repeated_steps"],
            _NOTHING if death["waited"] is None else f"{death['waited']:.0f}",
        )
        for death in history["deaths"]
    ]


def _top1(row: Row) -> str:
    low, high = row["top1_interval"]
    return f"{_percent(row['top1'])} ({_percent(low)} to {_percent(high)})"


def _beside_twin(row: Row, twin: float) -> str:
    return f"{100 * (row['top1'] - twin):+.2f} ({row['against_twin']['p']:.2g})"


def _percent(share: float | None) -> str:
    return _NOTHING if share is None else f"{100 * share:.2f}"


def _known(milliseconds: float | None) -> str:
    return _NOTHING if milliseconds is None else f"{milliseconds:.2f}"


def _times(ratio: float | None, digits: int = 2) -> str:
    return _NOTHING if ratio is None else f"{ratio:.{digits}f}×"


if __name__ == "__main__":
    main()
