"""`orch export tensorboard`, read again with TensorBoard's own reader."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.plugins.hparams.metadata import EXPERIMENT_TAG, SESSION_START_INFO_TAG

from orchestrator.commands import export
from orchestrator.errors import DiskError, UsageError
from orchestrator.home import Home
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.support.finished_homes import IN_A_DIRECTORY, Made, finish

TWO_SEEDS = SMALL.replace("shards = 2\n", "shards = 2\nseeds = [0, 1]\n")


def read(directory: Path, seed: int = 0) -> EventAccumulator:
    run = EventAccumulator(str(directory / "small" / "alexnet-tiny" / f"seed{seed}"))
    run.Reload()
    return run


def curve(run: EventAccumulator, tag: str = "loss") -> list[tuple[int, float, float]]:
    return [(event.step, event.value, event.wall_time) for event in run.Scalars(tag)]


def ends(home: Home, seed: int = 0) -> list[float]:
    """When the visits of a training ended, in their order."""
    visits = {job.id for job in home.jobs.jobs() if job.stage == "train" and job.spec["seed"] == seed}
    return [each.last_sign for each in home.jobs.attempts() if each.job in visits]


def test_curves_and_figures_of_each_seed_are_read_again_with_their_wall_times(any_home: Made, tmp_path: Path) -> None:
    home = any_home.plan(Study.parse(TWO_SEEDS))
    finish(home, tmp_path)

    export.to_tensorboard(home, tmp_path / "logs")

    for seed in (0, 1):
        run = read(tmp_path / "logs", seed)
        measured = curve(run)
        assert [value for _, value, _ in measured] == [1.5] * len(measured) and measured
        assert {time for _, _, time in measured} <= set(ends(home, seed))
        (top1,) = run.Scalars("laptop_with_LiteRT/float16/top1")
        assert top1.value == 0.5


@IN_A_DIRECTORY
def test_hyperparameters_are_those_of_the_training(any_home: Made, tmp_path: Path) -> None:
    home = any_home.plan(Study.parse(SMALL))
    finish(home, tmp_path)

    export.to_tensorboard(home, tmp_path / "logs")

    content = read(tmp_path / "logs").PluginTagToContent("hparams")
    assert set(content) >= {EXPERIMENT_TAG, SESSION_START_INFO_TAG}
    started = plugin_data_pb2.HParamsPluginData.FromString(content[SESSION_START_INFO_TAG]).session_start_info
    told = {
        name: value.WhichOneof("kind") and getattr(value, value.WhichOneof("kind"))
        for name, value in started.hparams.items()
    }
    assert told["architecture"] == "alexnet-tiny" and told["dataset"] == "synthetic"
    assert told["recipe.batch_size"] == 64 and told["recipe.optimizer"] == "adamw"
    experiment = plugin_data_pb2.HParamsPluginData.FromString(content[EXPERIMENT_TAG]).experiment
    assert "laptop_with_LiteRT/float32/top1" in {each.name.tag for each in experiment.metric_infos}


@IN_A_DIRECTORY
def test_a_second_export_takes_the_place_of_the_first(any_home: Made, tmp_path: Path) -> None:
    home = any_home.plan(Study.parse(SMALL))
    finish(home, tmp_path, jobs=2)
    export.to_tensorboard(home, tmp_path / "logs")
    half = curve(read(tmp_path / "logs"))
    finish(home, tmp_path)

    export.to_tensorboard(home, tmp_path / "logs")
    export.to_tensorboard(home, tmp_path / "logs")

    whole = curve(read(tmp_path / "logs"))
    assert whole[: len(half)] == half and len({step for step, _, _ in whole}) == len(whole) > len(half)
    assert len([path for path in (tmp_path / "logs").rglob("*") if path.is_file()]) == 1


@IN_A_DIRECTORY
def test_what_else_lies_in_the_directory_is_left_alone(any_home: Made, tmp_path: Path) -> None:
    home = any_home.plan(Study.parse(SMALL))
    finish(home, tmp_path)
    others = tmp_path / "logs" / "small" / "alexnet-tiny" / "seed0" / "events.out.tfevents.1.laptop"
    others.parent.mkdir(parents=True)
    others.write_bytes(b"")

    export.to_tensorboard(home, tmp_path / "logs")

    assert others.exists()


@IN_A_DIRECTORY
def test_a_study_of_which_nothing_has_begun_is_told_so(any_home: Made, tmp_path: Path) -> None:
    home = any_home.plan(Study.parse(SMALL))

    with pytest.raises(UsageError, match="No training of small has begun, so there is nothing to export yet"):
        export.to_tensorboard(home, tmp_path / "logs")

    assert not (tmp_path / "logs").exists()


def test_a_directory_that_cannot_be_written_is_told(planned_home: object, small_study: Study, tmp_path: Path) -> None:
    home = planned_home(small_study)  # type: ignore[operator]
    finish(home, tmp_path)
    (tmp_path / "taken").write_text("")

    with pytest.raises(DiskError, match="choose another directory"):
        export.to_tensorboard(home, tmp_path / "taken")


def test_without_the_library_the_command_says_how_to_have_it(
    planned_home: object, small_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)

    with pytest.raises(
        UsageError, match=r"needs the package tensorboardX; install it: pip install 'orch-train\[tensorboard\]'"
    ):
        export.to_tensorboard(planned_home(small_study), tmp_path)  # type: ignore[operator]
