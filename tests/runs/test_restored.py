"""A state that is an old copy of itself is noticed, and a person decides. What else happens to a state is no alarm."""

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from bucket_loader.runs.begin import begin_run

STREAMS = """
- name: companies
  record: company
  source: {type: csv, path: companies.csv}
  fields: {companyId: id, attributes: {name: name}}
- name: events
  record: event
  source: {type: sql, url: "sqlite:///events.db", query: "select * from events where n > :cursor"}
  key: [n]
  cursor: {column: n, start: 0}
  fields: {userId: user, event: {value: did}, attributes: {n: n}}
"""


class Kept:
    """A workplace whose state is kept, and so has a mark in the user's own folder."""

    def __init__(self, workplace, home):
        self.workplace, self.home = workplace, home
        self.place = workplace.folder / ".bucket_loader"
        workplace.write("companies.csv", "id,name\nc1,Acme\n")
        workplace.pipeline(STREAMS)
        self.events = 0

    def run(self, *options, more=2, **variables):
        """Run with some more events."""
        self.events += more
        with closing(sqlite3.connect(self.workplace.folder / "events.db")) as database:
            database.execute("CREATE TABLE IF NOT EXISTS events (n integer primary key, user text)")
            rows = ((n, f"u{n}") for n in range(1, self.events + 1))
            database.executemany("INSERT OR IGNORE INTO events VALUES (?, ?)", rows)
            database.commit()
        return self.workplace.run(*options, **variables)

    def copied(self):
        """Copy the state, as a backup does; give the copy."""
        copy = self.place.with_name("backup")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.place, copy)
        return copy

    def restore(self, copy):
        """Put a copy back in its place."""
        shutil.rmtree(self.place)
        shutil.copytree(copy, self.place)

    def marks(self):
        """Return the marks that there are."""
        return sorted(self.home.rglob("*.json"))


@pytest.fixture
def kept(workplace, monkeypatch):
    """A state that does not lie among temporary files."""
    home, temporary = workplace.folder / "home", workplace.folder / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return Kept(workplace, home)


def words_of(result):
    """Return what was said, in one line."""
    return " ".join(result.stderr.split())


def test_an_old_copy_is_refused_and_its_consequences_are_named(kept, emulator):
    """2, nothing is sent, as often as it is tried; `plan` warns; the newer state goes on as if nothing had been."""
    kept.run()
    copy = kept.copied()
    kept.run()
    newer = shutil.copytree(kept.place, kept.place.with_name("newer"))
    kept.restore(copy)
    refused, again, planned = kept.run(more=0), kept.run(more=0), kept.workplace.command("plan")
    sent = emulator.state()["events"]
    kept.restore(newer)

    assert (refused.exit_code, again.exit_code, planned.exit_code, sent) == (2, 2, 0, 4)
    assert "is an old copy of what it was: it knows of 1 run" in words_of(refused)
    assert "has noted 2 runs" in words_of(refused)
    assert "later of 'events' counts as new" in words_of(refused)
    assert "of 'companies' it is sent again, which does no harm" in words_of(refused)
    assert "of 'events' the cursor falls back" in words_of(refused)
    assert "--accept-restored" in words_of(refused)
    assert "warning: the state" in words_of(planned)
    assert kept.run(more=0).exit_code == 0
    assert emulator.state()["events"] == 4


@pytest.mark.long
def test_who_accepts_it_goes_on_from_there(kept, emulator):
    """What was delivered since arrives twice, as was said; from then on the copy is the state, and is marked anew."""
    kept.run()
    copy = kept.copied()
    kept.run()
    kept.restore(copy)
    accepted = kept.run("--accept-restored", more=0)
    later, copy = kept.run(), kept.copied()
    kept.run()
    kept.restore(copy)

    assert (accepted.exit_code, later.exit_code) == (0, 0)
    assert "going on from an old copy" in accepted.stderr
    assert kept.run(more=0).exit_code == 2
    assert emulator.state()["events"] == 2 + 2 + 2 + 2 + 2


@pytest.mark.long
def test_a_copy_that_was_taken_in_the_middle_of_a_run_is_noticed(kept, emulator, monkeypatch):
    """It knows of the run, and not of what the run sent later."""
    kept.run()
    copies = []

    def begun(*arguments):
        begin_run(*arguments)
        copies.append(kept.copied())

    with monkeypatch.context() as patch:
        patch.setattr("bucket_loader.runs.run.begin_run", begun)
        kept.run()
    kept.restore(copies[0])
    refused = kept.run(more=0)

    assert refused.exit_code == 2
    assert "is not finished in this copy" in words_of(refused)
    assert emulator.state()["events"] == 4


@pytest.mark.long
def test_other_doors_are_shut_as_well(kept):
    """A backfill and a replay send, too; what only looks does not."""
    kept.workplace.write("companies.csv", "id,name\n,Acme\n")
    letters = kept.run().summary["dead_letters"]
    copy = kept.copied()
    kept.run()
    kept.restore(copy)
    pipeline = str(kept.workplace.folder / "pipeline.yaml")
    replay = kept.workplace.command_of("replay", letters, "--pipeline", pipeline, "--remap")

    assert replay.exit_code == 2
    assert "--accept-restored" in replay.stderr
    assert kept.workplace.command("status").exit_code == 0


def moved(kept):
    """Move the state to another folder."""
    kept.place.rename(kept.place.with_name("elsewhere"))
    return ["--state", str(kept.place.with_name("elsewhere"))]


def begun_anew(kept):
    """Delete the state."""
    shutil.rmtree(kept.place)
    return []


def died(kept):
    """Let a run die before its ledger knows of it: only its plan is there."""
    kept.workplace.command("plan")
    return []


def no_mark(kept):
    """Lose the mark."""
    shutil.rmtree(kept.home)
    return []


def broken_mark(kept):
    """Cut the mark, as a power cut may."""
    for mark in kept.marks():
        mark.write_bytes(mark.read_bytes()[:10])
    return []


def earlier(kept):
    """Let the runs bear later times than any to come, as where a clock goes back."""
    with closing(sqlite3.connect(next(kept.place.glob("*/ledger.db")))) as ledger:
        ledger.execute("UPDATE run SET created_at = '2999-01-01T00:00:00.000Z'")
        ledger.commit()
    return []


@pytest.mark.long
@pytest.mark.parametrize("what", [moved, begun_anew, died, no_mark, broken_mark, earlier])
def test_what_is_no_old_copy_is_no_alarm(kept, what):
    """It goes on as it did before."""
    kept.run()
    kept.run()
    options = what(kept)

    assert kept.run(*options).exit_code == 0


@pytest.mark.long
def test_two_pipelines_and_two_machines_do_not_take_each_other_for_copies(kept, monkeypatch):
    """Each state has marks of its own; a machine whose mark is behind says nothing."""
    kept.run()
    text = (kept.workplace.folder / "pipeline.yaml").read_text()
    codes = []
    for name in ("other", "test", "other"):
        kept.workplace.write("pipeline.yaml", text.replace("name: test", f"name: {name}"))
        codes.append(kept.run().exit_code)
    kept.workplace.write("pipeline.yaml", text)
    monkeypatch.setenv("XDG_STATE_HOME", str(kept.home.with_name("another machine")))
    codes += [kept.run().exit_code, kept.run().exit_code]
    monkeypatch.setenv("XDG_STATE_HOME", str(kept.home))
    codes.append(kept.run().exit_code)

    assert codes == [0] * 6
    assert len(kept.marks()) == 2


@pytest.mark.long
@pytest.mark.parametrize("home", ["a file", "no place", "relative"])
def test_where_no_mark_can_be_written_none_is(kept, monkeypatch, home):
    """A home that cannot be written, or none at all, changes nothing."""
    place = kept.workplace.write("file", "")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    monkeypatch.setenv("XDG_STATE_HOME", {"a file": str(place), "no place": "", "relative": "state"}[home])

    assert [kept.run().exit_code, kept.run().exit_code] == [0, 0]
    assert kept.marks() == []


def test_a_home_that_is_not_there_is_not_made(kept, monkeypatch):
    """Users without a home have `/nonexistent`; where root is one of them, nothing is put there."""
    nowhere = kept.workplace.folder / "nonexistent"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(nowhere))

    assert kept.run().exit_code == 0
    assert not nowhere.exists()


@pytest.mark.long
def test_what_lies_among_temporary_files_leaves_no_mark(kept, monkeypatch):
    """A rehearsal, a test: nobody's home is filled with them."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(kept.workplace.folder))
    kept.run()
    rehearsed = kept.workplace.command("rehearse")

    assert rehearsed.exit_code == 0
    assert kept.marks() == []


def test_a_mark_holds_no_row_and_no_key(kept):
    """It has numbers, and the name of a run; only its owner may read it."""
    run = kept.run().summary["run"]
    (mark,) = kept.marks()
    found = json.loads(mark.read_text())

    assert {name: found[name] for name in ("runs", "run")} == {"runs": 1, "run": run}
    assert found.keys() == {"life", "runs", "requests", "run"}
    assert mark.parent.stat().st_mode & 0o077 == 0
