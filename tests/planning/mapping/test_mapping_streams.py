"""Batches through one SELECT: in order, whatever their sizes, and ended cleanly wherever they end."""

import os
import random
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pytest
from mapping_helpers import compiled

from bucket_loader.model.arrays import ordinals_from
from bucket_loader.model.rows import InputBatch, Origin, Reason, Rejection
from bucket_loader.planning.mapping import query

SCHEMA = pa.schema([("id", pa.string()), ("n", pa.int64())])
FIELDS = {"userId": "id", "attributes": "*"}


def batches(sizes, first=1):
    """Make batches of so many rows each; every seventh row has no id."""
    for size in sizes:
        numbers = ordinals_from(first, size)
        ids = pa.array([None if number % 7 == 0 else f"u{number}" for number in numbers.to_pylist()], pa.string())
        yield InputBatch(pa.RecordBatch.from_arrays([ids, numbers], schema=SCHEMA), numbers, f"f{first}")
        first += size


def words(mapped):
    """Return what a batch came to, as plain data."""
    rejected = [rejection.origin for rejection in mapped.rejections]
    return mapped.records.to_pylist(), mapped.kept.to_pylist(), rejected, mapped.filtered


@pytest.mark.parametrize("seed", range(4))
def test_each_batch_comes_to_what_it_comes_to_alone(seed):
    """Batches of any size, empty ones too, give in one go what each gives on its own."""
    sizes = random.Random(seed).choices((0, 0, 1, 2, 700, 2048, 5000), k=12)  # noqa: S311  # a test's
    alone = [words(compiled(SCHEMA, FIELDS).apply(batch)) for batch in batches(sizes)]

    together = list(compiled(SCHEMA, FIELDS).over(batches(sizes)))

    assert [batch.data.num_rows for batch, _ in together] == sizes
    assert [words(mapped) for _, mapped in together] == alone


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"column": "id", "type": "boolean"}, {}),
        ({"column": "n", "null_values": [str(number) for number in range(2, 2_000)]}, {}),
        ({"sql": "n IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)"}, {}),
        ({"column": "n"}, {"where": "id NOT IN ('u1', 'u2', 'u3', 'u4', 'u5', 'u6', 'u8', 'u9', 'u10')"}),
    ],
    ids=["words", "null values", "expression", "where"],
)
def test_lists_of_words_lose_no_order(spec, words):
    """What DuckDB likes to make a join of is none: joins lose the order, whenever its threads happen to."""
    mapping = compiled(SCHEMA, {"userId": "id", "attributes": {"n": spec}}, **words)
    select = mapping.query
    select.connection.register(query.INPUT, pa.Table.from_batches([], select.schema))
    ((_, how),) = select.connection.execute(f"EXPLAIN {select.sql}").fetchall()
    select.connection.unregister(query.INPUT)

    assert "JOIN" not in how.upper()
    assert [batch.data.num_rows for batch, _ in mapping.over(batches([16_384, 3_616]))] == [16_384, 3_616]


def test_no_batches_come_to_nothing():
    """A source without rows maps to nothing."""
    assert list(compiled(SCHEMA, FIELDS).over([])) == []


def test_what_reading_raises_is_raised():
    """An error of the source keeps its type, wherever DuckDB was when it came."""

    class TornError(Exception):
        """The source's own."""

    def torn():
        yield from batches([3000, 3000])
        raise TornError

    with pytest.raises(TornError) as caught:
        list(compiled(SCHEMA, FIELDS).over(torn()))

    assert caught.value.__cause__ is None


def test_reading_is_done_by_one_thread_at_a_time():
    """A source need not be ready for two threads at once."""
    inside, most = 0, 0

    def watched():
        nonlocal inside, most
        for batch in batches([3000] * 30):
            inside += 1
            most = max(most, inside)
            time.sleep(0.001)
            inside -= 1
            yield batch

    assert len(list(compiled(SCHEMA, FIELDS).over(watched()))) == 30
    assert most == 1


def unread(count):
    """Make rejections of rows that could not be read."""
    return [Rejection("read", Origin("f", number), (Reason("width", "is short"),), {}) for number in range(count)]


def test_a_file_of_rows_that_cannot_be_read_is_not_gathered(monkeypatch):
    """What is rejected goes on while the rest is read, however little there is to map between."""
    monkeypatch.setattr(query, "UNREAD_MAX", 300)
    read = given = most = 0

    def hopeless():
        nonlocal read
        for number, batch in enumerate(batches([0, 1, 0, 0, 0] * 40)):
            read += 100
            yield InputBatch(batch.data, batch.ordinals, f"f{number}", unread(100))

    found = []
    for batch, mapped in compiled(SCHEMA, FIELDS).over(hopeless()):
        given += len(batch.unread)
        most = max(most, read - given)
        found.append((batch.source, mapped.records.num_rows + len(mapped.rejections)))

    assert found == [(f"f{number}", int(number % 5 == 1)) for number in range(200)]
    assert most <= 1_000


def test_a_signal_is_heard_while_a_source_is_slow():
    """The thread that signals go to waits in Python, not in DuckDB."""
    heard = []

    def slow():
        time.sleep(0.4)
        os.kill(os.getpid(), signal.SIGUSR1)
        until = time.monotonic() + 10
        while not heard and time.monotonic() < until:
            time.sleep(0.01)
        yield from batches([10])

    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append(time.monotonic()))
    try:
        began = time.monotonic()
        assert len(list(compiled(SCHEMA, FIELDS).over(slow()))) == 1
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert heard
    assert time.monotonic() - began < 5


def test_nothing_but_the_loader_writes_to_the_screen():
    """DuckDB's own progress bar would go to stdout, among what programs read there."""
    mapping = compiled(SCHEMA, FIELDS)

    assert mapping.query.connection.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(False,)]


def test_a_reading_that_is_left_is_ended():
    """Whoever stops looking stops the reading: the source is free, and the mapping serves again."""
    read = []

    def counted():
        for number, batch in enumerate(batches([5000] * 200)):
            read.append(number)
            yield batch

    mapping, source = compiled(SCHEMA, FIELDS), counted()
    found = mapping.over(source)
    next(found)
    found.close()
    after = len(read)
    source.close()  # raises when somebody is still in it

    assert after < 200
    assert len(list(mapping.over(batches([10, 10])))) == 2
    assert len(read) == after


def test_an_error_leaves_the_screen_alone():
    """A source that fails in mid-reading leaves nothing behind that would complain when the program ends."""
    program = """
import sys
sys.path[:0] = %r
from test_mapping_streams import FIELDS, SCHEMA, batches, compiled
def torn():
    yield from batches([3000] * 3)
    raise ValueError("torn")
try:
    list(compiled(SCHEMA, FIELDS).over(torn()))
except ValueError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", program % sys.path], capture_output=True, text=True, check=False)

    assert (ended.stdout, ended.stderr) == ("torn\n", "")
