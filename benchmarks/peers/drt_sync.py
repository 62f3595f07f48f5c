"""drt, a reverse-ETL tool with YAML syncs: DuckDB as its source, its REST destination in batch mode.

Its limit of ten requests a second is off, and a batch is many requests, since drt opens a client a batch. Two
syncs with a thread each were no faster than one.

    python drt_sync.py rows    SQL names the columns, the template makes JSON of the rows
    python drt_sync.py text    SQL makes each row JSON, the template only joins them: the most that drt can be asked for
"""

import os
import sys
from pathlib import Path
from typing import Final

from shared import CHUNK, FILE, KEY, URL, begin

FORM: Final = sys.argv[1]
PROJECT: Final = "name: benchmark\nversion: '0.1'\nprofile: local\n"
PROFILES: Final = 'local:\n  type: duckdb\n  database: ":memory:"\n'
ATTRIBUTES: Final = (
    "{duration_seconds: duration_seconds, is_beta: is_beta, note: note, region: region, usage_count: usage_count}"
)
TIME: Final = "strftime(used_at, '%Y-%m-%dT%H:%M:%S.%gZ')"
MODELS: Final = {
    "rows": f"""SELECT 'event' AS type, user_id AS "userId", account_id AS "companyId", feature_name AS event,
      {TIME} AS timestamp, {ATTRIBUTES} AS attributes FROM read_parquet('{FILE}')""",
    "text": f"""SELECT to_json({{type: 'event', userId: user_id, companyId: account_id, event: feature_name,
      timestamp: {TIME}, attributes: {ATTRIBUTES}}})::VARCHAR AS record FROM read_parquet('{FILE}')""",
}
TEMPLATES: Final = {
    "rows": "{{ rows | tojson_safe }}",
    "text": "[{{ rows | map(attribute='record') | join(',') }}]",
}
SYNC: Final = """
name: usage
model: |
  %s
destination:
  type: rest_api
  url: "%s"
  method: POST
  headers: {Content-Type: application/json, Authorization: "Bearer %s"}
  body_mode: batch
  batch_template: "%s"
  max_records_per_request: %d
sync:
  mode: full
  batch_size: 10000
  rate_limit: {requests_per_second: 0}
  retry: {max_attempts: 20, initial_backoff: 0.1}
  on_error: fail
"""


def prepare(folder: Path) -> None:
    """Write the project, and the profile where drt looks for it."""
    for name in (".drt", "syncs"):
        (folder / name).mkdir()
    (folder / ".drt" / "profiles.yml").write_text(PROFILES)
    (folder / "drt_project.yml").write_text(PROJECT)
    (folder / "syncs" / "usage.yml").write_text(SYNC % (MODELS[FORM], URL, KEY, TEMPLATES[FORM], CHUNK))


if __name__ == "__main__":
    prepare(Path.cwd())
    os.environ["HOME"] = str(Path.cwd())
    from drt.cli.main import app

    sys.argv = ["drt", "run"]
    begin()
    app()
