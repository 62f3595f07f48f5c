"""An export for plans that must be the same wherever they are made, and what identifies such a plan."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

AS_OF = "2026-03-01T00:00:00Z"
USAGE = 360_000  # rows, in three files: enough for four slices
ACCOUNTS = 120_000
PIPELINE = """
name: nightly
destination: {base_url: "${BUCKET_BASE_URL}", key: "${BUCKET_SECRET_KEY}", patience: 5s}
streams:
  - name: companies
    record: company
    source: {type: parquet, path: accounts.parquet}
    fields: {companyId: id, attributes: {name: name, seats: seats}}
    on_removed: {attributes: {gone: true}}
  - name: usage
    record: event
    source: {type: parquet, path: "usage-*.parquet"}
    key: [number]
    where: "amount < 95"
    fields: {userId: user, event: {value: used}, timestamp: at, attributes: {amount: amount}}
"""


def write_export(folder, *, accounts=ACCOUNTS, seats=0):
    """Write the export: 5 % of the keys repeat, some rows have no id, and times have a zone of their own."""
    folder.mkdir(exist_ok=True)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    numbers = np.arange(accounts)
    ids = np.where(numbers % 20 == 7, numbers - 7, numbers)
    table = pa.table({
        "id": pa.array([f"c{one:06}" for one in ids]),
        "name": pa.array([f"Né {one}" for one in numbers]),
        "seats": pa.array(numbers % 40 + seats),
    })  # fmt: skip
    pq.write_table(table, folder / "accounts.parquet", row_group_size=30_000)
    for number, some in enumerate(np.array_split(np.arange(USAGE), 3)):
        _write_usage(folder / f"usage-{number}.parquet", some)


def _write_usage(path, numbers):
    users = pa.array([None if one % 1009 == 0 else f"u{one % 5000}" for one in numbers.tolist()])
    moments = pa.array(1_760_000_000_000_000 + numbers * 1_000_000, pa.timestamp("us", "America/New_York"))
    repeated = np.where(numbers % 20 == 3, numbers - 3, numbers)
    table = pa.table({"number": repeated, "user": users, "at": moments, "amount": numbers % 97})
    pq.write_table(table, path, row_group_size=25_000)


def digest_of(folder):
    """Identify a plan by all that it holds: each part's bytes, the counts, and what was rejected, in order."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    kept = [{name: stream[name] for name in ("name", "records", "superseded", "unchanged", "rejected", "parts")}
            for stream in manifest["streams"]]  # fmt: skip
    rejected = [json.loads(line) for line in (folder / "rejected.jsonl").read_text("utf-8").splitlines()]
    rejected = [[line["stream"], line["origin"], line["reasons"], line["row"]] for line in rejected]
    return hashlib.sha256(json.dumps([kept, rejected]).encode()).hexdigest()
