"""Rows that were delivered and are removed from the source: each gets a record of its own."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from bucket_loader.config import Fields, FieldSpec, Stream
from bucket_loader.model import Counts, InputBatch
from bucket_loader.planning.mapping import subject_of_ids
from bucket_loader.planning.plan_file import REMOVED, ROW_GROUP, StreamWriter
from bucket_loader.planning.request import PlanRequest
from bucket_loader.planning.staging import Read, Rejected
from bucket_loader.planning.stream_files import StreamFiles
from bucket_loader.state import snapshots


def add_removals(request: PlanRequest, read: Read, rejected: Rejected, files: StreamFiles) -> snapshots.Removed:
    """Make a record for each row that was delivered and is removed from the source, as far as the reading can tell."""
    stream = rejected.stream
    memory = request.memory_of(stream)
    if read.schema is None or not memory.rows or read.nameless or not request.is_whole(stream):
        read.forget_present()
        return snapshots.Removed()
    found = snapshots.find_removed(
        read.records, read.present, memory, files.removed, subject=subject_of_ids(stream.record)
    )
    read.forget_present()
    before = rejected.count
    if found.counts.removed:
        _write_removals(request, files.removed, StreamWriter(files.removals, read.schema), rejected)
    files.removed.unlink()
    return replace(found, counts=found.counts + Counts(rejected=rejected.count - before))


def _write_removals(request: PlanRequest, found: Path, writer: StreamWriter, rejected: Rejected) -> None:
    """Map the ids of removed rows to records, as rows are mapped."""
    stream = _removal_of(rejected.stream)
    names = [name for name, spec in stream.fields.given().items() if isinstance(spec, FieldSpec)]
    mapping = request.compiled(stream, pa.schema([(name, pa.string()) for name in names]))
    with closing(writer), pq.ParquetFile(found, pre_buffer=False) as file:
        for batch in file.iter_batches(batch_size=ROW_GROUP, use_threads=False):
            ids = [msgspec.json.decode(text) for text in batch["ids"].to_pylist()]
            data = pa.record_batch([pa.array([one.get(name) for one in ids], pa.string()) for name in names], names)
            mapped = mapping.apply(InputBatch(data, pa.array([0] * len(ids), pa.int64()), REMOVED))
            rejected.write(mapped.rejections)
            keys = pa.chunked_array([batch["key"].take(mapped.kept)])
            contents = pa.chunked_array([pa.array([snapshots.REMOVED] * len(mapped.kept), pa.binary())])
            records = mapped.records.set_column(2, "key", keys).set_column(3, "content", contents)
            writer.write(records, None, REMOVED)


def _removal_of(stream: Stream) -> Stream:
    """Return the stream of a stream's removed rows: their ids, and the constants of `on_removed:`."""
    assert stream.on_removed is not None  # noqa: S101  # narrows the type
    constants = {name: FieldSpec(value=value) for name, value in stream.on_removed.attributes.items()}
    ids = {name: FieldSpec(column=name) for name in stream.kind.ids}
    fields = Fields.model_validate({**ids, "attributes": constants})
    # Being removed is no activity, whatever the rows are.
    plain = {"where": None, "cursor": None, "on_removed": None, "active": None}
    return stream.model_copy(update={"fields": fields, **plain})
