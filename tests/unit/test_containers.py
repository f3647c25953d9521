"""The images and the Compose file hold together: checked by reading, because not every machine has an engine.

The rules are those of the Dockerfile reference and of the Compose specification.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from sqlalchemy import make_url

from tests.support.command_lines import commands_in, parse
from tests.support.dockerfiles import (
    Stage,
    copied,
    excluded,
    extras,
    instructions,
    last,
    lineage,
    pip_installs,
    stages,
    targets,
)

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker/compose.yaml"
IGNORE_FILE = ROOT / ".dockerignore"
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
EACH_DOCKERFILE = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.stem)
IMAGES = [(dockerfile, target) for dockerfile in DOCKERFILES for target in targets(dockerfile)]
EACH_IMAGE = pytest.mark.parametrize(("dockerfile", "target"), IMAGES, ids=lambda part: getattr(part, "stem", part))

PYPROJECT: Mapping[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
COMPOSE: Mapping[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
SERVICES: Mapping[str, Mapping[str, Any]] = COMPOSE["services"]
FORWARDER = "ui-port"
"""Runs in an image of this project, but no command of it."""
OWN = [name for name, service in SERVICES.items() if "build" in service and name != FORWARDER]
"""The services of this project; of the others the program is somebody else's."""
EACH_SERVICE = pytest.mark.parametrize("service", SERVICES)
EACH_OWN_SERVICE = pytest.mark.parametrize("service", OWN)

INSTRUCTIONS = {
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "ONBUILD", "RUN",
    "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
}  # fmt: skip
TOP_LEVEL_KEYS = {"configs", "include", "name", "networks", "secrets", "services", "version", "volumes"}
# The specification's keys that a service here may need; a misspelt one would be refused by the engine.
SERVICE_KEYS = {
    "build", "cap_add", "cap_drop", "command", "configs", "container_name", "cpus", "depends_on", "deploy",
    "entrypoint", "env_file", "environment", "expose", "healthcheck", "hostname", "image", "init", "ipc", "labels",
    "logging", "mem_limit", "network_mode", "networks", "platform", "ports", "privileged", "profiles", "pull_policy",
    "read_only", "restart", "runtime", "secrets", "shm_size", "stdin_open", "stop_grace_period", "stop_signal",
    "tmpfs", "tty", "ulimits", "user", "volumes", "working_dir",
}  # fmt: skip
BUILD_KEYS = {"args", "cache_from", "context", "dockerfile", "labels", "platforms", "target"}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


@EACH_DOCKERFILE
def test_a_dockerfile_begins_with_a_base_and_has_only_instructions_that_there_are(dockerfile: Path) -> None:
    names = [name for name, _ in instructions(dockerfile)]
    assert names[0] == "FROM"
    assert set(names) <= INSTRUCTIONS


@EACH_DOCKERFILE
def test_a_stage_is_built_on_an_image_with_a_tag_or_on_a_stage_before_it(dockerfile: Path) -> None:
    before: list[str] = []
    for stage in stages(dockerfile).values():
        assert stage.base in before or re.search(r":[\w.-]+$", stage.base), f"{stage.base} is neither"
        for source in re.findall(r"--from=(\S+)", " ".join(stage.values("COPY"))):
            assert source in before, f"COPY --from={source} names no stage before it"
        before.append(stage.name)


@EACH_IMAGE
def test_the_python_of_an_image_is_one_that_the_project_supports(dockerfile: Path, target: str) -> None:
    version = re.fullmatch(r"python:(\d+\.\d+)(\.\d+)?(-\w+)*", lineage(dockerfile, target).base)
    assert version is not None, "the base is an official Python image"
    assert version[1] in SpecifierSet(PROJECT["requires-python"])


@EACH_IMAGE
def test_all_that_is_copied_exists_and_reaches_the_engine(dockerfile: Path, target: str) -> None:
    for source in copied(lineage(dockerfile, target)):
        assert (ROOT / source).exists(), f"there is no {source}"
        inside = [path for path in (ROOT / source).rglob("*") if path.is_file() and path.suffix != ".pyc"]
        for path in inside or [ROOT / source]:
            assert not excluded(path.relative_to(ROOT).as_posix(), IGNORE_FILE), (
                f".dockerignore keeps {path} from the engine"
            )


@pytest.mark.parametrize("path", [".git/config", "tests/conftest.py", "study.toml", "models/__pycache__/vit.pyc"])
def test_what_no_image_needs_stays_out_of_the_context(path: str) -> None:
    assert excluded(path, IGNORE_FILE)


@EACH_IMAGE
def test_all_that_building_the_package_reads_is_copied(dockerfile: Path, target: str) -> None:
    packages = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], *packages}
    assert needed <= set(copied(lineage(dockerfile, target)))


@EACH_IMAGE
def test_an_image_installs_the_package_with_extras_that_there_are(dockerfile: Path, target: str) -> None:
    named = extras(lineage(dockerfile, target))
    assert named, "the package is installed with an extra"
    assert named <= PROJECT["optional-dependencies"].keys()


@EACH_IMAGE
def test_what_pip_installs_is_pinned_by_a_file_that_is_copied(dockerfile: Path, target: str) -> None:
    stage = lineage(dockerfile, target)
    for install in pip_installs(stage):
        pinned = re.search(r"--constraint[ =](\S+)", install)
        assert pinned is not None, f"{install} would take whatever is newest"
        assert pinned[1] in copied(stage)


@EACH_IMAGE
def test_an_image_starts_a_command_of_the_project_and_has_what_it_needs(dockerfile: Path, target: str) -> None:
    stage = lineage(dockerfile, target)
    (program,) = last(stage, "ENTRYPOINT")
    assert program in PROJECT["scripts"]
    assert ("worker" in extras(stage)) == (program == "orch-worker"), "TensorFlow is for workers, and for them alone"
    parse([program, *last(stage, "CMD")])


@EACH_IMAGE
def test_an_image_does_not_run_as_root(dockerfile: Path, target: str) -> None:
    assert lineage(dockerfile, target).values("USER")[-1] not in ("root", "0")


@EACH_DOCKERFILE
def test_the_build_commands_in_a_dockerfiles_head_name_it_and_its_stages(dockerfile: Path) -> None:
    builds = re.findall(r"docker build (.+)", dockerfile.read_text(encoding="utf-8"))
    assert builds
    for build in builds:
        options = shlex.split(build)
        assert ROOT / options[options.index("-f") + 1] == dockerfile
        assert options[-1] == ".", "the context is the repository"
        if "--target" in options:
            assert options[options.index("--target") + 1] in stages(dockerfile)


@dataclass(frozen=True)
class Build:
    """What a service's image is built from."""

    context: Path
    dockerfile: Path
    target: str | None

    @property
    def stage(self) -> Stage:
        return lineage(self.dockerfile, self.target)


def build_of(service: str) -> Build:
    build = SERVICES[service]["build"]
    assert build.keys() <= BUILD_KEYS
    context = (COMPOSE_FILE.parent / build["context"]).resolve()
    return Build(context, context / build.get("dockerfile", "Dockerfile"), build.get("target"))


def started_by(service: str) -> list[str]:
    """The words that a service starts with; an entrypoint of its own takes the image's command away."""
    stage, its = build_of(service).stage, SERVICES[service]
    entrypoint = its.get("entrypoint", last(stage, "ENTRYPOINT"))
    command = its.get("command", [] if "entrypoint" in its else last(stage, "CMD"))
    assert isinstance(entrypoint, list) and isinstance(command, list), "both are lists of words"
    return [*entrypoint, *command]


def mounts(service: str) -> list[tuple[str, str]]:
    """Volume and directory in the container."""
    return [(volume.split(":")[0], volume.split(":")[1]) for volume in SERVICES[service].get("volumes", [])]


def dependencies(service: str) -> Mapping[str, Any]:
    found = SERVICES[service].get("depends_on", {})
    return found if isinstance(found, dict) else {name: {} for name in found}


def test_the_compose_file_and_its_services_have_only_keys_that_there_are() -> None:
    assert COMPOSE.keys() <= TOP_LEVEL_KEYS
    for name, service in SERVICES.items():
        assert service.keys() <= SERVICE_KEYS, f"{name} has {service.keys() - SERVICE_KEYS}"


@EACH_OWN_SERVICE
def test_the_image_of_a_service_can_be_built_from_what_there_is(service: str) -> None:
    build = build_of(service)
    assert build.context == ROOT, "what the Dockerfiles copy is named from the repository's root"
    assert build.dockerfile in DOCKERFILES
    assert build.target is None or build.target in stages(build.dockerfile)


@EACH_OWN_SERVICE
def test_the_command_of_a_service_is_accepted_by_the_real_command_line(service: str) -> None:
    started = started_by(service)
    commands = list(commands_in(started[2])) if started[:2] == ["sh", "-c"] else [started]
    assert commands, f"{service} starts nothing of this project"
    for command in commands:
        assert command[0] in PROJECT["scripts"]
        parse(command)


@EACH_SERVICE
def test_the_volumes_of_a_service_are_declared(service: str) -> None:
    assert {volume for volume, _ in mounts(service)} <= COMPOSE["volumes"].keys()


@EACH_OWN_SERVICE
def test_a_service_reaches_the_jobs_and_the_files_of_the_study_in_its_volumes(service: str) -> None:
    home = make_url(SERVICES[service]["environment"]["ORCH_HOME"])
    assert home.password is None, "the file is committed"
    its = {directory: volume for volume, directory in mounts(service)}
    database = dict(mounts("postgres"))
    assert database[its[str(home.query["host"])]] == "/var/run/postgresql", "where the server's socket is"
    files = PurePosixPath(SERVICES[service]["environment"]["ORCH_ARTIFACTS"])
    assert any(str(parent) in its for parent in files.parents), "outside of the volume no other service sees them"


@EACH_SERVICE
def test_what_a_service_publishes_is_for_this_machine_alone(service: str) -> None:
    for port in SERVICES[service].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), f"{port} is open to the network"


@EACH_SERVICE
def test_an_image_of_somebody_else_has_a_tag(service: str) -> None:
    its = SERVICES[service]
    assert ("build" in its) != ("image" in its)
    assert re.search(r":\d[\w.-]*$", its.get("image", "own:1"))


def test_postgresql_listens_on_no_network_because_whoever_reaches_it_may_do_everything() -> None:
    assert SERVICES["postgres"]["environment"] == {"POSTGRES_HOST_AUTH_METHOD": "trust"}
    assert SERVICES["postgres"]["command"][-1] == "listen_addresses="


def test_the_published_port_leads_through_the_forwarder_to_the_page_under_the_name_that_it_knows() -> None:
    page, forwarder = SERVICES["ui"], SERVICES[FORWARDER]
    assert forwarder["network_mode"] == "service:ui", "the page listens on the loopback of its container"
    listens, leads = forwarder["command"]
    ((published, inside),) = [re.findall(r":(\d+)", port) for port in page["ports"]]
    port = page["command"][page["command"].index("--port") + 1]
    assert f"TCP-LISTEN:{inside}," in listens
    assert leads == f"TCP:127.0.0.1:{port}"
    assert published == port, "a browser calls the page by it, and another name is refused"
    stage = build_of(FORWARDER).stage
    assert any("socat" in run for run in stage.values("RUN")) and forwarder["entrypoint"] == ["socat"]


def test_a_worker_that_leaves_work_is_started_again_and_one_that_has_done_all_is_not() -> None:
    workers = [name for name in OWN if started_by(name)[0] == "orch-worker"]
    assert {SERVICES[name]["restart"] for name in workers} == {"on-failure:20"}, (
        "for ever would be too long for jobs that failed for good"
    )


@EACH_SERVICE
def test_a_service_waits_for_services_that_there_are_and_that_are_started_with_it(service: str) -> None:
    for name, rule in dependencies(service).items():
        assert name in SERVICES, f"{service} waits for {name}, which is no service"
        assert rule.get("condition", "service_started") in CONDITIONS
        profiles = SERVICES[name].get("profiles", [])
        assert not profiles or set(profiles) & set(SERVICES[service].get("profiles", [])), f"{name} may be left out"


def test_no_service_waits_for_itself() -> None:
    waiting = {name: set(dependencies(name)) for name in SERVICES}
    while free := [name for name, others in waiting.items() if not others & waiting.keys()]:
        for name in free:
            del waiting[name]
    assert not waiting, f"{', '.join(waiting)} wait for one another"


@EACH_OWN_SERVICE
def test_a_worker_is_given_the_time_to_checkpoint_before_it_is_killed(service: str) -> None:
    if started_by(service)[0] == "orch-worker":
        grace = re.fullmatch(r"(\d+)s", SERVICES[service].get("stop_grace_period", "10s"))
        assert grace is not None and int(grace[1]) >= 30


def test_the_compose_commands_that_are_told_to_people_run_a_service_with_a_command_it_accepts() -> None:
    pages = [COMPOSE_FILE, ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    told = [found for page in pages for found in re.findall(r"docker compose ([^\n`]+)", page.read_text("utf-8"))]
    assert told
    for command in told:
        _, file, *rest = shlex.split(command, comments=True)
        assert ROOT / file == COMPOSE_FILE
        if "run" in rest:
            name, *arguments = [word for word in rest[rest.index("run") + 1 :] if word != "--rm"]
            assert name in SERVICES
            parse([*last(build_of(name).stage, "ENTRYPOINT"), *arguments])
