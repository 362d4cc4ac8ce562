"""`snakemake --profile workflow/slurm` on a cluster of one machine, as `make test-slurm` runs it: killed and continued.

Needs Debian's `slurm-wlm` and `munge`. Everything listens on loopback, has its files in a folder of its own, and is
stopped by its process ids. The machine is said to have more processors and memory than it may have.
"""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from test_workflow import begun, jobs, parts, project, snakemake  # noqa: F401

PROCESSORS = 16  # two jobs of 8 threads
RUN = ("--profile", "workflow/slurm", "--slurm-status-command", "squeue", "--nolock", "measured")
CONFIGURATION = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={controller}
SlurmdPort={worker}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MpiDefault=none
MinJobAge=600
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={processors} RealMemory=64000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@contextlib.contextmanager
def running(*command: object, log: Path) -> Generator[None]:
    """A daemon in the foreground, stopped by its id."""
    with log.open("w") as file:
        process = subprocess.Popen([*map(str, command)], stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def a_free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Path]:
    """The folder of a cluster that takes jobs, named to Slurm's commands by the environment."""
    missing = [name for name in ("munged", "slurmctld", "slurmd") if not shutil.which(name, path=PATH)]
    assert not missing, f"no {', '.join(missing)}: apt-get install slurm-wlm munge"
    folder = tmp_path_factory.mktemp("cluster")
    folder.parent.chmod(0o755)
    folder.chmod(0o755)
    key, socket_path = folder / "munge.key", folder / "munge.socket"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    configuration, srun = folder / "slurm.conf", folder / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={configuration} exec {shutil.which("srun")} "$@"\n')  # jobs forget it
    srun.chmod(0o755)
    ports = {"controller": a_free_port(), "worker": a_free_port()}
    chosen = {"host": socket.gethostname(), "user": getpass.getuser(), "folder": folder, "processors": PROCESSORS}
    configuration.write_text(CONFIGURATION.format(**chosen, **ports))
    places = [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
    munged = ("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={socket_path}", *places)
    before = dict(os.environ)
    os.environ |= {"SLURM_CONF": str(configuration), "PATH": f"{folder}:{PATH}"}
    try:
        with (
            running(*munged, log=folder / "munged.out"),
            running("slurmctld", "-D", "-c", "-f", configuration, log=folder / "slurmctld.out"),
            running("slurmd", "-D", "-f", configuration, log=folder / "slurmd.out"),
        ):
            wait(lambda: "idle" in told("sinfo", "--noheader", "--format=%T"), 60, folder)
            yield folder
            subprocess.run(["scancel", "--user", getpass.getuser()], check=True)
            wait(idle, 60, folder)
            for name in ("slurmctld.log", "slurmd.log"):
                print(name, *(folder / name).read_text().splitlines()[-5:], sep="\n")
    finally:
        os.environ.clear()
        os.environ |= before


PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def told(*command: str) -> str:
    run = subprocess.run(command, capture_output=True, text=True)
    return run.stdout + run.stderr


def idle() -> bool:
    return not told("squeue", "--noheader", "--states=PENDING,RUNNING,COMPLETING").strip()


def wait(until, seconds: float, folder: Path) -> None:
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            logs = [path.read_text()[-2000:] for path in sorted(folder.glob("*.[lo][ou][gt]"))]
            raise AssertionError("\n".join([f"not within {seconds} s", *logs]))
        time.sleep(0.5)


def test_the_workflow_on_slurm_killed_in_the_middle_and_continued(cluster, project):  # noqa: F811
    process = begun(project, *RUN, log=(cluster / "snakemake.log").open("w"))
    try:
        wait(lambda: process.poll() is not None or len(parts(project)) >= 2, 1800, cluster)
        assert process.poll() is None, (cluster / "snakemake.log").read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(["scancel", "--user", getpass.getuser()], check=True)
    wait(idle, 60, cluster)
    before = parts(project)
    snakemake(project, *RUN)
    assert len(parts(project)) == 5  # none, and four noises
    assert before.items() <= parts(project).items(), "finished parts stay the very files they were"
    ended = told("squeue", "--noheader", "--states=all", "--format=%T").split()
    print(f"jobs: {', '.join(f'{ended.count(state)} {state}' for state in sorted({*ended}))}")
    assert ended.count("COMPLETED") >= 7 - len(before) and "FAILED" not in ended
    assert jobs(snakemake(project, *RUN)) == {}
