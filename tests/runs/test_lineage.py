"""Lineage: what each call of a run tells an OpenLineage server, and that the server changes nothing about the run."""

import json
import os
import sqlite3
import sys
import threading
from contextlib import closing

import pandas as pd
import pytest
from lineage_rules import Receiver, made_of, require_event, rows, stages
from workplace import KEY, served_by

from bucket_loader import load
from bucket_loader.reporting.lineage import sender

HIDDEN = "hunter2-hidden"
VALUE = "ann@customer.example"
PIPELINE = """
- name: companies
  record: company
  source: accounts
  where: "seats <> '0'"
  fields:
    companyId: id
    attributes:
      "*": {exclude: [note]}
      title: {sql: "upper(name) || seats"}
      mail: {column: mail, hash: sha256}
      source: {value: warehouse}
- name: signups
  record: event
  source: {type: query, sql: "select id, lower(mail) as address from accounts where mail <> 'ann@customer.example'"}
  key: [id]
  fields: {userId: id, event: {value: signed up}, attributes: {address: address}}
"""
HEAD = "sources:\n  accounts: {type: csv, path: accounts.csv}\n"
ACCOUNTS = f"id,name,seats,mail,plan,note\n1,Acme,5,{VALUE},pro,x\n2,Bolt,7,b@bolt.example,free,y\n3,Bad,0,c,d,e\n"
EVENTS = """
- name: events
  record: event
  source: {type: csv, path: "events-{interval_start:%Y-%m}.csv"}
  key: [id]
  fields: {userId: user, event: {value: did}, timestamp: {column: at, timezone: UTC}}
"""


@pytest.fixture
def receiver(monkeypatch):
    """A server of lineage."""
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
        monkeypatch.delenv(name)
    found = Receiver()
    with served_by(found.handler()) as url:
        found.url = url
        yield found
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE__")]:
        del os.environ[name]  # the client's own: it spells its variables in two ways


@pytest.fixture
def place(workplace):
    """A workplace with two streams over one source."""
    workplace.write("accounts.csv", ACCOUNTS)
    workplace.pipeline(PIPELINE, head=HEAD)
    return workplace


def test_each_stream_is_a_job_with_its_datasets_columns_and_rows(place, receiver):
    """Both start and are complete, each with what it read, what it wrote, and what each field is made from."""
    result = place.run("--lineage", receiver.url)

    assert result.exit_code == 0, result.stderr
    assert stages(receiver.told) == [
        ("test.companies", "START"),
        ("test.signups", "START"),
        ("test.companies", "COMPLETE"),
        ("test.signups", "COMPLETE"),
    ]
    for event in receiver.told:
        require_event(event)
    start, end = receiver.of("test.companies")
    assert (start["run"]["runId"], start["eventTime"] < end["eventTime"]) == (end["run"]["runId"], True)
    assert [(one["namespace"], one["name"]) for one in end["inputs"]] == [("file", str(place.folder / "accounts.csv"))]
    assert [(one["namespace"], one["name"]) for one in end["outputs"]] == [(f"bucket://{place.url[7:]}", "company")]
    assert rows(end) == ([3], [2])
    assert made_of(end) == {
        "companyId": ["accounts.csv.id"],
        "attributes.plan": ["accounts.csv.plan"],
        "attributes.title": ["accounts.csv.name", "accounts.csv.seats"],
        "attributes.mail": ["accounts.csv.mail"],
    }
    lineage = end["outputs"][0]["facets"]["columnLineage"]
    assert [one["field"] for one in lineage["dataset"]] == ["seats"]  # the rows that `where:` keeps depend on it
    assert lineage["fields"]["attributes.mail"]["inputFields"][0]["transformations"][0]["masking"] is True


def test_a_query_is_seen_through_to_the_columns_under_it(place, receiver):
    """Its text stays here: it may hold a value. How many rows it left out is not said of the file."""
    place.run("--lineage", receiver.url)

    end = receiver.of("test.signups")[1]
    assert made_of(end) == {"userId": ["accounts.csv.id"], "attributes.address": ["accounts.csv.mail"]}
    assert rows(end) == ([None], [2])
    assert end["inputs"][0]["name"] == str(place.folder / "accounts.csv")


def test_no_value_and_no_secret_is_in_an_event(workplace, receiver):
    """Not those of rows, of the pipeline's key, of a URL, of a query's text, or of a path."""
    with closing(sqlite3.connect(workplace.folder / "warehouse.db")) as database:
        database.execute("create table users (id text, mail text)")
        database.execute("insert into users values ('u1', ?)", [VALUE])
        database.commit()
    query = f"select id, mail as address from users where mail = '{VALUE}'"
    workplace.pipeline(
        f"""
        - name: users
          record: user
          source: {{type: sql, url: "sqlite:///warehouse.db", query: "{query}"}}
          fields: {{userId: id, attributes: {{address: address, plan: {{value: "{VALUE}"}}}}}}
        - name: gone
          record: event
          source: {{type: sql, url: "postgresql://ann:{HIDDEN}@127.0.0.1:1/shop?password={HIDDEN}", table: orders}}
          key: [id]
          fields: {{userId: id, event: {{sql: "'{VALUE}'"}}}}
        """
    )

    for words in (["--stream", "users"], []):
        assert workplace.run("--lineage", f"{receiver.url}?token={HIDDEN}", *words).exit_code in {0, 75}

    told = json.dumps(receiver.told)
    assert (receiver.paths[0], receiver.told[-1]["eventType"]) == (f"/api/v1/lineage?token={HIDDEN}", "FAIL")
    assert [one for one in (VALUE, HIDDEN, KEY, "'u1'") if one in told] == []
    assert made_of(receiver.of("test.users")[1])["attributes.address"] == ["users.mail"]
    orders = receiver.of("test.gone")[-1]["inputs"][0]
    assert (orders["namespace"], orders["name"]) == ("postgres://127.0.0.1:1", "shop.public.orders")


def test_a_run_that_could_not_begin_fails_with_its_reason(place, receiver):
    """Every stream was started, and none is left open."""
    (place.folder / "accounts.csv").unlink()

    assert place.run("--lineage", receiver.url).exit_code == 2

    assert stages(receiver.told)[2:] == [("test.companies", "FAIL"), ("test.signups", "FAIL")]
    assert "accounts.csv" in receiver.told[-1]["run"]["facets"]["errorMessage"]["message"]
    require_event(receiver.told[-1])


@pytest.mark.usefixtures("quick")
def test_a_run_that_goes_on_later_tells_each_call_what_it_delivered(place, receiver, emulator):
    """An outage fails the first call; the next one counts the rest, and nothing twice."""
    emulator.faults({"kind": "status", "status": 503, "rate": 1.0})

    assert place.run("--lineage", receiver.url, "--patience", "0.1s").exit_code == 75
    emulator.faults()
    assert place.run("--lineage", receiver.url).exit_code == 0

    ends = [event for event in receiver.of("test.companies") if event["eventType"] != "START"]
    assert [(event["eventType"], rows(event)[1]) for event in ends] == [("FAIL", [0]), ("COMPLETE", [2])]
    assert len({event["run"]["runId"] for event in receiver.told}) == 4


def test_a_file_gets_a_line_for_each_event_and_a_backfill_an_interval_for_each_window(workplace, receiver):
    """Two windows of one file each; the files of a path with the interval in it are one dataset, their folder."""
    workplace.pipeline(EVENTS)
    for month in ("01", "02"):
        workplace.write(f"events-2026-{month}.csv", f"id,user,at\n{month},u1,2026-{month}-03 00:00:00\n")
    words = ("--from", "2026-01-01", "--to", "2026-03-01", "--every", "month", "--lineage")

    assert workplace.command("backfill", *words, str(workplace.folder / "lineage.jsonl")).exit_code == 0

    told = [json.loads(line) for line in (workplace.folder / "lineage.jsonl").read_text("utf-8").splitlines()]
    assert stages(told) == [("test.events", "START"), ("test.events", "COMPLETE")] * 2
    for event in told:
        require_event(event)
    assert [event["run"]["facets"]["nominalTime"]["nominalStartTime"][:7] for event in told[::2]] == [
        "2026-01",
        "2026-02",
    ]
    assert {event["inputs"][0]["name"] for event in told} == {str(workplace.folder)}


def test_a_replay_tells_of_the_streams_whose_rows_it_takes_up(place, receiver):
    """One row was refused in planning; mended, it is delivered by the replay, and the other stream is not named."""
    place.pipeline(PIPELINE.replace("companyId: id", "companyId: {column: id, null_values: ['2']}"), head=HEAD)
    letters = place.run().summary["dead_letters"]
    place.pipeline(PIPELINE, head=HEAD)

    result = place.command_of("replay", letters, "--remap", "--lineage", receiver.url)

    assert stages(receiver.told)[:2] == [("test.companies", "START"), ("test.companies", "COMPLETE")], result.stderr
    assert rows(receiver.told[1])[1] == [1]


def test_load_tells_lineage_too_and_a_frame_has_no_name(receiver, emulator, tmp_path):
    """A DataFrame is no dataset: what is written is told all the same."""
    frame = pd.DataFrame({"id": ["1"], "name": ["Acme"]})
    words = {"record": "company", "fields": {"companyId": "id", "attributes": "*"}, "sync": "full", "name": "frames"}

    words |= {"destination": {"base_url": emulator.url, "key": KEY}, "state": tmp_path}

    summary = load(frame, lineage=receiver.url, **words)

    assert summary.exit_code == 0
    assert stages(receiver.told) == [("frames.frames", "START"), ("frames.frames", "COMPLETE")]
    assert (receiver.told[1]["inputs"], rows(receiver.told[1])[1]) == ([], [1])
    require_event(receiver.told[1])


def test_the_clients_own_variables_say_where_and_whose_part_a_run_is(place, receiver, monkeypatch):
    """The address, the key, the jobs' namespace, the scheduler's run; `OPENLINEAGE_DISABLED` turns it off."""
    run, root = "0193d5a8-6a3c-7d6e-8d3f-000000000001", "0193d5a8-6a3c-7d6e-8d3f-000000000002"
    variables = {
        "OPENLINEAGE_URL": receiver.url,
        "OPENLINEAGE_API_KEY": HIDDEN,
        "OPENLINEAGE_NAMESPACE": "warehouse",
        "OPENLINEAGE_PARENT_ID": f"https://airflow/prod/nightly.load/{run}",
        "OPENLINEAGE_ROOT_PARENT_ID": f"airflow/nightly/{root}",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert place.run().exit_code == 0

    told = list(receiver.told)
    parent = told[0]["run"]["facets"]["parent"]
    assert (len(told), set(receiver.keys)) == (4, {f"Bearer {HIDDEN}"})
    assert (parent["run"]["runId"], parent["root"]["run"]["runId"]) == (run, root)
    assert parent["job"] == {"facets": {}, "name": "nightly.load", "namespace": "https://airflow/prod"}
    assert told[0]["job"]["namespace"] == "warehouse"
    require_event(told[0])
    assert place.run(OPENLINEAGE_DISABLED="true").exit_code == 0
    assert len(receiver.told) == len(told)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("slow", "it takes too long"),
        ("retried", "127.0.0.1"),
        pytest.param("down", "no event could be sent", marks=pytest.mark.breadth),
        pytest.param("refusing", "status 500", marks=pytest.mark.breadth),
    ],
)
def test_a_server_of_lineage_never_harms_a_run(place, receiver, monkeypatch, how, said):
    """It is warned of once, without its address's secrets, and nobody waits for it for long."""
    monkeypatch.setattr(sender, "WAIT_S", 0.3)
    monkeypatch.setattr(sender, "_TIMEOUT_S", 60.0)
    over = threading.Event()
    receiver.status, receiver.before = (
        (500 if how == "refusing" else 200),
        (over.wait if how == "slow" else lambda: None),
    )
    url = "http://ann:hunter2-hidden@127.0.0.1:1" if how == "down" else receiver.url

    result = place.run(OPENLINEAGE_URL="http://127.0.0.1:1") if how == "retried" else place.run("--lineage", url)
    over.set()

    assert (result.exit_code, result.summary["streams"]["companies"]["delivered"]) == (0, 2)
    assert (result.stderr.count("receiver of lineage"), said in result.stderr) == (1, True), result.stderr
    assert (HIDDEN in result.stderr, "WARNING" in result.stderr) == (False, False)  # nor what the client logs


@pytest.mark.parametrize("place_given", ["ftp://lineage.example", "http://", "no/such/folder/events.jsonl"])
def test_a_place_that_cannot_be_one_is_refused_before_anything_is_sent(place, emulator, place_given):
    """A mistake in the word is a mistake of usage."""
    result = place.run("--lineage", place_given)

    assert (result.exit_code, emulator.state()["requests"]) == (2, 0)


def test_without_the_client_the_option_is_refused_and_the_variable_only_warns(place, monkeypatch):
    """Who asks for it hears how to install it; a variable that is there for other programs stops no load."""
    monkeypatch.setitem(sys.modules, "openlineage", None)
    monkeypatch.setitem(sys.modules, "openlineage.client", None)

    asked = place.run("--lineage", "lineage.jsonl")
    found = place.run(OPENLINEAGE_URL="http://127.0.0.1:1")

    assert (asked.exit_code, "pip install 'bucket-loader[lineage]'" in asked.stderr) == (2, True)
    assert (found.exit_code, "pip install 'bucket-loader[lineage]'" in found.stderr) == (0, True)


def test_a_rehearsal_tells_no_lineage(place, receiver):
    """What it loads is loaded nowhere."""
    assert place.command("rehearse", OPENLINEAGE_URL=receiver.url).exit_code == 0
    assert receiver.told == []
