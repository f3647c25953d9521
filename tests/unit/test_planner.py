"""The same study gives the same plan, and the plan says everything that a job depends on."""

from __future__ import annotations

import pytest

from orchestrator.errors import StudyError
from orchestrator.jobs import Device, Stage
from orchestrator.planner import make_plan
from orchestrator.study import Study
from tests.conftest import SMALL


def edited(old: str, new: str) -> Study:
    assert old in SMALL
    return Study.parse(SMALL.replace(old, new))


def test_the_same_study_gives_the_same_plan() -> None:
    assert make_plan(Study.parse(SMALL)) == make_plan(Study.parse(SMALL))


def test_a_relay_visits_every_shard_in_every_round_one_after_another(small_study: Study) -> None:
    trains = [job for job in make_plan(small_study).jobs if job.stage is Stage.TRAIN]
    assert [job.name.rpartition("/")[2] for job in trains] == ["r00.s0", "r00.s1", "r01.s0", "r01.s1"]
    assert [job.parents for job in trains] == [(), *((job.id,) for job in trains[:-1])]


def test_visits_meet_end_to_end_and_fill_the_schedule(small_study: Study) -> None:
    trains = [job.spec for job in make_plan(small_study).jobs if job.stage is Stage.TRAIN]
    ends = [spec["visit"]["first_step"] + spec["visit"]["steps"] for spec in trains]
    assert [spec["visit"]["first_step"] for spec in trains] == [0, *ends[:-1]]
    assert {spec["training"]["total_steps"] for spec in trains} == {ends[-1]}


def test_a_benchmark_waits_for_its_model_and_for_the_float32_reference(small_study: Study) -> None:
    jobs = {job.name: job for job in make_plan(small_study).jobs}
    benchmark = jobs["alexnet-tiny/seed0/benchmark/float16"]
    compressed = jobs["alexnet-tiny/seed0/compress/float16"]
    reference = jobs["alexnet-tiny/seed0/compress/float32"]
    assert set(benchmark.parents) == {compressed.id, reference.id}
    assert (benchmark.inputs["model"].job, benchmark.inputs["reference"].job) == (compressed.id, reference.id)


def test_the_first_job_has_the_longest_path(small_study: Study) -> None:
    jobs = make_plan(small_study).jobs
    assert [job.remaining_path for job in jobs] == [6, 5, 4, 3, 2, 2, 1, 1]


def test_parents_come_before_children() -> None:
    seen: set[str] = set()
    for job in make_plan(edited("shards = 2", "shards = 2\nseeds = [0, 1]")).jobs:
        assert seen.issuperset(job.parents)
        seen.add(job.id)


def test_a_changed_recipe_changes_every_job_that_depends_on_it(small_study: Study) -> None:
    changed = edited('compress = ["float32", "float16"]', 'compress = ["float32"]\nrecipe = { learning_rate = 0.1 }')
    assert {job.id for job in make_plan(small_study).jobs}.isdisjoint(job.id for job in make_plan(changed).jobs)


def test_a_new_method_leaves_the_trainings_as_they_are(small_study: Study) -> None:
    before = {job.id for job in make_plan(small_study).jobs}
    after = make_plan(edited('"float16"]', '"float16", "dynamic-int8"]')).jobs
    assert [job.name for job in after if job.id not in before] == [
        "alexnet-tiny/seed0/compress/dynamic-int8",
        "alexnet-tiny/seed0/benchmark/dynamic-int8",
    ]


def test_leases_are_no_part_of_a_job() -> None:
    assert [job.id for job in make_plan(edited("seconds = 5", "seconds = 7")).jobs] == [
        job.id for job in make_plan(Study.parse(SMALL)).jobs
    ]


@pytest.mark.parametrize(
    ("architecture", "device", "needs"),
    [
        ("alexnet-tiny", "auto", Device.CPU),
        ("alexnet", "auto", Device.GPU),
        ("alexnet", "any", Device.CPU),
        ("alexnet-tiny", "gpu", Device.GPU),
        ("my.nets:build", "auto", Device.CPU),
    ],
)
def test_a_training_needs_the_device_that_the_study_or_the_architecture_asks_for(
    architecture: str, device: str, needs: Device
) -> None:
    text = SMALL.replace('"alexnet-tiny"', f'"{architecture}"').replace("threads = 1\n\n", f'device = "{device}"\n\n')
    jobs = make_plan(Study.parse(text)).jobs
    assert {job.needs for job in jobs if job.stage is Stage.TRAIN} == {needs}
    assert {job.needs for job in jobs if job.stage is not Stage.TRAIN} == {Device.CPU}


def test_where_a_job_may_run_is_no_part_of_it() -> None:
    anywhere = make_plan(edited("threads = 1\n\n", 'threads = 1\ndevice = "gpu"\n\n'))
    assert [job.id for job in anywhere.jobs] == [job.id for job in make_plan(Study.parse(SMALL)).jobs]


def test_more_images_than_there_are_is_refused_with_both_numbers() -> None:
    with pytest.raises(StudyError, match=r"train_images = 999999 is more than the \d+ images"):
        make_plan(edited("train_images = 400", "train_images = 999999"))


def test_shards_without_an_image_of_every_class_are_refused() -> None:
    with pytest.raises(StudyError, match="use fewer shards"):
        make_plan(edited("shards = 2", "shards = 100"))
