"""An Airflow of its own: its environment, a home in a temporary folder, its services and its metadata."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import tiers

ROOT = tiers.ROOT
VERSIONS = [pytest.param(version, marks=pytest.mark.airflow) for version in ("2", "3")]
_WAIT_S = 180  # for anything that Airflow is asked to do
_COMMANDS = """
import json, sys
from airflow.cli import cli_parser
for line in sys.stdin:
    arguments = cli_parser.get_parser().parse_args(json.loads(line))
    arguments.func(arguments)
    print("\\ndone", flush=True)
"""
_LINK = "_link_ReportLink"
_LINKS = """
import sys
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
dag_id, run_id, task_id, name = sys.argv[1:]
with create_session() as session:
    task = SerializedDagModel.get_dag(dag_id, session).get_task(task_id)
    instance = session.query(TaskInstance).filter_by(dag_id=dag_id, run_id=run_id, task_id=task_id).one()
    print(task.get_extra_links(instance, name))
"""
_QUICK = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",  # seconds; the DAGs leave it at Airflow's default
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",  # only what the tests trigger
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "AIRFLOW__SCHEDULER__PARSING_PROCESSES": "1",
    "AIRFLOW__CORE__PARALLELISM": "2",
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__API_AUTH__JWT_SECRET": "only-for-tests-0123456789-0123456789-0123456789-0123456789",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONWARNINGS": "ignore",
}


@dataclass
class Box:
    """One Airflow: which, where its home is, and what its processes have in their environment."""

    version: str
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def python(self):
        """Its interpreter."""
        return tiers.AIRFLOWS / self.version / "bin" / "python"

    @property
    def environment(self):
        """What its processes have in their environment."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "BUCKET"))}
        path = f"{self.python.parent}{os.pathsep}{os.environ['PATH']}"
        return kept | _QUICK | {"PATH": path, "AIRFLOW_HOME": str(self.home)} | self.variables

    def run(self, *words, text=None):
        """Run its interpreter to the end; gives what it printed on stdout."""
        done = subprocess.run(
            [str(self.python), *words], input=text, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    # --- its metadata ----------------------------------------------------------------------------------------------

    def rows(self, query, *values):
        """Ask its metadata."""
        with closing(sqlite3.connect(f"file:{self.home}/airflow.db?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(query, values).fetchall()

    def run_state(self, dag_id, run_id):
        """Return the state of a DAG run; None when it is not there."""
        found = self.rows("select state from dag_run where dag_id = ? and run_id = ?", dag_id, run_id)
        return found[0][0] if found else None

    def tasks(self, dag_id, run_id):
        """Return (state, attempts, process) of each task instance, by name and number."""
        query = (
            "select task_id, map_index, state, try_number, pid from task_instance where dag_id = ? and run_id = ? "
            "order by task_id, map_index"
        )
        return {(row[0], row[1]): row[2:] for row in self.rows(query, dag_id, run_id)}

    def told(self, dag_id, run_id, task_id):
        """Return what a task's attempts told Airflow (XCom), one for each number."""
        query = "select value from xcom where dag_id = ? and run_id = ? and task_id = ? and key = ? order by map_index"
        found = [json.loads(row[0]) for row in self.rows(query, dag_id, run_id, task_id, "return_value")]
        return [json.loads(value) if isinstance(value, str) and value[0] in '{"' else value for value in found]

    def link(self, dag_id, run_id, task_id, name):
        """Return where a link beside a task leads: kept by the worker in Airflow 3, worked out by the server in 2."""
        if self.version == "3":
            found = self.rows(
                "select value from xcom where dag_id = ? and run_id = ? and key = ?", dag_id, run_id, _LINK
            )
            return json.loads(found[-1][0])
        return self.run("-c", _LINKS, dag_id, run_id, task_id, name).splitlines()[-1]

    def wait(self, what, question):
        """Wait until a question is answered with something true."""
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            if answer := question():
                return answer
            time.sleep(0.2)
        raise AssertionError(f"Airflow {self.version}: {what} took longer than {_WAIT_S} s\n{self.logs()}")

    def ended(self, dag_id, run_id):
        """Wait for the end of a DAG run; gives its state."""
        self.wait(f"the end of {dag_id}", lambda: self.run_state(dag_id, run_id) in {"success", "failed"})
        return self.run_state(dag_id, run_id)

    def logs(self):
        """Return the ends of its services' logs."""
        return "\n".join(f"--- {file.name}\n{file.read_text()[-3000:]}" for file in self.home.glob("*.log"))

    def task_logs(self):
        """Return all that its tasks have logged."""
        return "\n".join(file.read_text("utf-8") for file in (self.home / "logs").rglob("attempt=*.log"))

    # --- its commands and services ---------------------------------------------------------------------------------

    @contextmanager
    def commands(self):
        """Return a function that runs commands of Airflow, all in one process: its imports take seconds."""
        with (self.home / "commands.log").open("wb") as log:
            process = subprocess.Popen(
                [str(self.python), "-c", _COMMANDS], env=self.environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip

        def command(*words):
            process.stdin.write(json.dumps(words) + "\n")
            process.stdin.flush()
            assert any(line == "done\n" for line in process.stdout), f"{words}\n{self.logs()}"

        with process:
            yield command

    @contextmanager
    def services(self):
        """Run what runs tasks; everything that was started ends with the `with`."""
        started = []
        try:
            if self.version == "3":
                port = _free_port()
                self.variables |= {"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/"}
                started.append(self._start("api-server", "--host", "127.0.0.1", "--port", str(port)))
                started.append(self._start("dag-processor"))
                self.wait("the API server", lambda: _listens(port))  # a task that starts before it fails
            started.append(self._start("scheduler"))
            yield
        finally:
            for process in started:
                _end(process)

    def _start(self, *words):
        with (self.home / f"{words[0]}.log").open("wb") as log:
            return subprocess.Popen(
                [str(self.python), "-m", "airflow", *words],
                env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip


def _end(process):
    """End a service and all that it started: they are one group."""
    for number, patience_s in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience_s)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait(5)


def _listens(port):
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", port)) == 0


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def connection(url, key):
    """Spell a connection as an environment variable holds it."""
    return json.dumps({"conn_type": "bucket", "host": url, "password": key})
