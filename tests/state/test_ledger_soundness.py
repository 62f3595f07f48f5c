"""How much of a ledger's file is read at a start: all of it after an unclean end, else its part; and what is found."""

import random
import shutil
import sqlite3
from contextlib import closing

import pytest
from ledgers import RUN, begin, chunk, delivered, stream

from bucket_loader.model.errors import LedgerDamagedError
from bucket_loader.state.ledger import Intent, Ledger, SqliteDatabase, soundness, sqlite
from bucket_loader.state.ledger.looking import look_at_file

OLD = [f"2025{number:04d}" for number in range(40)]
WHOLE = "PRAGMA quick_check(1)"


@pytest.fixture(autouse=True)
def large(monkeypatch):
    """Take every ledger for a large one, of which a start reads fifty rows."""
    monkeypatch.setattr(soundness, "WHOLE_PAGES_MAX", 0)
    monkeypatch.setattr(soundness, "PART_ROWS", 50)


@pytest.fixture
def path(tmp_path):
    """A ledger of forty ended runs, and one that is unfinished; it was closed as it has to be."""
    where = tmp_path / "state" / "ledger.db"
    with closing(Ledger(where)) as found:
        for run in OLD:
            begin(found, run, stream(records=100))
            found.commit(run, [Intent(chunk(number * 10)) for number in range(10)])
            found.commit(run, [delivered(chunk(number * 10)) for number in range(10)])
            found.end_run(run, "succeeded", exit_code=0, ended_at="2025-01-01T00:00:00.000Z")
        begin(found, RUN, stream(records=100))
        found.commit(RUN, [Intent(chunk(0))])
    return where


def statements_of_a_start(path):
    """Open a ledger, close it, and return what was asked of SQLite meanwhile."""
    asked = []

    def connect(*words, **more):
        connection = sqlite3.connect(*words, **more)
        connection.set_trace_callback(asked.append)
        return connection

    Ledger(SqliteDatabase(path, connect=connect)).close()
    return asked


def kill(path):
    """Open a ledger, and end as a killed process does: without a word."""
    Ledger(path).database._connection.close()


def copy(path):
    """Put a copy in the ledger's place, as a restored backup is."""
    shutil.copy(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").replace(path)


def open_with_an_older_version(path):
    """Own it, and know no mark."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE owner SET epoch = epoch + 1")
        other.commit()


def test_after_a_clean_end_a_start_reads_a_part(path):
    """Not the whole file, and no row of a table twice; the next start goes on where this one ended."""
    first, second = statements_of_a_start(path), statements_of_a_start(path)

    assert WHOLE not in first + second
    (ends,) = [one for one in first if "VALUES ('looked at'" in one]
    assert '["stream", ["20250' in ends
    assert any("FROM stream WHERE (run, position) > (" in one for one in second)


@pytest.mark.parametrize("end", [kill, copy, open_with_an_older_version])
def test_after_any_other_end_a_start_reads_all(path, end):
    """Once: then the ledger has a clean end again."""
    end(path)

    assert WHOLE in statements_of_a_start(path)
    assert WHOLE not in statements_of_a_start(path)


def test_a_small_ledger_is_always_read_whole(path, monkeypatch):
    """That takes less than a hundredth of a second."""
    monkeypatch.setattr(soundness, "WHOLE_PAGES_MAX", 1_000)

    assert WHOLE in statements_of_a_start(path)


def test_a_ledger_that_was_found_damaged_comes_to_no_clean_end(path):
    """Whoever opens it next reads all of it."""
    found = Ledger(path)
    with pytest.raises(LedgerDamagedError):
        found._query("SELECT CAST(x'ff' AS TEXT)")
    found.close()

    assert WHOLE in statements_of_a_start(path)


def everything(path):
    """Return the rows that decide what is sent, without what says how it went."""
    chunks = "SELECT run, stream, first, members, records, state, attempts, ambiguous FROM chunk"
    with closing(sqlite3.connect(path)) as other:
        return [other.execute(one).fetchall() for one in ("SELECT * FROM run", "SELECT * FROM stream", chunks)]


@pytest.mark.parametrize("seed", range(8))
def test_damage_is_found_within_as_many_starts_as_there_are_parts(path, seed):
    """Noise in a page is noticed, or it was in free space and has changed nothing."""
    before, data = everything(path), bytearray(path.read_bytes())
    randomly = random.Random(seed)  # noqa: S311  # repeatable, not secret
    at = randomly.randrange(4096, len(data) - 256)
    data[at : at + 256] = randomly.randbytes(256)
    path.write_bytes(data)

    try:
        for _ in range(sum(map(len, before)) // 50 + 1):
            Ledger(path).close()
    except LedgerDamagedError:
        return
    assert everything(path) == before


def overwrite(path, was, becomes):
    """Change bytes of the file behind SQLite's back, at the last place where they are."""
    data = path.read_bytes()
    at = data.rindex(was)
    path.write_bytes(data[:at] + becomes + data[at + len(was) :])


@pytest.mark.parametrize("look", [Ledger, look_at_file])
def test_what_an_unfinished_run_trusts_is_looked_at_first(path, look):
    """A state of one of its chunks that is none is noticed at the next start, also by who only looks."""
    overwrite(path, b"intent", b"intend")

    with pytest.raises(LedgerDamagedError, match=r"chunk\.state"):
        look(path)


def test_an_unfinished_run_that_an_index_has_lost_is_missed(path):
    """What a clean end has left unfinished is noted beside it: a run that is not found would be planned again."""
    with closing(sqlite3.connect(path)) as other:
        ((page,),) = other.execute("SELECT rootpage FROM sqlite_master WHERE name = 'run_of_status'").fetchall()
        ((size,),) = other.execute("PRAGMA page_size").fetchall()
    data = bytearray(path.read_bytes())
    at = data.index(b"running", (page - 1) * size, page * size)
    data[at : at + 7] = b"runnung"
    path.write_bytes(data)

    with pytest.raises(LedgerDamagedError, match="unfinished runs"):
        Ledger(path)


def test_an_audit_reads_all_of_the_file(path):
    """Whoever asks for a proof is not told that a part of the ledger is sound."""
    data = path.read_bytes()
    at = data.rindex(b"delivered")
    with closing(look_at_file(path)) as found:
        found.database.require_whole()
    path.write_bytes(data[:at] + b"delivereD" + data[at + 9 :])
    with closing(look_at_file(path)) as found, pytest.raises(LedgerDamagedError):
        found.database.require_whole()


def test_a_file_that_is_mostly_free_is_written_anew(path, monkeypatch):
    """Where somebody asks for it; else what comes next fills the free pages."""
    monkeypatch.setattr(sqlite, "_FREE_PAGES_MAX", 1)
    with closing(Ledger(path)) as found:
        begin(found, "large", stream(records=20_000))
        chunks = [chunk(first) for first in range(0, 20_000, 10)]
        found.commit("large", [*map(Intent, chunks), *map(delivered, chunks)])
        found.settle("large", 0, stream="events", part=None)
        found.fold("large", letters_stay=False)
        ((pages,),) = found._query("PRAGMA page_count")
        found.database.shrink()

        assert found._query("PRAGMA page_count")[0][0] < pages / 2
        assert found._query("PRAGMA freelist_count") == [(0,)]
        assert found.counts("large")["events"].delivered == 20_000
    assert path.stat().st_size < pages * 4096 / 2
