"""A SLURM of two nodes on this machine, in a folder of its own: the system's configuration is not touched.

It needs the packages slurm-wlm and munge, and a user who may start them (root, in a container). Everything
listens on loopback alone, and ends with the block.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

NODES = ("node1", "node2")
_COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo")
PATIENCE_S = 1200.0
"""How long anything may take: the machine may be busy with much else."""
_CONFIGURATION = """
ClusterName=mribench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
ReturnToService=2
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
KillWait=20
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
MinJobAge=300
SlurmctldTimeout=60
SlurmdTimeout=30
NodeName=DEFAULT CPUs=1 RealMemory=4000 Gres=gpu:1
NodeName={names} NodeHostname={host} NodeAddr=127.0.0.1 Port=[{ports[1]}-{ports[2]}]
PartitionName=main Nodes=ALL Default=YES MaxTime=60 State=UP
PartitionName=gpu Nodes=ALL MaxTime=2880 State=UP
PartitionName=urgent Nodes=ALL MaxTime=60 PriorityTier=10 State=UP
"""
_DEVICES = """
AutoDetect=off
NodeName={names} Name=gpu File=/dev/null
"""
"""Generic resources that are counted and handed out, with nothing behind them: there is no GPU."""


def find_obstacle() -> str:
    """Return why no SLURM can be started here, or an empty string."""
    absent = [name for name in _COMMANDS if shutil.which(name) is None]
    if absent:
        return f"SLURM is not installed (no {', '.join(absent)}): Debian's packages slurm-wlm and munge"
    return "" if os.geteuid() == 0 else "SLURM's daemons are started as root, in a container"


class SlurmCluster:
    """A running SLURM.

    Attributes:
        folder: with all that belongs to it.
        environment: in which its commands find it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def call(self, *words: str) -> str:
        """Call a command of SLURM; return what it says."""
        said = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60)
        assert said.returncode == 0, f"{' '.join(words)}: {said.stderr}"
        return said.stdout.strip()

    def take_away(self, node: str, state: Literal["drain", "down"]) -> None:
        """Let a node finish what it does and take nothing more, or lose it with what it does."""
        self.call("scontrol", "update", f"nodename={node}", f"state={state}", "reason=test")

    def give_back(self, node: str) -> None:
        """Let a node work again; one that was lost may be back by itself, and then there is nothing to do."""
        resume = ["scontrol", "update", f"nodename={node}", "state=resume"]
        subprocess.run(resume, env=self.environment, capture_output=True, timeout=60)
        self.wait_for(f"{node} is back", lambda: node in self._list_working())

    def _list_working(self) -> list[str]:
        said = self.call("sinfo", "--noheader", "--Node", "--format=%N %T")
        states = dict(line.split() for line in said.splitlines())
        return [node for node, state in states.items() if state in ("idle", "allocated", "mixed")]

    def start(self, name: str, *words: str) -> None:
        """Start a daemon in the foreground."""
        with (self.folder / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                words, env=self.environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )

    def start_controller(self) -> None:
        """Start the controller, which finds its jobs again."""
        self.start("slurmctld", "slurmctld", "-D")

    def stop(self, name: str) -> None:
        """End a daemon, the hard way if need be."""
        daemon = self._daemons.pop(name)
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def stop_all(self) -> None:
        """Cancel what is in the queue, and end every daemon."""
        subprocess.run(["scancel", "--user=root"], env=self.environment, capture_output=True, timeout=60)
        for name in reversed(list(self._daemons)):
            self.stop(name)

    def wait_for(self, what: str, holds: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
        """Wait until something holds."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"{what}: not within {seconds:g} s\n{self._tail()}"
            time.sleep(0.3)

    def _tail(self) -> str:
        logs = sorted(self.folder.glob("*.log")) + sorted(self.folder.glob("*.out"))
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-600:]}" for log in logs)


def end_as_by_ctrl_c() -> None:
    """Have this process end at SIGTERM as at Ctrl-C, so that it takes the daemons that it started with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@contextmanager
def run_slurm(folder: Path) -> Iterator[SlurmCluster]:
    """Start a SLURM in a folder, and end it with the block."""
    (folder / "munge").mkdir(mode=0o700, parents=True)
    (folder / "state").mkdir()
    key = folder / "munge" / "key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    host = socket.gethostname().split(".")[0]
    settings = {"folder": folder, "host": host, "ports": _find_ports(3), "names": ",".join(NODES)}
    (folder / "slurm.conf").write_text(_CONFIGURATION.format_map(settings))
    (folder / "gres.conf").write_text(_DEVICES.format_map(settings))
    cluster = SlurmCluster(folder)
    with ExitStack() as ending:
        ending.callback(cluster.stop_all)
        places = [f"--{name}-file={folder}/munge/{name}" for name in ("key", "pid", "log", "seed")]
        cluster.start(
            "munged", "munged", "--foreground", "--force", f"--socket={folder}/munge/socket", *places
        )
        cluster.wait_for("munge", (folder / "munge" / "socket").exists)
        cluster.start_controller()
        for name in NODES:
            cluster.start(name, "slurmd", "-D", "-N", name)
        cluster.wait_for("two idle nodes", lambda: _count_idle(cluster) == len(NODES))
        yield cluster


def _count_idle(cluster: SlurmCluster) -> int:
    said = subprocess.run(
        ["sinfo", "--noheader", "--Node", "--states=idle", "--format=%N"],
        env=cluster.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    # a node is listed once for each of its partitions
    return len(set(said.stdout.split())) if said.returncode == 0 else 0


def _find_ports(n_ports: int) -> list[int]:
    """Return free ports in a row; another process that looks at the same time begins elsewhere."""
    begin = 17100 + n_ports * (os.getpid() % 3000)
    for first in range(begin, begin + 1000, n_ports):
        ports = list(range(first, first + n_ports))
        with ExitStack() as opened:
            try:
                for port in ports:
                    listener = opened.enter_context(socket.socket())
                    listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        return ports
    raise AssertionError("no free ports")
