"""The environment of a runner: the person's own, without what would change what is computed in it.

It keeps where things are found (PYTHONPATH, HOME, proxies, a cluster's modules), which devices there are
(CUDA_VISIBLE_DEVICES) and how their memory is taken, what is logged, and ONEDNN_MAX_CPU_ISA, by which unlike CPUs are
made to agree.  All else that Python, Keras, TensorFlow, XLA and oneDNN read was set for another program: it would give
other bits, fail every job, or remove the assertions that a person's own network relies on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from workers.runner.libraries import PLAIN, Libraries, RunnerKind

_OF_OTHERS = ("PYTHON", "KERAS_", "TF_", "TF2_", "XLA_", "JAX_", "ONEDNN_", "DNNL_", "NVIDIA_TF32_OVERRIDE", "NPROC")
"""How the names of variables begin that decide how programs with these libraries compute."""

_PASSED_ON = (
    *("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONNOUSERSITE", "PYTHONPLATLIBDIR"),
    *("PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE"),
    *("TF_CPP_MIN_LOG_LEVEL", "TF_CPP_MAX_VLOG_LEVEL", "TF_CPP_VMODULE"),
    *("TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR", "TF_FORCE_UNIFIED_MEMORY"),
    *("JAX_PLATFORMS", "ONEDNN_MAX_CPU_ISA"),
)

_KERAS = {"floatx": "float32", "epsilon": 1e-07, "image_data_format": "channels_last"}


def runner_environment(person: Mapping[str, str], directory: Path, libraries: Libraries = PLAIN) -> dict[str, str]:
    """The variables to start a runner with; its directory is made ready for it.

    The runner's temporary files lie in `directory`, too: a runner that is ended deletes none of them itself.

    Raises:
        OSError: there is no room for the runner's files.
    """
    temporary, keras = directory / "tmp", directory / "keras"
    for made in (temporary, keras):
        made.mkdir(exist_ok=True)
    backend = libraries.kind.backend
    (keras / "keras.json").write_text(json.dumps({**_KERAS, "backend": backend}), encoding="utf-8")
    for theirs in _kept_by_keras(person):
        with suppress(FileExistsError):
            (keras / theirs.name).symlink_to(theirs)
    return {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **{name: value for name, value in person.items() if name in _PASSED_ON or not name.startswith(_OF_OTHERS)},
        **_xla_flags(person.get("XLA_FLAGS", "")),
        **(_legacy(libraries, person.get("PYTHONPATH", "")) if libraries.kind is RunnerKind.LEGACY else {}),
        "KERAS_BACKEND": backend,
        "KERAS_HOME": str(keras),
        "TMPDIR": str(temporary),
        # Sets of names have one order in every runner.
        "PYTHONHASHSEED": "0",
        # What a person's own network prints must not fail its job.
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }


def _kept_by_keras(person: Mapping[str, str]) -> Iterator[Path]:
    """The person's data sets and pretrained weights, so that a network of their own need not fetch them again."""
    place = Path(person.get("KERAS_HOME") or Path(os.path.expanduser("~"), ".keras"))  # noqa: PTH111 - it never raises
    with suppress(OSError):
        yield from (entry for entry in place.absolute().iterdir() if entry.name != "keras.json")


def _legacy(libraries: Libraries, path: str) -> dict[str, str]:
    """What makes TensorFlow take legacy Keras; what is only for it is found after what the person has there."""
    places = [*([path] if path else []), *([str(libraries.packages)] if libraries.packages else [])]
    return {"TF_USE_LEGACY_KERAS": "1", **({"PYTHONPATH": os.pathsep.join(places)} if places else {})}


def _xla_flags(flags: str) -> dict[str, str]:
    """Keep one flag of XLA's: where CUDA is, which some installations do not find by themselves."""
    found = [flag for flag in flags.split() if flag.startswith("--xla_gpu_cuda_data_dir=")]
    return {"XLA_FLAGS": " ".join(found)} if found else {}
