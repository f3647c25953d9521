"""A real Slurm for tests, from Debian's packages: one machine, on loopback, without systemd, gone with the tests."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.lacking import lacking
from tests.support.processes import wait_until

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")

_LIFETIME = r"""
munged --foreground --force --key-file=munge/key --socket="$PWD/munge/socket" --pid-file="$PWD/munge/pid" \
  --log-file="$PWD/munge/log" --seed-file="$PWD/munge/seed" --origin=127.0.0.1 --num-threads=1 &
munged=$!
while ! [ -S munge/socket ]; do kill -0 $munged || exit 1; sleep 0.05; done
slurmctld -D -i & controller=$!
slurmd -D & node=$!
read -r _
scancel --me --state=PENDING
scancel --me --signal=KILL --full
# A step whose daemon is gone would look for it for minutes, and a daemon waits for its steps.
for _ in $(seq 300); do [ -z "$(squeue --me --noheader)" ] && break; sleep 0.1; done
kill $node $controller
wait $node $controller
kill $munged
wait $munged
"""
"""Runs until its standard input closes: the kernel closes that when the tests are killed, too."""

# Without the two *InAddrAny the daemons listen on every interface; linuxproc needs no cgroups, whose v2 wants systemd.
# config_overrides: as many workers run at a time as a test wants, however few cores there are.
_CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket={place}/munge/socket
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True)
class Cluster:
    """A Slurm that takes jobs."""

    configuration: Path
    """What SLURM_CONF must name for its commands."""

    def asked(self, *command: str) -> str:
        """What one of Slurm's commands printed."""
        environment = {**os.environ, "SLURM_CONF": str(self.configuration)}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Yields a cluster of this machine; a test without Slurm is skipped with the reason, but in CI it fails."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    if any(shutil.which(program, path=path) is None for program in _PROGRAMS):
        lacking("Slurm is not installed: apt-get install slurmctld slurmd slurm-client munge")
    # Not under pytest's tmp_path, which is too long for a socket (107 bytes).
    place = Path(tempfile.mkdtemp(prefix="slurm-"))
    try:
        with _running(_configured(place), path) as started:
            yield started
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _configured(place: Path) -> Path:
    for directory in ("state", "spool", "munge"):
        (place / directory).mkdir(mode=0o700)
    (place / "munge/key").write_bytes(os.urandom(128))
    (place / "munge/key").chmod(0o600)
    configuration = place / "slurm.conf"
    controller, node = _free_ports()
    host, user = socket.gethostname().partition(".")[0], getpass.getuser()
    configuration.write_text(_CONFIGURATION.format(host=host, controller=controller, node=node, place=place, user=user))
    return configuration


@contextmanager
def _running(configuration: Path, path: str) -> Iterator[Cluster]:
    daemons = subprocess.Popen(
        ["sh", "-c", _LIFETIME],
        cwd=configuration.parent,
        env={**os.environ, "PATH": path, "SLURM_CONF": str(configuration)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    found = Cluster(configuration)
    try:
        wait_until(lambda: "idle" in _said(found, daemons, "sinfo", "--noheader", "--format=%T"), "Slurm's node")
        yield found
    finally:
        assert daemons.stdin is not None, "it was asked for as a pipe"
        daemons.stdin.close()
        daemons.wait(timeout=60)


def _said(found: Cluster, daemons: subprocess.Popen[bytes], *command: str) -> str:
    assert daemons.poll() is None, "Slurm did not start"
    try:
        return found.asked(*command)
    except subprocess.CalledProcessError:
        return ""  # the controller is not there yet


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]
