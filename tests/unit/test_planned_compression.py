"""The jobs of pipelines: what they share, what they are compared with, and what decides their ids."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from orchestrator.errors import StudyError
from orchestrator.jobs import PlannedJob, Stage
from orchestrator.planning.planner import make_plan
from orchestrator.study import Study
from tests.conftest import SMALL


def planned(entries: str) -> tuple[PlannedJob, ...]:
    assert '["float32", "float16"]' in SMALL
    return make_plan(Study.parse(SMALL.replace('["float32", "float16"]', f"[{entries}]"))).jobs


def named(jobs: Iterable[PlannedJob], name: str) -> PlannedJob:
    return next(job for job in jobs if job.name == f"alexnet-tiny/seed0/{name}")


def names(jobs: Iterable[PlannedJob], kind: str) -> list[str]:
    return [job.name.partition(f"/{kind}/")[2] for job in jobs if f"/{kind}/" in job.name]


def ids(jobs: Iterable[PlannedJob]) -> list[str]:
    return [job.id for job in jobs]


def test_pipelines_that_begin_alike_share_what_they_begin_with() -> None:
    jobs = planned('"slim+dynamic-int8", "slim+static-int8", "slim+prune"')
    assert names(jobs, "fine-tune") == ["slim", "slim+prune", "twin", "twin+twin"]
    slim, prune = named(jobs, "fine-tune/slim"), named(jobs, "fine-tune/slim+prune")
    assert prune.inputs["trained"].job == slim.id
    assert named(jobs, "compress/slim+dynamic-int8").inputs["state"].job == slim.id
    assert named(jobs, "compress/slim+static-int8").inputs["state"].job == slim.id


def test_every_fine_tuned_row_is_measured_beside_a_twin_of_the_same_length() -> None:
    jobs = planned('"float32", "slim", "prune", { method = "slim+int4", epochs = 3 }')
    assert names(jobs, "benchmark") == ["float32", "slim", "prune", "slim+int4", "twin-2ep", "twin-3ep"]
    assert named(jobs, "benchmark/prune").spec["twin"] == "twin-2ep"
    assert named(jobs, "benchmark/slim+int4").spec["twin"] == "twin-3ep"
    assert "twin" not in named(jobs, "benchmark/float32").spec
    twin, pruned = named(jobs, "fine-tune/twin"), named(jobs, "fine-tune/prune")
    assert twin.spec["transform"] is None
    assert (twin.spec["training"], twin.spec["visit"]) == (pruned.spec["training"], pruned.spec["visit"])


def test_a_fine_tuning_goes_over_all_images_with_half_of_the_learning_rate() -> None:
    study = Study.parse(SMALL)
    jobs = planned('"prune"')
    job = named(jobs, "fine-tune/prune")
    shards = [name for name in job.inputs if name.startswith("shard")]
    training = next(job for job in jobs if job.stage is Stage.TRAIN).spec["training"]
    assert shards == [f"shard{number}" for number in range(study.shards)]
    assert job.spec["training"]["recipe"]["learning_rate"] == training["recipe"]["learning_rate"] / 2
    assert job.spec["training"]["total_steps"] == job.spec["visit"]["steps"]
    assert job.spec["visit"]["first_epoch"] == study.training.epochs


def test_the_passes_of_a_pipeline_are_numbered_on() -> None:
    jobs = planned('{ method = "slim+prune", epochs = 3 }')
    trained = Study.parse(SMALL).training.epochs
    for first, second in (("slim", "slim+prune"), ("twin", "twin+twin")):
        assert named(jobs, f"fine-tune/{first}").spec["visit"]["first_epoch"] == trained
        assert named(jobs, f"fine-tune/{second}").spec["visit"]["first_epoch"] == trained + 3


def test_the_same_transform_with_other_options_is_another_job_with_another_name() -> None:
    jobs = planned(
        '{ method = "prune", sparsity = 0.5, name = "half" }, { method = "prune", sparsity = 0.9, name = "most" }'
    )
    assert names(jobs, "fine-tune") == ["prune", "prune.2", "twin"]
    assert named(jobs, "compress/half").inputs != named(jobs, "compress/most").inputs


def test_the_name_of_a_row_is_no_part_of_what_is_fine_tuned() -> None:
    one, other = planned('{ method = "slim", name = "one" }'), planned('{ method = "slim", name = "other" }')
    assert named(one, "fine-tune/slim").id == named(other, "fine-tune/slim").id


def test_what_is_shipped_packed_is_another_file_of_the_same_fine_tuning() -> None:
    plain = planned('"float32", "prune"')
    both = planned('"float32", "prune", { method = "prune", name = "packed", ship = "zst" }')
    assert set(ids(plain)) < set(ids(both)), "a key that is not given changes no id"
    assert ids(planned('"float32", { method = "prune", ship = "tflite" }')) == ids(plain)
    packed = named(both, "compress/packed")
    assert packed.spec["ship"] == "zst" and packed.inputs == named(both, "compress/prune").inputs
    assert named(both, "benchmark/packed").inputs["model"].job == packed.id
    assert {job.id for job in both} - {job.id for job in plain} == {packed.id, named(both, "benchmark/packed").id}


def test_parents_stand_before_their_children() -> None:
    jobs = planned(
        '"slim+prune+dynamic-int8", "distil"'.replace('"distil"', '{ method = "distil", teacher = "alexnet-tiny" }')
    )
    seen: set[str] = set()
    for job in jobs:
        assert seen.issuperset(job.parents), job.name
        seen.add(job.id)


def test_a_pupil_reads_the_last_state_of_its_teacher() -> None:
    jobs = planned('{ method = "distil", teacher = "alexnet-tiny" }')
    job = named(jobs, "fine-tune/distil")
    assert job.inputs["teacher"] == job.inputs["trained"]
    assert job.spec["transform"]["teacher"] == "alexnet-tiny"


def test_what_cannot_be_done_to_a_transformer_is_refused_before_anything_is_trained() -> None:
    study = Study.parse(SMALL.replace("alexnet-tiny", "vit-tiny").replace('"float16"', '"qat"'))
    with pytest.raises(StudyError, match="vit-tiny: qat cannot quantize a transformer"):
        make_plan(study)


def test_what_is_left_alone_is_said_once() -> None:
    text = SMALL.replace('"float16"', '"cluster", "cluster+dynamic-int8"')
    said = [warning for warning in make_plan(Study.parse(text)).warnings if "cluster" in warning]
    assert len(said) == 1 and said[0].startswith("alexnet-tiny: cluster changes the kernels of Conv2D and Dense")


def warned(entries: str, architecture: str = "alexnet-tiny") -> list[str]:
    text = SMALL.replace("alexnet-tiny", architecture).replace('["float32", "float16"]', f"[{entries}]")
    return list(make_plan(Study.parse(text)).warnings)


def test_the_layers_that_a_pattern_does_not_fit_are_named() -> None:
    first = '{ method = "prune-2:4", layers = ["conv", "conv1"] }'
    assert warned(first) == ["alexnet-tiny: prune-2:4 leaves conv1 alone: the inputs there do not come in whole fours."]


def test_how_many_inputs_slimming_leaves_is_not_known_and_said() -> None:
    (said,) = warned('"slim+prune-2:4", "slim+prune-2:4+dynamic-int8"')
    assert said.startswith("alexnet-tiny: slim leaves layers any number of inputs, and prune-2:4 after it")


def test_what_only_a_worker_finds_out_of_a_network_of_ones_own_is_said() -> None:
    own = "shop.networks:build"
    assert any(
        "cluster and qat can be done to your own network is known once" in each
        for each in warned('"qat", "cluster"', own)
    )
    assert any("which of your own network's these are" in each for each in warned('"prune-2:4"', own))
    assert not any("cluster" in each for each in warned('"prune-2:4"', own))


@pytest.mark.parametrize(
    "entries", ['"prune"', '"prune-2:4"', '"slim+prune+int4"', '{ method = "prune", layers = ["conv1"] }']
)
def test_where_nothing_is_left_alone_nothing_is_said(entries: str) -> None:
    assert warned(entries) == []
    assert not any("own" in each for each in warned('"prune", "slim"', "shop.networks:build"))


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (
            '{ method = "prune", layers = ["cnov2"] }',
            "alexnet-tiny, prune: The network has no layer 'cnov2' that could",
        ),
        ('{ method = "slim+cluster", layers = ["x"], name = "y" }', "alexnet-tiny, y: The network has no layer 'x'"),
        (
            '{ method = "prune", layers = ["dense"] }',
            "Nothing would be pruned: the network has no layer of dense between",
        ),
        ('{ method = "prune-2:4", layers = ["conv1"] }', "No layer to prune has inputs in whole fours"),
    ],
)
def test_layers_that_are_not_there_are_refused_before_anything_is_trained(entry: str, sentence: str) -> None:
    with pytest.raises(StudyError) as refused:
        planned(entry)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "entry",
    [
        '{ method = "prune", layers = ["dense", "logits"] }',
        # How many inputs are left is not known, so it is not held against the pattern.
        '{ method = "slim+prune-2:4", layers = ["conv1"] }',
    ],
)
def test_layers_that_are_there_are_planned(entry: str) -> None:
    assert planned(entry)


def test_legacy_keras_is_asked_for_where_it_is_needed() -> None:
    jobs = planned('"qat", "cluster+dynamic-int8"')
    legacy = {job.name.partition("seed0/")[2] for job in jobs if job.spec.get("runner") == "legacy"}
    assert legacy == {"fine-tune/qat", "compress/qat", "fine-tune/cluster"}


def test_a_clustering_after_a_pruning_keeps_its_zeros() -> None:
    jobs = planned('"prune+cluster", "cluster"')
    assert named(jobs, "fine-tune/prune+cluster").spec["transform"]["keep_zeros"] is True
    assert named(jobs, "fine-tune/cluster").spec["transform"]["keep_zeros"] is False


def test_a_model_that_follows_another_waits_for_the_end_of_its_training() -> None:
    models = SMALL[SMALL.index("[[models]]") : SMALL.index("[benchmark]")]
    pupil = f'{models}name = "pupil"\ndistil = {{ teacher = "alexnet-tiny", temperature = 2.0 }}\n'
    jobs = make_plan(Study.parse(SMALL.replace(models, models + pupil))).jobs
    taught = [job for job in jobs if job.name.startswith("pupil/seed0/train/")]
    last = [job for job in jobs if job.name.startswith("alexnet-tiny/seed0/train/")][-1]
    assert {job.inputs["teacher"].job for job in taught} == {last.id}
    assert taught[0].spec["distil"] == {"teacher": "alexnet-tiny", "temperature": 2.0, "soft_share": 0.5}


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ('{ method = "prune", sparsity = 1.5 }', "models[0].compress[0].sparsity = 1.5 is not allowed"),
        ('{ method = "prune", sparcity = 0.5 }', "did you mean 'sparsity'?"),
        ('{ method = "slim", sparsity = 0.5 }', "models[0].compress[0]: sparsity belongs to prune"),
        ('{ method = "distil", teacher = "x" }', "the teacher 'x' of 'alexnet-tiny' is not among the models"),
        ('"slim", { method = "slim", epochs = 4 }', "two entries are called 'slim'"),
        ('{ method = "slim", name = "twin-x" }', "'twin-x' is what a dense twin may be called"),
        ('{ method = "prune", sparsity = { dense = 0.9 }, layers = ["conv"] }', "there is a sparsity for 'dense'"),
        ('{ method = "prune", ship = "gz" }', "models[0].compress[0].ship = 'gz' is not allowed: input should be 'tfl"),
        ('{ method = "tfmot-prune", sparsity = { x = 0.9 }, layers = ["conv"] }', "there is a sparsity for 'x'"),
        ('{ method = "slim", name = "float32" }', "'float32' is another method"),
        ('"prune+slim"', "models[0].compress[0] = 'prune+slim' is not allowed"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(entries: str, sentence: str) -> None:
    with pytest.raises(StudyError) as refused:
        planned(entries)
    assert sentence in str(refused.value)
