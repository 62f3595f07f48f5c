"""`replay`: a dead-letter file again, as recorded or through today's mapping."""

import json
from pathlib import Path

import pytest

EVENTS = """
- name: signups
  record: event
  key: [id]
  source: {type: csv, path: signups.csv}
  fields: {userId: user, event: {value: signed up}, timestamp: {column: at, type: timestamp, timezone: UTC}}
"""
REFUSE = {"kind": "status", "status": 400, "rate": 1.0}


def refused(workplace, emulator, *words):
    """Run while the API refuses everything; give the dead-letter file."""
    emulator.faults(REFUSE)
    result = workplace.run(*words)
    emulator.faults()
    assert result.exit_code == 3, result.stderr
    return Path(result.summary["dead_letters"])


def replay(workplace, file, *words):
    """Replay a file."""
    return workplace.command_of("replay", str(file), "--json", *words)


def counts(result, stream):
    """Return what became of a stream's letters, without the zeros."""
    return {name: number for name, number in result.summary["streams"][stream].items() if number}


def test_letters_are_sent_as_they_were_recorded(companies, emulator):
    """The very bytes that were refused are sent, and arrive."""
    file = refused(companies, emulator)
    result = replay(companies, file)

    assert result.exit_code == 0, result.stderr
    assert counts(result, "companies") == {"read": 3, "delivered": 3}
    recorded = [json.loads(line)["record"] for line in file.read_text("utf-8").splitlines()]
    assert [entry["item"] for entry in emulator.journal()] == recorded


def test_a_letter_is_taken_up_once(companies, emulator):
    """The second replay sends nothing, and says so."""
    file = refused(companies, emulator)
    replay(companies, file)
    requests = emulator.state()["requests"]
    again = replay(companies, file)

    assert again.exit_code == 0
    assert counts(again, "companies") == {"read": 3, "unchanged": 3}
    assert "taken up before" in again.stderr
    assert emulator.state()["requests"] == requests


def test_what_is_refused_again_goes_to_a_new_file(companies, emulator):
    """The old file stays as it was; the new one can be replayed in its turn, the old one not."""
    file = refused(companies, emulator)
    before = file.read_bytes()
    emulator.faults(REFUSE)
    again = replay(companies, file)
    emulator.faults()
    new = Path(again.summary["dead_letters"])

    assert again.exit_code == 3
    assert (new != file, file.read_bytes()) == (True, before)
    assert counts(replay(companies, file), "companies") == {"read": 3, "unchanged": 3}
    assert counts(replay(companies, new), "companies") == {"read": 3, "delivered": 3}


@pytest.mark.parametrize("remap", [[], ["--remap"]])
def test_a_later_run_is_never_overwritten(companies, emulator, remap):
    """A company that was delivered since keeps what it has; the others are sent."""
    file = refused(companies, emulator)
    companies.write("accounts.csv", "id,name,seats\n00123,Acme the second,6\n")
    assert companies.run().exit_code == 0
    result = replay(companies, file, *remap)

    assert counts(result, "companies") == {"read": 3, "delivered": 2, "superseded": 1}
    acme = json.loads(emulator.call("GET", "/_emulator/companies/00123"))
    assert acme["attributes"] == {"name": "Acme the second", "seats": "6"}


def test_a_later_run_is_not_overwritten_when_its_plan_is_gone(companies, emulator):
    """Without the later plan whatever is remembered counts as newer."""
    file = refused(companies, emulator)
    kept = file.read_bytes()
    companies.write("accounts.csv", "id,name,seats\n00123,Acme the second,6\n")
    companies.run()
    companies.command("prune", "--older-than", "0s")
    file.write_bytes(kept)

    assert counts(replay(companies, file, "--remap"), "companies") == {"read": 3, "delivered": 2, "superseded": 1}


def test_an_event_that_arrived_since_is_not_sent_again(workplace, emulator):
    """A later run took the refused events along, as it does: nothing is left to replay."""
    workplace.write("signups.csv", "id,user,at\n1,a,2026-01-01\n2,b,2026-01-02\n")
    workplace.pipeline(EVENTS)
    file = refused(workplace, emulator)
    workplace.run("--retry-refused")

    assert counts(replay(workplace, file), "signups") == {"read": 2, "unchanged": 2}
    assert emulator.state()["events"] == 2


def test_remap_maps_the_rows_anew(workplace, emulator):
    """Rows that planning rejected have no record; with the mapping mended they arrive, with their own origin."""
    workplace.write("signups.csv", "id,user,at\n1,a,01/02/2026\n2,b,2026-01-02\n3,,2026-01-03\n")
    workplace.pipeline(EVENTS)
    result = workplace.run()
    file = Path(result.summary["dead_letters"])
    as_recorded = replay(workplace, file)
    workplace.pipeline(EVENTS.replace("timezone: UTC", "timezone: UTC, format: ['%d/%m/%Y', '%Y-%m-%d']"))
    remapped = replay(workplace, file, "--remap")

    assert (as_recorded.exit_code, "--remap" in as_recorded.stderr) == (2, True)
    assert remapped.exit_code == 3
    assert counts(remapped, "signups") == {"read": 2, "delivered": 1, "rejected": 1}
    assert [entry["item"]["timestamp"] for entry in emulator.journal()][-1] == "2026-02-01T00:00:00.000Z"
    (letter,) = workplace.dead_letters(remapped)
    assert letter["origin"] == {"source": "signups.csv", "row": 3}


def test_remap_keeps_every_id_as_it_is_spelt(workplace, emulator):
    """Ids that look like numbers, nulls and words of JSON come out of the file as they went in."""
    ids = ["00123", "9007199254740993", "null", "1e5", "-0", "true"]
    workplace.write("accounts.csv", "id,name\n" + "".join(f"{one},n{number}\n" for number, one in enumerate(ids)))
    workplace.pipeline("- {name: companies, record: company, source: {type: csv, path: accounts.csv},"
                       " fields: {companyId: id, attributes: '*'}}")  # fmt: skip
    file = refused(workplace, emulator)

    assert replay(workplace, file, "--remap").exit_code == 0
    assert [entry["item"]["companyId"] for entry in emulator.journal()] == ids


def test_a_part_of_a_file_is_replayed(companies, emulator):
    """A person may choose lines; the others can still be replayed later."""
    file = refused(companies, emulator)
    chosen = companies.write("chosen.jsonl", file.read_text("utf-8").splitlines()[1] + "\n")
    some = replay(companies, chosen, "--pipeline", str(companies.folder / "pipeline.yaml"))
    rest = replay(companies, file)

    assert counts(some, "companies") == {"read": 1, "delivered": 1}
    assert counts(rest, "companies") == {"read": 3, "delivered": 2, "unchanged": 1}


def test_an_outage_leaves_the_replay_to_the_next_run(companies, emulator):
    """A replay is a run: unfinished it is finished by the next `run`."""
    file = refused(companies, emulator)
    emulator.faults({"kind": "status", "status": 500, "rate": 1.0})
    broken = replay(companies, file, "--patience", "0.5s")
    emulator.faults()
    after = companies.run()

    assert broken.exit_code == 75
    assert [one["streams"]["companies"]["delivered"] for one in after.summary["resumed"]] == [3]


def test_an_abandoned_replay_gives_its_letters_back(companies, emulator):
    """What was never sent can be replayed another time; what may have arrived cannot."""
    file = refused(companies, emulator)
    emulator.faults({"kind": "status", "status": 429, "rate": 1.0})
    broken = replay(companies, file, "--patience", "0.3s")
    companies.command("abandon", broken.summary["run"])
    emulator.faults()

    assert broken.exit_code == 75
    assert counts(replay(companies, file), "companies") == {"read": 3, "delivered": 3}


def test_a_changed_record_is_refused(companies, emulator):
    """As recorded means as recorded: a record mended by hand is not sent, and not silently ignored."""
    file = refused(companies, emulator)
    file.write_text(file.read_text("utf-8").replace("Acme", "Acne"), "utf-8")
    result = replay(companies, file)

    assert (result.exit_code, "not what was recorded" in result.stderr) == (2, True)
    assert "Acne" not in result.stderr


def test_a_pruned_plan_needs_remap(companies, emulator):
    """What was recorded lies in the plan; without it the hint says what works."""
    file = refused(companies, emulator)
    kept = file.read_bytes()
    companies.command("prune", "--older-than", "0s")
    file.write_bytes(kept)
    result = replay(companies, file)

    assert (result.exit_code, "--remap" in result.stderr) == (2, True)
    assert replay(companies, file, "--remap").exit_code == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "holds no dead letter"), ("{}\nnot json\n", "holds no dead letter"), (None, "cannot read")],
)
def test_what_is_no_dead_letter_file_is_refused(companies, content, said):
    """A file that is none, or not there: exit 2, and what to do."""
    file = companies.folder / "letters.jsonl"
    if content is not None:
        file.write_text(content, "utf-8")
    result = replay(companies, file, "--pipeline", str(companies.folder / "pipeline.yaml"))

    assert (result.exit_code, said in result.stderr, "hint:" in result.stderr) == (2, True, True)


def test_a_file_outside_a_state_needs_its_pipeline(companies, emulator):
    """A copy elsewhere does not say whose it is."""
    file = companies.write("copy.jsonl", refused(companies, emulator).read_bytes())
    result = replay(companies, file)

    assert (result.exit_code, "--pipeline" in result.stderr) == (2, True)


def test_a_file_of_another_state_is_refused(companies, emulator):
    """The letters of a run that the state does not know are not sent."""
    file = refused(companies, emulator)
    result = replay(companies, file, "--pipeline", str(companies.folder / "pipeline.yaml"), "--state",
                    str(companies.folder / "elsewhere"))  # fmt: skip

    assert (result.exit_code, "does not know" in result.stderr) == (2, True)
