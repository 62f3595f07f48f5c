import random
import shutil
import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucket_loader import ledger as ledgers
from bucket_loader.errors import LedgerDamagedError, StateError, StateUnavailableError
from bucket_loader.ledger import SCHEMA_VERSION, Conclusion, Ledger, NewStream
from bucket_loader.records import Chunk, Verdict

RUN = "20260101T000000000Z"
RECORDS = 1_000


def stream(position=0, name="events", records=RECORDS):
    """Give a planned stream."""
    return NewStream(position, name, records, read=records + 10, rejected=4, filtered=3, superseded=2, unchanged=1,
                     mapping="m")  # fmt: skip


def begin(ledger, run=RUN, *streams):
    """Make a run exist."""
    ledger.add_run(run, as_of="2026-01-01", interval=None, plan_digest="d", created_at="now",
                   streams=streams or [stream()])  # fmt: skip


def chunk(first, count=10, stream_=0):
    """Give a chunk of the plan."""
    sequences = tuple(range(first, first + count))
    return Chunk(stream_, sequences, tuple(b"%d" % sequence for sequence in sequences))


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
    with closing(sqlite3.connect(path)) as other:
        return other.execute("SELECT members, state, attempts, ambiguous, status FROM chunk ORDER BY first").fetchall()


def delivered(attempts=1, ambiguous=0):
    """Give a good end."""
    return Conclusion("delivered", attempts, ambiguous, 200)


def counts(ledger):
    """Give the stream's counts."""
    return ledger.counts(RUN)["events"]


# --- intents and outcomes ------------------------------------------------------------------------------------------


def test_an_intent_is_durable_before_its_first_byte(ledger, path):
    """When `intend` returns, another connection sees the intent."""
    ledger.intend(RUN, chunk(0))

    assert seen_by_another(path) == [("0-9", "intent", 0, 0, None)]


def test_an_outcome_and_the_next_intent_are_one_commit(ledger, path):
    """`conclude` makes the outcome and the following intent durable together."""
    ledger.intend(RUN, chunk(0))
    ledger.conclude(RUN, chunk(0), delivered(attempts=3, ambiguous=1), chunk(10))

    assert seen_by_another(path) == [("0-9", "delivered", 3, 1, 200), ("10-19", "intent", 0, 0, None)]


def test_an_ambiguous_attempt_is_named_before_it_is_repeated(ledger, path):
    """`count_ambiguous` is durable when it returns, and adds up with what the end counts."""
    ledger.intend(RUN, chunk(0))
    ledger.count_ambiguous(RUN, chunk(0))
    assert seen_by_another(path) == [("0-9", "intent", 1, 1, None)]

    ledger.conclude(RUN, chunk(0), delivered())
    assert seen_by_another(path) == [("0-9", "delivered", 2, 1, 200)]
    assert counts(ledger).possibly_duplicated == 10


def test_sixteen_workers_share_commits_and_lose_none(ledger, path):
    """Every intent and outcome of sixteen threads is durable when its call returns, whoever committed it."""

    def work(worker):
        for number in range(worker, RECORDS // 10, 16):
            one = chunk(number * 10)
            ledger.intend(RUN, one)
            with closing(sqlite3.connect(path)) as other:
                state = other.execute("SELECT state FROM chunk WHERE first = ?", (number * 10,)).fetchone()
            assert state == ("intent",)
            ledger.conclude(RUN, one, delivered())

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))

    assert counts(ledger).delivered == RECORDS
    assert {row[1] for row in seen_by_another(path)} == {"delivered"}


def test_synchronous_is_full(ledger):
    """Commits are synced, and the file has a write-ahead log."""
    assert ledger._query("PRAGMA synchronous") == [(2,)]
    assert ledger._query("PRAGMA journal_mode") == [("wal",)]


def test_a_sqlite_that_does_not_sync_is_refused(path, monkeypatch):
    """The setting is read back: a SQLite that ignores it is not trusted."""
    monkeypatch.setattr(ledgers, "_SYNCHRONOUS_FULL", 3)

    with pytest.raises(StateError, match="does not sync"):
        Ledger(path)


def test_only_its_owner_reads_the_ledger(ledger, path):
    """The file and those beside it are 0600, their folder 0700."""
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


# --- a disk that refuses -------------------------------------------------------------------------------------------


def fill(ledger):
    """Let the disk be full from now on."""
    ((pages,),) = ledger._query("PRAGMA page_count")
    ledger._query(f"PRAGMA max_page_count = {pages}")


def until_full(ledger, first=0, *, strict=False):
    """Intend chunks until the disk refuses; gives how many it took, or raises what it raised."""
    for number in range(100_000):
        try:
            ledger.intend(RUN, chunk(first + number, 1))
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
        ledger.conclude(RUN, chunk(0, 1), delivered(), large)

    assert {row[1] for row in seen_by_another(path)} == {"intent"}
    parts = [chunk(8_000_000, 1), large]
    with pytest.raises(StateUnavailableError):
        ledger.split(RUN, chunk(0, 1), parts, Conclusion("split", 1))
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
    ledger.intend(RUN, chunk(9_000_000, 1))

    assert len(seen_by_another(path)) >= taken + 1


def test_what_was_committed_beside_a_full_disk_is_what_was_said(ledger, path):
    """A worker whose call returned finds its intent; one whose call raised does not."""
    fill(ledger)

    def work(worker):
        said = set()
        for number in range(200):
            one = chunk(worker * 1_000 + number, 1)
            try:
                ledger.intend(RUN, one)
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
    monkeypatch.setattr(ledgers, "LOCKED_S_MAX", 0.1)
    ledger._query("PRAGMA busy_timeout = 100")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateUnavailableError):
            ledger.intend(RUN, chunk(0))
        other.execute("ROLLBACK")
        ledger.intend(RUN, chunk(0))

    assert StateUnavailableError.exit_code == 75


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


# --- after a crash -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hold", "state"), [(False, "queued"), (True, "held")])
def test_intents_that_a_crash_left_are_named_once(path, hold, state):
    """Each open intent counts one ambiguous attempt and is queued again, or held; recovering again finds none."""
    with closing(Ledger(path)) as before:
        begin(before)
        before.intend(RUN, chunk(0))
        before.conclude(RUN, chunk(0), delivered(), chunk(10))
        before.intend(RUN, chunk(20))
    with closing(Ledger(path)) as after:
        left = after.recover(RUN, 0, hold=hold)
        again = after.recover(RUN, 0, hold=hold)

        assert [row.members for row in left] == ["10-19", "20-29"]
        assert again == []
        assert [(row.state, row.ambiguous) for row in after.chunks(RUN, 0, "queued", "held")] == [(state, 1)] * 2
        assert counts(after).unknown == 20
        assert after.begun(RUN, 0) == {0, 10, 20}


def test_recovering_one_stream_leaves_the_others(path):
    """Only the stream that is delivered next is recovered, and of this run alone."""
    with closing(Ledger(path)) as found:
        begin(found, RUN, stream(), stream(1, "more"))
        begin(found, "other")
        for run, one in ((RUN, chunk(0)), (RUN, chunk(0, stream_=1)), ("other", chunk(0))):
            found.intend(run, one)
        found.recover(RUN, 0, hold=False)

        assert len(found.chunks(RUN, 1, "intent")) == len(found.chunks("other", 0, "intent")) == 1


def test_a_killed_process_leaves_a_readable_ledger(ledger, path, tmp_path):
    """A copy of the files as a kill leaves them, log and all, has every commit."""
    for number in range(50):
        ledger.intend(RUN, chunk(number * 10))
    copy = tmp_path / "copy"
    shutil.copytree(path.parent, copy)
    with closing(Ledger(copy / path.name)) as found:
        assert len(found.chunks(RUN, 0, "intent")) == 50


# --- parts ---------------------------------------------------------------------------------------------------------


def test_parts_replace_their_chunk_and_inherit_its_doubt(ledger):
    """A split chunk counts no more, its parts are queued, and what was ambiguous of it stays with them."""
    whole = chunk(0, 100)
    ledger.intend(RUN, whole)
    ledger.count_ambiguous(RUN, whole)
    rest, one = whole.part([*range(17), *range(18, 100)]), whole.part([17])
    ledger.split(RUN, whole, [rest, one], Conclusion("split", 1, 0, 400))

    assert [(row.members, row.records, row.ambiguous) for row in ledger.queued(RUN, 0)] == [
        ("0-16,18-99", 99, 1), ("17-17", 1, 1),
    ]  # fmt: skip
    assert ledger.begun(RUN, 0) == {0}
    for part, state in ((rest, "delivered"), (one, "rejected")):
        ledger.intend(RUN, part)
        ledger.conclude(RUN, part, Conclusion(state, 1))
    found = counts(ledger)
    assert (found.delivered, found.rejected, found.pending, found.possibly_duplicated) == (99, 5, RECORDS - 100, 100)


def test_a_part_that_is_intended_again_stays_a_part(ledger):
    """A part that was queued by a crash does not become a chunk of the plan."""
    whole = chunk(0, 4)
    ledger.intend(RUN, whole)
    ledger.split(RUN, whole, [whole.part([0, 1]), whole.part([2, 3])], Conclusion("split", 1))
    ledger.intend(RUN, whole.part([2, 3]))

    assert ledger.begun(RUN, 0) == {0}
    assert [row.members for row in ledger.queued(RUN, 0)] == ["0-1"]


ENDS = st.sampled_from(["delivered", "rejected", "held", "queued", "intent", "split"])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(ENDS, st.integers(0, 3)), max_size=12))
def test_counts_conserve_whatever_happens(tmp_path_factory, ends):
    """Whatever became of the chunks, every row is accounted for exactly once."""
    with closing(Ledger(tmp_path_factory.mktemp("counts") / "ledger.db")) as found:
        begin(found)
        expected = {"delivered": 0, "rejected": 0}
        for number, (end, ambiguous) in enumerate(ends):
            one = chunk(number * 10)
            found.intend(RUN, one)
            if end == "split":
                halves = [one.part(range(4)), one.part(range(4, 10))]
                found.split(RUN, one, halves, Conclusion("split", 1, ambiguous))
                found.intend(RUN, halves[0])
                found.conclude(RUN, halves[0], delivered())
                expected["delivered"] += 4
            elif end != "intent":
                found.conclude(RUN, one, Conclusion(end, 1 + ambiguous, ambiguous, None))
                if end in expected:
                    expected[end] += 10
        result = counts(found)

    assert result.conserved()
    assert (result.delivered, result.rejected - 4) == (expected["delivered"], expected["rejected"])
    assert result.unknown <= result.pending
    assert result.possibly_duplicated <= result.delivered + result.rejected


def test_what_had_an_answer_is_not_unknown(ledger):
    """A queued chunk is unknown when its last attempt had no answer, and not when it was a 500 or never sent."""
    for first, ambiguous, status in ((0, 1, None), (10, 1, 500), (20, 0, None)):
        ledger.intend(RUN, chunk(first))
        ledger.conclude(RUN, chunk(first), Conclusion("queued", 1, ambiguous, status))

    assert (counts(ledger).unknown, counts(ledger).pending) == (10, RECORDS)
    assert Verdict.UNKNOWN == "unknown"


# --- runs and memory -----------------------------------------------------------------------------------------------


def test_runs_are_numbered_in_their_order(ledger):
    """Runs keep the order they were made in, whatever their names, and are found by status."""
    begin(ledger, "b")
    begin(ledger, "a")
    ledger.end_run("b", "succeeded", exit_code=0, ended_at="then")

    assert [(row.run, row.number) for row in ledger.runs()] == [(RUN, 1), ("b", 2), ("a", 3)]
    assert [row.run for row in ledger.runs("running", "unfinished")] == [RUN, "a"]


def test_a_run_is_there_with_all_its_streams_or_not_at_all(ledger):
    """A run that cannot be noted whole is not noted."""
    with pytest.raises((StateError, sqlite3.IntegrityError)):
        begin(ledger, "half", stream(), stream())

    assert [row.run for row in ledger.runs()] == [RUN]
    assert ledger.counts("half") == {}


def test_merged_memory_takes_the_place_of_its_parts(ledger):
    """A merged part is older than every part that came after those it stands for."""
    for number in range(4):
        run = f"run{number}"
        begin(ledger, run)
        ledger.settle(run, 0, stream="events", part=(f"{number}.parquet", 10))
    ledger.replace_memory("events", ["0.parquet", "1.parquet", "2.parquet"], ("merged.parquet", 30), "run2")

    assert ledger.memory() == {"events": ["merged.parquet", "3.parquet"]}
    assert ledger.unsettled("run3") == set()
    assert ledger.last_mapping("events") == "m"


# --- a file that is not what it was --------------------------------------------------------------------------------


@pytest.fixture
def closed(path):
    """A ledger of some pages, closed, beside the folder of its plans."""
    with closing(Ledger(path)) as found:
        begin(found)
        for number in range(100):
            found.intend(RUN, chunk(number * 10))
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


@pytest.mark.parametrize("version", ["0", "4", None])
def test_another_schema_is_refused(path, version):
    """A ledger that another version wrote is refused, and told from damage."""
    with closing(Ledger(path)) as found:
        begin(found)
    with closing(sqlite3.connect(path)) as other:
        other.execute("DELETE FROM meta WHERE name = 'schema'")
        if version is not None:
            other.execute("INSERT INTO meta VALUES ('schema', ?)", (version,))
        other.commit()

    with pytest.raises(StateError, match="schema") as refused:
        Ledger(path)
    assert not isinstance(refused.value, LedgerDamagedError)


@pytest.mark.parametrize(("version", "lacking"), [("1", ["replay", "cursor", "loaded_file"]), ("2", ["loaded_file"])])
def test_an_older_ledger_is_brought_up_to_date(path, version, lacking):
    """Its runs stay as they are, and what it lacks is added; the second opening finds nothing to do."""
    with closing(Ledger(path)) as found:
        begin(found)
        before = found.counts(RUN)
    with closing(sqlite3.connect(path)) as other:
        other.executescript("".join(f"DROP TABLE {table};" for table in lacking))
        other.execute("ALTER TABLE stream DROP COLUMN removed")
        other.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (version,))
        other.commit()

    for _ in range(2):
        with closing(Ledger(path)) as found:
            assert found.counts(RUN) == before
            assert found.planned(RUN, 0)["removed"] == 0
            assert found.meta("schema") == SCHEMA_VERSION
    with closing(sqlite3.connect(path)) as other:
        assert {name for (name,) in other.execute("SELECT name FROM sqlite_master")} >= set(lacking)


def test_no_key_and_no_row_is_in_the_ledger(ledger, path):
    """The ledger holds digests and places; the bytes of records are not in its files."""
    secret = b'{"type":"user","userId":"alice@example.com"}'
    ledger.intend(RUN, Chunk(0, (5,), (secret,), frozenset({"userId alice@example.com"})))

    for file in path.parent.iterdir():
        assert b"alice" not in file.read_bytes()
