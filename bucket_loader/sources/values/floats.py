"""Half floats, which nothing else here computes with, as floats with the same digits."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def shortest(column: "pa.Array") -> "pa.Array":
    """Return half floats as doubles, each with its own shortest digits: 0.1, and not 0.0999755859375."""
    import pyarrow as pa

    return pa.array([None if value is None else _shortest(value) for value in column.to_pylist()], pa.float64())


def _shortest(value: float) -> float:
    import numpy as np

    return value if value.is_integer() else float(str(np.float16(value)))
