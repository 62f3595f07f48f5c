"""Records that bring server errors for ever: what is new arrives all the same, and who shares their ids waits."""

import json
import sqlite3
from contextlib import closing

import pytest
from older import memory_as_of_old

from bucket_loader.delivery import sending, service
from bucket_loader.delivery.http import retry
from bucket_loader.state import Ledger

pytestmark = pytest.mark.long

COMPANIES = """
- name: companies
  record: company
  source: {type: csv, path: companies.csv}
  fields: {companyId: company, userId: user, attributes: {plan: plan}}
"""
EVENTS = """
- name: events
  record: event
  key: [id]
  source: {type: csv, path: events.csv}
  fields: {userId: user, event: {value: did}, attributes: {id: id}, timestamp: {value: "2026-01-01T00:00:00Z"}}
"""
GROWING = """
- name: companies
  record: company
  source: {type: sql, url: "sqlite:///app.db", query: "SELECT * FROM companies WHERE at >= :cursor ORDER BY rowid"}
  cursor: {column: at, start: 2020-01-01}
  timezone: UTC
  fields: {companyId: company, userId: user, attributes: {plan: plan}}
"""
POISON = {"kind": "poison", "match": "poison"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Shorten what is waited between attempts."""
    monkeypatch.setattr(retry, "WAIT_S_FIRST", 0.01)
    monkeypatch.setattr(retry, "WAIT_S_MAX", 0.05)
    monkeypatch.setattr(sending, "JUDGED_AFTER_S", 0.5)


@pytest.fixture
def unjudged(monkeypatch):
    """Let no record be judged, as where a signal ends each run before its minute is over."""
    monkeypatch.setattr(sending, "JUDGED_AFTER_S", 3_600.0)
    monkeypatch.setattr(service, "WITNESSED_FACTOR", 0.0)


@pytest.fixture
def place(workplace):
    """A pipeline of companies and events, in chunks of two."""
    in_twos(workplace.pipeline(COMPANIES + EVENTS))
    companies(workplace)
    events(workplace)
    return workplace


def in_twos(file):
    """Let a pipeline send two records at once, and one chunk after the other."""
    text = file.read_text()
    file.write_text(text.replace("patience: 1s\n", "patience: 1s\n  chunk: {records: 2}\n  concurrency: 1\n"))


def companies(place, *rows):
    """Write who is in which company on which plan."""
    place.write("companies.csv", "company,user,plan\n" + "".join(f"{row}\n" for row in rows))


def events(place, *ids):
    """Write events."""
    place.write("events.csv", "id,user\n" + "".join(f"{one},u{one}\n" for one in ids))


def plan_of(emulator, company):
    """Return the plan that the emulator knows of a company."""
    return json.loads(emulator.call("GET", f"/_emulator/companies/{company}"))["attributes"]["plan"]


@pytest.mark.usefixtures("unjudged")
def test_alone_in_its_plan_it_is_stuck_and_what_is_new_arrives(place, emulator):
    """The first run cannot tell and names it; later ones send what is new, and try it once more after that."""
    companies(place, "c1,u1,poison")
    emulator.faults(POISON)
    first = place.run()
    events(place, *range(20))
    second = place.run()

    assert (first.exit_code, first.summary["retry"]) == (75, True)
    (stuck,) = first.summary["stuck"]
    assert (stuck["stream"], stuck["records"], stuck["waits"]) == ("companies", 1, False)
    assert second.exit_code == 75
    assert second.summary["streams"]["events"]["delivered"] == 20
    status = json.loads(place.command("status", "--json").stdout)
    assert [len(run["stuck"]) for run in status["runs"]] == [1, 0]
    assert "Each run tries again" in place.command("status").stderr + place.command("status").stdout

    place.command("abandon", first.summary["run"])

    assert "tries again" not in place.command("status", first.summary["run"]).stderr


def test_with_witnesses_it_is_rejected_after_its_minute(place, emulator):
    """The next success is its witness: then it is a dead letter, and the run of it is over; however short patience."""
    companies(place, "c1,u1,poison")
    emulator.faults(POISON)
    first = place.run()
    events(place, *range(20))
    companies(place, "c9,u9,pro")
    second = place.run("--patience", "0.1s")

    assert (first.exit_code, second.exit_code) == (75, 3)
    assert [one["run"] for one in second.summary["resumed"]] == [first.summary["run"]]
    assert second.summary["resumed"][0]["streams"]["companies"]["rejected"] == 1
    assert "stuck" not in second.summary
    assert json.loads(place.command("audit", first.summary["run"], "--json").stdout)["sound"]


@pytest.mark.usefixtures("unjudged")
def test_who_names_the_same_company_waits_and_all_others_go(place, emulator):
    """In one chunk and behind it: by record, and whoever shares an id with one that waits; nobody overtakes."""
    companies(place, "c1,u1,poison", "c2,u2,a", "c1,u3,b", "c3,u3,c", "c4,u4,d", "c5,u5,e")
    emulator.faults(POISON)
    first = place.run()

    waits = {one["chunk"] for one in first.summary["stuck"] if one["waits"]}
    assert first.summary["streams"]["companies"]["delivered"] == 3
    assert waits == {"2-3"}
    assert emulator.state()["companies"] == 3


def test_a_newer_row_of_its_key_takes_its_place(place, emulator):
    """The row is mended at the source: the new one is sent, the old one counts as superseded, and nothing is left."""
    companies(place, "c1,u1,poison", "c1,u2,a")
    emulator.faults(POISON)
    first = place.run()
    companies(place, "c1,u1,good", "c1,u2,a")
    second = place.run()
    third = place.run()

    assert (first.exit_code, second.exit_code, third.exit_code) == (75, 0, 0)
    assert second.summary["resumed"][0]["streams"]["companies"]["superseded"] == 2
    assert second.summary["resumed"][0]["streams"]["companies"]["possibly_duplicated"] == 2  # sent, and in one chunk
    assert second.summary["streams"]["companies"]["delivered"] == 2
    assert third.summary["requests"] == 0
    assert plan_of(emulator, "c1") == "a"
    assert json.loads(place.command("audit", first.summary["run"], "--json").stdout)["sound"]


def test_order_holds_across_the_plans(place, emulator):
    """A later plan's row of a company that waits in an earlier one is sent after it, not before."""
    companies(place, "c1,u1,poison", "c1,u2,older")
    emulator.faults(POISON)
    place.run()
    companies(place, "c1,u3,newer")
    second = place.run()
    emulator.faults()
    third = place.run()

    assert second.summary["streams"]["companies"]["pending"] == 1
    assert {one["waits"] for one in second.summary["stuck"]} == {True, False}
    assert third.exit_code == 0
    assert plan_of(emulator, "c1") == "newer"


def test_an_outage_of_writing_rejects_nothing_and_is_over_when_it_is_over(place, emulator):
    """Reads are answered and no write is: that may be an outage. All arrive afterwards, each once or named."""
    companies(place, *(f"c{n},u{n},a" for n in range(6)))
    emulator.faults({"kind": "status", "status": 500, "rate": 1.0})
    first = place.run()
    emulator.faults()
    second = place.run()

    assert (first.exit_code, second.exit_code) == (75, 0)
    assert place.dead_letters(first) == []
    assert emulator.state()["companies"] == 6


def test_what_was_stopped_and_died_while_it_was_closed_sends_nothing_more(place, emulator, monkeypatch):
    """Its memory has moved already: what it would send now would not be remembered."""
    events(place, *range(300))
    emulator.faults({"kind": "status", "status": 400, "rate": 1.0})
    real = Ledger.end_run

    def dies(self, run, status, **more):
        if status == "stopped":
            raise KeyboardInterrupt
        real(self, run, status, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "end_run", dies)
        place.run()
    emulator.faults()
    second, third = place.run(), place.run()

    assert (second.exit_code, third.exit_code) == (4, 0)
    assert second.summary["requests"] == 0
    assert emulator.state()["events"] == 300


def test_what_was_set_aside_and_refused_late_is_known_and_its_mended_row_is_sent(place, emulator, monkeypatch):
    """Its stream was settled with a claim for it; that claim ends when the record is judged."""
    events(place, "poison", "a")
    emulator.faults(POISON)
    with monkeypatch.context() as patch:
        patch.setattr(sending, "JUDGED_AFTER_S", 3_600.0)
        patch.setattr(service, "WITNESSED_FACTOR", 0.0)
        first = place.run()
    events(place, "poison", "a", "b")
    second = place.run("--patience", "60s")
    third = place.run()
    emulator.faults()
    fourth = place.run("--retry-refused")
    fifth = place.run()

    assert [one.exit_code for one in (first, second, third, fourth, fifth)] == [75, 3, 3, 0, 0]
    assert second.summary["resumed"][0]["streams"]["events"]["rejected"] == 1
    assert third.summary["streams"]["events"]["refused_before"] == 1
    assert fourth.summary["streams"]["events"]["delivered"] == 1
    assert emulator.state()["events"] == 3


@pytest.mark.usefixtures("unjudged")
def test_what_waited_returns_when_its_run_is_abandoned(workplace, emulator):
    """It was never sent: the next plan has it, also where the cursor would have passed it by."""
    in_twos(workplace.pipeline(GROWING))
    with closing(sqlite3.connect(workplace.folder / "app.db")) as database:
        database.execute("CREATE TABLE companies (company, user, plan, at)")
        rows = [("c1", "u1", "poison", 1), ("c3", "u9", "goes", 2), ("c1", "u2", "waits", 3), ("c2", "u3", "goes", 4)]
        database.executemany("INSERT INTO companies VALUES (?, ?, ?, '2026-01-01 0' || ? || ':00:00')", rows)
        database.commit()
    emulator.faults(POISON)
    first = workplace.run()
    workplace.command("abandon", first.summary["run"])
    emulator.faults()
    second = workplace.run()

    assert (first.exit_code, first.summary["streams"]["companies"]["delivered"]) == (75, 2)
    assert second.exit_code == 0
    assert second.summary["streams"]["companies"]["unchanged"] == 2
    assert plan_of(emulator, "c1") == "waits"


def test_what_was_sent_anew_by_a_later_run_is_not_undone_by_a_late_end_of_the_first(place, emulator, monkeypatch):
    """Two companies are set aside together; one arrives at once, and changes. What is known of it stays as it is."""
    companies(place, "c1,u1,poison", "c2,u2,a", "c3,u3,b")
    emulator.faults(POISON)
    with monkeypatch.context() as patch:
        patch.setattr(sending, "JUDGED_AFTER_S", 3_600.0)
        patch.setattr(service, "WITNESSED_FACTOR", 0.0)
        first = place.run()
    companies(place, "c2,u2,newer", "c3,u3,b")
    second = place.run("--patience", "60s")
    third = place.run()

    assert (first.exit_code, second.exit_code) == (75, 3)
    assert second.summary["streams"]["companies"]["delivered"] == 1
    assert (third.exit_code, third.summary["requests"]) == (0, 0)


@pytest.mark.usefixtures("unjudged")
def test_a_late_end_is_remembered_over_what_older_versions_remembered_before_it(place, emulator):
    """Files from before and from after the run that waits are taken over, and stay apart: only the later ones count."""
    companies(place, "c1,u3,a")
    place.run()
    companies(place, "c1,u1,poison", "c2,u2,a", "c1,u3,b")
    emulator.faults(POISON)
    waits = place.run()
    companies(place, "c2,u2,a", "c1,u3,a", "c5,u5,a")
    place.run()
    emulator.faults()
    assert len(memory_as_of_old(place)) == 2
    late, after = place.run(), place.run()

    assert waits.summary["streams"]["companies"]["pending"] == 2
    assert late.summary["resumed"][0]["streams"]["companies"]["delivered"] == 3
    assert after.summary["streams"]["companies"]["delivered"] == 1  # b arrived after a: a is sent once more
    assert plan_of(emulator, "c1") == "a"
