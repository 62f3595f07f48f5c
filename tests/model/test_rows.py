"""Rows as a person finds them again in the dead letters."""

import pyarrow as pa
import pytest

from bucket_loader.model import row_as_json


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (pa.array([0], pa.timestamp("us", "utc")), "1970-01-01 00:00:00.000000Z"),
        (pa.array([400_000_000_000], pa.timestamp("s", "Made/Up")), "14645-06-30 15:06:40Z"),
        (pa.array([3_000_000], pa.date32()), "10183-09-21"),
        (pa.array([[2**50]], pa.list_(pa.timestamp("s"))), "(cannot be shown)"),
        (pa.array([b"\xff"]).cast(pa.string(), safe=False), "ff"),
        (pa.array([2**60]), str(2**60)),
    ],
    ids=str,
)
def test_a_row_is_shown_whatever_it_holds(values, shown):
    """What the API refuses is shown so too, in the middle of a run: a value that Python lacks is no traceback."""
    assert row_as_json(pa.RecordBatch.from_arrays([pa.array(["a"]), values], ["id", "v"]), 0) == {"id": "a", "v": shown}
