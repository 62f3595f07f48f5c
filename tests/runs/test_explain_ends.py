"""`explain` of what did not go smoothly: refused, held, repeated, unfinished, replayed, removed, overtaken."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from explain_helpers import AT, explained, rows

from bucket_loader.state import Ledger

MEMBERS = """
- name: members
  record: company
  source: {type: csv, path: members.csv}
  fields: {companyId: company, userId: user, attributes: {plan: plan}}
"""
EVENTS = """
- name: usage
  record: event
  key: [n]
  source: {type: csv, path: usage.csv}
  on_unknown: hold
  fields: {userId: user, event: {value: did}, timestamp: at}
"""
COMPANIES = """
- name: companies
  record: company
  source: {type: csv, path: accounts.csv}
  on_removed: {attributes: {plan: gone}, limit: 100%}
  fields: {companyId: id, attributes: {plan: plan}}
"""
POISON = {"kind": "poison", "match": "poison", "status": 400}


def accounts(workplace, *pairs):
    """Write the companies with their plans."""
    workplace.write("accounts.csv", "id,plan\n" + "".join(f"{id_},{plan}\n" for id_, plan in pairs))


@pytest.fixture
def three(workplace):
    """A workplace with three companies to load."""
    workplace.pipeline(COMPANIES)
    accounts(workplace, ("c1", "pro"), ("c2", "poison"), ("c3", "free"))
    return workplace


def test_a_record_that_the_api_refused_is_told_with_its_cuts_and_its_replay(three, emulator):
    """Its chunk was cut, each part with its attempts; the dead letter has the answer, and names who replayed it."""
    emulator.faults(POISON)
    result = three.run()
    emulator.faults()
    three.command_of("replay", result.summary["dead_letters"], "--json")

    replayed, refused = rows(explained(three, "--company", "c2"))

    assert (refused["fate"], replayed["fate"]) == ("rejected", "delivered")
    assert refused["chunks"][0]["state"] == "split"
    assert refused["chunks"][-1]["state"] == "rejected"
    assert all(len(one["tried"]) == one["attempts"] for one in refused["chunks"])
    assert [one["status"] for one in refused["chunks"][0]["tried"]] == [400]
    assert refused["letters"][0]["response"]["status"] == 400
    assert refused["letters"][0]["replayed"] == replayed["run"]
    assert rows(explained(three, "--company", "c1"))[0]["fate"] == "delivered"


def test_a_record_that_may_have_arrived_twice_says_so(three, emulator):
    """An attempt without an answer is among those of its chunk, and counted as doubtful."""
    emulator.faults({"kind": "cut_after", "times": 1, "on": "POST /bulk"})
    three.run()

    (row,) = rows(explained(three, "--company", "c1"))

    assert row["fate_text"] == "delivered, possibly more than once: 1 attempt before that had no clear answer"
    assert [one["status"] for one in row["chunks"][0]["tried"]] == [None, 200]


def test_what_is_held_and_what_was_dropped_is_told(workplace, emulator):
    """A held record names the command that decides; after that it is dropped."""
    workplace.pipeline(EVENTS)
    workplace.write("usage.csv", f"n,user,at\n1,u1,{AT}\n")
    emulator.faults({"kind": "cut_after"})
    run = workplace.run().summary["run"]
    emulator.faults()

    (held,) = rows(explained(workplace, "--user", "u1"))
    known = explained(workplace, "--key", "1")["remembered"]
    workplace.command("release", run, "--drop")
    (dropped,) = rows(explained(workplace, "--user", "u1"))

    assert (held["fate"], dropped["fate"]) == ("held", "dropped")
    assert "`bucket-loader release`" in held["fate_text"]
    assert len(dropped["letters"]) == 1
    assert [one["state"] for one in known] == ["claimed"]


def test_what_an_unfinished_run_has_left_is_pending(three, emulator):
    """After an outage it waits to be sent; when the run is abandoned, it was not sent."""
    emulator.faults({"kind": "status", "status": 429, "retry_after": 60})
    run = three.run("--patience", "0s").summary["run"]
    emulator.faults()

    (pending,) = rows(explained(three, "--company", "c1"))
    three.command("abandon", run)
    (closed,) = rows(explained(three, "--company", "c1"))

    assert (pending["fate"], closed["fate"]) == ("pending", "not sent")


def test_what_was_sent_without_an_answer_is_never_told_as_not_sent(three, emulator):
    """It stays claimed when its run is abandoned, and the next plan is told as compared with that."""
    emulator.faults({"kind": "status", "status": 500})
    run = three.run("--patience", "0s").summary["run"]
    emulator.faults()
    three.command("abandon", run)

    life = explained(three, "--company", "c1")

    assert [one["state"] for one in life["remembered"]] == ["claimed"]
    assert [(one["fate"], one["fate_text"].endswith("before the run was abandoned")) for one in rows(life)] == [
        ("unknown", True)
    ]


def test_a_plan_that_was_not_run_stands_where_it_was_made_in_a_line(three):
    """It is compared with what came before it alone, and says when a run came after it."""
    three.run()
    accounts(three, ("c1", "new"), ("c2", "poison"), ("c3", "free"))
    three.command("plan")
    (open_plan, _) = rows(explained(three, "--company", "c1"))
    later = three.run().summary["run"]

    life = explained(three, "--company", "c1")
    shown = three.command("explain", "--company", "c1").stderr
    newest, planned, first = rows(life)

    assert [row["fate"] for row in (newest, planned, first)] == ["delivered", "planned", "delivered"]
    assert "`bucket-loader run --plan`" in open_plan["fate_text"]
    assert planned["fate_text"].endswith(f"run {later} came after it, so it cannot be sent any more")
    assert planned["compared"]["run"] == newest["compared"]["run"] == first["run"]
    assert f"run {planned['run']}: planned, not run" in shown
    assert "accounts.csv, row 1: other content than" in shown


def test_events_stand_by_their_own_time(workplace):
    """The newest first, whatever the order of the file was."""
    workplace.pipeline(EVENTS)
    workplace.write(
        "usage.csv", "n,user,at\n1,u1,2026-01-02T00:00:00Z\n2,u1,2026-01-03T00:00:00Z\n3,u1,2026-01-01T00:00:00Z\n"
    )
    workplace.run()

    shown = workplace.command("explain", "--user", "u1").stderr

    assert [line.split("-01-")[1][:2] for line in shown.splitlines() if line.startswith("  usage:")] == [
        "03",
        "02",
        "01",
    ]


def test_a_row_that_is_gone_and_comes_back_is_told_each_time(three, emulator):
    """The record of `on_removed:` names its rule; then the row counts as new; `--now` tells it before it happens."""
    three.run()
    accounts(three, ("c2", "poison"), ("c3", "free"))
    before = explained(three, "--company", "c1", "--now")["now"]["rows"]
    three.run()
    gone = explained(three, "--company", "c1")
    accounts(three, ("c1", "pro"), ("c2", "poison"), ("c3", "free"))
    again = explained(three, "--company", "c1", "--now")["now"]["rows"]

    assert [row["verdict"] for row in before] == ["removed"]
    assert {field["path"]: field["rule"] for field in rows(gone)[0]["fields"]} == {
        "companyId": "remembered: its row is gone from the source",
        "attributes.plan": "`on_removed:`",
        "timestamp": "the run's own time",
        "context": "a background sync is no activity",
    }
    assert [one["state"] for one in gone["remembered"]] == ["removed"]
    assert [row["text"] for row in again] == ["would be sent: it was told to be gone, and is there again"]


def test_a_row_that_was_refused_before_is_told_where_it_is_not_sent(three, emulator):
    """The next run of the day does not send it; it names the run that saw it refused, and so does `--now`."""
    emulator.faults(POISON)
    first = three.run().summary["run"]
    emulator.faults()
    three.run()

    life = explained(three, "--company", "c2", "--now")

    assert [row["fate"] for row in rows(life)] == ["refused before", "rejected"]
    assert first in rows(life)[0]["fate_text"]
    assert [row["verdict"] for row in life["now"]["rows"]] == ["refused before"]


def test_a_company_with_users_is_found_by_either_and_by_both(workplace, emulator):
    """Its key is of both ids, so its records are searched; `--key` takes both."""
    workplace.pipeline(MEMBERS)
    workplace.write("members.csv", "company,user,plan\nc1,u1,pro\nc1,u2,pro\nc2,u1,pro\nc3,,pro\n")
    workplace.run()

    def found(*words):
        return [(row["record"]["companyId"], row["record"].get("userId")) for row in rows(explained(workplace, *words))]

    assert found("--company", "c1") == [("c1", "u1"), ("c1", "u2")]
    assert found("--user", "u1") == [("c1", "u1"), ("c2", "u1")]
    assert found("--key", "c1", "--key", "u2") == [("c1", "u2")]
    assert found("--company", "c3") == found("--key", "c3") == [("c3", None)]
    workplace.command("prune", "--older-than", "0s")
    assert [one["state"] for one in explained(workplace, "--company", "c1")["remembered"]] == ["not known"]


def test_a_row_that_could_not_be_read_is_found_by_what_its_line_holds(three):
    """It has no columns, so its line is looked at; an id that is a part of another is not meant."""
    three.write("accounts.csv", "id,plan\nc1,pro,more\nc11,pro\n")
    three.run()

    (row,) = rows(explained(three, "--company", "c1", "--now"))

    assert (row["fate"], row["input"]) == ("rejected", {"line": "c1,pro,more"})
    assert [one["verdict"] for one in explained(three, "--company", "c1", "--now")["now"]["rows"]] == ["rejected"]


def test_a_user_is_not_found_in_rows_that_only_happen_to_hold_its_id(workplace):
    """A stream whose records name no user has none of its rejected rows told, whatever stands in their columns."""
    workplace.pipeline(COMPANIES.replace("plan: plan}", "plan: {column: plan, type: integer}}"))
    workplace.write("accounts.csv", "id,plan,owner\nc1,x,u1\n")
    workplace.run()

    assert rows(explained(workplace, "--user", "u1")) == []
    assert len(rows(explained(workplace, "--company", "c1"))) == 1


def test_what_now_would_do_is_what_a_run_then_does(three, emulator):
    """New, changed, unchanged, superseded, filtered, rejected: each row of a company, as the next run takes it."""
    three.pipeline(COMPANIES.replace("  on_removed", "  where: plan <> 'hidden'\n  on_removed").replace(
        "plan: plan}", "plan: {column: plan, type: integer}}"))  # fmt: skip
    accounts(three, ("c1", 1), ("c2", 2))
    three.run()
    accounts(three, ("c1", 5), ("c1", "x"), ("c1", 3), ("c2", 2), ("c3", 1), ("c4", "hidden"))

    found = {id_: explained(three, "--company", id_, "--now")["now"] for id_ in ("c1", "c2", "c3", "c4")}
    summary = three.run().summary["streams"]["companies"]

    verdicts = {id_: [row["verdict"] for row in now["rows"]] for id_, now in found.items()}
    assert verdicts == {
        "c1": ["superseded", "rejected", "sent"], "c2": ["unchanged"], "c3": ["sent"], "c4": ["filtered"],
    }  # fmt: skip
    assert found["c1"]["rows"][0]["text"] == "superseded by row 3: the last row of a key wins"
    assert found["c1"]["rows"][2]["changes"] == [{"field": "attributes.plan", "old": 1, "new": 3}]
    counted = [verdict for some in verdicts.values() for verdict in some]
    assert {name: counted.count(name) for name in ("superseded", "rejected", "unchanged", "filtered")} == {
        name: summary[name] for name in ("superseded", "rejected", "unchanged", "filtered")
    }
    assert counted.count("sent") == summary["delivered"]


def test_now_is_of_one_stream(workplace):
    """Where several can be meant, it says which there are."""
    workplace.pipeline(MEMBERS + EVENTS)

    result = workplace.command("explain", "--key", "1", "--now")

    assert result.exit_code == 2
    assert "say which: --stream members or --stream usage" in result.stderr


def test_what_changed_is_known_from_memory_where_values_are_remembered(workplace):
    """The plan that sent the old value is gone; the value is remembered on purpose."""
    workplace.pipeline(MEMBERS + "  remember: values\n")
    workplace.write("members.csv", "company,user,plan\nc1,u1,pro\n")
    workplace.run()
    workplace.command("prune", "--older-than", "0s")
    workplace.write("members.csv", "company,user,plan\nc1,u1,free\n")

    (row,) = explained(workplace, "--key", "c1", "--key", "u1", "--now")["now"]["rows"]

    assert row["changes"] == [{"field": "attributes.plan", "old": "pro", "new": "free"}]


def test_a_plan_that_is_damaged_hides_nothing_else(three):
    """It is named as what cannot be read; the other runs are told, and so is what is remembered."""
    damaged = three.run().summary["run"]
    accounts(three, ("c1", "new"), ("c2", "poison"), ("c3", "free"))
    three.run()
    (root,) = Path(three.folder, ".bucket_loader").glob("test@*")
    (file,) = (root / "plans" / damaged).glob("*.parquet")
    file.write_bytes(file.read_bytes()[:-50])

    life = explained(three, "--company", "c1")

    assert [row["record"]["attributes"]["plan"] for row in rows(life)] == ["new"]
    assert [damaged in text for text in life["gone"]] == [True]
    assert life["remembered"][0]["state"] == "remembered"


def test_a_memory_that_is_damaged_hides_nothing_else(three):
    """What runs did with it is told, and that the memory cannot say whether it is known; whether or not it was met."""
    run = three.run().summary["run"]
    (memory,) = three.folder.glob(".bucket_loader/*/snapshots/*")
    memory.write_bytes(memory.read_bytes()[:-9])

    life, other = (explained(three, "--company", id_) for id_ in ("c1", "C1"))

    assert [(one["run"], one["fate"]) for one in rows(life)] == [(run, "delivered")]
    for told in (life, other):
        assert [one["state"] for one in told["remembered"]] == ["not known"]
    assert "is not what was written there" in life["remembered"][0]["text"]


def test_a_dead_letter_outlives_its_plan(three, emulator):
    """The record that was refused is told from it, with its reasons."""
    emulator.faults(POISON)
    run = three.run().summary["run"]
    emulator.faults()
    (root,) = Path(three.folder, ".bucket_loader").glob("test@*")
    shutil.rmtree(root / "plans" / run)

    (row,) = rows(explained(three, "--company", "c2"))

    assert (row["fate"], row["record"]["attributes"]) == ("rejected", {"plan": "poison"})
    assert row["letters"][0]["response"]["status"] == 400


def test_old_chunks_that_are_folded_still_say_how_a_record_ended(three):
    """How its chunk was attempted is gone, and it says so; how it ended is known."""
    file = three.pipeline(COMPANIES)
    file.write_text(file.read_text().replace("patience: 1s\n", "patience: 1s\n  chunk: {records: 1}\n"))
    run = three.run().summary["run"]
    (root,) = Path(three.folder, ".bucket_loader").glob("test@*")
    with closing(Ledger(root / "ledger.db")) as ledger:
        ledger.fold(run, letters_stay=False)

    (row,) = rows(explained(three, "--company", "c1"))
    shown = three.command("explain", "--company", "c1").stderr

    assert (row["fate"], row["chunks"][0]["folded"], row["chunks"][0]["tried"]) == ("delivered", 3, [])
    assert "one of 3 that are folded (of a large run, or older than `keep:`): delivered" in shown
