"""A real Airflow runs `pipelines/dags/many_senders.py`: one task plans, three mapped ones deliver, one sees the end.

One story for each version. Airflow 3 runs the three at once. Airflow 2 with its SQLite runs one task at a time: so the
first sends all, and the others find the run ended. A task is killed; the DAG is triggered again; a key is refused, and
what has failed is cleared once it is right. Parts are small and the lease is short here, so that nobody waits for long.
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
from airflow_box import ROOT, VERSIONS, Box, connection
from workplace import KEY, Emulator

from bucket_loader.emulator.http.server import running

DAG, SENDERS = "many_senders", 3
PART, PARTS = 5_000, 6
PIPELINE = """
name: {name}
destination:
  base_url: ${{BUCKET_BASE_URL}}
  key: ${{BUCKET_SECRET_KEY}}
  timeout: 5s
  concurrency: 2
streams:
- name: events
  record: event
  key: [id]
  source: {{type: parquet, path: events.parquet}}
  fields: {{userId: user, event: {{value: seen}}, timestamp: {{column: at, type: timestamp, timezone: UTC}},
    attributes: {{id: id}}}}
"""
SETTINGS = f"""
from bucket_loader.model import rows
rows.SLICE_ROWS = {PART}
from bucket_loader.runs.senders import sending
from bucket_loader.state.ledger import postgres, session_lock
sending.LEASE_S = session_lock.LEASE_S = 3.0
postgres._LOOKS_EVERY_S, postgres._ASKS_AFTER_S = 0.6, 1.5
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


@pytest.fixture(scope="module", params=VERSIONS)
def story(request, tmp_path_factory):
    """Return what came of each DAG run, in one version of Airflow."""
    box = Box(request.param, tmp_path_factory.mktemp("airflow"))
    with airflow(box) as (command, world):
        return tell(command, world)


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


def tell(command, world):
    """Load, and kill a task; load again; be refused, and clear what has failed."""
    box, emulator = world.box, world.emulator

    def trigger(run_id):
        command("dags", "trigger", DAG, "--run-id", run_id)

    box.wait("reading the DAG", lambda: box.rows("select 1 from dag"))
    world.export(PART * PARTS)
    emulator.faults(SLOW)
    trigger("killed")
    sending = box.wait("the senders", lambda: at_work(world))
    os.kill(sending[0], signal.SIGKILL)
    emulator.faults()
    box.ended(DAG, "killed")
    found = {"sending": len(sending), "killed": world.known("killed")}
    trigger("again")
    box.ended(DAG, "again")
    found["again"] = world.known("again")
    world.export(PART * (PARTS + 2))
    emulator.faults(REFUSED)
    trigger("refused")
    box.ended(DAG, "refused")
    found["refused"] = world.known("refused")
    emulator.faults()
    command("tasks", "clear", DAG, "--only-failed", "--yes")
    box.wait("the cleared tasks", lambda: box.run_state(DAG, "refused") != "failed")
    box.ended(DAG, "refused")
    found["cleared"] = world.known("refused")
    return found | {"version": box.version, "logs": box.task_logs(), "xcom": box.rows("select value from xcom")}


def at_work(world):
    """Return who has a part, once as many have one as Airflow lets run at once."""
    found = world.senders()
    return found if len(found) >= (2 if world.box.version == "3" else 1) else []


def test_a_killed_task_is_retried_and_the_run_ends_well(story):
    """Each event is there; what may be there twice is counted; nobody's DAG is red for a sender that died."""
    killed = story["killed"]
    (end,) = killed["end"]
    counts = end["streams"]["events"]
    attempts = sorted(tries for (name, _), (_, tries) in killed["tasks"].items() if name == "deliver")

    assert (killed["state"], {state for state, _ in killed["tasks"].values()}) == ("success", {"success"})
    assert attempts == [1, 1, 2]
    assert len(killed["arrived"]) == counts["delivered"] == PART * PARTS
    assert killed["arrived"].total() - PART * PARTS <= counts["possibly_duplicated"] <= 2 * 100  # chunks in flight


def test_airflow_is_told_the_runs_name_and_how_it_ended(story):
    """The plan's XCom is the name; each task that delivers tells the summary of the whole run."""
    killed = story["killed"]

    assert [one["run"] for one in (*killed["deliver"], *killed["end"])] == killed["plan"] * (SENDERS + 1)
    assert {one["exit_code"] for one in (*killed["deliver"], *killed["end"])} == {0}


def test_the_run_that_is_triggered_again_sends_nothing(story):
    """All is known: every task is green, and not one request is made."""
    again = story["again"]

    assert again["state"] == "success"
    assert again["requests"] == story["killed"]["requests"]
    assert again["end"][0]["streams"]["events"]["unchanged"] == PART * PARTS
    assert again["plan"] != story["killed"]["plan"]


def test_a_refused_key_fails_all_and_nobody_tries_again(story):
    """One attempt of each task, although three retries are allowed."""
    refused = story["refused"]
    failed = {name: task for name, task in refused["tasks"].items() if name[0] != "plan"}

    assert refused["state"] == "failed"
    assert set(failed.values()) == {("failed", 1)}
    assert len(failed) == SENDERS + 1
    assert refused["arrived"] == story["again"]["arrived"]


def test_tasks_that_are_cleared_once_the_key_is_right_send_that_run(story):
    """The plan stays; all that it holds arrives, once."""
    refused, cleared = story["refused"], story["cleared"]
    new = cleared["arrived"] - refused["arrived"]

    assert (cleared["state"], cleared["plan"]) == ("success", refused["plan"])
    assert set(new) == set(range(PART * PARTS, PART * (PARTS + 2)))
    assert new.total() == 2 * PART


def test_the_tasks_run_as_many_at_once_as_airflow_lets_them(story):
    """Two senders and more have had a part at once; one by one, the first one sends all, and the others are green."""
    assert story["sending"] == 1 if story["version"] == "2" else story["sending"] >= 2


def test_no_key_and_no_password_is_in_a_log_or_told_to_airflow(story):
    """The key of the connection, and the password of the ledger."""
    everything = story["logs"] + json.dumps([str(value) for (value,) in story["xcom"]])

    assert story["killed"]["plan"][0] in everything
    assert [one for one in (KEY, servers.PASSWORD, servers.postgres_url()) if one in everything] == []


def test_the_page_shows_the_tasks_of_that_dag():
    """Word for word: what the page says is what runs here."""
    (shown,) = re.findall(r"```python\n(plan = .*?)```", (ROOT / "docs" / "airflow.md").read_text("utf-8"), re.DOTALL)

    assert indent(shown, " " * 4) in (ROOT / "pipelines" / "dags" / f"{DAG}.py").read_text("utf-8")
