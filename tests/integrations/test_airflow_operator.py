"""`BucketLoadOperator` and `BucketHook` inside Airflow 2 and 3: what each case sends, tells, and ends as.

All cases of a version are done by one process (`airflow_cases.py`); each test looks at one of them.
"""

import fcntl
import json
import os
import sqlite3
import tomllib
from contextlib import closing
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from airflow_box import ROOT, VERSIONS, Box, connection
from workplace import KEY, Workplace

DAY = ["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"]
NO_TIME = [DAY[0], DAY[0]]  # what a plain @daily gives in Airflow 3
WRONG_KEY = "sec_wrong_0123456789abcdef0123"
SLOW = {"kind": "latency", "seconds": 0.15}
DOWN = {"kind": "status", "status": 503, "rate": 1.0}

EVENTS = """
- name: events
  record: event
  key: [id]
  source:
    type: sql
    url: "sqlite:///app.db"
    query: "select * from events where at >= :interval_start and at < :interval_end"
  fields: {userId: user_id, event: {value: signed up}, timestamp: {column: at, type: timestamp, timezone: UTC}}
"""
USERS = """
- name: users
  record: user
  source: {type: csv, path: users.csv}
  fields: {userId: id, attributes: {name: name}}
"""
AIRFLOWS_OWN = "bucket_loader.integrations.airflow.versions"  # imports nothing but Airflow
ONE_AT_A_TIME = "patience: 1s\n  chunk: {records: 1, bytes: 1KiB}\n  concurrency: 1"


def files(folder, url):
    """Write the exports and pipelines that the cases load."""
    place = Workplace(folder, url)
    with closing(sqlite3.connect(folder / "app.db")) as database:
        database.execute("create table events (id integer, user_id text, at text)")
        rows = [(n, f"u{n}", f"2026-01-0{n % 3 + 1} 10:00:00") for n in range(9)]
        database.executemany("insert into events values (?, ?, ?)", rows)
        database.commit()
    place.write("users.csv", "id,name\n" + "".join(f"u{n},Person {n}\n" for n in range(20)))
    place.write("bad.csv", "id,name\n" + "".join(f"{n % 10 or ''},Private {n}\n" for n in range(20)))
    pipelines = {
        "events": EVENTS,
        "users": USERS,
        "bad": USERS.replace("users.csv", "bad.csv"),
        "both": EVENTS + USERS,
        "slow": USERS,
    }
    for name, streams in pipelines.items():
        written = place.pipeline(streams, name=name).rename(folder / f"{name}.yaml")
    written.write_text(written.read_text("utf-8").replace("patience: 1s", ONE_AT_A_TIME))


def cases(folder, url):
    """Return every case: an operator, where it runs, and what goes wrong."""

    def case(name, pipeline, *, interval=DAY, environment=None, **more):
        case_of = {key: more.pop(key) for key in ("faults", "interrupt", "again") if key in more}
        case_of["is"] = more.pop("is_", "BucketLoadOperator")
        given = {"AIRFLOW_CONN_BUCKET_DEFAULT": connection(url, KEY)} if environment is None else environment
        operator = {"pipeline": str(folder / f"{pipeline}.yaml"), "state": str(folder / "state" / name)} | more
        return {name: {"url": url, "operator": operator, "interval": interval, "environment": given, **case_of}}

    def look(name, conn_id, host, key):
        variables = {f"AIRFLOW_CONN_{conn_id.upper()}": connection(host, key)}
        return {name: {"url": url, "test_connection": conn_id, "environment": variables}}

    both = {"BUCKET_BASE_URL": url, "BUCKET_SECRET_KEY": KEY}
    wrong = {"AIRFLOW_CONN_BUCKET_DEFAULT": connection(url, WRONG_KEY)}
    return (
        case("interval", "events", again=True)
        | case("given interval", "events", interval_start=DAY[0], interval_end="2026-01-04")
        | case("no interval", "events", interval=None)
        | case("no time", "events", interval=NO_TIME)
        | case("half an interval", "events", interval_start=DAY[0])
        | case("backwards", "users", interval_start=DAY[1], interval_end=DAY[0])
        | case("no time needed", "users", interval=NO_TIME)
        | case("wrong key", "users", environment=wrong)
        | case("outage", "users", patience="0.2s", faults=[DOWN], again=True)
        | case("rejected", "bad")
        | case("rejected share", "bad", fail_on_rejected="10%")
        | case("rejected number", "bad", fail_on_rejected=1)
        | case("rejected never", "bad", fail_on_rejected=False)
        | case("rejected nonsense", "bad", fail_on_rejected="some")
        | case("empty", "events", interval=["2027-01-01", "2027-01-02"], skip_when_empty=True)
        | case("no state", "users", expect_state=True)
        | case("killed", "slow", faults=[SLOW], interrupt="on_kill", again=True)
        | case("overtime", "slow", faults=[SLOW], interrupt="overtime", again=True)
        | case("window of users", "users", backfill=True)
        | case("window", "both", backfill=True, streams=["events"], again=True)
        | case("environment", "users", environment=both)
        | case("connection first", "users", environment=both | wrong)
        | case("variables first", "users", environment=both | wrong, variables={"BUCKET_SECRET_KEY": KEY})
        | case("no connection", "users", bucket_conn_id="bucket_other", environment=both)
        | case("option", "users", run_options={"limit": 3})
        | case("report", "bad", report=str(folder / "reports" / "bad.html"), report_url="https://reports.example/bad")
        | case(
            "report of a mistake", "gone", report=str(folder / "reports" / "gone.html"), report_url="https://r.example"
        )
        | case("link alone", "users", report_url="https://reports.example")
        | case("lineage", "users", run_options={"lineage": str(folder / "lineage.jsonl")})
        | case("unknown option", "users", run_options={"state": "x"})
        | case("plan alone", "users", is_="BucketPlanOperator")
        | case("plan without interval", "events", is_="BucketPlanOperator", interval=NO_TIME)
        | case("plan with an option of the other", "users", is_="BucketPlanOperator", run_options={"allow_held": True})
        | case("no run", "users", is_="BucketDeliverOperator", run_name=None)
        | case("deliver alone", "users", is_="BucketDeliverOperator", run_name="20260101T030000000Z")
        | case("option of the plan", "users", is_="BucketDeliverOperator", run_name="r", run_options={"full": True})
        | look("right", "bucket_default", url, KEY)
        | look("refused", "bucket_staging", url, WRONG_KEY)
        | look("keyless", "bucket_keyless", url, "")
        | look("no host", "bucket_nowhere", "http://bucket.example", KEY)
    )


@pytest.fixture(scope="module", params=VERSIONS)
def found(request, tmp_path_factory, shared_emulator):
    """Return what came of every case in one version of Airflow: asked once, whichever worker comes first."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    box = Box(request.param, shared / f"airflow{request.param}")
    box.home.mkdir(exist_ok=True)
    kept = box.home / "found.json"
    with (box.home / "asked").open("w") as asked:
        fcntl.flock(asked, fcntl.LOCK_EX)
        if not kept.exists():
            files(box.home, shared_emulator.url)
            script = Path(__file__).with_name("airflow_cases.py")
            printed = box.run(str(script), text=json.dumps(cases(box.home, shared_emulator.url)))
            kept.write_text(printed.splitlines()[-1], "utf-8")
    return json.loads(kept.read_text("utf-8"))


def ids(case, kind="user"):
    """Return whose records arrived, in order."""
    return [item["item"]["userId"] for item in case["journal"] if item["type"] == kind]


def test_the_data_interval_is_what_is_loaded(found):
    """The events of that day, stamped and counted; the same again sends nothing."""
    case = found["interval"]

    assert case["returned"]["streams"]["events"]["delivered"] == 3
    assert (case["state"]["events"], case["state"]["requests"]) == (3, 1)
    assert case["again"]["returned"]["streams"]["events"]["unchanged"] == 3
    assert case["returned"]["as_of"] == "2026-01-02T00:00:00.000Z"


def test_an_interval_that_is_given_goes_before_the_runs_own(found):
    """Three days instead of one."""
    assert found["given interval"]["state"]["events"] == 9


@pytest.mark.parametrize("name", ["no interval", "no time"])
def test_without_an_interval_nothing_is_sent_and_the_error_says_what_to_do(found, name):
    """Never a silent full load; no retry would help."""
    case = found[name]

    assert (case["raised"], case["state"]["requests"]) == ("AirflowFailException", 0)
    assert "CronDataIntervalTimetable" in case["message"]
    assert "interval_start" in case["message"]


@pytest.mark.parametrize("name", ["half an interval", "backwards"])
def test_an_interval_that_is_none_is_refused(found, name):
    """A start without an end, or after it, is a mistake in the DAG."""
    assert (found[name]["raised"], found[name]["state"]["requests"]) == ("AirflowFailException", 0)


def test_a_pipeline_without_an_interval_needs_none(found):
    """It runs, and its time is the run's all the same."""
    case = found["no time needed"]

    assert (case["raised"], case["state"]["users"]) == (None, 20)
    assert case["returned"]["as_of"] == "2026-01-01T00:00:00.000Z"


def test_a_wrong_key_fails_without_retry(found):
    """The exception that Airflow does not retry, after one request."""
    case = found["wrong key"]

    assert case["raised"] == "AirflowFailException"
    assert "exit 5" in case["message"]
    assert (case["pushed"]["return_value"]["exit_code"], case["state"]["users"]) == (5, 0)


def test_an_outage_fails_with_retry_and_the_retry_continues(found):
    """The second attempt finishes the first one's run."""
    case = found["outage"]

    assert case["raised"] == "AirflowException"
    assert case["pushed"]["return_value"]["status"] == "unfinished"
    assert case["again"]["returned"]["resumed"][0]["run"] == case["pushed"]["return_value"]["run"]
    assert sorted(set(ids(case))) == sorted(f"u{n}" for n in range(20))


@pytest.mark.parametrize(
    ("name", "raised"),
    [
        ("rejected", "AirflowFailException"),
        ("rejected share", None),
        ("rejected number", "AirflowFailException"),
        ("rejected never", None),
    ],
)
def test_rejected_rows_fail_the_task_as_far_as_it_says(found, name, raised):
    """Two of twenty are bad: any fails by default, 10 % pass, more than one fails, or none ever does."""
    case = found[name]
    told = case["returned"] or case["pushed"]["return_value"]

    assert case["raised"] == raised
    assert told["streams"]["users"]["rejected"] == 2
    assert Path(told["dead_letters"]).exists()


def test_what_is_no_limit_is_refused_before_anything_is_sent(found):
    """A mistake in the DAG is not taken for zero, nor for everything."""
    case = found["rejected nonsense"]

    assert (case["raised"], case["state"]["requests"]) == ("AirflowFailException", 0)
    assert "fail_on_rejected='some'" in case["message"]


def test_nothing_to_do_can_skip(found):
    """As Airflow spells it."""
    assert (found["empty"]["raised"], found["empty"]["state"]["requests"]) == ("AirflowSkipException", 0)


def test_a_state_that_is_expected_must_be_there(found):
    """For workers that may have lost theirs."""
    case = found["no state"]

    assert (case["raised"], case["state"]["requests"]) == ("AirflowFailException", 0)


@pytest.mark.parametrize(("name", "raised"), [("killed", "AirflowException"), ("overtime", "Overtime")])
def test_a_task_that_is_ended_drains_and_the_retry_sends_the_rest(found, name, raised):
    """What was in flight is waited for, so that each row arrives once."""
    case = found[name]

    assert case["raised"] == raised
    assert case["again"]["returned"]["resumed"][0]["streams"]["users"]["possibly_duplicated"] == 0
    assert sorted(ids(case)) == sorted(f"u{n}" for n in range(20))


def test_a_window_of_users_is_refused(found):
    """It would overwrite what is true today."""
    case = found["window of users"]

    assert (case["raised"], case["state"]["requests"]) == ("AirflowFailException", 0)


def test_a_window_is_loaded_once(found):
    """Its events, no users; the same window again reads them and sends nothing."""
    case = found["window"]

    assert (case["state"]["events"], case["state"]["users"], case["state"]["requests"]) == (3, 3, 1)
    assert case["again"]["returned"]["streams"]["events"]["unchanged"] == 3


def test_the_environment_stands_in_for_a_connection(found):
    """Without `bucket_default`, BUCKET_BASE_URL and BUCKET_SECRET_KEY say where to."""
    assert found["environment"]["state"]["users"] == 20


def test_a_connection_goes_before_the_environment_and_variables_before_both(found):
    """A task that names a connection never sends with a key that happens to be on the worker."""
    assert found["connection first"]["raised"] == "AirflowFailException"
    assert found["variables first"]["state"]["users"] == 20


def test_a_connection_that_was_named_must_be_there(found):
    """The environment does not stand in for another connection than the default one."""
    case = found["no connection"]

    assert (case["raised"], case["state"]["requests"]) == ("AirflowNotFoundException", 0)


def test_more_options_of_a_run_can_be_given(found):
    """As `load()` takes them; what the operator has a parameter for is refused there."""
    assert found["option"]["state"]["users"] == 3
    assert found["unknown option"]["raised"] == "AirflowFailException"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("plan alone", "one process has at a time"),  # before it is planned in vain
        ("plan without interval", "CronDataIntervalTimetable"),
        ("plan with an option of the other", "run_options has allow_held, which is no option there"),
        ("no run", "no run is named"),
        ("deliver alone", "one process has at a time"),
        ("option of the plan", "run_options has full, which is no option there"),
    ],
)
def test_what_cannot_be_sent_by_several_tasks_fails_at_once_and_says_why(found, name, said):
    """A mistake in the DAG, or a ledger in a file: no retry helps, nothing is sent."""
    case = found[name]

    assert (case["raised"], case["state"]["requests"]) == ("AirflowFailException", 0)
    assert said in case["message"]


def test_a_report_is_written_also_when_the_task_fails_and_its_address_is_told(found):
    """Airflow's link leads to it; a link without a report is a mistake in the DAG."""
    case = found["report"]

    assert (case["raised"], case["pushed"]["bucket_report"]) == ("AirflowFailException", "https://reports.example/bad")
    assert any("reports/bad.html" in line for line in case["log"])
    assert found["report of a mistake"]["pushed"] == {}  # no pipeline, no page
    assert (found["link alone"]["raised"], found["link alone"]["state"]["requests"]) == ("AirflowFailException", 0)


def test_airflow_tells_the_lineage_of_a_task_unless_it_goes_elsewhere(found):
    """The provider asks for what was read and written, also when the task has failed."""
    asked = found["rejected"]["lineage"]

    assert [one["name"].rpartition("/")[2] for one in asked["inputs"]] == ["bad.csv"]
    assert [(one["name"], one["outputFacets"]["outputStatistics"]["rowCount"]) for one in asked["outputs"]] == [
        ("user", 9)
    ]
    assert found["lineage"]["lineage"] is None


@pytest.mark.parametrize(
    ("name", "works", "said"),
    [
        ("right", True, "takes the key"),
        ("refused", False, "key"),
        ("keyless", False, "has no secret key"),
        ("no host", False, "https"),
    ],
)
def test_a_connection_is_tested_by_a_read(found, name, works, said):
    """The button in Airflow's form: says what is wrong, and writes nothing."""
    case = found[name]
    told, message = case["returned"]

    assert (told, said in message) == (works, True), message
    assert case["journal"] == []


def test_progress_goes_to_the_tasks_log_as_lines(found):
    """No line is cut in two, none has colours, none holds a key or a value of a row."""
    lines = found["rejected"]["log"]
    everything = json.dumps(found)

    assert any("users" in line and "20" in line for line in lines)
    assert not any("\x1b" in line or "\n" in line.strip() for line in lines if "users" in line)
    assert (KEY in everything, WRONG_KEY in everything) == (False, False)
    assert "Private" not in json.dumps([found["rejected"]["log"], found["rejected"]["pushed"]])


def test_airflow_knows_the_provider_and_lays_out_its_form(found):
    """Found by the entry point, without any configuration."""
    provider = found["provider"]

    assert provider["hook"][1:] == ["bucket", "Bucket"]
    assert provider["hook"][0].endswith("hook.BucketHook")
    assert provider["fields"] == ["extra__bucket__environment"]
    assert provider["relabeling"] == {"host": "Base URL", "password": "Secret key"}


def test_the_entry_point_names_the_provider():
    """What is installed says so, with or without Airflow."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    point = EntryPoint("provider_info", points["apache_airflow_provider"]["provider_info"], "apache_airflow_provider")
    info = point.load()()

    assert (info["package-name"], info["connection-types"][0]["connection-type"]) == ("bucket-loader", "bucket")


@pytest.mark.parametrize("version", VERSIONS)
def test_reading_a_dag_file_loads_nothing_heavy(version, tmp_path):
    """Beyond what Airflow itself has loaded: a DAG file is read every few seconds."""
    box = Box(version, tmp_path)
    dags = ROOT / "pipelines" / "dags"
    script = (
        f"import sys, runpy; from airflow import models, decorators; from {AIRFLOWS_OWN} import BaseOperator\n"
        "before = set(sys.modules)\n"
        f"for name in ('nightly_sync', 'backfill', 'many_senders'): runpy.run_path(f'{dags}/{{name}}.py')\n"
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )

    loaded = box.run("-c", script).splitlines()[-1]

    assert not {"pandas", "pyarrow", "duckdb", "requests", "numpy", "rich", "pydantic"} & set(
        json.loads(loaded.replace("'", '"'))
    )
