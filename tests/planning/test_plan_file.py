import hashlib
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st
from msgspec import structs

from bucket_loader.model.counts import Counts
from bucket_loader.model.errors import StateError
from bucket_loader.model.rows import BATCH_BYTES_MAX
from bucket_loader.planning import plan_file as plans
from bucket_loader.planning.manifest import Manifest, PlannedStream
from bucket_loader.planning.plan_file import MANIFEST, StreamWriter
from bucket_loader.state import Records
from bucket_loader.state.snapshots.chosen import Chosen, write_chosen

ROW = pa.schema([("id", pa.string()), ("tags", pa.list_(pa.int8())), ("raw", pa.binary()), ("none", pa.null())])


def hashed(value):
    """Return a hash as rows have them."""
    return hashlib.md5(str(value).encode()).digest()  # noqa: S324  # what the loader uses to compare


def record(number):
    """Return a record of uneven length, with letters of several bytes."""
    return json.dumps({"n": number, "text": "ü✉" * (number % 7)}, ensure_ascii=False)


def batch_of(numbers):
    """Return records and the rows they were made from, as mapping does."""
    records = pa.table({
        "ordinal": pa.array([number + 1 for number in numbers], pa.int64()),
        "key": pa.array([hashed(f"k{number}") for number in numbers], pa.binary()),
        "content": pa.array([hashed(f"c{number}") for number in numbers], pa.binary()),
        "record": pa.array([record(number) for number in numbers], pa.string()),
    })  # fmt: skip
    rows = pa.RecordBatch.from_arrays(
        [
            pa.array([f"0{number}" if number % 5 else None for number in numbers], pa.string()),
            pa.array([[number % 100] if number % 3 else None for number in numbers], pa.list_(pa.int8())),
            pa.array([bytes([number % 256]) for number in numbers], pa.binary()),
            pa.nulls(len(numbers)),
        ],
        schema=ROW,
    )
    return records, rows


def write_stream(path, sizes, first=0):
    """Write batches of so many records each; return their number."""
    writer = StreamWriter(path, ROW)
    for number, size in enumerate(sizes):
        writer.write(*batch_of(range(first, first + size)), f"file-{number % 2}.csv")
        first += size
    writer.close()
    assert writer.rows == sum(sizes)
    return writer.rows


@dataclass
class Maker:
    """Makes plans in a folder."""

    folder: Path

    def make(self, *parts, chunk_records=100, chunk_bytes=10_000, refused=0):
        """Make a plan of one stream from the sizes of the batches of each part."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files, records = [self.folder / f"00-events.{number}.parquet" for number in range(len(parts))], 0
        for file, sizes in zip(files, parts, strict=True):
            records += write_stream(file, sizes, records)
        stream = PlannedStream(
            position=0, name="events", kind="event", mode="append", on_unknown="resend",
            counts=Counts(read=records, pending=records), known=0, changed=0,
            parts=plans.parts_of(*files), mapping="m", shares_ids=False, remembers=True, keyed=True, refused=refused,
        )  # fmt: skip
        manifest = Manifest(
            version=plans.VERSION, run=self.folder.name, pipeline="p", created_at="now", as_of="then", interval=None,
            after=0, chunk_records=chunk_records, chunk_bytes=chunk_bytes, streams=(stream,), sources={"s": "f"},
        )  # fmt: skip
        return plans.finish(self.folder, manifest), stream


@pytest.fixture
def maker(tmp_path):
    """A maker of plans."""
    return Maker(tmp_path / "plans" / "run")


PARTS = st.lists(st.lists(st.integers(0, 60), max_size=8), min_size=1, max_size=3)  # the sizes of each part's batches


@settings(deadline=None, max_examples=25)
@given(PARTS, st.integers(1, 30), st.integers(1024, 3000), st.integers(1, 50))
def test_chunks_hold_every_record_once_as_its_bytes(tmp_path_factory, parts, chunk_records, chunk_bytes, group):
    """Whatever batches a plan was written in, its chunks are its records in order, byte by byte, within the limits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "ROW_GROUP", group)
        maker = Maker(tmp_path_factory.mktemp("plan") / "run")
        planned, stream = maker.make(*parts, chunk_records=chunk_records, chunk_bytes=chunk_bytes)
        chunks = list(planned.chunks(stream))
        by_part = [list(planned.chunks(stream, part)) for part in stream.parts]

    sequences = [sequence for numbers, _ in chunks for sequence in numbers]
    records = [one for _, some in chunks for one in some]
    assert [chunk for some in by_part for chunk in some] == chunks
    assert [sum(len(numbers) for numbers, _ in some) for some in by_part] == [sum(sizes) for sizes in parts]
    assert sequences == list(range(stream.records))
    assert records == [record(number).encode() for number in range(stream.records)]
    for numbers, some in chunks:
        assert len(numbers) == len(some) <= chunk_records
        assert sum(map(len, some)) + len(some) + 1 <= chunk_bytes or len(some) == 1


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(1, 50), st.data())
def test_no_chunk_mixes_what_is_new_with_what_was_refused_before(tmp_path_factory, sizes, group, data):
    """Wherever what was refused before or a part begins, a chunk ends there; each piece is cut as if it were alone."""
    refused, parts = (
        data.draw(st.integers(0, sum(sizes))),
        data.draw(st.sampled_from([[sizes], [sizes[:2], sizes[2:]]])),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "ROW_GROUP", group)
        planned, stream = Maker(tmp_path_factory.mktemp("plan") / "run").make(*parts, chunk_records=7, refused=refused)
        found = [tuple(numbers) for numbers, _ in planned.chunks(stream)]

    edges = sorted({0, stream.refused_from, *(part.first for part in stream.parts), sum(sizes)})
    pieces = [range(*both) for both in pairwise(edges)]
    assert stream.refused_from == sum(sizes) - refused
    assert found == [tuple(piece[first : first + 7]) for piece in pieces for first in range(0, len(piece), 7)]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(1, 50), st.data())
def test_any_records_are_found_by_their_sequence(tmp_path_factory, sizes, group, data):
    """`rows` and `inputs` give the asked sequences, in order, with their rows, across groups and parts."""
    total = sum(sizes)
    wanted = sorted(data.draw(st.sets(st.integers(0, total - 1), min_size=1, max_size=20)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "ROW_GROUP", group)
        planned, stream = Maker(tmp_path_factory.mktemp("plan") / "run").make(sizes[::2], sizes[1::2])
        rows = planned.rows(stream, wanted, ["record", "ordinal", "source", "key"])
        inputs = planned.inputs(stream, wanted)

    assert [row["record"] for row in rows] == [record(number) for number in wanted]
    assert [row["ordinal"] for row in rows] == [number + 1 for number in wanted]
    assert [row["key"] for row in rows] == [hashed(f"k{number}") for number in wanted]
    assert {row["source"] for row in rows} <= {"file-0.csv", "file-1.csv"}
    assert [batch.to_pylist() for batch in inputs] == [batch_of([number])[1].to_pylist() for number in wanted]
    assert all(batch.schema == ROW for batch in inputs)


def test_keys_are_in_the_order_of_sequences(maker):
    """The keys and contents that memory is made from stand in the order of the records."""
    planned, stream = maker.make([40, 1], [300])
    keys = pa.Table.from_batches(planned.keys(stream))

    assert keys["key"].to_pylist() == [hashed(f"k{number}") for number in range(341)]
    assert keys["content"].to_pylist() == [hashed(f"c{number}") for number in range(341)]


def is_even(positions):
    """Return for each position whether it is even."""
    return pa.array([position % 2 == 0 for position in positions], pa.bool_())


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 80), min_size=1, max_size=6), st.integers(1, 40), st.data())
def test_selecting_keeps_the_chosen_with_their_final_keys(tmp_path_factory, sizes, group, data):
    """The final file has the chosen records in their order, all columns as they were but the key."""
    folder, in_files = tmp_path_factory.mktemp("select"), data.draw(st.booleans())
    chosen = sorted(data.draw(st.sets(st.integers(0, max(sum(sizes) - 1, 0)), max_size=40))) if sum(sizes) else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "ROW_GROUP", group)
        write_stream(folder / "staged", sizes)
        final_keys = [hashed(f"final{position}") for position in chosen]
        columns = {"position": pa.array(chosen, pa.int64()), "key": pa.array(final_keys, pa.binary(16))}
        positions = pa.table(columns)
        for number, some in enumerate(
            (positions.filter(is_even(chosen)), positions.filter(pc.invert(is_even(chosen))))
        ):
            write_chosen(folder / f"chosen-{number}", some.to_batches(max_chunksize=3))
        found = Chosen((folder / "chosen-0", folder / "chosen-1")) if in_files else positions
        plans.assemble(folder / "final", [plans.Piece(Records.of(folder / "staged"), found)])
    staged, final = pq.read_table(folder / "staged"), pq.read_table(folder / "final")

    assert final["key"].to_pylist() == final_keys
    assert final.drop(["key"]).to_pylist() == [staged.drop(["key"]).slice(place, 1).to_pylist()[0] for place in chosen]
    assert final.schema == staged.schema


# --- a plan that is not what it was --------------------------------------------------------------------------------


def test_a_plan_is_read_as_it_was_finished(maker):
    """What was finished is read again, with the same digest."""
    planned, stream = maker.make([50, 50])
    again = plans.read(maker.folder, verify=True)

    assert again.manifest == planned.manifest
    assert again.digest() == planned.digest()
    assert list(again.chunks(stream)) == list(planned.chunks(stream))


def test_a_flipped_byte_of_a_file_is_found(maker):
    """One byte that is not what it was, anywhere in a part's file, refuses the plan."""
    maker.make([50], [50])
    path = maker.folder / "00-events.1.parquet"
    data = path.read_bytes()
    for place in range(0, len(data), 97):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(StateError, match="not what was planned"):
            plans.read(maker.folder, verify=True)
    path.write_bytes(data)
    plans.read(maker.folder, verify=True)


def test_a_flipped_byte_of_the_manifest_is_found(maker):
    """A manifest that is not what it was cannot be read, or has another digest than the run was begun with."""
    planned, _ = maker.make([50])
    path, digest = maker.folder / MANIFEST, planned.digest()
    data = path.read_bytes()
    for place in range(0, len(data), 3):
        for changed in (data[place] ^ 1, 0xFF, 0x00):
            if changed == data[place]:
                continue
            path.write_bytes(data[:place] + bytes([changed]) + data[place + 1 :])
            try:
                found = plans.read(maker.folder, verify=True)
            except StateError:
                continue
            assert found.digest() != digest


@pytest.mark.parametrize("harm", ["no manifest", "half a manifest", "empty manifest", "no file", "no folder", "a file"])
def test_half_a_plan_is_no_plan(maker, harm):
    """A plan without its manifest, or without a file of it, does not exist."""
    maker.make([10])
    manifest = maker.folder / MANIFEST
    match harm:
        case "no manifest":
            manifest.unlink()
        case "half a manifest":
            manifest.write_bytes(manifest.read_bytes()[:100])
        case "empty manifest":
            manifest.write_bytes(b"")
        case "no file":
            (maker.folder / "00-events.0.parquet").unlink()
        case _:
            plans.remove(maker.folder)
            if harm == "a file":
                maker.folder.write_text("x")

    with pytest.raises(StateError):
        plans.read(maker.folder, verify=True)


def test_another_version_is_refused(maker):
    """A plan of another version is not guessed at."""
    planned, _ = maker.make([1])
    plans.finish(maker.folder, structs.replace(planned.manifest, version=plans.VERSION + 1))

    with pytest.raises(StateError, match="version"):
        plans.read(maker.folder, verify=True)


def test_the_manifest_is_written_last(maker, monkeypatch):
    """Whatever breaks while a plan is finished, it does not exist yet."""

    def broken(path):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(plans, "sync", broken)
        with pytest.raises(OSError, match="disk full"):
            maker.make([5])
    with pytest.raises(StateError, match="no plan"):
        plans.read(maker.folder, verify=True)


def test_a_plan_of_nothing(maker):
    """A stream without records has no chunks, no rows and no keys."""
    planned, stream = maker.make([0, 0])

    assert list(planned.chunks(stream)) == list(planned.keys(stream)) == planned.rows(stream, [], ["record"]) == []
    assert BATCH_BYTES_MAX > 0


def test_no_rows_of_a_file_with_json_in_it_are_a_table_without_rows(tmp_path):
    """A column of JSON has no empty form of its own in Arrow, and a run asked for one where nothing was refused."""
    column = pa.array(["[1]"], pa.json_())
    pq.write_table(pa.table({"key": ["k"], "a": column}), tmp_path / "x.parquet")

    assert Records.of(tmp_path / "x.parquet").taken([], ["key"]).num_rows == 0
