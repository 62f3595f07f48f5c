"""dlt with its custom destination, its way to send rows to an API.

python dlt_destination.py parquet         Arrow tables all the way to the function, which makes records of them
python dlt_destination.py parquet 5000    the same, in large batches that the function cuts into requests itself
python dlt_destination.py rows            dictionaries, through dlt's own typed JSON Lines
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

FORM: Final = sys.argv[1]
os.environ |= {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "LOAD__WORKERS": "20",  # dlt's own default
    "DATA_WRITER__FILE_MAX_ITEMS": "20000",  # so that there are files for the workers to share
    "LOAD__RAISE_ON_FAILED_JOBS": "true",
}

import dlt  # noqa: E402  # it reads the settings above when it is imported
import orjson  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from shared import CHUNK, FILE, begin, post, record  # noqa: E402


@dlt.resource(name="usage", file_format="parquet" if FORM == "parquet" else "typed-jsonl")
def usage() -> Iterator[Any]:
    """Return the export in pages, as dlt's documentation on performance asks."""
    with pq.ParquetFile(FILE) as file:
        for batch in file.iter_batches(10_000):
            yield batch if FORM == "parquet" else batch.to_pylist()


@dlt.destination(
    batch_size=int(sys.argv[2]) if len(sys.argv) > 2 else CHUNK,  # noqa: PLR2004  # an optional word
    loader_file_format="parquet" if FORM == "parquet" else "typed-jsonl",
    name="bucket",
    loader_parallelism_strategy="parallel",
)
def bucket(items: Any, table: Any) -> None:  # noqa: ANN401, ARG001  # dlt's own signature
    """Send a batch."""
    rows = items.to_pylist() if FORM == "parquet" else items
    for start in range(0, len(rows), CHUNK):
        post(orjson.dumps([record(row) for row in rows[start : start + CHUNK]]))


if __name__ == "__main__":
    begin()
    pipeline = dlt.pipeline("benchmark", destination=bucket, pipelines_dir=str(Path("pipelines").absolute()))
    pipeline.run(usage())
