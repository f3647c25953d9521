"""Pipelines on one network: how much smaller and faster, at what cost against the dense twin.

    ORCH_DATA=... python benchmarks/compression.py [--epochs 8] [--tune 3] [--out DIR] [--only METHOD ...]

Plans a study of one model with every pipeline below, has one worker do it, and prints the rows of its report: top-1,
points against the dense twin with McNemar's p, how many times smaller the file is than float32's, as it is and
compressed with zstd, and how many times faster at batch 1 on one thread.  It goes on where it was broken off.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PIPELINES = (
    '"float32"',
    '"dynamic-int8"',
    '"static-int8"',
    '"dense-int4"',
    '{ method = "prune", sparsity = 0.87 }',
    '{ method = "slim+dynamic-int8", name = "slim25+dynamic-int8", keep_parameters = 0.25 }',
    '{ method = "slim+dense-int4", name = "slim25+dense-int4", keep_parameters = 0.25 }',
    '{ method = "slim+prune+dense-int4", name = "slim16+prune50+dense-int4", keep_parameters = 0.16, sparsity = 0.5 }',
    '{ method = "slim+prune+int4", name = "slim16+prune50+int4", keep_parameters = 0.16, sparsity = 0.5 }',
)
STUDY = """
name = "compression"
dataset = "cifar10"
shards = 2

[training]
epochs = {epochs}
epochs_per_visit = {epochs}

[[models]]
architecture = "{architecture}"
name = "network"
compress = [{pipelines}]
recipe = {recipe}

[benchmark]
batch_sizes = [1]
threads = [1]
"""
RECIPE = '{ optimizer = "adamw", learning_rate = 2e-3, weight_decay = 0.05, batch_size = 128 }'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="middle_network:build")
    parser.add_argument("--epochs", type=int, default=8, help="of the training")
    parser.add_argument("--tune", type=int, default=3, help="epochs of each fine-tuning")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="of each fine-tuning, at its peak")
    parser.add_argument("--only", nargs="*", default=PIPELINES, help="entries of `compress`, as in a study")
    parser.add_argument("--out", type=Path, default=Path("compression"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    entries = [_with_length(entry, options.tune, options.learning_rate) for entry in options.only]
    text = STUDY.format(
        epochs=options.epochs, architecture=options.architecture, pipelines=", ".join(entries), recipe=RECIPE
    )
    (options.out / "study.toml").write_text(text)
    home = options.out.resolve() / "home"
    _run("orch", "plan", options.out / "study.toml", "--home", home, "--yes")
    _run("orch-worker", "--home", home)
    print(table(json.loads(_run("orch", "report", "--home", home, "--json", said=True))["rows"]))


def _with_length(entry: str, epochs: int, learning_rate: float) -> str:
    """What is fine-tuned is so for as long as the rest, for one dense twin to stand beside all of one depth."""
    if not entry.startswith("{"):
        return entry
    return entry.removesuffix("}") + f", epochs = {epochs}, learning_rate = {learning_rate} }}"


def _run(*command: str | Path, said: bool = False) -> str:
    """A command of Orch, in the directory in which the network's module lies."""
    program, *arguments = map(str, command)
    executable = str(Path(sys.executable).with_name(program))
    ended = subprocess.run(
        [executable, *arguments], cwd=HERE, check=True, text=True, stdout=subprocess.PIPE if said else None
    )
    return ended.stdout or ""


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows at batch 1 on one thread; without fine-tuning the columns of the twin are empty."""
    shown = [row for row in rows if (row["batch"], row["threads"]) == (1, 1)]
    reference = next(row for row in shown if row["method"] == "float32")
    top1 = {row["method"]: row["top1"] for row in shown}
    lines = [f"{'method':28} {'top-1':>7} {'twin':>7} {'points':>7} {'p':>8} {'file':>7} {'zstd':>7} {'speed':>7}"]
    for row in shown:
        smaller, compressed = (reference["file_bytes"] / row[of] for of in ("file_bytes", "compressed_bytes"))
        lines.append(
            f"{row['method']:28} {row['top1']:7.2%} {_beside_twin(row, top1)} "
            f"{smaller:6.1f}x {compressed:6.1f}x {row['speedup'] or 1.0:6.1f}x"
        )
    return "\n".join(lines)


def _beside_twin(row: Mapping[str, Any], top1: Mapping[str, float]) -> str:
    if row["twin"] is None or row["against_twin"] is None:
        return " " * 24
    twin = top1[row["twin"]]
    return f"{twin:7.2%} {100 * (row['top1'] - twin):+7.2f} {row['against_twin']['p']:8.2g}"


if __name__ == "__main__":
    main()
