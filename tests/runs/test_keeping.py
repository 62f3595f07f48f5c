"""What the end of a run lets go of: old plans, dead letters that nobody needs, and how old chunks were cut."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

EVENTS = """
- name: events
  record: event
  source: {type: csv, path: "events-*.csv", new_files: true}
  key: [n]
  on_unknown: hold
  fields:
    userId: user
    event: what
    timestamp: {column: at, timezone: UTC}
"""
WHOLE = EVENTS.replace(", new_files: true", "").replace("  on_unknown: hold\n", "")
REFUSE = {"kind": "status", "status": 400, "rate": 1.0}


@pytest.fixture
def events(workplace):
    """A workplace whose every run lets go of all that the runs before have left."""
    workplace.pipeline(EVENTS, head="keep: 1ms\n")
    return workplace


def export(workplace, name, *numbers):
    """Write a file of events."""
    rows = "".join(f"{n},u{n},e,2025-01-01\n" for n in numbers)
    workplace.write(f"events-{name}.csv", "n,user,what,at\n" + rows)


def root(workplace):
    """Return the folder of the only state."""
    (found,) = (workplace.folder / ".bucket_loader").iterdir()
    return found


def plans(workplace):
    """Return the runs whose plans are there."""
    return sorted(path.name for path in (root(workplace) / "plans").iterdir())


def letters(workplace):
    """Return the runs whose dead letters are there."""
    return sorted(path.stem for path in (root(workplace) / "dead_letters").glob("*"))


def chunks(workplace, run):
    """Return the ledger's rows of a run's chunks."""
    with closing(sqlite3.connect(root(workplace) / "ledger.db")) as ledger:
        return ledger.execute(
            "SELECT members, state, folded FROM chunk WHERE run = ? ORDER BY first", (run,)
        ).fetchall()


def status(workplace):
    """Return what `status` shows."""
    return json.loads(workplace.command("status", "--json").stdout)


def audited(workplace, run):
    """Return what `audit` says."""
    return json.loads(workplace.command("audit", run, "--json").stdout)


def refused(workplace, emulator):
    """Run while the API refuses everything; return the run."""
    emulator.faults(REFUSE)
    run = workplace.run("--allow-rejected", "100%").summary["run"]
    emulator.faults()
    return run


def test_the_end_of_a_run_lets_go_of_what_is_old_and_says_so(events):
    """Old plans are removed and chunks folded, in one line; counts, memory and what is new stay."""
    export(events, "a", *range(450))
    first = events.run().summary["run"]
    before = status(events)["runs"][0]
    export(events, "b", 450)
    second = events.run()

    assert "older than 0.001s: removed 1 plan (" in second.stderr
    assert "folded 5 chunks" in second.stderr
    assert second.stderr.count("older than") == 1
    assert second.summary["streams"]["events"]["delivered"] == 1  # nothing is sent again
    assert plans(events) == [second.summary["run"]]
    assert chunks(events, first) == [("0-449", "delivered", 5)]
    assert status(events)["runs"][1] == before


def test_what_is_young_stays(events):
    """Thirty days, when nothing is written; and all of it with `keep: forever`."""
    for head in ("", "keep: forever\n", "keep: 100000d\n"):
        events.pipeline(EVENTS, head=head)
        export(events, "a", *range(200))
        result = events.run()
        assert "older than" not in result.stderr
    assert len(plans(events)) == 3


def test_an_audit_of_an_old_run_proves_what_it_can_and_says_what_it_cannot(events):
    """From the ledger alone: the rows add up, and no record is accounted for twice."""
    export(events, "a", *range(450))
    run = events.run().summary["run"]
    events.run()
    found, said = audited(events, run), events.command("audit", run)

    assert {**found, "not_proved": None} == {"run": run, "sound": True, "records": 450, "chunks": 5, "findings": [],
                                             "not_proved": None}  # fmt: skip
    plan, cuts = found["not_proved"]
    assert "its plan is gone" in plan
    assert "5 chunks are folded (of a large run, or older than `keep:`)" in cuts
    assert said.exit_code == 0
    assert f"not proved: {plan}" in said.stderr


TAMPERED = {
    "UPDATE chunk SET members = '0-448' WHERE folded = 5": "not of this plan",
    "UPDATE chunk SET attempts = 1 WHERE folded = 5": "never attempted",
    "UPDATE stream SET unchanged = 7": "do not add up",
    "INSERT INTO chunk SELECT run, stream, 1, '1-1', 1, 1, 'dropped', 1, 0, digest, 200, NULL, NULL, '' FROM chunk":
        "accounted for twice",
}  # fmt: skip


def test_an_edited_row_of_an_old_run_is_found(events):
    """As far as the ledger alone tells."""
    export(events, "a", *range(450))
    run = events.run().summary["run"]
    events.run()
    path = root(events) / "ledger.db"
    sound = path.read_bytes()
    for statement, word in TAMPERED.items():
        path.write_bytes(sound)
        edit(events, statement)
        assert word in " ".join(audited(events, run)["findings"])


def edit(workplace, statement):
    """Change the ledger behind the loader's back."""
    with closing(sqlite3.connect(root(workplace) / "ledger.db")) as ledger:
        ledger.execute(statement)
        ledger.commit()


def test_a_folded_run_whose_plan_is_there_is_proved_by_its_digest(events):
    """As of a backup, or where the plan could not be removed: the chunks are made again."""
    export(events, "a", *range(450))
    run = events.run().summary["run"]
    plan = root(events) / "plans" / run
    kept = {path.name: path.read_bytes() for path in plan.iterdir()}
    events.run()
    plan.mkdir()
    for name, data in kept.items():
        (plan / name).write_bytes(data)

    assert audited(events, run)["findings"] == []
    edit(events, "UPDATE chunk SET digest = zeroblob(32) WHERE folded = 5")
    assert "not sent as planned" in audited(events, run)["findings"][0]


def test_dead_letters_that_nobody_decided_over_stay_with_their_plan(events, emulator):
    """Nobody writes them again: they are counted, can be replayed, and go by `prune` alone."""
    export(events, "a", *range(3))
    run = refused(events, emulator)
    events.run()
    events.run()

    assert (letters(events), run in plans(events)) == ([run], True)
    assert status(events)["old_dead_letters"] == 1
    assert "the dead letters of 1 old run stays" in events.command("status").stderr
    assert [state for _, state, _ in chunks(events, run) if state != "split"] == ["rejected"] * 3
    events.command("prune", "--older-than", "0s")
    assert (letters(events), status(events)["old_dead_letters"]) == ([], 0)


def test_a_dead_letter_is_replayed_over_what_was_delivered_before_it(workplace, emulator):
    """The plans of later runs are gone; what they remember tells that they have not sent that user."""
    source = '{type: csv, path: "users-*.csv", new_files: true}'
    fields = "{userId: id, attributes: {plan: plan}}"
    workplace.pipeline(f"- name: users\n  record: user\n  source: {source}\n  fields: {fields}\n", head="keep: 1ms\n")
    workplace.write("users-a.csv", "id,plan\nu1,old\nu2,old\nu3,old\n")
    workplace.run()
    workplace.write("users-b.csv", "id,plan\nu1,new\n")
    run = refused(workplace, emulator)
    workplace.write("users-c.csv", "id,plan\nu2,new\n")
    later = workplace.run().summary["run"]
    workplace.run()
    assert later not in plans(workplace)
    replay = workplace.command_of("replay", str(root(workplace) / "dead_letters" / f"{run}.jsonl"), "--json")

    assert replay.summary["streams"]["users"]["delivered"] == 1
    assert json.loads(emulator.call("GET", "/_emulator/users/u1"))["attributes"]["plan"] == "new"


def test_dead_letters_that_were_replayed_go_with_the_replay(events, emulator):
    """When the run that took them up is old too; then its plan goes, and theirs."""
    export(events, "a", *range(3))
    run = refused(events, emulator)
    events.run()
    assert letters(events) == [run]
    replayed = events.command_of("replay", str(root(events) / "dead_letters" / f"{run}.jsonl"), "--json")
    assert replayed.summary["streams"]["events"]["delivered"] == 3
    last = events.run()

    assert letters(events) == []
    assert plans(events) == [last.summary["run"]]
    assert chunks(events, run) == [("0-2", "rejected", 3)]
    assert status(events)["old_dead_letters"] == 0


def test_dead_letters_that_were_dropped_go(events, emulator):
    """A person has decided over them."""
    export(events, "a", *range(150))
    emulator.faults({"kind": "cut_after", "times": 1})
    held = events.run().summary["run"]
    emulator.faults()
    events.run()
    assert held in plans(events)  # it is not done
    events.command("release", held, "--drop")
    assert letters(events) == [held]
    events.run()

    assert (letters(events), held in plans(events)) == ([], False)


def test_dead_letters_of_a_stream_that_reads_everything_go(workplace, emulator):
    """The next run meets the same rows, and writes them again."""
    workplace.pipeline(WHOLE, head="keep: 1ms\n")
    export(workplace, "a", *range(3))
    run = refused(workplace, emulator)
    assert letters(workplace) == [run]
    last = workplace.run("--no-retry-refused", "--allow-rejected", "100%")

    assert run not in letters(workplace)
    assert plans(workplace) == [last.summary["run"]]


@pytest.mark.parametrize("what", ["held", "abandoned"])
def test_what_is_unfinished_or_claimed_is_never_let_go_of(events, emulator, what):
    """Its plan and its chunks are those that a decision needs, however old they are."""
    export(events, "a", *range(250))
    emulator.faults({"kind": "cut_after", "times": 1})
    held = events.run().summary["run"]
    emulator.faults()
    before = chunks(events, held)
    if what == "abandoned":
        events.command("abandon", held)
    events.run()
    events.command("prune", "--older-than", "0s")

    assert chunks(events, held) == before
    assert held in plans(events)
    events.command("release", held)
    released = events.run()
    assert released.summary["resumed"][0]["streams"]["events"]["delivered"] == 250
    assert events.run().exit_code == 0
    assert held not in plans(events)


@pytest.mark.long
def test_what_is_claimed_of_an_abandoned_run_stays_in_the_ledger(events, emulator):
    """It may have been applied: its row is never folded, and nobody can take the run up, so its plan goes."""
    events.pipeline(EVENTS.replace("hold", "resend"), head="keep: 1ms\n")
    export(events, "a", *range(250))
    emulator.faults({"kind": "status", "status": 503, "rate": 1.0})
    left = events.run().summary["run"]
    emulator.faults()
    before = chunks(events, left)
    events.command("abandon", left)
    events.run()

    assert (chunks(events, left), left in plans(events)) == (before, False)
    assert {state for _, state, _ in before} == {"queued"}


def test_a_failure_to_let_go_changes_nothing_of_the_run(events):
    """It is said, and tried again by the next."""
    export(events, "a", *range(250))
    first = events.run().summary["run"]
    plan = root(events) / "plans" / first
    kept = plan.with_suffix(".kept")
    plan.rename(kept)
    plan.write_bytes(b"a file that is no folder")
    second = events.run()

    assert second.exit_code == 0
    assert "stays for now" in second.stderr
    assert first in second.stderr
    plan.unlink()
    kept.rename(plan)
    assert events.run().exit_code == 0
    assert first not in plans(events)


def test_a_few_runs_at_a_time(events, monkeypatch):
    """The first end after an upgrade takes its share, and the following ends take theirs."""
    events.pipeline(EVENTS, head="keep: forever\n")
    runs = []
    for number in range(3):
        export(events, str(number), number)
        runs.append(events.run().summary["run"])
    events.pipeline(EVENTS, head="keep: 1ms\n")
    monkeypatch.setattr("bucket_loader.runs.keeping.RUNS_AT_ONCE", 1)

    for gone in (1, 2):
        last = events.run().summary["run"]
        assert Path(root(events) / "plans" / last).exists()
        assert [run for run in runs if run in plans(events)] == runs[gone:]
