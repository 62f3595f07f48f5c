"""A file of memory: pages that are read one by one, each known to be what was written; and how files are merged."""

import hashlib
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bucket_loader.model.errors import StateError
from bucket_loader.state import snapshots
from bucket_loader.state.snapshots.parts import KeyRange, key_ranges

ROWS = 20_000


def hashed(number):
    """Return a hash as rows have them."""
    return hashlib.md5(str(number).encode()).digest()  # noqa: S324  # what the loader uses to compare


def rows(numbers, content="c"):
    """Return rows of memory."""
    keys = [hashed(number) for number in numbers]
    return pa.RecordBatch.from_pydict({"key": keys, "content": [hashed(content)] * len(keys)}, snapshots.PART_SCHEMA)


class Counting(snapshots.FileBytes):
    """The bytes of a file, which count what is read of them."""

    def __init__(self, path):
        super().__init__(path)
        object.__setattr__(self, "reads", [])

    def read(self, first, count):
        """Return some of them."""
        self.reads.append(count)
        return super().read(first, count)


def opened(path, written, *places):
    """Open a part."""
    places = places or (snapshots.FileBytes(path),)
    index = snapshots.read_index(places[0], written.digest)
    assert index is not None
    return snapshots.Part(index, places, lambda: StateError("unsound"))


@pytest.fixture
def file(tmp_path):
    """A file of twenty pages, and what writing it returned."""
    path = tmp_path / "one.pages"
    return path, snapshots.write_part(path, [rows(range(ROWS))])


def test_few_keys_read_few_bytes(file):
    """Three keys of twenty pages read three pages at the most, besides the index."""
    path, written = file
    place = Counting(path)
    part = opened(path, written, place)
    place.reads.clear()
    wanted = snapshots.as_keys(pa.array(sorted(map(hashed, (1, 2, 3, ROWS + 1))), pa.binary(16)))
    found = snapshots.Memory([part]).find(wanted)

    assert found["key"].to_pylist() == sorted(map(hashed, (1, 2, 3)))
    assert sum(place.reads) < 5 * 36_000


@pytest.mark.parametrize(("content", "holds"), [(hashed("c"), True), (None, False), (snapshots.REMOVED, False)])
def test_what_was_delivered_is_found_without_reading_all(tmp_path, content, holds):
    """Claims and removed rows are not it; where there is some, a page or two are read of twenty."""
    path, keys = tmp_path / "one.pages", [hashed(number) for number in range(ROWS)]
    batch = pa.RecordBatch.from_pydict({"key": keys, "content": [content] * ROWS}, snapshots.PART_SCHEMA)
    place = Counting(path)
    part = opened(path, snapshots.write_part(path, [batch]), place)
    place.reads.clear()

    assert snapshots.holds_delivered(snapshots.Memory([part])) is holds
    assert (sum(place.reads) < 3 * 36_000) is holds


def test_ranges_have_each_row_once(file):
    """The ranges of keys together are the file, in order."""
    path, written = file
    memory = snapshots.Memory([opened(path, written)])
    keys = [key for some in key_ranges(ROWS, 1_700) for key in memory.of(some)["key"].to_pylist()]

    assert keys == sorted(map(hashed, range(ROWS)))
    assert memory.of(KeyRange())["key"].to_pylist() == keys


def test_a_memory_file_is_an_arrow_stream(file):
    """Any program reads the rows of a file of memory without knowing of its index."""
    path, _ = file

    assert pa.ipc.open_stream(path.read_bytes()).read_all().num_rows == ROWS


def test_any_changed_byte_is_noticed(file):
    """Wherever a byte differs, or the file ends early, what is read of it is refused; never is another row returned."""
    path, written = file
    whole, place = path.read_bytes(), snapshots.FileBytes(path)
    assert snapshots.is_sound(place, written.digest)
    for number in np.linspace(0, len(whole) - 1, 60).astype(int).tolist():
        path.write_bytes(whole[:number] + bytes([whole[number] ^ 1]) + whole[number + 1 :])
        assert not snapshots.is_sound(place, written.digest), number
    for length in (0, 5, 16, 1_000, len(whole) - 16, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert snapshots.read_index(place, written.digest) is None
    path.unlink()
    assert snapshots.read_index(place, written.digest) is None


def test_a_bad_page_is_read_from_the_next_place_or_refused(file, tmp_path):
    """What one place has lost another may have; where none has it, the stream's memory is not believed."""
    path, written = file
    good = tmp_path / "good.pages"
    good.write_bytes(path.read_bytes())
    places = [snapshots.FileBytes(path), snapshots.FileBytes(good)]
    alone, beside = opened(path, written), opened(path, written, *places)
    with path.open("r+b") as broken:
        broken.seek(int(alone.index.places[3]) + 300)
        broken.write(b"\0\0\0\0\0\0\0\0")

    assert len(snapshots.Memory([beside]).of(KeyRange())) == ROWS
    with pytest.raises(StateError, match="unsound"):
        snapshots.Memory([alone]).of(KeyRange())


def test_a_large_part_is_sorted_in_pieces(tmp_path, monkeypatch):
    """More rows than are sorted at once become one file, in order, and nothing is left beside it."""
    from bucket_loader.state.snapshots import merging

    monkeypatch.setattr(merging, "_SORTED_BYTES", 300 * 32)
    monkeypatch.setattr(merging, "_MERGED_ROWS", 300)
    path = tmp_path / "one.pages"
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "0").touch()  # what a death has left
    batches = [rows(range(first, first + 100)) for first in range(0, 2_000, 100)]
    part = opened(path, snapshots.write_part(path, batches))

    assert snapshots.Memory([part]).of(KeyRange())["key"].to_pylist() == sorted(map(hashed, range(2_000)))
    assert part.index.known == 2_000
    assert list(tmp_path.iterdir()) == [path]


def test_files_of_older_versions_are_taken_over(tmp_path):
    """Parquet in any order becomes pages that say the same; the newer file wins, claims and removals stay."""
    older, newer = tmp_path / "0.parquet", tmp_path / "1.parquet"
    pq.write_table(pa.Table.from_batches([rows([3, 1, 2, 4])]), older)
    pq.write_table(
        pa.table([[hashed(2), hashed(1)], [None, snapshots.REMOVED], ['{"userId":"b"}', None]],
                 schema=snapshots.part_schema(ids=True)), newer,
    )  # fmt: skip
    path = tmp_path / "both.pages"
    memory = snapshots.Memory([opened(path, snapshots.take_over([older, newer], path, before=snapshots.Memory()))])
    found = memory.of(KeyRange(), memory.schema).to_pylist()

    assert {row["key"]: (row["content"], row["ids"]) for row in found} == {
        hashed(1): (snapshots.REMOVED, None), hashed(2): (None, '{"userId":"b"}'),
        hashed(3): (hashed("c"), None), hashed(4): (hashed("c"), None),
    }  # fmt: skip
    assert memory.known == 3


@pytest.mark.parametrize(
    ("sizes", "groups", "count"),
    [
        ([100, 10], [0, 0], 0),
        ([100, 60], [0, 0], 2),
        ([100, 30, 20], [0, 0, 0], 2),
        ([100, 30, 21], [0, 0, 0], 3),
        ([100, 60], [0, 1], 0),
        ([50, 60, 60], [0, 1, 1], 2),
        ([100], [0], 0),
        ([], [], 0),
    ],
)
def test_parts_are_merged_when_the_newer_ones_have_grown(sizes, groups, count):
    """A part stays until what is newer is more than half of it; parts of different groups stay apart."""
    assert snapshots.to_merge(sizes, groups) == count


def test_a_life_of_small_runs_writes_in_proportion():
    """Of twenty thousand runs of fifty rows: at most twenty parts stay, and each row is written twenty-five times."""
    sizes, written = [], 0
    for _ in range(20_000):
        sizes.append(50)
        count = snapshots.to_merge(sizes, [0] * len(sizes))
        if count:
            merged = sum(sizes[-count:])
            sizes[-count:] = [merged]
            written += merged

    assert len(sizes) <= 20
    assert written < 25 * sum(sizes)


@pytest.mark.parametrize("in_store", ["alone", "beside", "only"])
def test_another_process_reads_a_range_by_a_file_of_this_disk(file, tmp_path, in_store):
    """What only a store has is brought first; a damaged copy goes, so that the next run fetches it; all else stays."""
    path, written = file
    stored = tmp_path / "stored.pages"
    stored.write_bytes(path.read_bytes())
    here, there = snapshots.FileBytes(path), snapshots.FileBytes(stored)
    places = {"alone": [here], "beside": [here, there], "only": [there]}[in_store]
    if in_store == "only":
        path.unlink()

    def bring():
        path.write_bytes(stored.read_bytes())
        return here

    index = snapshots.read_index(there, written.digest)
    part = snapshots.Part(index, places, lambda: StateError("here"), bring if in_store == "only" else None)
    half = KeyRange(0, 1 << 15)
    elsewhere = pickle.loads(pickle.dumps(snapshots.Memory([part]).within(half)))  # noqa: S301  # our own
    keys = elsewhere.of(half)["key"].to_pylist()

    assert keys == [key for key in sorted(map(hashed, range(ROWS))) if key[0] < 128]
    assert elsewhere.parts[0].places == [here]
    assert len(elsewhere.parts[0].index.first) < 12
    assert ROWS / 2 - 2_000 < elsewhere.rows < ROWS / 2 + 2_000
    path.write_bytes(bytes(len(path.read_bytes())))
    with pytest.raises(StateError, match="was a copy, and is removed" if in_store != "alone" else "is not what was"):
        elsewhere.of(half)
    assert path.exists() == (in_store == "alone")
