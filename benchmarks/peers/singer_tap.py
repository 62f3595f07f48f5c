"""A Singer tap that gives the export's rows as messages on stdout, as fast as Python writes them."""

import sys
from typing import Final

import msgspec
import pyarrow.parquet as pq
from shared import FILE

KINDS: Final = {
    "usage_id": "string",
    "user_id": "string",
    "account_id": "string",
    "feature_name": "string",
    "used_at": "string",
    "usage_count": "integer",
    "duration_seconds": "number",
    "is_beta": "boolean",
    "region": "string",
    "note": "string",
}
SCHEMA: Final = {
    "type": "SCHEMA",
    "stream": "usage",
    "key_properties": ["usage_id"],
    "schema": {"type": "object", "properties": {name: {"type": [kind, "null"]} for name, kind in KINDS.items()}},
}


def main() -> None:
    """Write the schema and every row."""
    encoder, out = msgspec.json.Encoder(), sys.stdout.buffer
    out.write(encoder.encode(SCHEMA) + b"\n")
    with pq.ParquetFile(FILE) as file:
        for batch in file.iter_batches(10_000):
            messages = [{"type": "RECORD", "stream": "usage", "record": row} for row in batch.to_pylist()]
            out.write(encoder.encode_lines(messages))


if __name__ == "__main__":
    main()
