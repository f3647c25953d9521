"""What a person's shell was set up for is no matter of a runner's, but for where things are."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from workers.runner.environment import runner_environment
from workers.runner.libraries import Libraries, RunnerKind


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "scratch"
    made.mkdir()
    return made


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PYTHONPATH", "/home/ada/packages"),
        ("PYTHONHOME", "/opt/python"),
        ("CUDA_VISIBLE_DEVICES", "1"),
        ("LD_LIBRARY_PATH", "/opt/cuda/lib64"),
        ("OMP_NUM_THREADS", "4"),
        ("ONEDNN_MAX_CPU_ISA", "AVX2"),
        ("TF_FORCE_GPU_ALLOW_GROWTH", "true"),
        ("TF_CPP_MIN_LOG_LEVEL", "0"),
        ("HTTPS_PROXY", "http://proxy.example:3128"),
        ("TPU_ACCELERATOR_TYPE", "v5e"),
    ],
)
def test_where_things_are_and_which_devices_are_used_stays_the_persons(name: str, value: str, directory: Path) -> None:
    assert runner_environment({name: value}, directory)[name] == value


@pytest.mark.parametrize(
    "name",
    [
        *("PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONINSPECT", "PYTHONSTARTUP", "PYTHONUTF8", "PYTHONVERBOSE"),
        *("TF_USE_LEGACY_KERAS", "TF_ENABLE_ONEDNN_OPTS", "TF_XLA_FLAGS", "TF2_BEHAVIOR", "TF_DETERMINISTIC_OPS"),
        *("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_MAX_CPU_ISA", "NVIDIA_TF32_OVERRIDE", "JAX_ENABLE_X64", "NPROC"),
        *("KERAS_NNX_ENABLED", "KERAS_MAX_STEPS_PER_EPOCH"),
    ],
)
def test_what_would_change_what_is_computed_is_not_passed_on(name: str, directory: Path) -> None:
    assert name not in runner_environment({name: "1"}, directory)


def test_keras_has_a_configuration_of_the_runners_own_and_the_persons_weights(directory: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "keras-home"
    (theirs / "models").mkdir(parents=True)
    (theirs / "models" / "weights.h5").touch()
    (theirs / "keras.json").write_text('{"image_data_format": "channels_first", "backend": "jax", "floatx": "float16"}')
    told = runner_environment({"KERAS_HOME": str(theirs), "KERAS_BACKEND": "torch"}, directory)
    own = Path(told["KERAS_HOME"])
    assert told["KERAS_BACKEND"] == "tensorflow"
    assert json.loads((own / "keras.json").read_text()) == {
        **{"floatx": "float32", "epsilon": 1e-07},
        **{"backend": "tensorflow", "image_data_format": "channels_last"},
    }
    assert (own / "models" / "weights.h5").exists()
    assert runner_environment({"KERAS_HOME": str(theirs)}, directory)["KERAS_HOME"] == str(own), "a second runner's"


def test_of_xla_only_where_cuda_is_is_passed_on(directory: Path) -> None:
    flags = "--xla_gpu_autotune_level=0 --xla_gpu_cuda_data_dir=/opt/cuda"
    assert runner_environment({"XLA_FLAGS": flags}, directory)["XLA_FLAGS"] == "--xla_gpu_cuda_data_dir=/opt/cuda"
    assert "XLA_FLAGS" not in runner_environment({"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"}, directory)


def test_legacy_keras_is_found_after_what_the_person_has_on_their_path(directory: Path, tmp_path: Path) -> None:
    told = runner_environment(
        {"PYTHONPATH": "/home/ada/packages"}, directory, Libraries(RunnerKind.LEGACY, tmp_path / "legacy")
    )
    assert told["PYTHONPATH"].split(os.pathsep) == ["/home/ada/packages", str(tmp_path / "legacy")]
    assert told["TF_USE_LEGACY_KERAS"] == "1"


def test_where_this_python_has_legacy_keras_the_path_stays_as_it_is(directory: Path) -> None:
    told = runner_environment({}, directory, Libraries(RunnerKind.LEGACY))
    assert "PYTHONPATH" not in told and told["TF_USE_LEGACY_KERAS"] == "1"


def test_a_runner_with_jax_has_keras_on_jax_whatever_the_person_chose(directory: Path) -> None:
    told = runner_environment({"KERAS_BACKEND": "torch"}, directory, Libraries(RunnerKind.JAX))
    assert told["KERAS_BACKEND"] == "jax" and "TF_USE_LEGACY_KERAS" not in told
    assert json.loads(Path(told["KERAS_HOME"], "keras.json").read_text())["backend"] == "jax"
