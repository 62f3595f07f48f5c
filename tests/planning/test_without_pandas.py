"""Pandas costs a third of a second and 50 MB, and no file needs it: planning leaves it alone."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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


@pytest.mark.parametrize("write", [parquet, jsonl])
def test_planning_nested_values_imports_no_pandas(tmp_path, write):
    """Arrow's own ways from Python's values import it; ours take buffers."""
    write(tmp_path / f"events.{write.__name__}")
    (tmp_path / "pipeline.yaml").write_text(f"""
name: nested
destination: {{base_url: "http://127.0.0.1:9", key: "${{KEY}}"}}
arrays: keep
streams:
  - name: events
    record: event
    source: {{type: {write.__name__}, path: events.{write.__name__}}}
    fields:
      userId: user
      event: {{value: did}}
      timestamp: at
      attributes: {{"*": {{}}, j: {{column: j, type: json}}}}
""")
    done = subprocess.run(
        [sys.executable, "-c", PLAN], cwd=tmp_path, env={"KEY": "pub_" + "x" * 24}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert done.stdout.split() == ["0", "False"], done.stderr
