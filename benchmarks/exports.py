"""The inputs: one export of events in several forms, and one of companies. The same rows every time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

CHUNK: Final = 100
# Ten columns, as a usage export has them; hash() makes what looks random, and is the same for the same number.
EVENTS: Final = """
    SELECT 'U-' || lpad(i::VARCHAR, 9, '0') AS usage_id,
           'u_' || hash(i) % 200000 AS user_id,
           'A-' || hash(i + 1) % 5000 AS account_id,
           'feature_' || hash(i + 2) % 40 AS feature_name,
           TIMESTAMP '2024-01-01' + INTERVAL (i % 5000000 * 10) SECOND + INTERVAL (hash(i + 3) % 1000) MILLISECOND
               AS used_at,
           (hash(i + 4) % 100)::INTEGER AS usage_count,
           (hash(i + 5) % 360000) / 100.0 AS duration_seconds,
           (hash(i + 6) % 50 = 0) AS is_beta,
           CASE WHEN hash(i + 7) % 10 > 0
                THEN ['eu-west', 'us-east', 'ap-south'][1 + (hash(i + 8) % 3)::INTEGER] END AS region,
           'session ' || hash(i + 9) % 100000000 AS note
    FROM range({rows}) r(i)
"""
COMPANIES: Final = """
    SELECT 'A-' || lpad(i::VARCHAR, 9, '0') AS account_id, 'Company number ' || i AS name,
           ['free', 'team', 'pro', 'enterprise'][1 + (hash(i) % 4)::INTEGER] AS plan_tier,
           (hash(i + 1) % 500)::INTEGER AS seats,
           (hash(i + 2) % 10000000) / 100.0 AS mrr, CASE WHEN i % 10 > 0 THEN 'eu-west' END AS region
    FROM range({rows}) r(i)
"""
# The bodies that the bare senders post: the same records as everybody else's, a hundred in each.
RECORDS: Final = """
    SELECT json_merge_patch('{{}}', {{
        type: 'event', userId: user_id, companyId: account_id, event: feature_name,
        timestamp: strftime(used_at, '%Y-%m-%dT%H:%M:%S.%gZ'),
        attributes: {{duration_seconds: duration_seconds, is_beta: is_beta, note: note, region: region,
                      usage_count: usage_count}}}}::JSON)::VARCHAR
    FROM read_parquet('{path}')
"""
FORMS: Final = {".parquet": "FORMAT parquet", ".csv": "FORMAT csv, HEADER", ".jsonl": "FORMAT json"}


@dataclass(frozen=True)
class Exports:
    """Makes each file when it is first asked for, in one folder.

    Attributes:
        folder: where they are.
    """

    folder: Path

    def events(self, rows: int, form: str = "parquet") -> Path:
        """Return the first rows of the export of events, as parquet or csv."""
        path = self.folder / f"events-{rows}.{form}"
        return path if path.exists() else copy(EVENTS.format(rows=rows), path)

    def companies(self, rows: int) -> Path:
        """Return the export of companies."""
        path = self.folder / f"companies-{rows}.parquet"
        return path if path.exists() else copy(COMPANIES.format(rows=rows), path)

    def records(self, rows: int) -> str:
        """Return SQL for the records, each as a JSON text."""
        return RECORDS.format(path=self.events(rows))

    def bodies(self, rows: int) -> Path:
        """Return ready-made bodies, one a line."""
        path = self.folder / f"bodies-{rows}.jsonl"
        if not path.exists():
            with duckdb.connect() as connection, path.open("w", encoding="utf-8") as file:
                found = connection.execute(self.records(rows))
                while records := found.fetchmany(CHUNK):
                    file.write("[" + ",".join(record for (record,) in records) + "]\n")
        return path


def copy(query: str, path: Path) -> Path:
    """Make a file of what a query finds, in the form that its name says."""
    form = FORMS[path.suffix]
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({query}) TO '{path}' ({form})")
    return path
