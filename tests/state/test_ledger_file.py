"""A ledger in a file: what its disk may do to it, and what may be done to the file."""

import random
import shutil
import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from ledgers import RUN, InFile, begin, chunk, delivered, seen

from bucket_loader.model.chunks import Chunk
from bucket_loader.model.errors import LedgerDamagedError, StateError, StateUnavailableError
from bucket_loader.state.ledger import SCHEMA_VERSION, Concluded, Intent, Ledger, SplitInto, sqlite


@pytest.fixture
def path(tmp_path):
    """Where the ledger lies."""
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path):
    """A ledger with a run."""
    with closing(Ledger(path)) as opened:
        begin(opened)
        yield opened


def seen_by_another(path):
    """Read chunks over a second connection: what it sees is committed."""
    return seen(InFile(path))


def test_synchronous_is_full(ledger):
    """Commits are synced, and the file has a write-ahead log."""
    assert ledger._query("PRAGMA synchronous") == [(2,)]
    assert ledger._query("PRAGMA journal_mode") == [("wal",)]


def test_a_sqlite_that_does_not_sync_is_refused(path, monkeypatch):
    """The setting is read back: a SQLite that ignores it is not trusted."""
    monkeypatch.setattr(sqlite, "_SYNCHRONOUS_FULL", 3)

    with pytest.raises(StateError, match="does not sync"):
        Ledger(path)


def test_only_its_owner_reads_the_ledger(ledger, path):
    """The file and those beside it are 0600, their folder 0700."""
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_killed_process_leaves_a_readable_ledger(ledger, path, tmp_path):
    """A copy of the files as a kill leaves them, log and all, has every commit."""
    for number in range(50):
        ledger.commit(RUN, [Intent(chunk(number * 10))])
    copy = tmp_path / "copy"
    shutil.copytree(path.parent, copy)
    with closing(Ledger(copy / path.name)) as found:
        assert len(found.chunks(RUN, 0, "intent")) == 50


# --- a disk that refuses -------------------------------------------------------------------------------------------


def fill(ledger):
    """Let the disk be full from now on."""
    ((pages,),) = ledger._query("PRAGMA page_count")
    ledger._query(f"PRAGMA max_page_count = {pages}")


def until_full(ledger, first=0, *, strict=False):
    """Intend chunks until the disk refuses; gives how many it took, or raises what it raised."""
    for number in range(100_000):
        try:
            ledger.commit(RUN, [Intent(chunk(first + number, 1))])
        except StateUnavailableError:
            if strict:
                raise
            return number
    raise AssertionError("the disk was never full")


def test_a_full_disk_stops_before_what_cannot_be_recorded(ledger, path):
    """The intent that does not fit raises, is not there, and leaves those before it as they were."""
    fill(ledger)
    taken = until_full(ledger)

    assert [row[0] for row in seen_by_another(path)] == [f"{number}-{number}" for number in range(taken)]
    assert ledger.chunks(RUN, 0, "intent")[-1].members == f"{taken - 1}-{taken - 1}"


def test_a_commit_that_fails_does_nothing_by_halves(ledger, path):
    """When the next intent does not fit, the outcome in the same commit is not there either."""
    fill(ledger)
    taken = until_full(ledger)
    large = Chunk(0, tuple(range(taken, taken + 9_999, 2)), (b"",) * 5_000)  # a name of many pages
    with pytest.raises(StateUnavailableError):
        ledger.commit(RUN, [delivered(chunk(0, 1)), Intent(large)])

    assert {row[1] for row in seen_by_another(path)} == {"intent"}
    parts = [chunk(8_000_000, 1), large]
    with pytest.raises(StateUnavailableError):
        ledger.commit(RUN, [SplitInto(Concluded(chunk(0, 1), "split", 1), parts)])
    assert {row[1] for row in seen_by_another(path)} == {"intent"}


def test_every_waiting_worker_hears_of_a_full_disk(ledger, path):
    """Workers that share a commit all hear that it failed; nobody goes on to send."""
    fill(ledger)
    taken = until_full(ledger)
    together = threading.Barrier(16)

    def work(worker):
        together.wait()
        with pytest.raises(StateUnavailableError):
            until_full(ledger, 100_000 * (worker + 1), strict=True)
        return True

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(16)))
    ledger._query("PRAGMA max_page_count = 1000000")
    ledger.commit(RUN, [Intent(chunk(9_000_000, 1))])

    assert len(seen_by_another(path)) >= taken + 1


def test_what_was_committed_beside_a_full_disk_is_what_was_said(ledger, path):
    """A worker whose call returned finds its intent; one whose call raised does not."""
    fill(ledger)

    def work(worker):
        said = set()
        for number in range(200):
            one = chunk(worker * 1_000 + number, 1)
            try:
                ledger.commit(RUN, [Intent(one)])
            except StateUnavailableError:
                return said, one.members
            said.add(one.members)
        return said, None

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(work, range(16)))
    found = {row[0] for row in seen_by_another(path)}

    assert set().union(*(said for said, _ in results)) == found
    assert not found & {failed for _, failed in results}


def test_a_lock_of_another_program_is_not_damage(ledger, path, monkeypatch):
    """A file that another program has locked is a matter of waiting: exit 75, and nobody is told to move it away."""
    monkeypatch.setattr(sqlite, "LOCKED_S_MAX", 0.1)
    ledger._query("PRAGMA busy_timeout = 100")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateUnavailableError):
            ledger.commit(RUN, [Intent(chunk(0))])
        other.execute("ROLLBACK")
        ledger.commit(RUN, [Intent(chunk(0))])

    assert StateUnavailableError.exit_code == 75


@pytest.mark.parametrize("code", ["SQLITE_IOERR_LOCK", "SQLITE_IOERR_SHMMAP"])
def test_a_file_system_on_which_sqlite_cannot_lock_is_named(path, code):
    """It is exit 2, which no later attempt mends, and nobody is told to make room."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = code

    def refused(*_arguments, **_options):
        raise error

    with pytest.raises(StateError, match="file system") as told:
        sqlite.SqliteDatabase(path, connect=refused)

    assert told.value.exit_code == 2


def test_a_ledger_that_cannot_be_opened_is_not_damage(path):
    """A path that SQLite cannot open is not called damaged."""
    path.mkdir(parents=True)

    with pytest.raises(StateUnavailableError):
        Ledger(path)


def test_a_disk_that_is_full_at_the_start_is_not_damage(path, monkeypatch):
    """A ledger that cannot be made for want of room is not called damaged, and can be made later."""
    connect = sqlite3.connect

    def small(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.execute("PRAGMA max_page_count = 2")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", small)
        with pytest.raises(StateUnavailableError):
            Ledger(path)
    with closing(Ledger(path)) as again:
        begin(again)


# --- a file that is not what it was --------------------------------------------------------------------------------


@pytest.fixture
def closed(path):
    """A ledger of some pages, closed, beside the folder of its plans."""
    with closing(Ledger(path)) as found:
        begin(found)
        for number in range(100):
            found.commit(RUN, [Intent(chunk(number * 10))])
    (path.parent / "plans").mkdir()
    return path


def reading(path):
    """Read all that decides what is sent."""
    with closing(Ledger(path)) as found:
        return found.runs(), found.counts(RUN), found.chunks(RUN, 0, "intent", "queued", "delivered", "rejected")


@pytest.mark.parametrize("seed", range(12))
def test_damage_is_never_taken_for_another_truth(closed, seed):
    """With pages overwritten by noise the ledger is refused as damaged; in free space noise harms nobody."""
    before, data = reading(closed), bytearray(closed.read_bytes())
    randomly = random.Random(seed)  # noqa: S311  # repeatable, not secret
    for _ in range(8):
        at = randomly.randrange(0, len(data) - 256)
        data[at : at + 256] = randomly.randbytes(256)
    closed.write_bytes(data)

    try:
        after = reading(closed)
    except LedgerDamagedError:
        return
    assert after == before


@pytest.mark.parametrize("offset", [0, 16, 100])
def test_a_damaged_head_is_refused(closed, offset):
    """Noise where SQLite keeps what the file is makes it refuse the file, with a hint that does not lose memory."""
    data = bytearray(closed.read_bytes())
    data[offset : offset + 32] = b"\xa5" * 32
    closed.write_bytes(data)

    with pytest.raises(LedgerDamagedError) as refused:
        Ledger(closed)
    assert "backup" in refused.value.hint


@pytest.mark.parametrize("kept", [0, 100, 4096, 8192, 0.5])
def test_a_ledger_that_was_cut_is_refused(closed, kept):
    """A file that lost its end, even all of it, is not taken for a new one."""
    data = closed.read_bytes()
    closed.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])

    with pytest.raises(LedgerDamagedError):
        Ledger(closed)


def test_a_young_ledger_copied_without_its_log_is_refused(ledger, path, tmp_path):
    """A copy of the file alone, whose tables are still in the log, is not taken for a new ledger."""
    copy = tmp_path / "copy"
    (copy / "plans").mkdir(parents=True)
    shutil.copy(path, copy / path.name)

    with pytest.raises(LedgerDamagedError, match="-wal"):
        Ledger(copy / path.name)


def test_a_ledger_whose_making_was_killed_is_made_again(path):
    """Before the first plan an empty file is what a kill leaves, and no reason to refuse."""
    path.parent.mkdir()
    path.touch()
    with closing(Ledger(path)) as found:
        begin(found)

        assert len(found.runs()) == 1


def test_what_is_no_database_is_refused(path):
    """Another file under the ledger's name is refused and not touched."""
    path.parent.mkdir()
    path.write_bytes(b"something else entirely\n" * 200)
    with pytest.raises(LedgerDamagedError):
        Ledger(path)

    assert path.read_bytes() == b"something else entirely\n" * 200


@pytest.mark.parametrize(("version", "lacking"), [("1", ["replay", "cursor", "loaded_file"]), ("2", ["loaded_file"])])
def test_an_older_ledger_is_brought_up_to_date(path, version, lacking):
    """Its runs stay as they are, and what it lacks is added; the second opening finds nothing to do."""
    with closing(Ledger(path)) as found:
        begin(found)
        before = found.counts(RUN)
    with closing(sqlite3.connect(path)) as other:
        other.executescript("".join(f"DROP TABLE {table};" for table in lacking))
        other.execute("ALTER TABLE stream DROP COLUMN removed")
        other.execute("ALTER TABLE stream DROP COLUMN sent")
        other.execute("ALTER TABLE memory DROP COLUMN digest")
        other.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (version,))
        other.commit()

    for _ in range(2):
        with closing(Ledger(path)) as found:
            assert found.counts(RUN) == before
            assert found.planned(RUN, 0)["removed"] == 0
            assert found.meta("schema") == SCHEMA_VERSION
    with closing(sqlite3.connect(path)) as other:
        assert {name for (name,) in other.execute("SELECT name FROM sqlite_master")} >= set(lacking)
