"""An export for plans that must be the same wherever they are made, and what identifies such a plan."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

AS_OF = "2026-03-01T00:00:00Z"
ROWS = 640_000  # enough for two slices of accounts and four of usage
PIPELINE = """
name: nightly
destination: {{base_url: "${{BUCKET_BASE_URL}}", key: "${{BUCKET_SECRET_KEY}}", patience: 5s, chunk: {{records: 1000}}}}
streams:
  - name: companies
    record: company
    source: {{type: parquet, path: accounts.parquet}}
    where: "share < {share}"
    fields: {{companyId: id, attributes: {{name: name, seats: {{column: seats, type: integer}}}}}}
    on_removed: {{attributes: {{gone: true}}}}
    remember: values
  - name: usage
    record: event
    source: {{type: parquet, path: "usage-*.parquet", new_files: true}}
    key: [number]
    where: "amount < {share}"
    fields: {{userId: user, event: {{value: used}}, timestamp: at, attributes: {{amount: amount}}}}
  - name: days
    record: event
    source: {{type: parquet, path: "usage-*.parquet"}}
    where: "amount < 20"
    fields: {{userId: user, event: {{value: was here}}, timestamp: {{sql: "date_trunc('day', \\"at\\")"}}}}
"""


def write_export(folder, rows=ROWS, *, share=30):
    """Write the export: 5 % of the keys repeat, days have equal rows, some rows are bad, and times have a zone.

    Args:
        folder: where to.
        rows: how many there are, in all.
        share: of a hundred rows so many are sent.
    """
    folder.mkdir(exist_ok=True)
    (folder / "pipeline.yaml").write_text(PIPELINE.format(share=share))
    _write_accounts(folder / "accounts.parquet", np.arange(rows * 3 // 8))
    for number in range(3):
        _write_usage(folder, number, rows * 5 // 24)


def write_changes(folder):
    """Write what has changed a day later: accounts are gone, others have more seats, and a file of usage is new."""
    numbers = np.arange(ROWS * 3 // 8)
    _write_accounts(folder / "accounts.parquet", numbers[numbers % 100 != 11], more=1)
    _write_usage(folder, 3, ROWS * 5 // 24)


def _write_accounts(path, numbers, more=0):
    ids = np.where(numbers % 20 == 7, numbers - 7, numbers)
    some = (numbers % 40 + np.where(numbers % 5 == 0, more, 0)).tolist()
    names = [f"Né {one}" if one % 20_011 else "refuse me" for one in numbers.tolist()]
    texts = [f"{many}" if one % 1_013 else "many" for one, many in zip(numbers.tolist(), some, strict=True)]
    columns = {"id": [f"c{one:06}" for one in ids.tolist()], "name": names, "seats": texts, "share": ids % 100}
    pq.write_table(pa.table(columns), path, row_group_size=30_000)


def _write_usage(folder, number, rows):
    """Write a file of usage, one of several."""
    numbers = np.arange(rows * number, rows * (number + 1))
    users = pa.array([None if one % 1009 == 0 else f"u{one % 5000}" for one in numbers.tolist()])
    moments = pa.array(1_760_000_000_000_000 + numbers * 1_000_000, pa.timestamp("us", "America/New_York"))
    repeated = np.where(numbers % 20 == 3, numbers - 3, numbers)
    table = pa.table({"number": repeated, "user": users, "at": moments, "amount": numbers % 100})
    pq.write_table(table, folder / f"usage-{number}.parquet", row_group_size=25_000)


def digest_of(folder):
    """Identify a plan by all that it holds: each part's bytes, the counts, and what was rejected, in order."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    rejected = [json.loads(line) for line in (folder / "rejected.jsonl").read_text("utf-8").splitlines()]
    rejected = [[line["stream"], line["origin"], line["reasons"], line["row"]] for line in rejected]
    return hashlib.sha256(json.dumps([manifest["streams"], rejected]).encode()).hexdigest()
