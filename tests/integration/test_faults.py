"""What ended a job is told in the one line that says what is wrong, and tried again only where that may help."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf

from models.failures import PermanentFailure
from models.training.trainer import DataMismatch, Diverged, StateMismatch
from workers.checkpoint_policy import CheckpointPolicy
from workers.runner import faults
from workers.runner.messages import Failed, RunJob, Stopped
from workers.runner.stages.states import InputUnusable


class Multiplied(keras.layers.Layer):  # type: ignore[misc]
    """A layer of a person's own, which multiplies what cannot be multiplied."""

    def call(self, rows: Any) -> Any:
        return tf.matmul(rows, rows)


POLICY = CheckpointPolicy(1800.0, 10.0)
ROW = tf.zeros((1, 2))


def images_too_small() -> None:
    images = keras.Input((2, 2, 3))
    keras.Sequential([keras.layers.MaxPooling2D(), keras.layers.MaxPooling2D()])(images)


def an_own_layer() -> None:
    Multiplied()(ROW)


def an_own_layer_in_a_compiled_step() -> None:
    layer = Multiplied()
    tf.function(lambda rows: layer(rows))(ROW)


def a_compiled_step() -> None:
    unknown = tf.TensorSpec(None)
    tf.function(lambda one, other: tf.matmul(one, other), input_signature=[unknown, unknown])(ROW, ROW)


def a_wrong_option() -> None:
    keras.layers.Dense(3, activaton="relu")


def an_assertion_without_a_message() -> None:
    raise AssertionError


def raised_by(does: Callable[[], None]) -> Exception:
    try:
        does()
    except Exception as error:
        return error
    raise AssertionError("it did not raise")


@pytest.mark.parametrize(
    ("does", "begins", "ends"),
    [
        (images_too_small, "ValueError: Computed output size would be zero", "(in MaxPooling2D.call())"),
        (an_own_layer, "InvalidArgumentError: Matrix size-incompatible: In[0]: [1,2]", "(in Multiplied.call())"),
        (an_own_layer_in_a_compiled_step, "ValueError: Dimensions must be equal, but", "(in Multiplied.call())"),
        # On some processors TensorFlow has a kernel that says which of the two was to be transposed.
        (
            a_compiled_step,
            "InvalidArgumentError: Matrix size-incompatible: In[0]: [1,2], In[1]: [1,2]",
            ("[1,2]", "0 0"),
        ),
        (a_wrong_option, "ValueError: Unrecognized keyword arguments passed to Dense: {'activaton'", "'relu'}"),
        (an_assertion_without_a_message, "AssertionError: raise AssertionError (test_faults.py:", ")"),
    ],
)
def test_the_line_that_is_shown_says_what_is_wrong(
    does: Callable[[], None], begins: str, ends: str | tuple[str, ...]
) -> None:
    told = faults.in_one_line(raised_by(does))
    assert told.startswith(begins) and told.endswith(ends)
    assert "\n" not in told and "\x1b" not in told


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (Diverged(3, float("nan")), True),
        (InputUnusable("The input 'own' is of another training."), True),
        (DataMismatch("The shard has images of another size."), True),
        # Another version of Keras made the state, perhaps, and another machine may have it.
        (StateMismatch("The state does not fit this network."), False),
        (AssertionError("no"), False),
        (ConnectionError("a network of one's own fetches its weights"), False),
    ],
)
def test_only_what_would_fail_the_same_on_every_machine_is_not_tried_again(
    error: Exception, final: bool, tmp_path: Path
) -> None:
    job = RunJob("job", "train", {}, {}, None, None, str(tmp_path), POLICY)
    told = faults.ending(job, error)
    assert isinstance(told, Failed) and told.final is final
    assert isinstance(error, PermanentFailure) is final


@pytest.mark.parametrize("gone", ["inputs", "state", "directory"])
def test_a_job_whose_files_a_cleaner_has_deleted_is_left_for_another_try(gone: str, tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    paths = {name: str(tmp_path / ("gone" if name == gone else "there")) for name in ("inputs", "state", "directory")}
    job = RunJob("job", "train", {}, {"shard": paths["inputs"]}, paths["state"], None, paths["directory"], POLICY)
    told = faults.ending(job, ValueError("Could not open it."))
    assert told == Stopped("job", f"Files of this worker have been deleted ({tmp_path / 'gone'}).")
