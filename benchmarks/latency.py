"""Latency by our protocol beside LiteRT's own benchmark on the same files, and how well two runs of ours agree.

    python benchmarks/latency.py [--architecture alexnet] [--rounds 7]

Every measurement is a process of its own, one thread, batch 1, in turns, so that a noisy machine slows all of them
alike; medians over the rounds are compared, and the calmest rounds, because a neighbour may stay for a whole round.
Both sides run the same engine, `CompiledModel`, because LiteRT's benchmark knows no other; the `Interpreter`, which the
figures of a report come from, stands beside them.  LiteRT's benchmark rounds to 0.01 ms, so the network is one that
takes longer.  The weights are untrained, on which a latency does not depend.
Aims: ours over LiteRT's 0.95 to 1.05; a speed-up of ours (dynamic-int8 over float32) from one round to the next within
5 %.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from models.measurement.latency import Latency, measure
from models.measurement.litert import LiteRTClassifier

METHODS = ("float32", "dynamic-int8")
ENGINES = ("CompiledModel", "Interpreter")
LITERTS_OWN = "ai_edge_litert.tools.benchmark_litert_model"


def main() -> None:
    options = _arguments()
    if options.files:
        print(json.dumps(_speed(options.engine, *options.files)))
        return
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="orch-latency-") as directory:
        files = _exported(options.architecture, Path(directory))
        # One round that warms the disk's cache is not counted.
        rounds = [_round(files) for _ in range(options.rounds + 1)][1:]
    print(f"{options.architecture}, batch 1, 1 thread, {options.rounds} rounds, load before them {load:.2f}")
    print(f"{'milliseconds of one call':39} median  calmest round")
    for method in METHODS:
        theirs = [each[method] for each in rounds]
        print(f"{method:14} LiteRT's benchmark    {median(theirs):9.3f} {min(theirs):8.3f}")
        for engine in ENGINES:
            ours = [each[engine][method] for each in rounds]
            beside = f"{median(ours) / median(theirs):.2f}, {min(ours) / min(theirs):.2f}"
            print(f"{method:14} ours, {engine:15} {median(ours):9.3f} {min(ours):8.3f}   {beside} times LiteRT's")
    for engine in ENGINES:
        speedups = [each[engine]["speedup"] for each in rounds]
        apart = [abs(later / earlier - 1) for earlier, later in pairwise(speedups)]
        print(
            f"speed-up, {engine:15} {median(speedups):5.2f}   from one round to the next "
            f"{100 * median(apart):.1f} % apart, at most {100 * max(apart):.1f} %"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="alexnet")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help=argparse.SUPPRESS)
    parser.add_argument("files", type=Path, nargs="*", help=argparse.SUPPRESS)
    return parser.parse_args()


def _exported(architecture: str, directory: Path) -> list[Path]:
    """The network's file by each method."""
    import keras

    from models.architectures import catalog
    from models.compression.compressed_model import compress

    network = catalog.get(architecture).build(keras)
    return [compress(method, network, directory / f"{method}.tflite").path for method in METHODS]


def _round(files: list[Path]) -> dict[str, Any]:
    """Every measurement once: LiteRT's own milliseconds by method, and ours by engine."""
    theirs = {method: _litert_milliseconds(file) for method, file in zip(METHODS, files, strict=True)}
    return theirs | {engine: _ours(engine, files) for engine in ENGINES}


def _litert_milliseconds(file: Path) -> float:
    """The median of as many runs as our protocol asks for; it goes by runs alone, so a second of them is aimed at."""
    figures = file.with_suffix(".json")
    command = [sys.executable, "-m", LITERTS_OWN, f"--model={file}", f"--result_json={figures}", "--num_threads=1"]
    runs = 200
    while True:
        asked = [*command, f"--num_runs={runs}", "--warmup_runs=10"]
        subprocess.run(asked, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        latency = json.loads(figures.read_text(encoding="utf-8"))["latency"]
        if runs * latency["avg_ms"] >= 1000 or runs >= 20_000:
            return float(latency["median_ms"])
        runs *= 4


def _ours(engine: str, files: list[Path]) -> dict[str, float]:
    command = [sys.executable, __file__, "--engine", engine, *map(str, files)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    figures: dict[str, float] = json.loads(said.splitlines()[-1])
    return figures


def _speed(engine: str, reference: Path, candidate: Path) -> dict[str, float]:
    """Milliseconds of each file alone, as LiteRT's benchmark has it, and the speed-up by our protocol."""
    load = _compiled if engine == "CompiledModel" else _interpreted
    alone: list[Latency] = [measure(load(file)) for file in (reference, candidate)]
    figures = dict(zip(METHODS, (each.p50_ms for each in alone), strict=True))
    return {**figures, "speedup": measure(load(candidate), load(reference)).speedup}


def _interpreted(file: Path) -> Callable[[], object]:
    return LiteRTClassifier(file).run


def _compiled(file: Path) -> Callable[[], object]:
    """One run of a file on one thread of the CPU, set up as LiteRT's benchmark does it."""
    import numpy as np
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.environment import Environment
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator
    from ai_edge_litert.options import CpuOptions, Options

    options = Options(hardware_accelerators=HardwareAccelerator.CPU, cpu_options=CpuOptions(num_threads=1))
    model = CompiledModel.from_file(str(file), environment=Environment.create(), options=options)
    ((signature, ends),) = model.get_signature_list().items()
    (pixels,), (logits,) = ends["inputs"], ends["outputs"]
    inputs = {pixels: model.create_input_buffer_by_name(signature, pixels)}
    outputs = {logits: model.create_output_buffer_by_name(signature, logits)}
    shape = model.get_input_tensor_details(signature)[pixels]["shape"]
    inputs[pixels].write(np.random.default_rng(0).uniform(-1.0, 1.0, shape).astype(np.float32))
    return lambda: model.run_by_name(signature, inputs, outputs)


if __name__ == "__main__":
    main()
