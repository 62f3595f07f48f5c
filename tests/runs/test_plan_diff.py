"""`plan --diff`: what changes is named to the cell, after whatever has become of the runs before."""

import json

import pytest
from known_companies import Companies, assert_same, diff_of

from bucket_loader.planning import effects
from bucket_loader.runs import diff

FEW = {"cells": 200, "of": 140, "new": 10, "gone": 4}


@pytest.fixture
def companies(workplace):
    """Four hundred companies that were delivered."""
    it = Companies(workplace, 18)
    it.begin(400)
    assert workplace.run().exit_code == 0
    return it


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_exactly_the_cells_that_changed_are_named(workplace, count):
    """A thousand cells of 700 companies, old and new; what is new, and what is gone."""
    companies = Companies(workplace, count)
    companies.begin(count)
    assert workplace.run().exit_code == 0
    assert diff_of(workplace)["unchanged"] == count
    expected = companies.change(cells=1_000, of=700, new=50, gone=20)
    assert_same(diff_of(workplace), expected)


def test_it_is_exact_after_refusals_claims_and_a_replay(companies, workplace, emulator):
    """What was refused stays as it was; what has no answer is not known; what a replay delivers is what is known."""
    companies.change(**FEW)
    poisoned = next(known for known in companies.rows if known.startswith("new-"))
    emulator.faults({"kind": "poison", "match": poisoned, "status": 400})
    refused = workplace.run()
    assert refused.exit_code == 3
    assert [record["change"] for record in diff_of(workplace, "--retry-refused")["records"]] == ["created"]
    assert diff_of(workplace, "--no-retry-refused")["rejected"] == 1
    emulator.faults()
    assert workplace.command_of("replay", refused.summary["dead_letters"]).exit_code == 0

    emulator.faults({"kind": "status", "status": 500, "rate": 1.0})
    expected = companies.change(cells=60, of=50, new=0, gone=0)
    lost = workplace.run("--patience", "0s")
    assert (lost.exit_code, workplace.command("abandon", lost.summary["run"]).exit_code) == (75, 0)
    found = diff_of(workplace)
    assert (found["changed"], found["unknown"], found["fields"]) == (50, 50, {})
    assert [{**record, "fields": None} for record in expected["records"]] == found["records"]
    emulator.faults()
    assert workplace.run().exit_code == 0
    expected = companies.change(**FEW)
    assert_same(diff_of(workplace), expected)


def test_full_compares_what_it_sends_again(companies, workplace):
    """What is sent as it was counts as unchanged; of what changed, old and new are shown as without it."""
    expected = companies.change(cells=5, of=3, new=2, gone=0)
    assert_same(diff_of(workplace, "--full"), expected)


def test_a_limit_reads_and_shows_less(companies, workplace):
    """Nothing of what is not read counts as removed."""
    companies.change(cells=400, of=300, new=0, gone=20)
    found = diff_of(workplace, "--limit", "10")
    assert (found["removed"], found["changed"] + found["unchanged"]) == (0, 10)


def test_what_is_not_remembered_is_unknown(workplace):
    """Hashes tell that something has changed, and not what; `--rows` 0 shows no value of any record."""
    companies = Companies(workplace, 3)
    companies.begin(30)
    file = workplace.folder / "pipeline.yaml"
    file.write_text(file.read_text().replace("remember: values", "remember: hashes"))
    workplace.run()
    companies.change(cells=3, of=3, new=0, gone=0)
    found = diff_of(workplace)
    assert (found["changed"], found["unknown"]) == (3, 3)
    assert [record["fields"] for record in found["records"]] == [None] * 3
    said = workplace.command("plan", "--diff", "-q", "--rows", "0").stdout
    assert "of 3 changed companies nobody knows the old values: `remember: values` on the stream" in said
    assert said.count("\n") == 3


SPELT = """
- name: users
  record: user
  source: {type: csv, path: users.csv}
  fields:
    userId: id
    timestamp: {column: at, timezone: UTC}
    attributes: {timestamp: clock, "attributes.x": x, n: {column: n, type: number}}
  remember: values
"""


def test_a_short_name_is_never_that_of_another_field(workplace):
    """An attribute that is called like a field keeps its path; the time of a run is no value of a row."""
    workplace.pipeline(SPELT)
    workplace.write("users.csv", "id,at,clock,x,n\nu1,2026-01-01,9,a,1\nu2,,9,a,1\nu3,2026-01-01,9,a,1\n")
    workplace.run()
    workplace.write("users.csv", "id,at,clock,x,n\nu1,2026-01-02,8,b,1.5\nu2,,8,a,1\nu3,,9,a,1\n")
    found = json.loads(workplace.command("plan", "--diff", "-q", "--json").stdout)["streams"]["users"]
    assert found["fields"] == {"attributes.timestamp": 2, "timestamp": 2, "attributes.attributes.x": 1, "n": 1}
    assert [record["fields"].get("timestamp") for record in found["records"]] == [
        {"old": "2026-01-01T00:00:00.000Z", "new": "2026-01-02T00:00:00.000Z"},
        None,
        {"old": "2026-01-01T00:00:00.000Z"},
    ]


def test_a_plan_that_a_limit_would_stop_is_shown_and_says_so(companies, workplace):
    """A person looks at what is too much: in text, in JSON, and in the comment."""
    file = workplace.folder / "pipeline.yaml"
    file.write_text(file.read_text().replace("streams:", "limits: {changed: 1%}\nstreams:", 1))
    companies.change(cells=20, of=20, new=0, gone=0)
    text, comment = (workplace.command("plan", "--diff", "--format", form, "-q") for form in ("text", "markdown"))
    found = json.loads(workplace.command("plan", "--diff", "--json", "-q").stdout)
    assert (text.exit_code, "would stop: stream 'companies'" in text.stdout, "  ~ " in text.stdout) == (
        0,
        True,
        True,
    )
    assert "would stop: stream 'companies'" in comment.stdout
    assert [stop["gate"] for stop in found["would_stop"]] == ["changed"]


@pytest.mark.parametrize(("words", "unchanged"), [("key: [n]", 1), ("sync: full", 0)])
def test_events_are_created(workplace, words, unchanged):
    """A stream that sends its rows once compares with nothing; what it has sent is unchanged."""
    workplace.pipeline(f"""
- name: signups
  record: event
  source: {{type: csv, path: events.csv}}
  {words}
  fields: {{userId: u, event: {{value: signed up}}, timestamp: {{column: at, timezone: UTC}}}}
""")
    workplace.write("events.csv", "n,u,at\n1,u1,2026-01-01\n")
    workplace.run()
    rows = "1,u1,2026-01-01\n" * unchanged + "2,u2,2026-01-01\n"
    workplace.write("events.csv", f"n,u,at\n{rows}")
    found = json.loads(workplace.command("plan", "--diff", "--format", "json", "-q").stdout)["streams"]["signups"]
    assert (found["created"], found["unchanged"]) == (1, unchanged)
    (record,) = found["records"]
    sent = {"userId": "u2", "event": "signed up", "timestamp": "2026-01-01T00:00:00.000Z"}
    assert record == {"id": {}, "change": "created", "fields": {name: {"new": value} for name, value in sent.items()}}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "json"), "--format is for --diff"),
        (("--rows", "3"), "--rows is for --diff"),
        (("--diff", "--rows", "some"), "'some' is neither a whole number nor `all`"),
        (("--diff", "--format", "yaml"), "`yaml` is none of text, markdown, json, html"),
        (("--diff", "--format", "html", "--json"), "--json prints JSON, and --format says html"),
    ],
)
def test_words_that_make_no_sense_are_refused(workplace, words, message):
    """Nothing is planned for them."""
    Companies(workplace, 1).begin(1)
    refused = workplace.command("plan", *words)
    assert (refused.exit_code, message in refused.stderr) == (2, True)


def test_a_large_plan_is_looked_at_in_pieces(companies, workplace, monkeypatch):
    """Cut by ranges of keys, each beside its part of the memory: numbers, records and their order stay."""
    monkeypatch.setattr(effects, "_SORTED_TOGETHER", 50)
    monkeypatch.setattr(effects, "_AT_ONCE", 7)
    monkeypatch.setattr(diff, "_AT_ONCE", 9)
    expected = companies.change(cells=300, of=250, new=30, gone=20)
    assert_same(diff_of(workplace), expected)


def test_values_stand_on_stdout_alone_and_only_when_they_are_asked_for(workplace):
    """No log and no line of progress holds one, and `plan` without `--diff` prints none."""
    companies = Companies(workplace, 5)
    companies.begin(3)
    workplace.run()
    companies.rows["000001"]["name"] = "PLANTED"
    companies.write()
    for words in ((), ("--log-format", "json")):
        asked = workplace.command("plan", "--diff", *words)
        assert ("PLANTED" in asked.stdout, "PLANTED" in asked.stderr) == (True, False)
        without = workplace.command("plan", "--json", *words)
        assert "PLANTED" not in without.stdout + without.stderr
