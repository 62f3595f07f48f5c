"""A plan cut into parts of a few records, as a large source is planned."""

import pyarrow.parquet as pq
from msgspec import structs

from bucket_loader.planning import plan_file
from bucket_loader.planning.manifest import encoded
from bucket_loader.state import MANIFEST


def cut(folder, most, chunk_records=None):
    """Cut every stream of a finished plan into parts of at most so many records, and these into chunks of so many."""
    plan = plan_file.read(folder, verify=True)
    streams = []
    for stream in plan.manifest.streams:
        (whole,) = plan.records(stream).files
        table, files = pq.read_table(whole), []
        for number, first in enumerate(range(0, max(1, table.num_rows), most)):
            files.append(whole.with_name(f"{whole.stem}.part{number}.parquet"))
            pq.write_table(table.slice(first, most), files[-1])
        whole.unlink()
        streams.append(structs.replace(stream, parts=plan_file.parts_of(*files)))
    chunk_records = chunk_records or plan.manifest.chunk_records
    manifest = structs.replace(plan.manifest, streams=tuple(streams), chunk_records=chunk_records)
    (folder / MANIFEST).write_bytes(encoded(manifest) + b"\n")
    return plan_file.read(folder, verify=True)
