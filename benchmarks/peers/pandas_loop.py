"""The script that everybody writes first: pandas, a loop over its rows, one session, a hundred records a request.

python pandas_loop.py iterrows      as it is mostly written
python pandas_loop.py itertuples    as pandas' documentation advises, where a loop must be
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pandas as pd
from shared import CHUNK, FILE, begin, post, record


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Return the rows, by name."""
    if sys.argv[1] == "iterrows":
        for _, row in frame.iterrows():
            yield row
    else:
        columns = list(frame.columns)
        for values in frame.itertuples(index=False, name=None):
            yield dict(zip(columns, values, strict=True))


def main() -> None:
    """Load the file."""
    batch = []
    frame = pd.read_parquet(FILE)
    frame = frame.astype(object).where(frame.notna(), None)  # or a null is sent as NaN, which is not JSON
    for row in rows(frame):
        batch.append(record(row))
        if len(batch) == CHUNK:
            post(json.dumps(batch).encode())
            batch = []
    if batch:
        post(json.dumps(batch).encode())


if __name__ == "__main__":
    begin()
    main()
