"""Looking at a ledger: it is read as it is, where nothing can be written and where it is of an older version."""

import ctypes
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from ledgers import RUN, begin

from bucket_loader.model.errors import StateError
from bucket_loader.state.ledger.database import SCHEMA_VERSION
from bucket_loader.state.ledger.ledger import Ledger
from bucket_loader.state.ledger.looking import look_at_file

LOOK = """
import sys
from pathlib import Path
from bucket_loader.state.ledger.looking import look_at_file

found = look_at_file(Path(sys.argv[1]))
print([row.run for row in found.runs()])
"""
_DROP, _OVERRIDE, _READ = 24, 1, 2  # of <linux/prctl.h> and <linux/capability.h>


def without_rights():
    """Make root obey the modes of files, as everybody does."""
    for capability in (_OVERRIDE, _READ):
        ctypes.CDLL(None).prctl(_DROP, capability, 0, 0, 0)


def contents(folder):
    """Return all that is in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def path(tmp_path):
    """A ledger with a run."""
    where = tmp_path / "state" / "ledger.db"
    with closing(Ledger(where)) as found:
        begin(found)
    return where


@pytest.mark.parametrize("left", ["closed", "open", "open without -shm"])
def test_a_state_that_cannot_be_written_is_read(tmp_path, path, left):
    """Nothing is written beside the file, whatever a run has left there."""
    if left != "closed":
        with closing(Ledger(path)) as found:
            found.note(more="of it")
            shutil.copytree(path.parent, tmp_path / "copy")
        path = tmp_path / "copy" / path.name
    if left == "open without -shm":
        path.with_name("ledger.db-shm").unlink()
    before = contents(path.parent)
    for file in path.parent.iterdir():
        file.chmod(0o400)
    path.parent.chmod(0o500)

    words = [sys.executable, "-c", LOOK, str(path)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False, preexec_fn=without_rights)

    assert (ended.stdout, ended.stderr) == (f"['{RUN}']\n", "")
    assert contents(path.parent) == before


def test_an_older_ledger_is_looked_at_and_stays_as_it_is(path):
    """What it lacks is read as it would be after the upgrade, which the next run does."""
    with closing(Ledger(path)) as found:
        before = found.counts(RUN)
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE loaded_file")
        other.execute("ALTER TABLE stream DROP COLUMN removed")
        other.execute("ALTER TABLE memory DROP COLUMN digest")
        other.execute("UPDATE meta SET value = '2' WHERE name = 'schema'")
        other.commit()
    data = path.read_bytes()

    with closing(look_at_file(path)) as found:
        assert (found.counts(RUN), found.loaded_files()) == (before, {})
        assert [row.run for row in found.runs()] == [RUN]
        assert found.meta("schema") == SCHEMA_VERSION
    assert path.read_bytes() == data
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_looking_beside_a_run_sees_what_it_has_committed(path):
    """A run that has the ledger open keeps it, and nobody waits."""
    with closing(Ledger(path)) as running:
        running.note(seen="yes")
        with closing(look_at_file(path)) as found:
            assert found.meta("seen") == "yes"
        running.note(seen="still")
        assert running.meta("seen") == "still"


def test_where_no_ledger_is_nothing_is_made(tmp_path):
    """Looking makes no folder and no file."""
    assert look_at_file(tmp_path / "state" / "ledger.db") is None
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_of_a_newer_version_is_refused(path):
    """Its meaning is not known here."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE meta SET value = '999' WHERE name = 'schema'")
        other.commit()

    with pytest.raises(StateError, match="schema 999"):
        look_at_file(path)
