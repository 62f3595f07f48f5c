"""A real Airflow runs `pipelines/dags/many_senders.py`: one task plans, three mapped ones deliver, one sees the end.

Airflow 3 runs the three at once: a task is killed; the DAG is triggered again; a key is refused, and what has failed is
cleared once it is right. Airflow 2 on SQLite runs one task at a time: one is killed, the next sends all, and the others
find the run ended. Each is one test, so that no two workers tell the same story. Parts are small and the lease is short
here, so that nobody waits for long.
"""

import json
import os
import re
import shutil
import signal
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from textwrap import indent

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import servers
from airflow_box import ROOT, Box, connection
from workplace import KEY, Emulator

from bucket_loader.emulator.http.server import running

DAG, SENDERS = "many_senders", 3
PART, PARTS = 5_000, 6
PIPELINE = """
name: {name}
destination:
  base_url: ${{BUCKET_BASE_URL}}
  key: ${{BUCKET_SECRET_KEY}}
  timeout: 3s
  concurrency: 2
streams:
- name: events
  record: event
  key: [id]
  source: {{type: parquet, path: events.parquet}}
  fields: {{userId: user, event: {{value: seen}}, timestamp: {{column: at, type: timestamp, timezone: UTC}},
    attributes: {{id: id}}}}
"""
# Read by each process of Airflow. A task is a fork of one, so what is imported here is not imported by each task.
SETTINGS = f"""
from bucket_loader.model import rows
rows.SLICE_ROWS = {PART}
from bucket_loader.runs.senders import sending
from bucket_loader.state.ledger import postgres, session_lock
sending.LEASE_S = session_lock.LEASE_S = 3.0
postgres._LOOKS_EVERY_S, postgres._ASKS_AFTER_S = 0.6, 1.5
import duckdb, pandas
from bucket_loader.runs import deliver_job, plan_for_senders
"""
AT_WORK = "SELECT s.pid FROM sender s JOIN part p USING (sender) WHERE p.ended IS NULL AND s.ended IS NULL"
REFUSED = {"kind": "status", "status": 401}
SLOW = {"kind": "latency", "seconds": 0.3}

pytestmark = [pytest.mark.timeout(900), pytest.mark.airflow, pytest.mark.postgres]


@dataclass
class World:
    """An Airflow with the recipe, the exports that it loads, and where they arrive."""

    box: Box
    emulator: Emulator
    name: str = field(default_factory=lambda: f"senders{time.time_ns()}")

    def export(self, events):
        """Write so many events, in row groups of a part each."""
        rows = range(events)
        table = pa.table({"id": rows, "user": [f"u{n % 97}" for n in rows], "at": ["2026-01-01 10:00:00"] * events})
        pq.write_table(table, self.box.home / "events.parquet", row_group_size=PART)

    def senders(self):
        """Return the processes that have a part now, as the ledger says."""
        query = "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)"
        with (
            psycopg.connect(servers.postgres_url(), autocommit=True) as server,
            suppress(psycopg.errors.UndefinedTable),
        ):
            for (schema,) in server.execute(query, (f"bucket_loader@{self.name}@",)).fetchall():
                server.execute(f'SET search_path TO "{schema}"')
                return [pid for (pid,) in server.execute(AT_WORK).fetchall()]
        return []  # not yet

    def arrived(self):
        """Return how often each event has arrived."""
        return Counter(item["item"]["attributes"]["id"] for item in self.emulator.journal() if item["type"] == "event")

    def known(self, run_id):
        """Return what Airflow knows of a DAG run that has ended."""
        return {
            "state": self.box.run_state(DAG, run_id),
            "tasks": {name: task[:2] for name, task in self.box.tasks(DAG, run_id).items()},
            **{task: self.box.told(DAG, run_id, task) for task in ("plan", "deliver", "end")},
            "requests": self.emulator.state()["requests"],
            "arrived": self.arrived(),
        }


def test_three_tasks_at_once_send_one_run(tmp_path):
    """One is killed, and the run ends well; again sends nothing; a refused key fails all, until it is right."""
    with airflow(Box("3", tmp_path)) as (command, world):
        killed, at_once = kill(command, world, at_least=2)
        again = load(command, world, "again")
        world.export(PART * (PARTS + 2))
        world.emulator.faults(REFUSED)
        refused = load(command, world, "refused")
        world.emulator.faults()
        cleared = clear(command, world, "refused")
        told = everything_told(world.box)

    assert at_once >= 2
    the_killed_task_was_retried_and_the_run_ended_well(killed)
    airflow_was_told_the_runs_name_and_how_it_ended(killed)
    the_run_that_was_triggered_again_sent_nothing(killed, again)
    the_refused_key_failed_all_at_once(again, refused)
    the_tasks_that_were_cleared_sent_that_run(refused, cleared)
    no_key_and_no_password_was_told(told)


def test_tasks_that_run_one_after_the_other_send_one_run(tmp_path):
    """One is killed, the next sends all, and the others are green."""
    with airflow(Box("2", tmp_path)) as (command, world):
        killed, _ = kill(command, world, at_least=1)
        told = everything_told(world.box)

    the_killed_task_was_retried_and_the_run_ended_well(killed)
    airflow_was_told_the_runs_name_and_how_it_ended(killed)
    no_key_and_no_password_was_told(told)


def test_the_page_shows_the_tasks_of_that_dag():
    """Word for word: what the page says is what runs here."""
    (shown,) = re.findall(r"```python\n(plan = .*?)```", (ROOT / "docs" / "airflow.md").read_text("utf-8"), re.DOTALL)

    assert indent(shown, " " * 4) in (ROOT / "pipelines" / "dags" / f"{DAG}.py").read_text("utf-8")


@contextmanager
def airflow(box):
    """Run an Airflow whose workers have a ledger on PostgreSQL, and an emulator that they know."""
    servers.postgres()
    with running(secret_key=KEY, publishable_key="pub_test_0123456789") as endpoint:
        world = World(box, Emulator(endpoint.url))
        lay_out(world)
        box.variables |= {
            "AIRFLOW__CORE__DAGS_FOLDER": str(box.home / "dags"),
            "AIRFLOW__CORE__PARALLELISM": str(SENDERS + 1),
            "AIRFLOW_CONN_BUCKET_DEFAULT": connection(endpoint.url, KEY),
            "BUCKET_LOADER_STATE": servers.postgres_url(),
        }
        with box.commands() as command:
            command("db", "migrate")
            with box.services():
                yield command, world


def lay_out(world):
    """Lay the recipe out as its head says: the DAG in a folder, the pipeline file beside that."""
    home = world.box.home
    (home / "dags").mkdir()
    (home / "config").mkdir()
    shutil.copy(ROOT / "pipelines" / "dags" / f"{DAG}.py", home / "dags")
    (home / "config" / "airflow_local_settings.py").write_text(SETTINGS, "utf-8")
    (home / "nightly.yaml").write_text(PIPELINE.format(name=world.name), "utf-8")


def kill(command, world, at_least):
    """Load, and kill a task while so many have a part; return what came of it, and how many had one."""
    world.box.wait("reading the DAG", lambda: world.box.rows("select 1 from dag"))
    world.export(PART * PARTS)
    world.emulator.faults(SLOW)
    command("dags", "trigger", DAG, "--run-id", "killed")
    world.box.wait("the senders", lambda: len(world.senders()) >= at_least)
    sending = world.senders()
    os.kill(sending[0], signal.SIGKILL)
    world.emulator.faults()
    world.box.ended(DAG, "killed")
    return world.known("killed"), len(sending)


def load(command, world, run_id):
    """Trigger the DAG; return what came of it."""
    command("dags", "trigger", DAG, "--run-id", run_id)
    world.box.ended(DAG, run_id)
    return world.known(run_id)


def clear(command, world, run_id):
    """Clear the tasks that have failed; return what came of them."""
    command("tasks", "clear", DAG, "--only-failed", "--yes")
    world.box.wait("the cleared tasks", lambda: world.box.run_state(DAG, run_id) != "failed")
    world.box.ended(DAG, run_id)
    return world.known(run_id)


def everything_told(box):
    """Return all that tasks have logged or told Airflow."""
    return box.task_logs() + json.dumps([str(value) for (value,) in box.rows("select value from xcom")])


def the_killed_task_was_retried_and_the_run_ended_well(killed):
    """Each event is there; what may be there twice is counted, and is no whole part; the DAG is green."""
    counts = killed["end"][0]["streams"]["events"]
    attempts = sorted(tries for (name, _), (_, tries) in killed["tasks"].items() if name == "deliver")

    assert (killed["state"], {state for state, _ in killed["tasks"].values()}) == ("success", {"success"})
    assert attempts == [1] * (SENDERS - 1) + [2]
    assert len(killed["arrived"]) == counts["delivered"] == PART * PARTS
    assert killed["arrived"].total() - PART * PARTS <= counts["possibly_duplicated"] < PART


def airflow_was_told_the_runs_name_and_how_it_ended(killed):
    """The plan's XCom is the name; each task that delivers tells the summary of the whole run."""
    delivered = [*killed["deliver"], *killed["end"]]

    assert [one["run"] for one in delivered] == killed["plan"] * (SENDERS + 1)
    assert {one["exit_code"] for one in delivered} == {0}


def the_run_that_was_triggered_again_sent_nothing(killed, again):
    """All is known: every task is green, and not one request is made."""
    assert again["state"] == "success"
    assert again["requests"] == killed["requests"]
    assert again["end"][0]["streams"]["events"]["unchanged"] == PART * PARTS
    assert again["plan"] != killed["plan"]


def the_refused_key_failed_all_at_once(again, refused):
    """One attempt of each task, although three retries are allowed."""
    failed = {name: task for name, task in refused["tasks"].items() if name[0] != "plan"}

    assert refused["state"] == "failed"
    assert set(failed.values()) == {("failed", 1)}
    assert len(failed) == SENDERS + 1
    assert refused["arrived"] == again["arrived"]


def the_tasks_that_were_cleared_sent_that_run(refused, cleared):
    """The plan stays; all that it holds arrives, once."""
    new = cleared["arrived"] - refused["arrived"]

    assert (cleared["state"], cleared["plan"]) == ("success", refused["plan"])
    assert set(new) == set(range(PART * PARTS, PART * (PARTS + 2)))
    assert new.total() == 2 * PART


def no_key_and_no_password_was_told(told):
    """Neither the key of the connection nor the password of the ledger is in a log or an XCom."""
    assert "/nightly.yaml to http://127.0.0.1" in told
    assert [one for one in (KEY, servers.PASSWORD, servers.postgres_url()) if one in told] == []
