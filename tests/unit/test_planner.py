"""The same study gives the same plan, and the plan says everything that a job depends on."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from models import datasets
from models.architectures import catalog
from models.compression import methods
from orchestrator.errors import StudyError
from orchestrator.jobs import Device, Stage
from orchestrator.planning.planned_jobs import train_images
from orchestrator.planning.planner import Plan, make_plan, shard_sizes
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
    assert [job.critical_path for job in jobs] == [6, 5, 4, 3, 2, 2, 1, 1]


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


def test_only_a_method_that_is_calibrated_is_given_training_images(small_study: Study) -> None:
    known = ", ".join(f'"{name}"' for name in methods.names())
    jobs = [job for job in make_plan(edited('"float32", "float16"', known)).jobs if job.stage is Stage.COMPRESS]
    calibrated = {job.spec["method"]: job for job in jobs if "shard" in job.inputs}
    assert set(calibrated) == {"static-int8"} and len(jobs) == len(methods.names())
    assert calibrated["static-int8"].inputs["shard"].name == make_plan(small_study).shard_names[0]
    assert calibrated["static-int8"].spec["calibration_images"] == methods.CALIBRATION_IMAGES
    assert all("calibration_images" not in job.spec for job in jobs if job.spec["method"] not in calibrated)


def test_the_compressions_and_benchmarks_are_those_of_earlier_versions() -> None:
    ids = "\n".join(job.id for job in make_plan(edited('"float16"]', '"float16", "dynamic-int8"]')).jobs)
    assert hashlib.sha256(ids.encode()).hexdigest() == (
        "199087c23106759aab29dde74ff99057fb6661d096a6615ea5885f67555229c0"
    ), "homes that were planned before would do everything again"


def test_the_jobs_of_a_relay_are_those_of_earlier_versions() -> None:
    ids = "\n".join(job.id for job in make_plan(Study.parse(SMALL)).jobs)
    assert hashlib.sha256(ids.encode()).hexdigest() == (
        "a08e4505a85b79078bd7982c4d32dcf726d5beecbabad7c0be6cea0456929399"
    ), "homes that were planned before would do everything again"


def in_runtimes(*runtimes: str, more: str = "") -> Plan:
    return make_plan(edited("threads = [1]", f"threads = [1, 4]\nruntimes = {list(runtimes)}{more}"))


def test_a_runtime_more_adds_benchmarks_and_leaves_the_others_as_they_are() -> None:
    before = {job.id for job in in_runtimes("litert").jobs}
    every = in_runtimes("litert", "tensorflow", "onnxruntime").jobs
    assert before < {job.id for job in every}
    assert [job.name for job in every if job.id not in before] == [
        "alexnet-tiny/seed0/benchmark/float32/tensorflow",
        "alexnet-tiny/seed0/benchmark/float32/onnxruntime",
        "alexnet-tiny/seed0/benchmark/float16/tensorflow",
    ]


def test_without_litert_none_of_its_benchmarks_is_planned() -> None:
    benchmarks = [job for job in in_runtimes("onnxruntime").jobs if job.stage is Stage.BENCHMARK]
    assert [job.spec["runtime"] for job in benchmarks] == ["onnxruntime"]


def test_a_network_of_another_runtime_is_rebuilt_from_the_end_of_its_training() -> None:
    jobs = in_runtimes("tensorflow", "onnxruntime").jobs
    last = [job for job in jobs if job.stage is Stage.TRAIN][-1]
    benchmarks = [job for job in jobs if job.stage is Stage.BENCHMARK]
    assert {(job.inputs["state"].job, job.parents) for job in benchmarks} == {(last.id, (last.id,))}
    assert {job.spec["architecture"] for job in benchmarks} == {"alexnet-tiny"}


def test_tensorflow_computes_with_the_threads_of_the_process_and_others_with_those_of_the_benchmark() -> None:
    jobs = [job for job in in_runtimes("tensorflow", "onnxruntime").jobs if job.stage is Stage.BENCHMARK]
    threads = {job.spec["runtime"]: job.spec["threads"] for job in jobs}
    assert threads == {"tensorflow": [1], "onnxruntime": [1, 4]}


def test_a_plan_says_what_a_runtime_leaves_out() -> None:
    assert in_runtimes("litert", "tensorflow").warnings == ()
    (warning,) = in_runtimes("litert", "onnxruntime").warnings
    assert warning == "alexnet-tiny: ONNX Runtime cannot be given float16, so there it measures float32."
    study = edited('["float32", "float16"]', '["float16"]').model_dump()
    study["benchmark"]["runtimes"] = ("onnxruntime",)
    (warning,) = make_plan(Study.model_validate(study)).warnings
    assert warning.endswith("cannot be given float16, so there it measures nothing.")


@pytest.mark.parametrize("key", ['outer = "nesterov"', "outer_learning_rate = 0.5", 'inner_optimizer = "reset"'])
def test_how_networks_are_merged_is_no_part_of_a_relay(small_plan: Plan, key: str) -> None:
    assert make_plan(edited("[training]", f"[training]\n{key}")).jobs == small_plan.jobs


def test_leases_are_no_part_of_a_job() -> None:
    assert [job.id for job in make_plan(edited("seconds = 5", "seconds = 7")).jobs] == [
        job.id for job in make_plan(Study.parse(SMALL)).jobs
    ]


@pytest.mark.parametrize(
    ("architecture", "device", "requires"),
    [
        ("alexnet-tiny", "auto", Device.CPU),
        ("alexnet", "auto", Device.GPU),
        ("alexnet", "any", Device.CPU),
        ("alexnet-tiny", "gpu", Device.GPU),
        ("my.nets:build", "auto", Device.CPU),
    ],
)
def test_a_training_needs_the_device_that_the_study_or_the_architecture_asks_for(
    architecture: str, device: str, requires: Device
) -> None:
    text = SMALL.replace('"alexnet-tiny"', f'"{architecture}"').replace("threads = 1\n\n", f'device = "{device}"\n\n')
    jobs = make_plan(Study.parse(text)).jobs
    assert {job.requires for job in jobs if job.stage is Stage.TRAIN} == {requires}
    assert {job.requires for job in jobs if job.stage is not Stage.TRAIN} == {Device.CPU}


@pytest.mark.parametrize(
    ("device", "trains", "fine_tunes"),
    [
        ("auto", Device.GPU_OR_TPU, Device.GPU),
        ("gpu", Device.GPU, Device.GPU),
        ("tpu", Device.TPU, Device.GPU),
        ("any", Device.CPU, Device.CPU),
    ],
)
def test_what_jax_trains_may_go_to_a_tpu_and_a_fine_tuning_never_does(
    device: str, trains: Device, fine_tunes: Device
) -> None:
    text = SMALL.replace('"alexnet-tiny"', '"alexnet"').replace('"float16"', '"prune"')
    text = text.replace("threads = 1\n\n", f'threads = 1\nbackend = "jax"\ndevice = "{device}"\n\n', 1)
    jobs = make_plan(Study.parse(text)).jobs
    assert {job.requires for job in jobs if job.stage is Stage.TRAIN} == {trains}
    assert {job.requires for job in jobs if "transform" in job.spec} == {fine_tunes}
    assert {job.requires for job in jobs if job.stage is Stage.BENCHMARK} == {Device.CPU}


def test_on_which_devices_benchmarks_are_measured_is_no_part_of_them() -> None:
    each = make_plan(edited("batch_sizes = [1]", 'devices = "each"\nbatch_sizes = [1]'))
    assert each.jobs == make_plan(Study.parse(SMALL)).jobs


def test_where_a_job_may_run_is_no_part_of_it() -> None:
    anywhere = make_plan(edited("threads = 1\n\n", 'threads = 1\ndevice = "gpu"\n\n'))
    assert [job.id for job in anywhere.jobs] == [job.id for job in make_plan(Study.parse(SMALL)).jobs]


def test_more_images_than_there_are_is_refused_with_both_numbers() -> None:
    with pytest.raises(StudyError, match=r"train_images = 999999 is more than the \d+ images"):
        make_plan(edited("train_images = 400", "train_images = 999999"))


def test_shards_without_an_image_of_every_class_are_refused() -> None:
    with pytest.raises(StudyError, match="use fewer shards"):
        make_plan(edited("shards = 2", "shards = 100"))


# --- average mode ---


def averaged(*keys: str, shards: int = 2) -> Study:
    training = "\n".join(["[training]", 'mode = "average"', *keys])
    return Study.parse(SMALL.replace("[training]", training).replace("shards = 2", f"shards = {shards}"))


def inputs(plan: Plan) -> dict[str, dict[str, str]]:
    """What each job reads of others, as `name of the job's end: name of the output`, shards aside."""
    ends = {job.id: job.name.partition("seed0/")[2] for job in plan.jobs}
    return {
        ends[job.id]: {called: f"{ends[ref.job]}:{ref.name}" for called, ref in job.inputs.items() if ref.job}
        for job in plan.jobs
        if job.stage in (Stage.TRAIN, Stage.MERGE)
    }


def test_the_shards_of_a_round_are_trained_at_once_and_then_merged() -> None:
    assert inputs(make_plan(averaged('inner_optimizer = "reset"'))) == {
        "train/r00.s0": {},
        "train/r00.s1": {},
        "merge/r00": {"replica0": "train/r00.s0:state", "replica1": "train/r00.s1:state"},
        "train/r01.s0": {"state": "merge/r00:state"},
        "train/r01.s1": {"state": "merge/r00:state"},
        "merge/r01": {"replica0": "train/r01.s0:state", "replica1": "train/r01.s1:state"},
    }


def test_a_kept_optimizer_comes_from_the_visit_to_the_same_shard_before() -> None:
    reads = inputs(make_plan(averaged()))
    assert reads["train/r00.s1"] == {}
    assert reads["train/r01.s1"] == {"state": "merge/r00:state", "own": "train/r00.s1:state"}


def test_an_outer_optimizer_goes_on_from_the_merge_before() -> None:
    reads = inputs(make_plan(averaged('outer = "nesterov"')))
    assert "previous" not in reads["merge/r00"]
    assert reads["merge/r01"]["previous"] == "merge/r00:state"


def test_the_last_merge_is_what_is_compressed() -> None:
    jobs = {job.name: job for job in make_plan(averaged()).jobs}
    assert jobs["alexnet-tiny/seed0/compress/float32"].parents == (jobs["alexnet-tiny/seed0/merge/r01"].id,)


def test_one_shard_is_trained_and_merged_in_turns() -> None:
    plan = make_plan(averaged('inner_optimizer = "reset"', shards=1))
    assert [job.name.partition("seed0/")[2] for job in plan.jobs[:4]] == [
        "train/r00.s0",
        "merge/r00",
        "train/r01.s0",
        "merge/r01",
    ]
    assert [job.parents for job in plan.jobs[:4]] == [(), *((job.id,) for job in plan.jobs[:3])]


def test_visits_of_a_round_end_at_the_step_of_their_merge_and_rounds_fill_the_schedule() -> None:
    jobs = make_plan(averaged()).jobs
    visits = [(job.spec["visit"], job.spec["round"]) for job in jobs if job.stage is Stage.TRAIN]
    merges = {job.spec["round"]: job.spec["step"] for job in jobs if job.stage is Stage.MERGE}
    assert [visit["first_step"] + visit["steps"] for visit, _ in visits] == [merges[round_] for _, round_ in visits]
    assert [visit["first_step"] for visit, _ in visits] == [0, 0, merges[0], merges[0]]
    assert {job.spec["training"]["total_steps"] for job in jobs if "training" in job.spec} == {merges[1]}


def test_networks_that_are_merged_have_equally_large_shards() -> None:
    study = averaged(shards=3)
    plan = make_plan(study)
    assert (train_images(study, plan.description), set(shard_sizes(399, 3))) == (399, {133})
    assert all("/399/3/" in name for name in plan.shard_names)
    # With batches of 64, 128 and 127 images would be two steps and one.
    uneven = averaged().model_copy(update={"train_images": 255})
    assert {job.steps for job in make_plan(uneven).jobs if job.stage is Stage.TRAIN} == {1}


@pytest.mark.parametrize(
    ("keys", "other"),
    [
        ((), ('outer = "nesterov"',)),
        (('outer = "nesterov"',), ('outer = "nesterov"', "outer_momentum = 0.5")),
        ((), ('inner_optimizer = "reset"',)),
    ],
)
def test_what_is_merged_otherwise_is_trained_anew(keys: tuple[str, ...], other: tuple[str, ...]) -> None:
    """The states of its rounds are gone by then."""
    before, after = (make_plan(averaged(*chosen)).jobs for chosen in (keys, other))
    assert {job.id for job in before}.isdisjoint(job.id for job in after)


def test_how_much_momentum_a_mean_would_have_is_no_part_of_its_jobs() -> None:
    assert make_plan(averaged("outer_momentum = 0.5")).jobs == make_plan(averaged()).jobs


def test_merges_need_the_device_that_trains_and_are_no_steps() -> None:
    jobs = make_plan(averaged('device = "gpu"')).jobs
    merges = [job for job in jobs if job.stage is Stage.MERGE]
    assert ({job.requires for job in merges}, {job.steps for job in merges}) == ({Device.GPU}, {0})


def on_images(shape: tuple[int, int, int], architecture: str) -> Plan:
    study = Study.parse(SMALL.replace('"alexnet-tiny"', f'"{architecture}"'))
    return make_plan(study, replace(datasets.describe("synthetic"), image_shape=shape))


@pytest.mark.parametrize(
    ("shape", "architecture", "told"),
    [
        ((6, 32, 3), "alexnet-tiny", "alexnet-tiny needs images of at least 7x7 pixels, .* are 6x32"),
        ((28, 28, 3), "alexnet-residual-paper", "at least 29x29"),
        ((3, 32, 32), "vit", "at least 4x4"),
        ((30, 32, 3), "vit-spt", "multiples of 4 pixels, .* are 30x32"),
        ((28, 28, 1), "vit-paper", "needs images with 3 channels, .* have 1"),
    ],
)
def test_images_that_an_architecture_cannot_be_built_for_are_refused(
    shape: tuple[int, int, int], architecture: str, told: str
) -> None:
    with pytest.raises(StudyError, match=told):
        on_images(shape, architecture)


def test_the_smallest_image_is_planned_and_a_persons_own_architecture_is_not_judged() -> None:
    assert on_images((7, 7, 3), "alexnet-tiny").jobs
    assert on_images((1, 1, 9), "my_networks:build").jobs


def test_a_study_of_more_jobs_than_can_be_shown_is_refused_before_they_are_made() -> None:
    study = edited("epochs = 2", "epochs = 10_000_000")
    with pytest.raises(StudyError, match=r"20,000,000 visits to shards .* give fewer shards"):
        make_plan(study)


@pytest.mark.parametrize("key", ["cutout", "crop_padding"])
def test_augmentation_that_can_leave_nothing_of_an_image_is_a_warning(key: str) -> None:
    study = edited("[benchmark]", f"[models.recipe.augmentation]\n{key} = 32\n\n[benchmark]")
    (warning,) = make_plan(study).warnings
    assert f"{key} = 32 can leave nothing of an image that has 32 pixels on a side" in warning


def test_more_shards_than_images_of_a_class_are_a_warning() -> None:
    rare = replace(datasets.describe("synthetic"), smallest_class=1)
    (warning,) = make_plan(Study.parse(SMALL), rare).warnings
    assert warning.startswith("shards = 2 is more than the 1 training images of the smallest class")
    assert make_plan(Study.parse(SMALL)).warnings == ()


@pytest.mark.parametrize("architecture", catalog.names())
def test_a_plan_says_what_static_int8_costs_a_transformer(architecture: str) -> None:
    study = edited('"float16"]', '"static-int8"]')
    (model,) = study.models
    study = study.model_copy(update={"models": (model.model_copy(update={"architecture": architecture}),)})
    warnings = make_plan(study).warnings
    if architecture.startswith(("vit", "cct")):
        (warning,) = warnings
        assert "static-int8 costs transformers points of accuracy" in warning
    else:
        assert warnings == ()
