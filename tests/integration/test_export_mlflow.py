"""`orch export mlflow`, read again with MLflow's own client from its SQLite store."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from orchestrator.commands import export
from orchestrator.errors import UsageError
from orchestrator.export import mlflow_tracking
from orchestrator.export.runs import Run as Training
from orchestrator.export.runs import RunState, Sample
from orchestrator.home import Home
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.support.finished_homes import IN_A_DIRECTORY, Made, finish
from tests.support.processes import orch

TWO_SEEDS = SMALL.replace("shards = 2\n", "shards = 2\nseeds = [0, 1]\n")
TOP1 = "laptop with LiteRT/float16/top1"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow's own making, which takes it seconds."""
    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def uri(empty: Path, tmp_path: Path) -> str:
    shutil.copy(empty, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


def logged(uri: str) -> list[Run]:
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    return sorted(client.search_runs([experiment.experiment_id]), key=lambda run: run.info.run_name or "")


def test_each_seed_is_a_run_with_its_parameters_curve_and_figures(any_home: Made, tmp_path: Path, uri: str) -> None:
    home = any_home.plan(Study.parse(TWO_SEEDS))
    finish(home, tmp_path)

    export.to_mlflow(home, uri)

    first, second = logged(uri)
    assert (first.info.run_name, second.info.run_name) == ("alexnet-tiny/seed0", "alexnet-tiny/seed1")
    assert first.info.status == "FINISHED" and first.data.metrics[TOP1] == 0.5
    assert first.data.params["recipe.optimizer"] == "adamw" and second.data.tags["orch.seed"] == "1"
    curve = MlflowClient(tracking_uri=uri).get_metric_history(first.info.run_id, "loss")
    visits = {job.id for job in home.jobs.jobs() if job.stage == "train" and job.spec["seed"] == 0}
    ended = {round(1000 * each.last_sign) for each in home.jobs.attempts() if each.job in visits}
    assert {point.timestamp for point in curve} <= ended and [point.value for point in curve] == [1.5] * len(curve)
    assert first.info.start_time < first.info.end_time


@IN_A_DIRECTORY
def test_a_repeated_export_brings_runs_up_to_date_and_doubles_nothing(any_home: Made, tmp_path: Path, uri: str) -> None:
    home = any_home.plan(Study.parse(SMALL))
    finish(home, tmp_path, jobs=2)
    export.to_mlflow(home, uri)
    (half,) = logged(uri)
    finish(home, tmp_path)

    export.to_mlflow(home, uri)
    (whole,) = logged(uri)
    export.to_mlflow(home, uri)
    (again,) = logged(uri)

    assert (half.info.status, whole.info.status) == ("RUNNING", "FINISHED")
    assert TOP1 not in half.data.metrics and TOP1 in whole.data.metrics
    assert half.info.run_id == whole.info.run_id == again.info.run_id
    assert (again.data.metrics, again.data.params) == (whole.data.metrics, whole.data.params)
    client = MlflowClient(tracking_uri=uri)
    for name in again.data.metrics:
        steps = [point.step for point in client.get_metric_history(again.info.run_id, name)]
        assert len(steps) == len(set(steps)), f"{name} is there twice"


def test_the_same_study_run_in_another_home_is_another_run(tmp_path: Path, small_study: Study, uri: str) -> None:
    from orchestrator.planning.publishing import publish

    for name in ("one", "two"):
        home = Home.open(publish(small_study, tmp_path / name, None).home)
        finish(home, tmp_path)
        export.to_mlflow(home, uri)

    first, second = logged(uri)
    assert first.info.run_id != second.info.run_id


def test_a_mean_that_another_visit_changed_is_the_step_s_last_value(uri: str) -> None:
    (early,) = runs_of(losses=(2.0,))
    (late,) = runs_of(losses=(1.5,))

    mlflow_tracking.log([early], uri)
    mlflow_tracking.log([late], uri)
    mlflow_tracking.log([late], uri)

    (run,) = logged(uri)
    history = MlflowClient(tracking_uri=uri).get_metric_history(run.info.run_id, "loss")
    assert [point.value for point in history] == [2.0, 1.5] and run.data.metrics["loss"] == 1.5


def runs_of(losses: Sequence[float]) -> list[Training]:
    """One training that is under way, whose visits of the first step have these losses."""
    samples = tuple(Sample(step=1, time=10.0 - loss, loss=loss, images_per_second=None) for loss in losses)
    identity = "0" * 32
    return [Training("small", "alexnet-tiny", 0, identity, RunState.UNDER_WAY, 1.0, None, {}, samples, ())]


def test_a_database_that_cannot_be_opened_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")

    with pytest.raises(UsageError, match=r"^MLflow refuses the export: [^\n]+$"):
        mlflow_tracking.log(runs_of(losses=(1.0,)), f"sqlite:///{tmp_path}/taken/mlflow.db")


def test_an_experiment_that_was_deleted_is_told(
    planned_home: Callable[[Study], Home], small_study: Study, tmp_path: Path, uri: str
) -> None:
    home = planned_home(small_study)
    finish(home, tmp_path)
    client = MlflowClient(tracking_uri=uri)
    client.delete_experiment(client.create_experiment("small"))

    with pytest.raises(UsageError, match="The experiment small was deleted in MLflow; restore it"):
        export.to_mlflow(home, uri)


def test_a_store_that_mlflow_does_not_know_is_told_without_its_password(
    planned_home: Callable[[Study], Home], small_study: Study, tmp_path: Path
) -> None:
    home = planned_home(small_study)
    finish(home, tmp_path)

    with pytest.raises(UsageError, match="MLflow refuses the export") as refusal:
        export.to_mlflow(home, "nonsense://ann:open-sesame@example/x")

    assert "open-sesame" not in str(refusal.value)


def test_without_the_library_the_command_says_how_to_have_it(
    planned_home: Callable[[Study], Home], small_study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)

    with pytest.raises(UsageError, match=r"pip install 'orch-train\[mlflow\]'"):
        export.to_mlflow(planned_home(small_study), None)


def test_the_command_makes_a_database_here_and_says_how_to_look_at_it(
    planned_home: Callable[[Study], Home], small_study: Study, tmp_path: Path
) -> None:
    home = planned_home(small_study)
    finish(home, tmp_path)
    (tmp_path / "here").mkdir()

    done = orch("export", "mlflow", "--home", home.url, cwd=tmp_path / "here")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "1 run of small is in sqlite:///mlflow.db. Look: mlflow ui --backend-store-uri sqlite:///mlflow.db\n"
    )
    assert [run.info.run_name for run in logged(f"sqlite:///{tmp_path}/here/mlflow.db")] == ["alexnet-tiny/seed0"]
