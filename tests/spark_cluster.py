"""A Spark cluster for tests: a master, workers, and a server of Spark Connect on it.

It lies in an environment of its own (`make spark`). The workers are on 127.0.0.1 and 127.0.0.2: Spark starts a copy
of a slow task on another machine only.
"""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tiers import ROOT, SPARK

PYTHON = SPARK / "bin/python"
UP_S = 120  # of a busy machine
BRIEF = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # of JVMs that live for seconds: most is compiled for nothing
_CONF = """
spark.ui.enabled                  false
spark.ui.port                     0
spark.driver.extraJavaOptions     {brief}
spark.executor.extraJavaOptions   {brief}
spark.driver.memory               700m
spark.executor.memory             600m
spark.cores.max                   2
spark.sql.shuffle.partitions      4
spark.speculation                 true
spark.speculation.interval        200ms
spark.speculation.quantile        0.5
spark.speculation.multiplier      1.5
spark.speculation.minTaskRuntime  3s
spark.eventLog.enabled            true
spark.eventLog.compress           false
spark.eventLog.dir                {events}
"""


@dataclass(frozen=True)
class Attempt:
    """An attempt at a task.

    Attributes:
        task: its stage, and which of its tasks.
        is_copy: whether it was started because another attempt was slow.
        ended: how it ended: `Success`, `TaskKilled`, `ExecutorLostFailure`.
    """

    task: tuple[int, int]
    is_copy: bool
    ended: str


@dataclass
class Cluster:
    """A cluster that is up.

    Attributes:
        home: the folder of its settings and its logs.
        master: its address.
        remote: the address of its Connect server.
        shown: the address of the pages of its Connect server.
        processes: what was started, by name.
    """

    home: Path
    master: str = ""
    remote: str = ""
    shown: str = ""
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    def environment(self, **more):
        """Return the variables of a program that works with Spark."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
        own = {"SPARK_CONF_DIR": str(self.home / "conf"), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": str(PYTHON)}
        own |= {"SPARK_DAEMON_JAVA_OPTS": BRIEF, "PYTHONPATH": str(ROOT)}  # an environment may be another checkout's
        path = os.pathsep.join([str(SPARK / "bin"), kept["PATH"]])
        return kept | own | {"PATH": path} | {name: str(value) for name, value in more.items()}

    def start(self, name, *words, **variables):
        """Start a process of Spark."""
        with (self.home / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [SPARK / "bin" / words[0], *words[1:]],
                cwd=self.home,
                env=self.environment(**variables),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self, name):
        """Return what a process has written."""
        return (self.home / f"{name}.log").read_text("utf-8", "replace")

    def said(self, name, pattern):
        """Wait until a process has written something, and return the match."""
        deadline = time.monotonic() + UP_S
        while (found := re.search(pattern, self.log(name))) is None:
            assert time.monotonic() < deadline, self.log(name)
            assert self.processes[name].poll() is None, self.log(name)
            time.sleep(0.1)
        return found

    def executor_of(self, worker):
        """Return the executor that a Python worker works for: its parent's, which only starts workers."""
        return _parent(_parent(worker))

    def python_workers(self):
        """Return the processes that run Python for executors that live; those of a killed one go on for a while."""
        working = dict(self._working())
        executors = {pid for pid, words in working.items() if "CoarseGrainedExecutorBackend" in words}
        daemons = {pid for pid, words in working.items() if "pyspark.daemon" in words and _parent(pid) in executors}
        return [pid for pid in working if _parent(pid) in daemons]

    def _working(self):
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if str(folder.joinpath("cwd").readlink()).startswith(f"{self.home}/127."):
                    yield int(folder.name), folder.joinpath("cmdline").read_bytes().decode().replace("\0", " ")
            except OSError:  # it has ended
                continue

    def attempts(self):
        """Return the Connect server's attempts at tasks that have ended, oldest first, as its event log has them."""
        logs = [path.read_text("utf-8") for path in sorted(self.home.glob("events/*-0000/events_*"))]
        lines = [line for log in logs for line in log.splitlines()[: log.count("\n")]]  # the last may be half written
        events = [json.loads(line) for line in lines if line.startswith('{"Event":"SparkListenerTaskEnd"')]
        return [
            Attempt(
                task=(event["Stage ID"], event["Task Info"]["Index"]),
                is_copy=event["Task Info"]["Speculative"],
                ended=event["Task End Reason"]["Reason"],
            )
            for event in events
        ]

    def stop(self):
        """End all of it."""
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            process.wait(UP_S)


def _parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def open_files(pid, *, is_read):
    """Return the paths that a process has open: those that it only reads, or those that it writes."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):  # it was closed, or the process has ended
            if is_read is not bool(link.lstat().st_mode & stat.S_IWUSR):
                found.add(str(link.readlink()))
    return found


@contextmanager
def standing_still(pid):
    """Stop a process, and let it go on in the end, if it is still there."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def cluster(home, cores=(2, 2)):
    """Start a cluster, and a Connect server that plans on it.

    Args:
        home: the folder for its settings and its logs.
        cores: those of each worker.
    """
    (home / "conf").mkdir()
    (home / "events").mkdir()
    (home / "conf/spark-defaults.conf").write_text(_CONF.format(events=(home / "events").as_uri(), brief=BRIEF))
    found = Cluster(home)
    try:
        found.start("master", "spark-class", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1",
                    "--port", "0", "--webui-port", "0")  # fmt: skip
        found.master = found.said("master", r"spark://127\.0\.0\.1:[1-9]\d*")[0]
        for number, many in enumerate(cores, 1):
            host = f"127.0.0.{number}"
            found.start(f"worker{number}", "spark-class", "org.apache.spark.deploy.worker.Worker", "--host", host,
                        "--cores", str(many), "--memory", "1400m", "--webui-port", "0", "--work-dir", str(home / host),
                        found.master, SPARK_LOCAL_IP=host)  # fmt: skip
        for number in range(1, len(cores) + 1):
            found.said(f"worker{number}", "Successfully registered")
        _serve(found)
        yield found
    finally:
        found.stop()


def _serve(found):
    """Start a Connect server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found.start("connect", "spark-submit", "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
                "--master", found.master, "--conf", f"spark.connect.grpc.binding.port={port}",
                "--conf", "spark.connect.grpc.binding.address=127.0.0.1", "--conf", "spark.ui.enabled=true",
                "spark-internal")  # fmt: skip
    found.said("connect", "Spark Connect server started")
    found.remote = f"sc://127.0.0.1:{port}"
    port = found.said("connect", r"'SparkUI' on port (\d+)")[1]
    found.shown = f"http://127.0.0.1:{port}"
