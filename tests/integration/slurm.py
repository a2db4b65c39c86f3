"""A real Slurm on this machine: a controller, two nodes, state in a temporary folder and ports of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch")
NODES = ("nodea", "nodeb")
CONFIGURATION = """
ClusterName=postmill
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdSpoolDir={folder}/spool-%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
ReturnToService=2
SlurmdTimeout=300
KillWait=5
MinJobAge=600
MaxArraySize=1001
MailProg=/bin/true
SlurmdParameters=config_overrides
NodeName=nodea NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=4000 State=UNKNOWN
NodeName=nodeb NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=nodea,nodeb Default=YES MaxTime=INFINITE State=UP
"""


class Cluster:
    """The daemons, and the commands that talk to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "COLUMNS": "200", "NO_COLOR": "1"}
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str) -> None:
        log = (self.folder / f"{name}.out").open("ab")
        self.daemons[name] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment
        )
        log.close()

    def start_node(self, node: str) -> None:
        self.start(node, "slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """Kill the node's daemon without a warning; the tasks it started live on, as they do on a real node."""
        self.daemons[node].send_signal(signal.SIGKILL)
        self.daemons.pop(node).wait()

    def call(self, *command: object) -> str:
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, env=self.environment)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def postmill(self, *arguments: object) -> str:
        return self.call(sys.executable, "-m", "postmill.cli", *arguments)

    def jobs(self, *states: str) -> list[str]:
        """The tasks in the queue as `ARRAY_INDEX NAME`, those in one of `states` if any are given."""
        chosen = ["--states", ",".join(states)] if states else []
        return self.call("squeue", "--noheader", "--array", "--format=%i %j", *chosen).splitlines()

    def until(self, true: Callable[[], object], what: str, seconds: float = 600, pause: float = 0.1) -> None:
        """Wait until `true()` is; what it waits for depends on the machine, so the limit is generous."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"{what}: {self.jobs()}\n{self.last_words()}"
            time.sleep(pause)

    def last_words(self) -> str:
        logs = sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")])
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-1500:]}" for path in logs)

    def stop(self) -> None:
        if "slurmctld" in self.daemons:
            self.call("scancel", "--user", "root")
            end = time.monotonic() + 30
            while self.jobs() and time.monotonic() < end:
                time.sleep(0.2)
        for name in reversed(list(self.daemons)):
            self.daemons[name].terminate()
            try:
                self.daemons[name].wait(20)
            except subprocess.TimeoutExpired:
                self.daemons[name].kill()
                self.daemons[name].wait()


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for listener in sockets:
        listener.bind(("127.0.0.1", 0))
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start a cluster of two nodes with one core each, and stop it in the end."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: a socket's path has at most 107 bytes
    for name in ("munge", "state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir(mode=0o700)
    key = folder / "munge" / "key"
    key.touch(mode=0o400)
    key.write_bytes(secrets.token_bytes(128))
    text = CONFIGURATION.format(host=socket.gethostname().split(".")[0], folder=folder, ports=free_ports(3))
    (folder / "slurm.conf").write_text(text)
    running = Cluster(folder)
    munge = {f"--{name}-file": folder / "munge" / name for name in ("key", "pid", "log", "seed")}
    files = [f"{option}={path}" for option, path in munge.items()]
    try:
        running.start("munged", "munged", "--foreground", "--force", f"--socket={folder}/munge/socket", *files)
        running.until(lambda: (folder / "munge" / "socket").exists(), "munged does not start", 30)
        running.start("slurmctld", "slurmctld", "-D", "-c")
        for node in NODES:
            running.start_node(node)
        command = ["sinfo", "--noheader", "--Node", "--format=%N %T"]

        def idle() -> bool:
            output = subprocess.run(command, capture_output=True, text=True, env=running.environment).stdout
            return sorted(output.splitlines()) == [f"{node} idle" for node in NODES]

        end = time.monotonic() + 60
        while not idle():
            assert time.monotonic() < end, running.last_words()
            time.sleep(0.2)
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)
