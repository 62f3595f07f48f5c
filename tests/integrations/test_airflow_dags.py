"""A real Airflow, with its scheduler, runs two DAGs of `pipelines/dags` against an emulator.

One Airflow a version, and one story: both DAGs; a task cleared; a task cleared while it runs; a task killed in the
middle; a key that is wrong; and what Airflow's provider of OpenLineage tells of all that. It takes about a minute of
CPU a version. It is one test, so that no two workers tell the same story.
"""

import json
import os
import re
import signal
import sqlite3
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass

import pytest
from airflow_box import ROOT, VERSIONS, Box, connection
from lineage_rules import Receiver, require_event, rows
from workplace import KEY, Emulator, served_by

from bucket_loader.emulator.http.server import running

WRONG_KEY = "sec_wrong_0123456789abcdef0123"
MIDDLE = 5  # requests after which the task is killed, of 61
SLOW_ROWS = 300
SLOW = """
name: slow
destination:
  base_url: ${BUCKET_BASE_URL}
  key: ${BUCKET_SECRET_KEY}
  concurrency: 1
  chunk: {records: 1}
streams:
- name: users
  record: user
  source: {type: csv, path: slow.csv}
  fields: {userId: id}
"""
OWN = """
from datetime import UTC, datetime
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG
try:
    from airflow.providers.standard.operators.bash import BashOperator
except ImportError:
    from airflow.operators.bash import BashOperator
from bucket_loader.integrations.airflow import BucketLoadOperator

with DAG(dag_id="wrong_key", schedule=None, start_date=datetime(2025, 1, 1, tzinfo=UTC), default_args={"retries": 3}):
    BucketLoadOperator(
        task_id="load", pipeline="NIGHTLY", bucket_conn_id="bucket_wrong", variables={"BUCKET_ENVIRONMENT": "other"},
    )

with DAG(dag_id="asked", schedule=None, start_date=datetime(2025, 1, 1, tzinfo=UTC), default_args={"retries": 3}):
    BucketLoadOperator(
        task_id="load", pipeline="HOME/slow.yaml",
        report="HOME/reports/{{ run_id }}.html", report_url="https://reports.example/{{ run_id }}.html",
    )

with DAG(dag_id="outside", schedule=None, start_date=datetime(2025, 1, 1, tzinfo=UTC)):
    LINEAGE_PAGE
"""

pytestmark = [pytest.mark.timeout(900), pytest.mark.airflow]


@dataclass
class Story:
    """What happened in one Airflow, told by what it and the emulator remember."""

    nightly: dict
    cleared: dict
    asked: dict
    outside: str
    killed: dict
    wrong: dict
    log: str
    lineage: Receiver


@pytest.mark.parametrize("version", VERSIONS)
def test_airflow_runs_clears_retries_and_gives_up_as_the_run_says(version, tmp_path):
    """Both DAGs load; what is cleared sends nothing; what is killed is retried, each row once; a wrong key ends it."""
    box, receiver = Box(version, tmp_path), Receiver()

    with served_by(receiver.handler()) as url, airflow(box, url) as (command, emulator):
        story = tell(box, command, emulator, receiver)

    the_nightly_dag_loaded_the_samples(story)
    the_cleared_task_sent_nothing(story)
    the_backfill_did_a_window_a_task(story)
    the_task_that_was_asked_to_end_drained_and_its_next_try_sent_the_rest(story)
    the_report_has_a_link(story)
    the_lineage_is_told_by_airflow(story)
    a_run_outside_of_the_operator_is_a_part_of_its_task(story)
    the_killed_task_was_retried_and_each_row_arrived_once(story)
    the_wrong_key_failed_at_once(story)
    the_logs_hold_the_run_and_no_key(story)


@contextmanager
def airflow(box, lineage):
    """Run an Airflow and an emulator that its workers know."""
    with running(secret_key=KEY, publishable_key="pub_test_0123456789") as endpoint:
        emulator = Emulator(endpoint.url)
        box.variables |= {
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags(box.home, endpoint.url)),
            "AIRFLOW_CONN_BUCKET_WRONG": connection(endpoint.url, WRONG_KEY),
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps({"type": "http", "url": lineage}),
            "OPENLINEAGE_URL": lineage,  # for the loader outside of the operator
            "BUCKET_LOADER_STATE": str(box.home / "state"),
        } | where_to(box.version, endpoint.url)
        with box.commands() as command:
            command("db", "migrate")
            with box.services():
                yield command, emulator


def where_to(version, url):
    """Tell the workers where to: by the connection in one version, by their environment in the other."""
    if version == "3":
        return {"AIRFLOW_CONN_BUCKET_DEFAULT": connection(url, KEY)}
    return {"BUCKET_BASE_URL": url, "BUCKET_SECRET_KEY": KEY}


def dags(home, url):
    """Make a folder of two of the project's DAGs, and of three of our own; `test_airflow_senders` has the third."""
    folder = home / "dags"
    folder.mkdir()
    for name in ("nightly_sync.py", "backfill.py"):
        (folder / name).symlink_to(ROOT / "pipelines" / "dags" / name)
    text = OWN.replace("NIGHTLY", str(ROOT / "pipelines" / "nightly.yaml")).replace("HOME", str(home))
    (folder / "own.py").write_text(text.replace("LINEAGE_PAGE", example(home, url)), "utf-8")
    (home / "slow.yaml").write_text(SLOW, "utf-8")
    (home / "slow.csv").write_text("id\n" + "".join(f"slow{n}\n" for n in range(SLOW_ROWS)), "utf-8")
    return folder


def example(home, url):
    """Return the example of docs/lineage.md, for a pipeline that is there, and a key for it."""
    (text,) = re.findall(
        r"```python\n(BashOperator.*?)```", (ROOT / "docs" / "lineage.md").read_text("utf-8"), re.DOTALL
    )
    text = text.replace("env={", f'env={{"BUCKET_BASE_URL": "{url}", "BUCKET_SECRET_KEY": "{KEY}",')
    return text.replace("/opt/pipelines/nightly.yaml", str(home / "slow.yaml")).replace("\n", "\n    ")


def tell(box, command, emulator, receiver):
    """Run, be refused, clear, ask to end, kill."""

    def trigger(dag_id, run_id, *words):
        command("dags", "trigger", dag_id, "--run-id", run_id, *words)

    box.wait("reading the DAGs", lambda: len(box.rows("select dag_id from dag")) == 5)
    trigger(
        "nightly_sync", "night", "--exec-date" if box.version == "2" else "--logical-date", "2026-01-02T04:00:00+00:00"
    )
    trigger("wrong_key", "refused")
    nightly = {"state": box.ended("nightly_sync", "night")} | night(box, emulator)
    wrong = {"state": box.ended("wrong_key", "refused"), "tasks": box.tasks("wrong_key", "refused"),
             "told": box.told("wrong_key", "refused", "load")}  # fmt: skip
    command("tasks", "clear", "nightly_sync", "--task-regex", "load", "--yes")
    box.wait("the cleared task", lambda: night(box, emulator)["attempts"] > nightly["attempts"])
    cleared = {"state": box.ended("nightly_sync", "night")} | night(box, emulator)
    trigger("asked", "to-end")
    asked = clear_while_it_runs(box, command, emulator)
    trigger("outside", "by-bash")
    outside = box.ended("outside", "by-bash")
    trigger("backfill", "history", "--conf", '{"every": "183d"}')
    killed = kill(box, emulator)
    return Story(nightly, cleared, asked, outside, killed, wrong, box.task_logs(), receiver)


def night(box, emulator):
    """Return what is known of the nightly run."""
    (task,) = box.tasks("nightly_sync", "night").values()
    ended = task[0] == "success"
    return {
        "attempts": task[1] if ended else 0,
        "told": box.told("nightly_sync", "night", "load"),
        "emulator": emulator.state(),
    }


def clear_while_it_runs(box, command, emulator):
    """Clear a task while its requests are under way: Airflow asks it to end, and starts it anew."""
    before = emulator.state()["requests"]
    emulator.faults({"kind": "latency", "seconds": 0.3})
    box.wait("the first requests", lambda: emulator.state()["requests"] >= before + MIDDLE)
    command("tasks", "clear", "asked", "--task-regex", "load", "--yes")
    is_there = {"running", "restarting"}  # it hears of it with its next heartbeat, and is slow until it has ended
    box.wait("the end of the first try", lambda: box.tasks("asked", "to-end")["load", -1][0] not in is_there)
    emulator.faults()
    state = box.ended("asked", "to-end")
    return {
        "state": state,
        "told": box.told("asked", "to-end", "load"),
        "arrived": sum(item["item"].get("userId", "").startswith("slow") for item in emulator.journal()),
        "report": (box.home / "reports" / "to-end.html").exists(),
        "link": box.link("asked", "to-end", "load", "Bucket report"),
    }


def kill(box, emulator):
    """Kill a task of the backfill while its requests are under way, and let Airflow retry."""
    before = emulator.state()["requests"]
    emulator.faults({"kind": "latency", "seconds": 0.3})
    box.wait("the first requests", lambda: emulator.state()["requests"] >= before + MIDDLE)
    running_now = [task[2] for task in box.tasks("backfill", "history").values() if task[0] == "running" and task[2]]
    for process in running_now:
        os.kill(process, signal.SIGKILL)
    emulator.faults()
    return {
        "killed": len(running_now),
        "state": box.ended("backfill", "history"),
        "tasks": box.tasks("backfill", "history"),
        "told": box.told("backfill", "history", "events"),
        "feedback": box.told("backfill", "history", "feedback"),
        "journal": emulator.journal(),
    }


def the_nightly_dag_loaded_the_samples(story):
    """Users, companies and memberships arrive, and Airflow is told how many."""
    (told,) = story.nightly["told"]

    assert story.nightly["state"] == "success"
    assert told["streams"]["users"]["delivered"] == story.nightly["emulator"]["users"] > 1_000
    assert told["as_of"].endswith("T03:00:00.000Z")  # the end of a data interval


def the_cleared_task_sent_nothing(story):
    """Zero requests: everything is known."""
    (told,) = story.cleared["told"]

    assert told["requests"] == 0
    assert story.cleared["emulator"]["users"] == story.nightly["emulator"]["users"]
    assert told["streams"]["users"]["delivered"] == 0
    assert told["streams"]["users"]["unchanged"] > 1_000


def the_backfill_did_a_window_a_task(story):
    """Two windows, two mapped tasks and runs, then the feedback; no user is touched."""
    assert story.killed["state"] == "success"
    assert {number for name, number in story.killed["tasks"] if name == "events"} == {0, 1}
    assert len({told["run"] for told in story.killed["told"]}) == 2
    assert story.killed["feedback"][0]["streams"]["feedback"]["delivered"] > 200


def the_task_that_was_asked_to_end_drained_and_its_next_try_sent_the_rest(story):
    """What was in flight was waited for: the next try finishes that run, and nothing may be there twice."""
    (told,) = story.asked["told"]
    (resumed,) = told["resumed"]

    assert story.asked["state"] == "success"
    assert sum(counts["possibly_duplicated"] for counts in resumed["streams"].values()) == 0
    assert resumed["streams"]["users"]["delivered"] == SLOW_ROWS == story.asked["arrived"]


def the_report_has_a_link(story):
    """The page is there, and Airflow shows where it is served."""
    assert (story.asked["report"], story.asked["link"]) == (True, "https://reports.example/to-end.html")


def the_lineage_is_told_by_airflow(story):
    """The task's own event says what was read and written, also when it has failed; it holds no value and no key."""
    events = story.lineage.of("nightly_sync.load")
    ends = [event for event in events if event["eventType"] == "COMPLETE"]
    failed = [event for event in story.lineage.of("wrong_key.load") if event["eventType"] == "FAIL"]

    for event in (*ends, *failed):
        require_event(event)
    assert {one["name"] for one in ends[0]["outputs"]} == {"user", "company"}
    inputs = {one["name"].rpartition("/")[2] for one in ends[0]["inputs"]}
    assert inputs == {"users.csv", "companies.parquet", "memberships"}
    assert rows(ends[0])[1] != [0, 0] == rows(ends[1])[1]  # the night, and the night again
    assert "columnLineage" in ends[0]["outputs"][0]["facets"]
    assert rows(failed[0])[1] == [0, 0]
    tries = [event for event in story.lineage.of("asked.load") if event["eventType"] != "START"]
    assert sum(count for event in tries for count in rows(event)[1]) == SLOW_ROWS  # each try tells its own
    assert [
        one for one in (KEY, WRONG_KEY, "@") if one in json.dumps([one["outputs"] for one in (*ends, *failed)])
    ] == []


def a_run_outside_of_the_operator_is_a_part_of_its_task(story):
    """The loader's own events name the run of the task that started it, as Airflow tells it."""
    task = story.lineage.of("outside.load")[0]
    own = story.lineage.of("slow.users")
    parent = own[0]["run"]["facets"]["parent"]

    assert story.outside == "success"
    assert [event["eventType"] for event in own] == ["START", "COMPLETE"]
    assert (parent["job"]["name"], parent["run"]["runId"]) == ("outside.load", task["run"]["runId"])
    assert parent["root"]["job"]["name"] == "outside"


def the_killed_task_was_retried_and_each_row_arrived_once(story):
    """One kill -9, one retry of that task alone; what may be there twice was listed."""
    attempts = [task[1] for (name, _), task in story.killed["tasks"].items() if name == "events"]
    events = Counter(
        json.dumps(item["item"], sort_keys=True) for item in story.killed["journal"] if item["type"] == "event"
    )
    resumed = [run["streams"]["events"] for told in story.killed["told"] for run in told["resumed"]]
    sent = [told["streams"]["events"] for told in story.killed["told"]]

    assert (story.killed["killed"], sorted(attempts)) == (1, [1, 2])
    assert len(resumed) == 1
    assert set(events.values()) <= {1, 2}
    assert sum(events.values()) - len(events) <= resumed[0]["possibly_duplicated"]
    assert len(events) == sum(counts["delivered"] for counts in (*sent, *resumed)) == known_events()


def known_events():
    """Count the events of the warehouse that can be told apart, without the four that no API would take."""
    with closing(sqlite3.connect(ROOT / "sample_data" / "warehouse.db")) as database:
        return database.execute("select count(distinct event_id) - 4 from events").fetchone()[0]


def the_wrong_key_failed_at_once(story):
    """One attempt, although three retries are allowed."""
    assert story.wrong["state"] == "failed"
    assert [task[:2] for task in story.wrong["tasks"].values()] == [("failed", 1)]
    assert [told["exit_code"] for told in story.wrong["told"]] == [5]


def the_logs_hold_the_run_and_no_key(story):
    """What a person opens first: lines, with the summary; never a key."""
    assert "pipelines/nightly.yaml to http://127.0.0.1" in story.log
    assert (KEY in story.log, WRONG_KEY in story.log) == (False, False)
