"""A Spark cluster for tests: a master, two workers, and a server of Spark Connect on it that has a core of each.

It lies in an environment of its own (`make spark`). The workers are on 127.0.0.1 and 127.0.0.2: Spark starts a copy
of a slow task on another machine only.
"""

import os
import re
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tiers import SPARK

PYTHON = SPARK / "bin/python"
UP_S = 60
_CONF = """
spark.ui.enabled                  false
spark.driver.memory               700m
spark.executor.memory             600m
spark.cores.max                   2
spark.sql.shuffle.partitions      4
spark.speculation                 true
spark.speculation.interval        200ms
spark.speculation.quantile        0.5
spark.speculation.minTaskRuntime  3s
spark.eventLog.enabled            true
spark.eventLog.compress           false
spark.eventLog.dir                {events}
"""


@dataclass
class Cluster:
    """A cluster that is up.

    Attributes:
        home: the folder of its settings and its logs.
        master: its address.
        remote: the address of its Connect server.
        processes: what was started, by name.
    """

    home: Path
    master: str = ""
    remote: str = ""
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)

    def environment(self, **more):
        """Return the variables of a program that works with Spark."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
        own = {"SPARK_CONF_DIR": str(self.home / "conf"), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": str(PYTHON)}
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

    def executors(self):
        """Return the processes of its executors, which work in folders of its workers."""
        return [pid for pid, words in self._working() if "CoarseGrainedExecutorBackend" in words]

    def python_workers(self):
        """Return the processes that run Python for its executors, without those that only start others."""
        daemons = {pid for pid, words in self._working() if "pyspark.daemon" in words}
        return [pid for pid, _ in self._working() if _parent(pid) in daemons]

    def _working(self):
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if str(folder.joinpath("cwd").readlink()).startswith(f"{self.home}/127."):
                    yield int(folder.name), folder.joinpath("cmdline").read_bytes().decode().replace("\0", " ")
            except OSError:  # it has ended
                continue

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


@contextmanager
def cluster(home):
    """Start a cluster, and a Connect server that plans on it."""
    (home / "conf").mkdir()
    (home / "events").mkdir()
    (home / "conf/spark-defaults.conf").write_text(_CONF.format(events=(home / "events").as_uri()))
    found = Cluster(home)
    try:
        found.start("master", "spark-class", "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1",
                    "--port", "0", "--webui-port", "0")  # fmt: skip
        found.master = found.said("master", r"spark://127\.0\.0\.1:[1-9]\d*")[0]
        for number in (1, 2):
            host = f"127.0.0.{number}"
            found.start(f"worker{number}", "spark-class", "org.apache.spark.deploy.worker.Worker", "--host", host,
                        "--cores", "2", "--memory", "1400m", "--webui-port", "0", "--work-dir", str(home / host),
                        found.master, SPARK_LOCAL_IP=host)  # fmt: skip
        for number in (1, 2):
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
                "--conf", "spark.connect.grpc.binding.address=127.0.0.1", "spark-internal")  # fmt: skip
    found.said("connect", "Spark Connect server started")
    found.remote = f"sc://127.0.0.1:{port}"
