"""Pandas costs a third of a second and 50 MB, and no file needs it: planning leaves it alone."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from servers import postgres_url

ROWS = 300  # more than what Python spells by itself
AT = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = """
import sys
from bucket_loader.cli import main
try:
    main(["plan", "pipeline.yaml"])
except SystemExit as ended:
    print(ended.code, "pandas" in sys.modules)
"""


def parquet(path):
    """Write events with a struct, a list, a map, JSON text, and times in milliseconds."""
    nested = {"s": [{"a": 1}] * ROWS, "l": [["x"], None, []] * (ROWS // 3), "j": ['{"a": 1}', None] * (ROWS // 2)}
    maps = pa.array([[("k", True)]] * ROWS, pa.map_(pa.string(), pa.bool_()))
    times = pa.array([AT] * ROWS, pa.timestamp("ms", "UTC"))
    pq.write_table(pa.table({"at": times, "user": ["u"] * ROWS, "m": maps, **nested}), path)


def jsonl(path):
    """Write the same as JSON Lines."""
    line = {"at": AT.isoformat(), "user": "u", "s": {"a": 1}, "l": ["x"], "m": {"k": True}, "n": 1, "j": '{"a": 1}'}
    path.write_text("".join(json.dumps({**line, "t": None, "b": place % 2 == 0}) + "\n" for place in range(ROWS)))


PIPELINE = """
name: nested
destination: {base_url: "http://127.0.0.1:9", key: "${KEY}"}
arrays: keep
streams:
  - name: events
    record: event
    source: SOURCE
    fields:
      userId: user
      event: {value: did}
      timestamp: at
      attributes: {"*": {}, j: {column: j, type: json}}
"""


def planned(folder, source, **environment):
    """Plan in a process of its own; return its exit code and whether it loaded pandas."""
    (folder / "pipeline.yaml").write_text(PIPELINE.replace("SOURCE", source))
    done = subprocess.run(
        [sys.executable, "-c", PLAN], cwd=folder, env={"KEY": "pub_" + "x" * 24, **environment}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("write", [parquet, jsonl])
def test_planning_nested_values_imports_no_pandas(tmp_path, write):
    """Arrow's own ways from Python's values import it; ours take buffers."""
    write(tmp_path / f"events.{write.__name__}")

    assert planned(tmp_path, f"{{type: {write.__name__}, path: events.{write.__name__}}}") == ["0", "False"]


@pytest.mark.postgres
def test_planning_from_postgresql_imports_no_pandas(tmp_path):
    """Its driver would, through a module of pyarrow that nobody uses."""
    query = (
        "select 'u' as user, now() as at, 1.5 as n, 2.50::numeric(5,2) as m, array[1, 2] as l, "
        """'{"a": 1}'::jsonb as j from generate_series(1, 300)"""
    )
    source = {"type": "sql", "url": "${URL}", "query": query}

    assert planned(tmp_path, json.dumps(source), URL=postgres_url()) == ["0", "False"]
