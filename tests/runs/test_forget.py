"""`forget`: streams that count as new, and one user or company that is nowhere any more."""

import contextlib
import json
import os
import pty
import select
import sys
from hashlib import sha256

import pytest

from bucket_loader.state import State
from bucket_loader.state.ledger import Ledger

PERSON, OTHER = 'pérson "Zebrafink"', "u2"
STREAMS = """
- name: companies
  record: company
  source: {type: csv, path: rows.csv}
  fields: {companyId: company, userId: id}
- name: people
  record: user
  source: {type: csv, path: rows.csv}
  fields: {userId: id, attributes: {n: n}}
- name: usage
  record: event
  source: {type: csv, path: rows.csv}
  key: [n]
  fields: {userId: id, companyId: company, event: {value: did}, attributes: {n: {column: n, type: integer}}}
"""
ROWS = [(PERSON, "c1", "1"), (PERSON, "c1", "2"), (OTHER, "c2", "3"), ("u3", "c2", "x")]


def write(workplace, rows):
    """Write the rows that all streams read."""
    workplace.write("rows.csv", "id,company,n\n" + "".join(f'"{user.replace(chr(34), chr(34) * 2)}",{company},{n}\n'
                                                           for user, company, n in rows))  # fmt: skip


@pytest.fixture
def loaded(workplace, emulator):
    """A workplace whose rows were loaded; the last makes no event."""
    write(workplace, ROWS)
    workplace.pipeline(STREAMS)
    assert workplace.run().exit_code == 3
    return workplace


def counts(result, name="delivered"):
    """Return a count of each stream of a run."""
    return {stream: found[name] for stream, found in result.summary["streams"].items()}


def everything(workplace):
    """Return the bytes of all files of the state, and those of its plans as text."""
    root = workplace.folder / ".bucket_loader"
    return b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())


# --- streams -------------------------------------------------------------------------------------------------------


def test_a_stream_that_is_forgotten_is_sent_again_and_no_other_is(loaded):
    """It says how much; the run after that sends so much, and the next nothing."""
    forgotten, again, after = loaded.command("forget", "--stream", "people", "--yes"), loaded.run(), loaded.run()

    assert forgotten.exit_code == 0
    assert "people: 3 records will be sent again" in forgotten.stderr
    assert counts(again) == {"companies": 0, "people": 3, "usage": 0}
    assert counts(after) == {"companies": 0, "people": 0, "usage": 0}


def test_events_have_to_be_named_since_bucket_holds_them_twice(loaded, emulator):
    """Without their name nothing at all is forgotten; with it the count is told."""
    refused = loaded.command("forget", "--yes")
    named = loaded.command("forget", "--stream", "usage", "--yes", "--json")
    loaded.run()

    assert refused.exit_code == 2
    assert "its 3 would be in Bucket twice" in refused.stderr
    assert "--stream people --stream companies --stream usage" in refused.stderr
    assert "usage: 3 records will be sent again, and Bucket will hold them twice" in named.stderr
    assert named.summary == {"forgotten": True, "streams": {"usage": {"records": 3, "claims": 0, "once": True}}}
    assert emulator.state()["events"] == 6


@pytest.mark.parametrize("words", [["--stream", "people"], ["--user", PERSON]])
def test_who_cannot_be_asked_has_to_say_yes(loaded, words):
    """Without a terminal and without --yes nothing is forgotten."""
    refused = loaded.command("forget", *words)

    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert counts(loaded.run()) == {"companies": 0, "people": 0, "usage": 0}


def test_nothing_is_forgotten_while_a_run_is_unfinished(loaded, emulator):
    """What it has sent is not remembered yet, so it would count as new, and as sent."""
    write(loaded, [*ROWS, ("u9", "c9", "9")])
    emulator.faults({"kind": "status", "status": 500})
    assert loaded.run("--patience", "0s").exit_code == 75
    emulator.faults()

    for words in (["--stream", "people"], ["--user", PERSON]):
        refused = loaded.command("forget", *words, "--yes")
        assert (refused.exit_code, "is unfinished" in refused.stderr) == (2, True)


def test_what_was_sent_without_an_answer_stays_claimed(loaded, emulator):
    """A claimed event is never planned again, forgotten or not; the others are."""
    text = (loaded.folder / "pipeline.yaml").read_text()
    loaded.write("pipeline.yaml", text.replace("    key: [n]\n", "    key: [n]\n    on_unknown: hold\n"))
    write(loaded, [*ROWS, ("u9", "c9", "9")])
    emulator.faults({"kind": "cut_after", "times": 1, "on": "POST /bulk"})
    held = loaded.run("--stream", "usage")
    assert held.exit_code == 75
    assert loaded.command("abandon", held.summary["run"]).exit_code == 0

    forgotten, again = loaded.command("forget", "--stream", "usage", "--yes"), loaded.run("--stream", "usage")

    assert "usage: 3 records will be sent again, and Bucket will hold them twice" in forgotten.stderr
    assert "what was sent without an answer stays claimed (1)" in forgotten.stderr
    assert (counts(again), counts(again, "unchanged")) == ({"usage": 3}, {"usage": 1})
    assert loaded.command("audit", "--memory").exit_code == 0


def test_a_name_that_is_none_is_refused_with_the_one_that_was_meant(loaded):
    """A stream that left the file may still be forgotten, by its name."""
    wrong = loaded.command("forget", "--stream", "poeple", "--yes")
    loaded.pipeline(STREAMS.replace("name: people", "name: persons"))
    gone = loaded.command("forget", "--stream", "people", "--yes")

    assert (wrong.exit_code, "did you mean `people`?" in wrong.stderr) == (2, True)
    assert (gone.exit_code, "people: 3 records" in gone.stderr) == (0, True)


def test_a_plan_of_before_is_out_of_date(loaded):
    """It was made by what is forgotten since."""
    planned = loaded.command("plan", "--json").summary["plan"]
    loaded.command("forget", "--stream", "people", "--yes")

    assert "is out of date" in loaded.run("--plan", planned).stderr


def test_a_state_that_remembers_nothing_has_nothing_to_forget(workplace):
    """There is no question, and no complaint."""
    write(workplace, ROWS)
    workplace.pipeline(STREAMS)

    assert workplace.command("forget").exit_code == 0


# --- one user, one company -----------------------------------------------------------------------------------------


def test_a_user_who_is_erased_is_in_no_file_of_the_state(loaded):
    """Memory, plans, dead letters: its id and its keys are gone, and those of others are where they were."""
    write(loaded, [*ROWS, (PERSON, "c1", "y")])
    assert loaded.run().exit_code == 3  # a dead letter of the person, and no record
    assert loaded.command("check").exit_code == 0
    before = everything(loaded)

    erased = loaded.command("forget", "--user", PERSON, "--yes", "--json")

    assert erased.exit_code == 0
    assert erased.summary["found"] == {"memory": 4, "refusals": 0, "dead_letters": 1, "plans": 2, "checks": 1}
    assert "Zebrafink" in before.decode("latin-1")
    assert "Zebrafink" not in everything(loaded).decode("latin-1")
    assert "Bucket itself" in erased.stderr
    assert "Zebrafink" not in erased.stderr + erased.stdout
    assert loaded.command("audit", "--memory").exit_code == 0


def test_after_an_erasure_runs_go_on_and_who_comes_again_is_new(loaded):
    """The rows of the others count as known; those of the person are sent as if they had never been."""
    runs = [run["run"] for run in loaded.command("status", "--json").summary["runs"]]
    loaded.command("forget", "--user", PERSON, "--yes")
    write(loaded, ROWS[2:])
    without = loaded.run()
    write(loaded, ROWS)
    again = loaded.run()

    assert counts(without) == {"companies": 0, "people": 0, "usage": 0}
    assert counts(again) == {"companies": 1, "people": 1, "usage": 2}
    assert loaded.command("audit", runs[0]).exit_code == 0


def test_a_company_is_erased_likewise(loaded):
    """Its own record, its members', and its events."""
    erased = loaded.command("forget", "--company", "c2", "--yes", "--json")

    assert erased.summary["found"] == {"memory": 3, "refusals": 0, "dead_letters": 1, "plans": 1, "checks": 0}
    assert counts(loaded.run()) == {"companies": 2, "people": 0, "usage": 1}


def test_who_is_known_without_a_plan_is_found_by_the_key(loaded):
    """A user's id makes the key; ids that `on_removed:` keeps are found in any row."""
    text = (loaded.folder / "pipeline.yaml").read_text()
    loaded.write(
        "pipeline.yaml", text.replace("userId: id}\n", "userId: id}\n    on_removed: {attributes: {gone: true}}\n")
    )
    write(loaded, [(user, company, f"{n}0") for user, company, n in ROWS[:3]])
    assert loaded.run("--full").exit_code == 0
    assert loaded.command("prune", "--older-than", "0s").exit_code == 0

    erased = loaded.command("forget", "--user", PERSON, "--yes", "--json")

    assert erased.summary["found"] == {"memory": 2, "refusals": 0, "dead_letters": 0, "plans": 0, "checks": 0}
    assert b"Zebrafink" not in everything(loaded)


def test_a_refusal_is_erased(workplace, emulator):
    """What the API has refused of a person is not known any more; that of others is."""
    write(workplace, [(PERSON, "c1", "1"), (OTHER, "c2", "2")])
    workplace.pipeline(STREAMS)
    emulator.faults({"kind": "success_false"})
    assert workplace.run("--stream", "people").exit_code == 3
    emulator.faults()

    erased = workplace.command("forget", "--user", PERSON, "--yes", "--json")

    assert (erased.summary["found"]["refusals"], erased.summary["found"]["dead_letters"]) == (1, 1)
    again = workplace.run("--no-retry-refused")
    assert (counts(again)["people"], counts(again, "refused_before")["people"]) == (1, 1)


@pytest.mark.parametrize("harm", ["commit", "letters", "plans"])
def test_a_death_under_an_erasure_is_mended_by_the_next(loaded, monkeypatch, harm):
    """Whatever was erased before it, the rest is found again: the plans, which know what there is, go last."""

    def dies(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        where, name = {
            "commit": (Ledger, "erase"), "letters": (State, "replace_letters"), "plans": (State, "remove_plan")
        }[harm]  # fmt: skip
        patched.setattr(where, name, dies)
        write(loaded, [*ROWS, (PERSON, "c1", "y")])
        loaded.run()
        loaded.command("forget", "--user", PERSON, "--yes")
    loaded.command("forget", "--user", PERSON, "--yes")

    assert b"Zebrafink" not in everything(loaded)
    assert loaded.command("audit", "--memory").exit_code == 0
    found = json.loads(loaded.command("forget", "--user", PERSON, "--yes", "--json").stdout)["found"]
    assert set(found.values()) == {0}
    left = {path.name for path in loaded.folder.rglob("snapshots/*") if path.is_file()}
    assert len(left) == 3


def test_what_a_death_left_after_the_commit_goes_with_the_next(loaded, monkeypatch):
    """With no plan there is nothing more to find, and the file of memory that nobody names goes all the same."""

    def dies(*_, **__):
        raise KeyboardInterrupt

    assert loaded.command("prune", "--older-than", "0s").exit_code == 0
    with monkeypatch.context() as patched:
        patched.setattr(State, "forget_parts", dies)
        loaded.command("forget", "--user", OTHER, "--yes")
    again = loaded.command("forget", "--user", OTHER, "--yes", "--json")

    assert again.summary["found"]["memory"] == 0
    assert len([path for path in loaded.folder.rglob("snapshots/*") if path.is_file()]) == 3


def test_a_file_of_memory_keeps_the_length_of_its_name(loaded):
    """However often one is erased from it: at 255 bytes nothing could be erased any more."""
    write(loaded, [(f"u{n}", "c1", str(n)) for n in range(4)])
    loaded.run()

    def longest():
        return max(len(path.name) for path in loaded.folder.rglob("snapshots/*"))

    loaded.command("forget", "--user", "u0", "--yes")
    first = longest()
    loaded.command("forget", "--user", "u1", "--yes")
    loaded.command("forget", "--user", "u2", "--yes")

    assert longest() == first


@pytest.mark.parametrize(("given", "spec", "person", "letters"), [
    ('{"props": {"uid": "Zebrafink"}}', "props.uid", "Zebrafink", 1),
    ('{"mail": "Zebrafink"}', "{column: mail, hash: sha256}", sha256(b"Zebrafink").hexdigest(), 1),
    ('{"b": "Zebrafink"}', """{sql: "'' || b"}""", "Zebrafink", 1),
    ('{"a": 77, "b": "x"}', """{sql: "'user-' || a"}""", "user-77", 0),
])  # fmt: skip
def test_a_person_is_found_in_a_letter_without_a_record(workplace, given, spec, person, letters):
    """By what the id is mapped from; where nobody can tell, that is said."""
    rows = [given[:-1] + ', "at": "never"}', given[:-1] + ', "at": "2026-01-01T00:00:00Z"}']
    workplace.write("rows.jsonl", "\n".join(rows) + "\n")
    workplace.pipeline(f"""
- name: people
  record: user
  source: {{type: jsonl, path: rows.jsonl}}
  fields: {{userId: {spec}, timestamp: {{column: at, type: timestamp}}}}
""")
    assert workplace.run().exit_code == 3

    erased = workplace.command("forget", "--user", person, "--yes", "--json")

    assert erased.summary["found"]["dead_letters"] == letters
    assert ("1 dead letter without a record" in erased.stderr) is (letters == 0)
    assert len(list(workplace.folder.rglob("dead_letters/*.jsonl"))) == 1 - letters


def test_ids_are_whole_and_not_beginnings(loaded):
    """Nobody else is erased since an id begins alike, or stands in another column."""
    for given in ("u", "c2", "Zebrafink", ""):
        result = loaded.command("forget", "--user", given, "--yes", "--json")
        assert result.exit_code == 2 if given == "" else set(result.summary["found"].values()) == {0}


@pytest.mark.long
@pytest.mark.parametrize(
    ("answer", "ends"), [(b"y\n", b"forgotten"), (b"n\n", b"nothing was"), (b"\x03", b"nothing was")]
)
def test_a_person_is_asked_on_a_terminal(loaded, answer, ends):
    """What will happen stands before the question; anything but yes, Ctrl-C too, changes nothing and is no failure."""
    child, terminal = pty.fork()
    if child == 0:
        words = ["forget", str(loaded.folder / "pipeline.yaml"), "--stream", "people"]
        addresses = {"BUCKET_BASE_URL": loaded.url, "BUCKET_SECRET_KEY": loaded.key}
        os.execve(  # noqa: S606  # this very package
            sys.executable, [sys.executable, "-m", "bucket_loader", *words], {**os.environ, **addresses}
        )
    said = b""
    with contextlib.suppress(OSError):
        while more := os.read(terminal, 4096):
            said += more
            while b"[y/N]" in said and not select.select([terminal], [], [], 3)[0]:
                os.write(terminal, answer)  # again where it came before anybody read
    os.close(terminal)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert said.index(b"people: 3 records will be sent again") < said.index(b"Go on?")
    assert said.partition(b"[y/N]")[2].splitlines()[-1].startswith(ends)
